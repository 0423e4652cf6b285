/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to servers: made by the supervisor, given TLS here if the agent's end has it, and
 * kept for the next request to the same place. The pool is keyed by where the agent asked to go
 * (address as asked and port, which stand for the endpoint), TLS, and whether HTTP/2 may be spoken.
 * HTTP/1.1 connections serve one exchange at a time, HTTP/2 ones as many as the server lets.
 *
 * The worker's loop. Fails closed: a connection that does not verify, or whose last response did
 * not end cleanly, is never used again.
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/exchange.h"
#include "proxy/generation.h"

#include <stdbool.h>
#include <stdint.h>

#define UPSTREAM_IDLE_MAX 1024 /* connections in the pool */

struct inference_route;
struct proxy;
struct upstream;
struct upstream_pool;

int upstream_pool_new(struct proxy *proxy, struct upstream_pool **ret_pool);
/* Close every connection; they are freed with the proxy's closed wires, and then the pool. */
void upstream_pool_close(struct upstream_pool *pool);
void upstream_pool_free(struct upstream_pool *pool);

struct upstream_wish {
	const struct origin *origin;
	const struct inference_route *route; /* where to, in the place of the origin's; or NULL */
	bool tls;
	bool http2; /* the server may choose it */
	bool fresh; /* not one that has served others */
};

/* What waits for a connection; part of an exchange. */
struct upstream_wait {
	struct exchange *exchange;
	struct upstream *upstream; /* NULL: waits for none */
	struct upstream_wait *next;
};

/*
 * Have exchange_connected() or exchange_failed() called for @wait->exchange, now or later.
 */
void upstream_want(struct upstream_pool *pool, const struct upstream_wish *wish,
		   struct upstream_wait *wait);

/* It waits no more. */
void upstream_unwant(struct upstream_pool *pool, struct upstream_wait *wait);

/* The supervisor's answer, to @upstream; @fd is taken. */
void upstream_answered(struct upstream *upstream, const struct worker_upstream *answer, int fd);

/* Close idle connections: the policy changed. */
void upstream_pool_flush(struct upstream_pool *pool);
