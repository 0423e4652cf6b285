/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "common/cleanup.h"
#include "common/grpc_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UNARY_MS  60000
#define TOKEN_MAX 16384

static int read_token(const char *path, char **ret_authorization, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[TOKEN_MAX];
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\r\n")] = 0;
	if (asprintf(ret_authorization, "Bearer %s", text) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	explicit_bzero(text, sizeof(text));
	return r;
}

static int choose(const struct command_call *call, struct client_gateway *gateway,
		  struct error *err)
{
	const char *name = call->o.gateway ? call->o.gateway : getenv("OPENSHELL_GATEWAY");

	if (name && !*name)
		name = NULL;
	if (!call->o.endpoint)
		return client_config_get(name, gateway, err);
	/* Its certificates, if it is one that is known; none of another's. */
	if (name && client_config_get(name, gateway, err))
		return err->code;
	snprintf(gateway->endpoint, sizeof(gateway->endpoint), "%.511s", call->o.endpoint);
	return 0;
}

static int connect_to(struct client *client, struct error *err)
{
	const struct client_gateway *g = &client->gateway;
	struct grpc_client_options options = {
		.loop = &client->loop,
		.endpoint = g->endpoint,
		.tls_insecure = client->call->o.insecure,
	};
	_cleanup_free_ char *authorization = NULL;
	int r = 0;

	if (!strncmp(g->endpoint, "https://", 8))
		r = grpc_tls_client(*g->ca ? g->ca : NULL, *g->cert ? g->cert : NULL,
				    *g->key ? g->key : NULL, &client->tls, err);
	if (!r && *g->token)
		r = read_token(g->token, &authorization, err);
	if (r)
		return r;
	options.tls = client->tls;
	options.authorization = authorization;
	r = grpc_client_new(&options, &client->grpc, err);
	if (authorization)
		explicit_bzero(authorization, strlen(authorization));
	return r;
}

int client_open(const struct command_call *call, struct client *ret_client)
{
	const char *workspace =
		call->o.workspace ? call->o.workspace : getenv("OPENSHELL_WORKSPACE");
	struct error err = {};
	int r;

	*ret_client = (struct client){.call = call};
	ret_client->workspace = workspace ? workspace : "";
	r = choose(call, &ret_client->gateway, &err);
	if (r)
		return command_fail(call, "%s", err.message);
	uv_loop_init(&ret_client->loop);
	r = connect_to(ret_client, &err);
	if (!r)
		return EXIT_DONE;
	client_close(ret_client);
	return command_fail(call, "%s", err.message);
}

void client_close(struct client *client)
{
	grpc_client_free(client->grpc);
	client->grpc = NULL;
	uv_run(&client->loop, UV_RUN_DEFAULT);
	uv_loop_close(&client->loop);
	SSL_CTX_free(client->tls);
	client->tls = NULL;
}

int client_explain(struct client *client, int code, const char *message)
{
	const char *text = message && *message ? message : grpc_code_name(code);

	if (code == GRPC_UNAVAILABLE && (strstr(text, "connecting") || strstr(text, "TLS")))
		return command_fail(client->call, "the gateway at %s cannot be reached: %s",
				    client->gateway.endpoint, text);
	return command_fail(client->call, "%s", text);
}

int client_try(struct client *client, enum rpc_id method, const void *request,
	       ProtobufCMessage **ret_response, struct error *err)
{
	return grpc_unary(client->grpc, method, request, UNARY_MS, ret_response, err);
}

int client_unary(struct client *client, enum rpc_id method, const void *request,
		 ProtobufCMessage **ret_response)
{
	struct error err = {};
	int code = client_try(client, method, request, ret_response, &err);

	return code == GRPC_OK ? EXIT_DONE : client_explain(client, code, err.message);
}

int client_sandbox(struct client *client, const char *name,
		   Openshell__V1__SandboxResponse **ret_response)
{
	Openshell__V1__GetSandboxRequest request = OPENSHELL__V1__GET_SANDBOX_REQUEST__INIT;

	request.name = (char *)name;
	request.workspace = (char *)client->workspace;
	return client_unary(client, RPC_GET_SANDBOX, &request, (ProtobufCMessage **)ret_response);
}
