/* SPDX-License-Identifier: Apache-2.0 */
/* openshell inference set, update, get, delete. */
#include "cli/client.h"
#include "cli/output.h"
#include "inference.pb-c.h"

#include <stdio.h>

#define ROUTE_SYSTEM "sandbox-system"

static const char *route_name(const struct command_call *call)
{
	return call->o.system ? ROUTE_SYSTEM : call->o.name ? call->o.name : "";
}

static int set(struct command_call *call)
{
	Openshell__Inference__V1__SetInferenceRouteRequest request =
		OPENSHELL__INFERENCE__V1__SET_INFERENCE_ROUTE_REQUEST__INIT;
	Openshell__Inference__V1__SetInferenceRouteResponse *response;
	unsigned long timeout = 0;
	struct client client;
	int r;

	if (!call->o.provider_name || !call->o.model)
		return command_usage(call, "--provider and --model are needed");
	r = command_number(call, "timeout", call->o.timeout, 86400, &timeout);
	if (!r)
		r = client_open(call, &client);
	if (r)
		return r;
	request.provider_name = (char *)call->o.provider_name;
	request.model_id = (char *)call->o.model;
	request.route_name = (char *)route_name(call);
	request.timeout_secs = timeout;
	request.no_verify = call->o.no_verify;
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_INFERENCE_SET_INFERENCE_ROUTE, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		if (!output_message(call, &response->base, &r))
			printf("%s: %s by %s\n", response->route_name, response->model_id,
			       response->provider_name);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int fetch(struct client *client,
		 Openshell__Inference__V1__GetInferenceRouteResponse **ret_response)
{
	Openshell__Inference__V1__GetInferenceRouteRequest request =
		OPENSHELL__INFERENCE__V1__GET_INFERENCE_ROUTE_REQUEST__INIT;

	request.route_name = (char *)route_name(client->call);
	request.workspace = (char *)client->workspace;
	return client_unary(client, RPC_INFERENCE_GET_INFERENCE_ROUTE, &request,
			    (ProtobufCMessage **)ret_response);
}

static int get(struct command_call *call)
{
	Openshell__Inference__V1__GetInferenceRouteResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = fetch(&client, &response);
	if (!r) {
		if (!output_message(call, &response->base, &r))
			printf("Route:     %s\nProvider:  %s\nModel:     %s\nTimeout:   %llu s\n",
			       response->route_name, response->provider_name, response->model_id,
			       (unsigned long long)response->timeout_secs);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

/* What is not given stays. */
static int update(struct command_call *call)
{
	Openshell__Inference__V1__GetInferenceRouteResponse *response;
	struct client client;
	char timeout[32];
	int r = client_open(call, &client);

	if (r)
		return r;
	r = fetch(&client, &response);
	client_close(&client);
	if (r)
		return r;
	snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)response->timeout_secs);
	if (!call->o.provider_name)
		call->o.provider_name = response->provider_name;
	if (!call->o.model)
		call->o.model = response->model_id;
	if (!call->o.timeout)
		call->o.timeout = timeout;
	r = set(call);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int delete (struct command_call *call)
{
	Openshell__Inference__V1__DeleteInferenceRouteRequest request =
		OPENSHELL__INFERENCE__V1__DELETE_INFERENCE_ROUTE_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.route_name = (char *)route_name(call);
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_INFERENCE_DELETE_INFERENCE_ROUTE, &request, &response);
	if (!r) {
		puts("deleted");
		protobuf_c_message_free_unpacked(response, NULL);
	}
	client_close(&client);
	return r;
}

static const struct option_row rows[] = {
	ROW_STRING("provider", 0, provider_name, "NAME", "whose model"),
	ROW_STRING("model", 0, model, "MODEL", "which model"),
	ROW_STRING("timeout", 0, timeout, "SECONDS", "of an answer that is no stream"),
	ROW_STRING("name", 'n', name, "ROUTE", "which route; default: inference.local"),
	ROW_FLAG("system", 0, system, "the route of the system itself"),
	ROW_FLAG("no-verify", 0, no_verify, "do not try it first"),
};

const struct command inference_commands[] = {
	{"inference", "set", NULL, 0, 0, set, "which model answers", ROWS(rows)},
	{"inference", "update", NULL, 0, 0, update, "change a part of it", ROWS(rows)},
	{"inference", "get", NULL, 0, 0, get, "show a route", ROWS(rows)},
	{"inference", "delete", NULL, 0, 0, delete, "delete a route", ROWS(rows)},
	{},
};
