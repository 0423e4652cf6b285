/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of common/grpc.h: listens, speaks TLS with ALPN h2 or h2c (prior knowledge),
 * and hands each call to its owner. Owned by whoever made it; its loop's thread. Bounded: see the
 * options. A client that sends none of the preface, floods (settings, pings, resets, empty frames)
 * or does not answer keepalive pings loses its connection.
 */
#pragma once

#include "common/grpc.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <uv.h>

struct grpc_server;

struct grpc_server_options {
	uv_loop_t *loop;
	SSL_CTX *tls;		/* borrowed; NULL = h2c */
	size_t connections_max; /* 0 = 1024 */
	uint32_t streams_max;	/* of a connection; 0 = 2048 */
	size_t message_max;	/* bytes; 0 = GRPC_MESSAGE_MAX */
	uint32_t keepalive_ms;	/* a ping after so long without a byte; 0 = 30 s */
	uint32_t handshake_ms;	/* TLS and preface; 0 = 10 s */
	/*
	 * A call has come: its method and metadata are known, none of its messages yet. Set what
	 * happens next by grpc_call_accept(), or finish it. Methods that do not exist were answered
	 * with UNIMPLEMENTED.
	 */
	void (*call)(void *arg, struct grpc_call *call);
	void *arg;
};

/*
 * Listen on @address (AF_INET, AF_INET6 or AF_UNIX, whose file is replaced and made 0600). Errors
 * of bind() and listen() with a sentence.
 */
int grpc_server_new(const struct grpc_server_options *options, const struct sockaddr *address,
		    socklen_t size, struct grpc_server **ret_server, struct error *err);

/* The port that was bound, for port 0. */
uint16_t grpc_server_port(const struct grpc_server *server);

void grpc_call_accept(struct grpc_call *call, const struct grpc_call_events *events, void *arg);

/* Of the connection. NULL without TLS or without a verified certificate; borrowed. */
X509 *grpc_call_peer_certificate(const struct grpc_call *call);

/* The client's address; AF_UNIX: its family alone. */
const struct sockaddr *grpc_call_peer(const struct grpc_call *call);

/* Of an AF_UNIX connection (SO_PEERCRED); (uid_t)-1 for others. */
uid_t grpc_call_peer_uid(const struct grpc_call *call);

/* Take no more connections and calls, GOAWAY; calls under way go on for @grace_ms, then end with
 * UNAVAILABLE. @stopped is called from the loop when nothing is left. */
void grpc_server_stop(struct grpc_server *server, uint32_t grace_ms, void (*stopped)(void *arg),
		      void *arg);

/* After stopped(), or at once: what is left is closed. The loop has to run once more after it, to
 * let go of its handles. NULL is valid. */
void grpc_server_free(struct grpc_server *server);

/* Counters for metrics. */
struct grpc_server_stats {
	uint64_t connections, calls, failed_handshakes, protocol_errors;
	size_t open_connections, open_calls;
};
void grpc_server_get_stats(const struct grpc_server *server, struct grpc_server_stats *ret_stats);
