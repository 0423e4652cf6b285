/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for what becomes of a sandbox, with progress on a terminal. */
#pragma once

#include "cli/client.h"

#define SANDBOX_WAIT_MS 120000

/*
 * Until it has @phase, or ERROR when that is not what is waited for; *ret_sandbox (may be NULL) is
 * the caller's. EXIT_DONE; EXIT_TIMEOUT; or a status that was explained.
 */
int sandbox_wait(struct client *client, const char *name, Openshell__V1__SandboxPhase phase,
		 Openshell__V1__SandboxResponse **ret_sandbox);

/* Delete, and wait until it is gone. */
int sandbox_delete(struct client *client, const char *name);
