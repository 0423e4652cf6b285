/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end a command wait while there is something to clean up: held before a sandbox is
 * made, let through while the relay passes them on to the agent, held again until the sandbox is
 * gone. What arrived meanwhile then does what it always does. Process-wide; one thread.
 */
#pragma once

#include "common/error.h"

/* SIGINT, SIGTERM, SIGHUP and SIGQUIT wait from here on. */
void interrupt_hold(void);

/* They do not; the first that waits acts now. */
void interrupt_release(void);

/* -EINTR with a sentence if one waits, else 0. */
int interrupt_check(struct error *err);
