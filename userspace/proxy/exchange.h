/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its response: judged, rewritten, sent on, and told. It stands between two streams
 * (stream.h), the agent's and the server's, and moves bodies from one to the other with at most
 * STREAM_KEPT_MAX bytes of either kept.
 *
 *	judge	head -> target, authority, rules, middleware, credentials (exchange_judge.c)
 *	gather	the body first, where it decides or is changed (exchange_gather.c)
 *	connect	a stream to the server (upstream.h)
 *	forward	bodies, both ways
 *
 * Begins with a stream of the agent's and ends by itself when both directions have ended or either
 * end is gone. The worker's loop. Fails closed: whatever cannot be judged is answered 403 and
 * nothing of it is sent on.
 */
#pragma once

#include "proxy/stream.h"

#include <stdint.h>

struct agent;
struct exchange;
struct origin;
struct proxy;
struct upstream_wish;

/*
 * For @stream of @agent: becomes its owner, hears on_head() next. -ENOMEM. @agent's origin has to
 * be known.
 */
int exchange_new(struct agent *agent, struct stream *stream);

/* Its agent, in whose `waiting` it is first, has learned anew who is behind the connection. */
void exchange_origin(struct exchange *exchange);

/* From the pool: its stream to the server, not heard of before; @reused: it has served others. */
void exchange_connected(struct exchange *exchange, struct stream *stream, bool reused);

enum exchange_failure {
	EXCHANGE_UNREACHABLE = 1, /* 502 upstream_unreachable */
	EXCHANGE_INSECURE,	  /* likewise: its TLS failed */
	EXCHANGE_SSRF,		  /* 403 ssrf_denied */
	EXCHANGE_DENIED,	  /* 403 policy_denied: the policy changed */
	EXCHANGE_BUSY,		  /* 503: no memory, no descriptor */
};

/* There is none; @why: a sentence's end. */
void exchange_failed(struct exchange *exchange, enum exchange_failure failure, const char *why);

/* What it wants of the pool. */
void exchange_wish(const struct exchange *exchange, struct upstream_wish *ret_wish);

/* What it hears of both of its streams. */
extern const struct stream_events exchange_events;

/* Those that are kept to be used again. */
void exchange_free_unused(struct proxy *proxy);
