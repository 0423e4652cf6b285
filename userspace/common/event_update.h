/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants as command lines: the `openshell policy update` that adds each endpoint to the policy of
 * a sandbox, to paste into a shell. Pure but for the stream printed to; any thread.
 */
#pragma once

#include "common/event_grants.h"

#include <stdio.h>

/* The port that a name without one most likely is wanted for; said to be a guess where it is. */
#define EVENT_UPDATE_PORT_GUESS 443

/*
 * Print a line for each host and port of @grants, with every binary that wanted it, at most @lines.
 * Left out and counted is what a shell's line cannot hold for people to read. Returns how many
 * endpoints there were lines for.
 */
size_t event_update_print(const struct event_grants *grants, const char *sandbox, size_t lines,
			  FILE *out);
