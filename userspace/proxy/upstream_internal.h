/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of upstream.h's implementation: the pool and establishing (upstream.c), codecs. */
#pragma once

#include "proxy/http1_body.h"
#include "proxy/http2.h"
#include "proxy/question.h"
#include "proxy/upstream.h"
#include "proxy/wire.h"

#include <stdbool.h>

enum upstream_state {
	UPSTREAM_ASKED,
	UPSTREAM_CONNECTING,
	UPSTREAM_HANDSHAKE,
	UPSTREAM_HTTP1,
	UPSTREAM_HTTP2,
};

struct upstream_key {
	uint8_t asked[16];
	uint16_t port;
	bool tls, http2; /* http2: may be spoken */
};

struct upstream_message {
	struct stream stream;
	bool active;
	bool to_head;	 /* the response has no body */
	bool got_head;	 /* the final one */
	bool raw;	 /* after 101 */
	bool keep_alive; /* both said so */
	uint8_t informational;
	enum stream_error error; /* why it ended before its time; 0 = STREAM_CONNECT */
	uint64_t idle, due;	 /* stream_ops.patience(); 0 = ours */
	struct http1_in in;
	struct http1_out out;
};

struct upstream {
	struct wire wire; /* fd -1 and not in the loop before there is a socket */
	bool opened;	  /* it is in the loop */
	enum upstream_state state;
	struct upstream_pool *pool;
	struct upstream_key key;
	uint32_t epoch;	 /* the pool's, when it was made */
	uint32_t served; /* exchanges */
	bool listed; /* in the pool: idle HTTP/1, any HTTP/2 that takes streams, or not up yet */
	struct upstream *next, **previous; /* in the pool's bucket */
	struct upstream *all_next, **all_previous;
	struct proxy_question *question;
	struct upstream_wait *waits;
	struct upstream_message http1;
	struct http2 *http2;
	char host[WORKER_NAME_MAX + 1]; /* for the certificate */
};

/* Connected: serve who waits. */
void upstream_established(struct upstream *upstream);

/* It is of no use any more; who waits is told @why. */
void upstream_lost(struct upstream *upstream, enum exchange_failure failure, const char *why);

/* HTTP/1: its exchange is done with it, cleanly: for the next one, or closed. */
void upstream_unused(struct upstream *upstream);

/* No new exchanges for it. */
void upstream_leave(struct upstream *upstream);

/* upstream_http1.c */
struct stream *upstream_http1_open(struct upstream *upstream);
void upstream_http1_ready(struct upstream *upstream);
/* Its exchange, if there is one, hears that it has gone. */
void upstream_http1_end(struct upstream *upstream);

/* upstream_http2.c */
int upstream_http2_start(struct upstream *upstream);
void upstream_http2_ready(struct upstream *upstream);
