/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as a JSON object of the Open Cybersecurity Schema Framework, version 1.8, with the
 * profiles security_control and host. What the schema has no attribute for is under `unmapped`.
 * Always valid JSON in ASCII: bytes that are not UTF-8 become U+FFFD. Any thread.
 */
#pragma once

#include "common/event.h"

#define EVENT_OCSF_VERSION "1.8.0"

/* One line without newline in memory of the caller's, to free(). NULL: out of memory. */
char *event_ocsf(const struct event *event);
