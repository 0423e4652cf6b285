/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's connection to its gateway: which one, how it shows who calls, and calls whose failure
 * is told as the command's. One for a command; its thread.
 */
#pragma once

#include "cli/client_config.h"
#include "cli/command.h"
#include "common/grpc_client.h"
#include "openshell.pb-c.h"

#include <uv.h>

struct client {
	uv_loop_t loop;
	struct grpc_client *grpc;
	SSL_CTX *tls;
	const struct command_call *call;
	struct client_gateway gateway;
	const char *workspace;
};

/* EXIT_DONE, or a status that was explained. */
int client_open(const struct command_call *call, struct client *ret_client);
void client_close(struct client *client);

/* One request, one answer, which is the caller's. EXIT_DONE, or a status that was explained. */
int client_unary(struct client *client, enum rpc_id method, const void *request,
		 ProtobufCMessage **ret_response);

/* As it, but a failure is not told: a gRPC status, its sentence in @err. */
int client_try(struct client *client, enum rpc_id method, const void *request,
	       ProtobufCMessage **ret_response, struct error *err);

/* Tell a status that a call has ended with. */
int client_explain(struct client *client, int code, const char *message);

/* A sandbox by its name; free with ..._free_unpacked(). */
int client_sandbox(struct client *client, const char *name,
		   Openshell__V1__SandboxResponse **ret_response);
