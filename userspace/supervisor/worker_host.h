/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own addresses, as an agent may reach them: what host.openshell.internal means. No
 * packet is sent. Any thread. Fails closed: a host with loopback alone has no such name.
 */
#pragma once

#include "common/worker_protocol.h"

#define WORKER_HOST_TTL 10 /* seconds: interfaces come and go */

/*
 * One address of each family: of the interface towards the default route, else the first global
 * one of an interface that is up. Fills @ret_found but for its header.
 */
void worker_host_find(struct worker_found *ret_found);
