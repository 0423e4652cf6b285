/* SPDX-License-Identifier: Apache-2.0 */
/* Where the gateway is reached: the API's address, with TLS or without, and a unix socket. */
#pragma once

#include "common/error.h"
#include "common/grpc_server.h"
#include "gateway/gateway.h"

struct listener;

/* Sets gateway->server. */
int listener_new(struct gateway *gateway, struct listener **ret_listener, struct error *err);
void listener_free(struct listener *listener);

/* Say where it is, for whoever started it: one line on standard output. */
void listener_tell(const struct listener *listener);

/* @stopped is called when no call is left, or after @grace_ms. */
void listener_stop(struct listener *listener, uint32_t grace_ms, void (*stopped)(void *arg),
		   void *arg);

/* Of all that it listens on. */
void listener_stats(const struct listener *listener, struct grpc_server_stats *ret_stats);
