/* SPDX-License-Identifier: Apache-2.0 */
/* openshell gateway add, remove, select, list, info, login, logout, start, stop. */
#include "cli/client.h"
#include "cli/gateway_local.h"
#include "cli/output.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct command_call *call)
{
	struct client_gateway gateway = {};
	struct error err = {};
	const char *url = call->words[0];
	bool tls = !strncmp(url, "https://", 8);

	if (!call->o.name)
		return command_usage(call, "--name is missing");
	snprintf(gateway.name, sizeof(gateway.name), "%.63s", call->o.name);
	snprintf(gateway.endpoint, sizeof(gateway.endpoint), "%.511s", url);
	snprintf(gateway.auth_mode, sizeof(gateway.auth_mode), "%s",
		 call->o.oidc_token_file ? "oidc"
		 : tls			 ? "mtls"
					 : "plaintext");
	gateway.is_remote = call->o.remote;
	if (client_config_add(&gateway, call->o.from, call->o.key ? call->o.value : NULL,
			      call->o.key, call->o.oidc_token_file, &err) ||
	    client_config_select(gateway.name, &err))
		return command_fail(call, "%s", err.message);
	printf("%s is %s\n", gateway.name, gateway.endpoint);
	return EXIT_DONE;
}

static int remove_gateway(struct command_call *call)
{
	struct error err = {};

	if (client_config_remove(call->words[0], &err))
		return command_fail(call, "%s", err.message);
	printf("removed %s\n", call->words[0]);
	return EXIT_DONE;
}

static int select_gateway(struct command_call *call)
{
	struct error err = {};

	if (client_config_select(call->words[0], &err))
		return command_fail(call, "%s", err.message);
	printf("%s is used from now on\n", call->words[0]);
	return EXIT_DONE;
}

static int list(struct command_call *call)
{
	static const char *const heads[] = {"NAME", "ENDPOINT", "AUTH", "ACTIVE"};
	struct output_table table = {.heads = heads, .columns = 4};
	char active[CLIENT_NAME_MAX + 1];
	struct error err = {};
	char **names;
	size_t count;

	if (client_config_list(&names, &count, &err))
		return command_fail(call, "%s", err.message);
	client_config_active(active);
	for (size_t i = 0; i < count; i++) {
		struct client_gateway gateway;

		if (!client_config_get(names[i], &gateway, NULL))
			output_add(&table, names[i], gateway.endpoint, gateway.auth_mode,
				   strcmp(active, names[i]) ? "" : "*");
		free(names[i]);
	}
	free(names);
	output_print(&table);
	output_clear(&table);
	return EXIT_DONE;
}

static int info(struct command_call *call)
{
	Openshell__V1__GetGatewayInfoRequest request =
		OPENSHELL__V1__GET_GATEWAY_INFO_REQUEST__INIT;
	Openshell__V1__GetGatewayInfoResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_unary(&client, RPC_GET_GATEWAY_INFO, &request, (ProtobufCMessage **)&response);
	if (!r) {
		if (!output_message(call, &response->base, &r)) {
			printf("Endpoint:  %s\nStatus:    %s\nVersion:   %s\n",
			       client.gateway.endpoint,
			       output_enum(&openshell__v1__service_status__descriptor,
					   (int)response->status, "SERVICE_STATUS_"),
			       response->gateway_version);
			for (size_t i = 0; i < response->n_compute_drivers; i++)
				printf("Driver:    %s\n", response->compute_drivers[i]->name);
		}
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

/* A token that somebody has: browsers are for who has one. */
static int login(struct command_call *call)
{
	struct client_gateway gateway;
	struct error err = {};

	if (!call->o.oidc_token_file)
		return command_usage(call,
				     "--oidc-token-file FILE is needed: get a token from your "
				     "identity provider");
	if (client_config_get(call->o.gateway, &gateway, &err))
		return command_fail(call, "%s", err.message);
	snprintf(gateway.auth_mode, sizeof(gateway.auth_mode), "oidc");
	if (client_config_add(&gateway, NULL, NULL, NULL, call->o.oidc_token_file, &err))
		return command_fail(call, "%s", err.message);
	return EXIT_DONE;
}

static int logout(struct command_call *call)
{
	struct client_gateway gateway;
	struct error err = {};

	if (client_config_get(call->o.gateway, &gateway, &err))
		return command_fail(call, "%s", err.message);
	if (!*gateway.token || remove(gateway.token))
		return command_fail(call, "there is no token of %s", gateway.name);
	return EXIT_DONE;
}

static const struct option_row add_rows[] = {
	ROW_STRING("name", 'n', name, "NAME", "how it is called here"),
	ROW_STRING("ca", 0, from, "FILE", "CA of its certificate"),
	ROW_STRING("cert", 0, value, "FILE", "your certificate"),
	ROW_STRING("key", 0, key, "FILE", "its key"),
	ROW_STRING("oidc-token-file", 0, oidc_token_file, "FILE", "your bearer token"),
	ROW_FLAG("local", 0, is_local, "it is on this host"),
	ROW_FLAG("remote", 0, remote, "it is elsewhere"),
};

static const struct option_row login_rows[] = {
	ROW_STRING("oidc-token-file", 0, oidc_token_file, "FILE", "your bearer token"),
};

const struct command gateway_commands[] = {
	{"gateway", "start", NULL, 0, 0, gateway_local_start,
	 "run a gateway and a supervisor here, for yourself", NO_ROWS},
	{"gateway", "stop", NULL, 0, 0, gateway_local_stop,
	 "end both; sandboxes run on until they are deleted", NO_ROWS},
	{"gateway", "add", "URL", 1, 1, add, "know a gateway, and use it", ROWS(add_rows)},
	{"gateway", "remove", "NAME", 1, 1, remove_gateway, "forget one", NO_ROWS},
	{"gateway", "select", "NAME", 1, 1, select_gateway, "use another one", NO_ROWS},
	{"gateway", "list", NULL, 0, 0, list, "those that are known", NO_ROWS},
	{"gateway", "info", NULL, 0, 0, info, "what it is", NO_ROWS},
	{"gateway", "login", NULL, 0, 0, login, "keep a bearer token", ROWS(login_rows)},
	{"gateway", "logout", NULL, 0, 0, logout, "forget it", NO_ROWS},
	{},
};
