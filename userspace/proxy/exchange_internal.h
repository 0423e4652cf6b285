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

struct exchange_inference;

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
	struct websocket_tunnel *tunnel;      /* what is looked at after 101 */
	struct exchange_inference *inference; /* NULL: it is not for inference.local; the arena's */
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
	bool *freed;	   /* set when it is; for who calls what may free it. NULL: nobody asks */
	const char *error; /* code of what was answered instead of the server's response */
	struct http_head request;
};

/* exchange_judge.c */

/* The head has come, and who it is from is known: gather, connect or answer. */
void exchange_judge(struct exchange *exchange);
/* It is longer than may be gathered. True: the request goes on, its body unread. */
bool exchange_judge_too_long(struct exchange *exchange);
/* The body has been gathered. */
void exchange_judge_body(struct exchange *exchange);

/* exchange.c */

/* Answer @denial in the server's place, and end. */
void exchange_answer(struct exchange *exchange, const struct exchange_denial *denial);
/* Likewise, with a JSON @body, and @extra in the head, or NULL. */
void exchange_answer_with(struct exchange *exchange, const struct exchange_denial *denial,
			  struct text body, const struct http_field *extra);
/* Move @size bytes of @body on; 1: all was taken, 0: some is kept, -1: the exchange has ended. */
int exchange_pass(struct exchange *exchange, struct exchange_body *body, const uint8_t *data,
		  size_t size);
void exchange_connect(struct exchange *exchange);

/* End it if both directions have. True: it has ended. */
bool exchange_finish_if_done(struct exchange *exchange);

/* Let both ends go, but for one that broke already, and free it. */
void exchange_finish(struct exchange *exchange, enum stream_error up, enum stream_error down);
/* Room for @size bytes more. -ENOBUFS: that would be more than @max; -ENOMEM. */
int exchange_body_grow(struct exchange_body *body, size_t size, size_t max);

/* exchange_gather.c */

/* Up to @max bytes of the body, and then exchange_judge_body(). */
void exchange_gather(struct exchange *exchange, size_t max);
/* A part of it came. As stream_events.on_data(). */
bool exchange_gathers(struct exchange *exchange, const uint8_t *data, size_t size);

/* exchange_inference.c */

/* The head has come, and it is for inference.local. */
void exchange_infer(struct exchange *exchange);
/* Its body has been gathered, or is longer than may be. */
void exchange_infer_body(struct exchange *exchange);
void exchange_infer_too_long(struct exchange *exchange);
/* No connection to the route's provider: the next route, or an answer. */
void exchange_infer_failed(struct exchange *exchange, enum exchange_failure failure,
			   const char *why);
/* The provider's: head, a part of the body (as stream_events.on_data()), its end before its time.
 */
void exchange_infer_response(struct exchange *exchange, const struct http_head *head, bool end);
bool exchange_infer_data(struct exchange *exchange, const uint8_t *data, size_t size, bool end);
void exchange_infer_closed(struct exchange *exchange, enum stream_error error);
/* A stream to the provider is there: what to send over it. */
const struct http_head *exchange_infer_connected(struct exchange *exchange);
void exchange_infer_wish(const struct exchange *exchange, struct upstream_wish *wish);
/* What the record has of it. */
void exchange_infer_record(const struct exchange *exchange, struct worker_record *record);
/* It ends; and it is freed. */
void exchange_infer_end(struct exchange *exchange);
void exchange_infer_free(struct exchange *exchange);

/* True: another policy than its own is in force. Other routes, or other keys, are no other policy.
 */
static inline bool exchange_is_outdated(const struct exchange *exchange)
{
	return exchange->origin->generation->number != exchange->proxy->generation->number;
}

/* Operations on a stream, after which its connection is looked at. */

static inline void exchange_touched(struct wire *wire)
{
	if (wire)
		wire_schedule(wire);
}

static inline int op_head(struct stream *stream, const struct http_head *head, bool end)
{
	exchange_touched(stream->wire);
	return stream->ops->head(stream, head, end);
}

static inline ssize_t op_data(struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	exchange_touched(stream->wire);
	return stream->ops->data(stream, data, size, end);
}

static inline int op_trailers(struct stream *stream, const struct http_field *field, size_t fields)
{
	exchange_touched(stream->wire);
	return stream->ops->trailers(stream, field, fields);
}

static inline void op_resume(struct stream *stream)
{
	exchange_touched(stream->wire);
	stream->ops->resume(stream);
}

static inline void op_release(struct stream *stream, enum stream_error error)
{
	exchange_touched(stream->wire);
	stream->ops->release(stream, error);
}

/* Around what may free @ex, by who goes on with it afterwards; callers may do so as well. */
struct exchange_watch {
	bool freed;
	bool *outer;
};

static inline void exchange_watch(struct exchange *ex, struct exchange_watch *watch)
{
	*watch = (struct exchange_watch){.outer = ex->freed};
	ex->freed = &watch->freed;
}

/* True: it was freed. */
static inline bool exchange_unwatch(struct exchange *ex, struct exchange_watch *watch)
{
	if (!watch->freed)
		ex->freed = watch->outer;
	else if (watch->outer)
		*watch->outer = true;
	return watch->freed;
}

static inline bool exchange_is_audit(const struct exchange *exchange)
{
	return exchange->origin->generation->audit;
}
