/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (nghttp2), client and server: what both share. Everything of a connection runs
 * on the thread of the uv loop it was made with, and nothing blocks, except grpc_unary(), which
 * runs a loop. Fails closed: a peer that breaks the protocol loses its connection, a message that
 * is too large or cannot be unpacked ends its call; neither ends the process. Reference: the gRPC
 * project's "gRPC over HTTP2"; RFC 9113.
 *
 * A call lives from the request's head to its end, told by `ended`, exactly once, after which the
 * call must not be touched. It can be ended from any callback. Messages are unpacked ones of
 * protobuf-c; a callback borrows what it is given.
 *
 * Back-pressure: grpc_call_send() always takes the message (or says -EPIPE for a call that has
 * ended); it returns 1 when GRPC_QUEUE_HIGH bytes wait, and whoever goes on all the same is ended
 * with RESOURCE_EXHAUSTED at GRPC_QUEUE_MAX. `writable` tells when it is worth going on. In the
 * other direction grpc_call_pause() stops callbacks and, once the stream's window is full, the
 * peer.
 */
#pragma once

#include "common/error.h"
#include "common/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_MESSAGE_MAX  (4u << 20)   /* bytes of one message, unpacked of gzip; default */
#define GRPC_QUEUE_HIGH	  (256u << 10) /* bytes of one call that wait to be sent */
#define GRPC_QUEUE_MAX	  (16u << 20)
#define GRPC_STATUS_MAX	  1024 /* bytes of a status's sentence */
#define GRPC_METADATA_MAX 8192 /* bytes of all metadata of a call */

/* gRPC's "status codes". */
enum grpc_code {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* "NOT_FOUND"; "UNKNOWN" for what is none. */
const char *grpc_code_name(int code);

/* A status for the error of a function that returns negative errnos, such as GRPC_NOT_FOUND for
 * -ENOENT; what is not in the table is GRPC_INTERNAL. */
enum grpc_code grpc_code_of_errno(int error);

struct grpc_call;

struct grpc_call_events {
	/* A whole message of the peer's. */
	void (*message)(void *arg, struct grpc_call *call, const ProtobufCMessage *message);
	/* Server: the client sends no more. May be NULL. */
	void (*half_closed)(void *arg, struct grpc_call *call);
	/* Less than GRPC_QUEUE_HIGH waits again. May be NULL. */
	void (*writable)(void *arg, struct grpc_call *call);
	/*
	 * The call is over, last of all: client: with the server's status, or with one made here
	 * (UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, ...); server: with what was finished, or
	 * CANCELLED (reset, connection lost), or DEADLINE_EXCEEDED. Free what belongs to it.
	 */
	void (*ended)(void *arg, struct grpc_call *call, int code, const char *message);
};

const struct rpc_method *grpc_call_method(const struct grpc_call *call);

/* The peer's metadata (of a client's call: of the response's head), or NULL. @name: lower case. */
const char *grpc_call_metadata(const struct grpc_call *call, const char *name);

/* Send one message of the call's own type. 0; 1: see above; -EPIPE; -EMSGSIZE; -ENOMEM. */
int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *message);

/* Bytes that wait to be sent. */
size_t grpc_call_queued(const struct grpc_call *call);

/* Server: end with a status, after what was sent. @message may be NULL. `ended` follows. */
void grpc_call_finish(struct grpc_call *call, int code, const char *message);

/* Client: no more messages. */
void grpc_call_half_close(struct grpc_call *call);

/* Client: not wanted any more. `ended` follows, from the loop, with CANCELLED. */
void grpc_call_cancel(struct grpc_call *call);

/* No `message` until grpc_call_resume(), which may call it at once. */
void grpc_call_pause(struct grpc_call *call);
void grpc_call_resume(struct grpc_call *call);

/* Milliseconds to the deadline; -1 = none. */
int64_t grpc_call_remaining_ms(const struct grpc_call *call);
