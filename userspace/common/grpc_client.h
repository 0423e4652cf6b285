/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of common/grpc.h: one connection to one server, over which calls go. It
 * connects when the first call is made, and again after it was lost, when the next call is made;
 * whoever wants to wait between tries does it himself. Owned by whoever made it; its loop's thread.
 */
#pragma once

#include "common/grpc.h"

#include <openssl/ssl.h>
#include <uv.h>

struct grpc_client;

struct grpc_client_options {
	uv_loop_t *loop;
	const char *endpoint; /* "https://HOST:PORT", "http://HOST:PORT", "unix:/PATH" */
	SSL_CTX *tls;	      /* borrowed; for https; the name is checked unless tls_insecure */
	bool tls_insecure;    /* whoever answers is believed: said by the user */
	const char *authorization; /* "Bearer ...", sent with each call; NULL. Copied, wiped. */
	size_t message_max;	   /* 0 = GRPC_MESSAGE_MAX */
	uint32_t connect_ms;	   /* 0 = 10 s */
	uint32_t keepalive_ms;	   /* 0 = 30 s */
};

int grpc_client_new(const struct grpc_client_options *options, struct grpc_client **ret_client,
		    struct error *err);

struct grpc_metadata {
	const char *name, *value; /* name in lower case */
};

/*
 * Begin a call. @deadline_ms: from now; 0 = none. Its first message may be sent at once. Never
 * calls back before it has returned. -ENOMEM.
 */
int grpc_client_call(struct grpc_client *client, enum rpc_id method,
		     const struct grpc_metadata *metadata, size_t metadata_len,
		     uint32_t deadline_ms, const struct grpc_call_events *events, void *arg,
		     struct grpc_call **ret_call);

/*
 * One request, one answer: runs the client's loop until it is there. Returns a status
 * (enum grpc_code); with GRPC_OK *ret_response is the caller's, to be freed by
 * protobuf_c_message_free_unpacked(); else @err has the server's sentence, its code the status.
 */
int grpc_unary(struct grpc_client *client, enum rpc_id method, const ProtobufCMessage *request,
	       uint32_t deadline_ms, ProtobufCMessage **ret_response, struct error *err);

/* Ends calls with CANCELLED. The loop has to run once more after it. NULL is valid. */
void grpc_client_free(struct grpc_client *client);
