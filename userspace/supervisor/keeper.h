/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's keeper: a process of its own that owns the sandbox, so that neither the end of the
 * daemon nor another sandbox touches it. It listens for a daemon on descriptor 3, keeps what holds
 * last, and stays when the main process has ended, until it is told to stop. Started by the daemon
 * alone.
 */
#pragma once

/* `openshell-supervisor --keeper ID DIRECTORY`: the sandbox's id, and its directory on the host. */
int keeper_main(const char *id, const char *directory);

#define KEEPER_LISTEN_FD 3
