/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the routes of inference.local lead: hosts and ports that the supervisor connects to for the
 * proxy, and the addresses of those hosts that are names. The operator named them, so loopback and
 * private addresses are as good as others; link-local ones and those of a cloud's metadata never
 * are. Apart from the names of the sandbox's policy: nothing found here is admitted to an agent.
 *
 * Plain table without I/O, bounded, owned by struct worker. Fails closed: what is not in it is not
 * connected to.
 */
#pragma once

#include "common/inference.h"
#include "common/worker_protocol.h"
#include "supervisor/names_admit.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTE_TTL_MIN	    1 /* seconds that addresses are used without asking again */
#define ROUTE_TTL_MAX	    60
#define ROUTE_RETRY_SECONDS 5	 /* after a failure */
#define ROUTE_STALE_SECONDS 3600 /* last addresses are kept so long if no resolver answers */

enum route_status {
	ROUTE_UNKNOWN = 0, /* never looked up */
	ROUTE_FOUND,
	ROUTE_NONE,   /* it does not exist */
	ROUTE_FAILED, /* nobody could say */
};

struct route_host {
	char text[WORKER_NAME_MAX + 1];
	uint16_t length;
	bool literal; /* `text` is an address, the one there is */
	enum route_status status;
	struct names_addresses addresses;
	uint64_t fresh;	 /* CLOCK_BOOTTIME ns: until then the status holds */
	uint64_t expiry; /* of the addresses, where no resolver answers */
	uint32_t turn;	 /* of addresses */
	uint16_t port[INFERENCE_ROUTES_MAX];
	size_t ports;
};

struct route_table {
	struct route_host host[INFERENCE_ROUTES_MAX];
	size_t len;
};

/*
 * The routes of @inference are those in force, NULL: none. What is known of hosts that are still
 * among them stays. What the worker would refuse, such as a host that is none, is left out.
 */
void route_table_set(struct route_table *table, const Openshell__Worker__V1__Inference *inference);

/* The host, if a route in force leads to it and @port; NULL: there is none. */
struct route_host *route_table_find(struct route_table *table, const char *host, size_t length,
				    uint16_t port);

/*
 * Its addresses in the order in which to try them: with another one first each time, those that are
 * never connected to left out. @now: CLOCK_BOOTTIME, ns. -EINPROGRESS: look it up,
 * route_table_found(), ask again; -ENOENT: there is no such name; -EAGAIN: the resolvers cannot
 * say; -EACCES: none of its addresses may be used, and @ret_addresses has them.
 */
int route_host_where(struct route_host *host, uint64_t now, struct names_addresses *ret_addresses);

/* What a resolver said of a name, whether it is one of a route or not. */
void route_table_found(struct route_table *table, const char *name, size_t length,
		       const struct worker_found *found, uint64_t now);

/* True for an address (16 bytes, v4-mapped) that no route may lead to. */
bool route_address_never(const uint8_t *address);
