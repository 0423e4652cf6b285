/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of exchange.h's implementation. */
#pragma once

#include "common/arena.h"
#include "proxy/agent.h"
#include "proxy/exchange.h"
#include "proxy/l7.h"
#include "proxy/proxy_internal.h"
#include "proxy/target.h"
#include "proxy/upstream.h"

#include <stdbool.h>

#define EXCHANGE_ARENA_MAX (16u << 20)

enum exchange_state {
	EXCHANGE_HEAD = 0, /* waits for the request */
	EXCHANGE_ORIGIN,   /* who is it, under the policy in force now? */
	EXCHANGE_GATHER,   /* its body decides, or is changed */
	EXCHANGE_CONNECT,  /* waits for a stream to the server */
	EXCHANGE_FORWARD,
	EXCHANGE_ANSWER, /* an answer of our own goes out */
};

/* A body on its way; `kept` is what its sink did not take. */
struct exchange_body {
	uint8_t *kept;
	size_t at, end, size;
	bool came;    /* all of it */
	bool went;    /* all of it, and the sink knows */
	bool paused;  /* its source waits for resume() */
	bool discard; /* its sink takes no more; the rest is thrown away */
	uint64_t bytes;
	struct http_field *trailer; /* that come after what is kept; the arena's */
	size_t trailers;
};

/* Names of what is answered, policy.md "Answers the agent gets". */
struct exchange_denial {
	uint16_t status;
	const char *error;
	const char *reason; /* a sentence's end */
};

struct exchange {
	struct proxy *proxy;
	struct agent *agent;
	struct origin *origin;
	struct exchange *next; /* unused ones, or those that wait for an origin */
	enum exchange_state state;
	struct stream *down, *up; /* the agent's and the server's */
	struct upstream_wait wait;
	struct arena *arena;
	struct target target;
	struct l7_verdict verdict;
	struct exchange_body request_body, response_body;
	struct websocket_tunnel *tunnel; /* what is looked at after 101 */
	uint8_t *gathered;
	size_t gathered_size, gathered_max;
	size_t gathered_room;
	uint64_t started; /* ns */
	uint16_t status;  /* of the response */
	bool has_body;
	bool websocket;
	bool gather_rules, gather_credentials, gather_middleware;
	bool reused, retried; /* the stream to the server */
	bool answered;	      /* the final head went to the agent */
	bool told;
	const char *error; /* code of what was answered instead of the server's response */
	struct http_head request;
};

/* exchange_judge.c */

/* The head has come, and who it is from is known: gather, connect or answer. */
void exchange_judge(struct exchange *exchange);
/* The body has been gathered. */
void exchange_judge_body(struct exchange *exchange);

/* exchange.c */

/* Answer @denial in the server's place, and end. */
void exchange_answer(struct exchange *exchange, const struct exchange_denial *denial);
void exchange_gather(struct exchange *exchange, size_t max);
void exchange_connect(struct exchange *exchange);

static inline bool exchange_is_audit(const struct exchange *exchange)
{
	return exchange->origin->generation->audit;
}
