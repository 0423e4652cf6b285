/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One RPC that a client of the gateway has made: authenticated and authorized before its handler is
 * called, answered once. Lives from its first message to the end of its call. The gateway's thread.
 * Fails closed: a handler that returns without answering and is not a stream is an internal error.
 *
 * A method's handler is a row in the table of its group (handlers.h); a method without a row is
 * answered with UNIMPLEMENTED. Handlers of streams keep the call and set what happens next.
 */
#pragma once

#include "common/grpc.h"
#include "gateway/gateway.h"
#include "gateway/principal.h"

struct request {
	struct gateway *gateway;
	struct grpc_call *call;
	const struct rpc_method *method;
	const struct principal *principal;
	const ProtobufCMessage *message; /* the first one, borrowed until the handler returns */
	const char *workspace;		 /* that the request is about; "default" if it named none */
	bool answered, taken;
};

/* The answer; what is secret in it must have been taken out (rpc_scrub()) unless it is meant. */
void request_reply(struct request *request, const ProtobufCMessage *response);

/* A status with a sentence that says what to do. */
void request_fail(struct request *request, enum grpc_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The status that an error of ours is. */
void request_fail_error(struct request *request, const struct error *err);

/*
 * The handler goes on later, on call->... with events of its own: the request itself is gone when
 * the handler returns. Calls that stay unary answer by grpc_call_send() and grpc_call_finish().
 */
struct grpc_call *request_take_call(struct request *request, const struct grpc_call_events *events,
				    void *arg);

struct handler {
	enum rpc_id method;
	void (*call)(struct request *request);
};
