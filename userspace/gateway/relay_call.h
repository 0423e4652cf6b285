/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's call and a relay into a sandbox, joined: what one side sends goes to the other, and
 * neither is read faster than the other takes. Owns itself from relay_call_start() until both have
 * ended. The gateway's thread.
 */
#pragma once

#include "gateway/nodes.h"
#include "gateway/request.h"

struct relay_call;

/* How the two sides translate; pure functions over messages. */
struct relay_translation {
	/* A frame of the supervisor's for the client; a negative value of grpc_call_send(). */
	int (*to_client)(struct grpc_call *call, const Openshell__Node__V1__RelayFrame *frame);
	/*
	 * A message of the client's for the supervisor, through relay_call_send(); -EINVAL with a
	 * sentence ends the call.
	 */
	int (*to_sandbox)(struct relay_call *relay, const ProtobufCMessage *message,
			  struct error *err);
	/* The command's exit code, before the call ends with OK. May be NULL. */
	void (*exited)(struct grpc_call *call, int exit_code);
};

/*
 * Open one for a request, whose sandbox must be READY. The request is taken; NULL: it was answered
 * with an error.
 */
struct relay_call *relay_call_open(struct request *request, const char *sandbox_id,
				   const Openshell__Node__V1__OpenRelay *open,
				   const struct relay_translation *translation);

int relay_call_send(struct relay_call *relay, const Openshell__Node__V1__RelayFrame *frame);

/* Bytes for the sandbox, in frames of at most 64 KiB; and their end. */
int relay_call_send_data(struct relay_call *relay, const uint8_t *data, size_t size);
int relay_call_send_end(struct relay_call *relay);
