/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network that the bypass suite plays in: a namespace for the host, with its sandboxes, and one
 * for everybody else, with servers at every address that is tried, synthetic ones included: what
 * the kernel lets out arrives, and is seen. Whatever leaves the host is counted at the wire. One
 * world, one thread; what goes wrong in here ends the program.
 */
#pragma once

#include "server.h"

#include <stdbool.h>
#include <sys/types.h>

#define WORLD_DNS   "10.77.0.53"
#define WORLD_PORT  8000 /* what rules name */
#define WORLD_OTHER 8001 /* what they do not */
#define WORLD_HOST  8100 /* listeners of the host itself */

/* Needs a mount namespace of the caller's own: /etc/resolv.conf and /etc/hosts become the world's.
 * @dir: where their files may be. */
void world_open(const char *dir);
void world_close(void);

/* What was seen out there, and by the host's own listeners. */
struct server_seen *world_seen(void);
struct server_seen *world_seen_here(void);

/*
 * New connections and datagrams that left for elsewhere since the last call, but for the host's own
 * questions to its DNS server.
 */
unsigned int world_left(void);

/* Move this process into the network outside; or to be the host's again. */
void world_enter_outside(void);

/* The interface that leads outside. */
const char *world_interface(void);

_Noreturn void world_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
