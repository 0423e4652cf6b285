/* SPDX-License-Identifier: Apache-2.0 */
/* What a session of gRPC and its calls share: not for whoever uses common/grpc.h. */
#pragma once

#include "common/grpc.h"
#include "common/grpc_client.h"
#include "common/grpc_frame.h"
#include "common/grpc_server.h"
#include "common/grpc_transport.h"
#include "common/http2_flood.h"

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#define GRPC_METADATA_COUNT_MAX 64
#define GRPC_STREAM_WINDOW	(256u << 10)
#define GRPC_CONNECTION_WINDOW	(8u << 20)
#define GRPC_HELD_MAX		(16u << 20) /* of one connection, before its window closes */

struct grpc_session;

struct grpc_field {
	char *name, *value;
};

struct grpc_call {
	TAILQ_ENTRY(grpc_call) link; /* of its session: open or ended ones */
	struct grpc_session *session;
	const struct rpc_method *method;
	const struct grpc_call_events *events; /* NULL until a server's owner accepts it */
	void *arg;
	int32_t stream;
	uint64_t deadline; /* milliseconds of the loop's clock; 0 = none */
	struct grpc_field field[GRPC_METADATA_COUNT_MAX];
	size_t fields, fields_size;
	struct grpc_reader reader;
	struct grpc_queue out, held; /* held: bytes that came while it was paused */
	int code;		     /* that it ends or ended with */
	char *text;		     /* its sentence, NULL = none */
	unsigned int received;	     /* messages */
	int http_status;	     /* of a response */
	bool gzip_out;
	bool head_came, head_sent, trailers_came;
	bool told;	      /* server: its owner heard of it */
	bool paused, feeding; /* the owner does not want messages; in grpc_call_feed() */
	bool was_full, tell;  /* GRPC_QUEUE_HIGH was passed; `writable` is due */
	bool finished;	      /* our side said its last */
	bool peer_done;	      /* the peer said its last */
	bool half_close_told; /* `half_closed` was called */
	bool ended;	      /* on the list of ended ones; its stream is not ours any more */
};

TAILQ_HEAD(grpc_calls, grpc_call);

struct grpc_session_ops {
	/* Server: the head of a request is there. */
	void (*call)(void *arg, struct grpc_call *call);
	/* The connection is over and no call is left: the session is freed when this returns. */
	void (*gone)(void *arg, struct grpc_session *session);
	/* It takes no more calls (lost, GOAWAY). May come before gone(); NULL. */
	void (*closing)(void *arg, struct grpc_session *session);
};

struct grpc_session {
	LIST_ENTRY(grpc_session) link;
	uv_loop_t *loop;
	struct grpc_transport *transport;
	nghttp2_session *h2;
	bool server;
	const struct grpc_session_ops *ops;
	void *arg; /* NULL: nobody is told any more */
	struct grpc_calls open, ended;
	size_t calls; /* open ones */
	struct http2_flood flood;
	struct grpc_budget own_budget, *budget;
	size_t message_max;
	uint32_t keepalive_ms, handshake_ms;
	uint64_t last_ms; /* when a byte came */
	size_t held;	  /* bytes of paused calls */
	size_t withheld;  /* that the connection's window waits for, because too much is held */
	bool closing, lost, ping_out, feeding, draining;
	char why[160]; /* the connection was lost */
	uv_timer_t soon, deadline, keepalive;
	uint64_t deadline_at;
	int handles;
	struct sockaddr_storage peer;
	uid_t peer_uid;
	char *authority, *authorization;
	const char *scheme;
	uint64_t *protocol_errors; /* counter, or NULL */
};

struct grpc_session_options {
	uv_loop_t *loop;
	int fd; /* taken */
	bool connecting, server;
	SSL_CTX *tls;
	const char *name; /* as grpc_transport_new() */
	uint32_t streams_max, keepalive_ms, handshake_ms;
	size_t message_max;
	struct grpc_budget *budget; /* NULL = one of its own */
	const struct grpc_session_ops *ops;
	void *arg;
};

int grpc_session_new(const struct grpc_session_options *options, struct grpc_session **ret_session);

/* Ends it: open calls get @code with @why, then gone(). */
void grpc_session_lose(struct grpc_session *session, const char *why);

/* No new calls; gone() when the last one has ended. */
void grpc_session_drain(struct grpc_session *session);

/* Look after what is due, from the loop. */
void grpc_session_wake(struct grpc_session *session);

/* A deadline was set on one of its calls. */
void grpc_session_deadline(struct grpc_session *session, uint64_t at);

/* A client's call: its request goes out. @metadata as grpc_client_call(). */
int grpc_session_request(struct grpc_session *session, struct grpc_call *call,
			 const struct grpc_metadata *metadata, size_t metadata_len,
			 uint32_t deadline_ms);

void grpc_session_resume_data(struct grpc_session *session, struct grpc_call *call);
void grpc_session_reset(struct grpc_session *session, struct grpc_call *call, uint32_t code);
int grpc_session_trailers_only(struct grpc_session *session, struct grpc_call *call);
int grpc_session_head(struct grpc_session *session, struct grpc_call *call);
/* The peer may send as much again on this stream. */
void grpc_session_consumed(struct grpc_session *session, struct grpc_call *call, size_t size);
/* Bytes of a call that is paused are kept, and no longer. */
void grpc_session_hold(struct grpc_session *session, size_t size);
void grpc_session_release(struct grpc_session *session, size_t size);

/* grpc_call.c, for sessions. */
struct grpc_call *grpc_call_new(struct grpc_session *session, const struct rpc_method *method);
void grpc_call_free(struct grpc_call *call);
int grpc_call_add_field(struct grpc_call *call, const char *name, size_t name_size,
			const char *value, size_t value_size);
/* It is over now, with that status unless it has one. */
void grpc_call_end(struct grpc_call *call, int code, const char *text);
void grpc_call_came(struct grpc_call *call, const uint8_t *data, size_t size);
void grpc_call_peer_done(struct grpc_call *call);
void grpc_call_set_status(struct grpc_call *call, int code, const char *text);
