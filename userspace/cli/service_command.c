/* SPDX-License-Identifier: Apache-2.0 */
/* openshell service expose, list, get, delete. */
#include "cli/client.h"
#include "cli/output.h"

#include <stdio.h>

static int show(struct command_call *call, ProtobufCMessage *base)
{
	const Openshell__V1__ServiceEndpointResponse *response = (const void *)base;
	int r = EXIT_DONE;

	if (!output_message(call, base, &r))
		printf("%s\n", response->url);
	protobuf_c_message_free_unpacked(base, NULL);
	return r;
}

static int expose(struct command_call *call)
{
	Openshell__V1__ExposeServiceRequest request = OPENSHELL__V1__EXPOSE_SERVICE_REQUEST__INIT;
	ProtobufCMessage *response;
	unsigned long port = 0;
	struct client client;
	int r = command_number(call, "PORT", call->words[1], 65535, &port);

	if (!r)
		r = client_open(call, &client);
	if (r)
		return r;
	request.sandbox = call->words[0];
	request.target_port = (uint32_t)port;
	request.service = call->count > 2 ? call->words[2] : (char *)"";
	request.domain = call->o.domain;
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_EXPOSE_SERVICE, &request, &response);
	if (!r)
		r = show(call, response);
	client_close(&client);
	return r;
}

static int get(struct command_call *call)
{
	Openshell__V1__GetServiceRequest request = OPENSHELL__V1__GET_SERVICE_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.sandbox = call->words[0];
	request.service = call->count > 1 ? call->words[1] : (char *)"";
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_GET_SERVICE, &request, &response);
	if (!r)
		r = show(call, response);
	client_close(&client);
	return r;
}

static int list(struct command_call *call)
{
	Openshell__V1__ListServicesRequest request = OPENSHELL__V1__LIST_SERVICES_REQUEST__INIT;
	static const char *const heads[] = {"SANDBOX", "SERVICE", "PORT", "URL"};
	Openshell__V1__ListServicesResponse *response;
	struct output_table table = {.heads = heads, .columns = 4};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.sandbox = call->count ? call->words[0] : (char *)"";
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_LIST_SERVICES, &request, (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_services; i++) {
			const Openshell__V1__ServiceEndpoint *e = response->services[i]->endpoint;
			char port[16];

			snprintf(port, sizeof(port), "%u", e->target_port);
			output_add(&table, e->sandbox_name, e->service_name, port,
				   response->services[i]->url);
		}
		if (!output_message(call, &response->base, &r))
			output_print(&table);
		output_clear(&table);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int delete (struct command_call *call)
{
	Openshell__V1__DeleteServiceRequest request = OPENSHELL__V1__DELETE_SERVICE_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.sandbox = call->words[0];
	request.service = call->count > 1 ? call->words[1] : (char *)"";
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_DELETE_SERVICE, &request, &response);
	if (!r) {
		puts("deleted");
		protobuf_c_message_free_unpacked(response, NULL);
	}
	client_close(&client);
	return r;
}

const struct command service_commands[] = {
	{"service", "expose", "NAME PORT [SERVICE]", 2, 3, expose, "give a port a name", NO_ROWS},
	{"service", "list", "[NAME]", 0, 1, list, "list services", NO_ROWS},
	{"service", "get", "NAME [SERVICE]", 1, 2, get, "print its URL", NO_ROWS},
	{"service", "delete", "NAME [SERVICE]", 1, 2, delete, "take the name away", NO_ROWS},
	{},
};
