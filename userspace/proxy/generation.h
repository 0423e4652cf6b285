/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generation of the sandbox's policy as the worker was given it, ready for use, and who is
 * behind a connection under it. Counted references: a request keeps what it was judged by. The
 * worker's loop.
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/inference.h"
#include "proxy/l7.h"
#include "proxy/middleware.h"
#include "proxy/placeholder.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

#define GENERATION_BUNDLE_MAX (256u << 20)

struct generation {
	unsigned int references;
	uint32_t number;
	bool audit;
	Openshell__Worker__V1__WorkerBundle *bundle;
	Openshell__Compiled__V1__CompiledPolicy *policy;
	struct l7 *l7;
	struct credentials *credentials;
	struct middleware *middleware;
	struct inference *inference; /* never NULL; what inference.local does */
};

/* Read a bundle of @size bytes from @fd. -EBADMSG: it is not one; -ENOMEM; what read() says. */
int generation_read(int fd, uint32_t number, size_t size, struct generation **ret_generation,
		    struct error *err);
struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation);

/* Who is behind a connection, and the endpoints that speak of it. */
struct origin {
	unsigned int references;
	struct generation *generation;
	struct l7_set set; /* count 0: in audit mode only, nothing names it */
	uint64_t start_time;
	uint32_t pid, ns_pid;
	uint8_t asked[16];
	uint16_t port;
	bool literal;	     /* host is an address */
	bool has_middleware; /* one selects the host */
	bool inference;	     /* it is inference.local */
	const char *host;
	const char *binary;
	char text[]; /* both */
};

/* -ENOENT: no endpoint of @generation speaks of it; -E2BIG: too many do; -ENOMEM. */
int origin_new(struct generation *generation, const struct worker_origin *told,
	       struct origin **ret_origin);
struct origin *origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);
