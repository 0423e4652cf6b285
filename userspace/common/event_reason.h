/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something was denied, as a sentence that names the missing right and the policy line that
 * would have granted it. Part of event_decode(); any thread; cannot fail.
 */
#pragma once

#include "common/event.h"

/* Fill event->reason from the rest of the event and the policy of @ctx. */
void event_reason(struct event *event, const struct event_context *ctx);

/* Its part for what the rules of network_policies decide: addresses, names, binaries. */
void event_reason_network(const struct event *event, struct text *t);
