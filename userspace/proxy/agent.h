/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection from an agent: accepted, asked about, told from its first bytes (TLS, HTTP/1, the
 * preface of HTTP/2), and then spoken to as what it is. The worker's loop. Fails closed: what is
 * neither is closed, and told.
 */
#pragma once

#include "proxy/generation.h"
#include "proxy/http1_body.h"
#include "proxy/http2.h"
#include "proxy/question.h"
#include "proxy/stream.h"
#include "proxy/wire.h"

#include <stdbool.h>

enum agent_state {
	AGENT_ASKED,	 /* who is it? */
	AGENT_FIRST,	 /* waits for the first byte */
	AGENT_HANDSHAKE, /* TLS */
	AGENT_HTTP1,
	AGENT_HTTP2,
	AGENT_LINGER, /* all was said; what still comes is thrown away until the peer has gone */
};

/* HTTP/1: the message pair that is under way. */
struct agent_http1 {
	struct stream stream;
	bool active;	 /* an exchange owns the stream */
	bool wrote_head; /* of the final response */
	bool keep_alive; /* after this response */
	bool old;	 /* the request is of HTTP/1.0: no chunks for it */
	bool to_head;	 /* the response has no body, whatever it says */
	bool head_began; /* a part of the next one has come */
	bool waits; /* the client may wait for 100 before it sends the body, and then not send it */
	bool discards; /* the body of an answered request is read and thrown away */
	struct http1_in in;
	struct http1_out out;
};

struct agent {
	struct wire wire;
	enum agent_state state;
	bool tls;
	bool no_more;	     /* close when what is under way has ended */
	bool shut;	     /* it was told that nothing more comes */
	bool leaves;	     /* who sends no more waits for no answer either: inference.local */
	uint8_t asked_again; /* in a row, since the policy changed meanwhile */
	uint32_t requests;
	struct worker_peer peer, local;
	struct proxy_question *question;
	struct origin *origin;
	bool probe; /* the supervisor's own: tries one route */
	uint32_t probe_route;
	struct exchange *waiting; /* for an origin; exchange.c's list */
	struct agent_http1 http1;
	struct http2 *http2;
};

struct proxy;

/* A connection was accepted; @fd is taken. */
void agent_new(struct proxy *proxy, int fd, const struct worker_peer *peer);
/* The supervisor tries a route of inference.local over @fd, which is taken. -EBADMSG: there is
 * none. */
int agent_new_probe(struct proxy *proxy, int fd, uint32_t route);
void agent_origin(struct agent *agent, const struct worker_origin *told);

/* Ask again who is behind it; exchange_origin() follows for those in `waiting`. */
int agent_ask(struct agent *agent);

/* Close now: both ends of what is under way hear of it. @reset: break it off. */
void agent_close(struct agent *agent, bool reset);

/* All was said: shut down, and wait for the peer to go. */
void agent_linger(struct agent *agent);

/* agent_http1.c, agent_http2.c */
void agent_http1_ready(struct agent *agent);
void agent_http1_end(struct agent *agent);
int agent_http2_start(struct agent *agent);
void agent_http2_ready(struct agent *agent);

/* Send what an HTTP/2 codec has, over either kind of connection: 0 all, -EAGAIN, an error. */
int wire_http2_drain(struct wire *wire, struct http2 *http2);
