/* SPDX-License-Identifier: Apache-2.0 */
/* openshell sandbox get, list, delete, stop, start, provider. */
#include "cli/client.h"
#include "cli/output.h"
#include "cli/sandbox_wait.h"

#include "common/cleanup.h"
#include "common/policy_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHASE(s) output_enum(&openshell__v1__sandbox_phase__descriptor, (int)(s), "SANDBOX_PHASE_")

static void print_sandbox(const Openshell__V1__Sandbox *s)
{
	char age[16];

	printf("Name:       %s\nId:         %s\nWorkspace:  %s\nPhase:      %s\n",
	       s->metadata->name, s->metadata->id, s->metadata->workspace, PHASE(s->status->phase));
	if (s->status->optional_exit_code_case ==
	    OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE_EXIT_CODE)
		printf("Exit code:  %d\n", s->status->exit_code);
	for (size_t i = 0; i < s->status->n_conditions; i++)
		if (*s->status->conditions[i]->message) {
			_cleanup_free_ char *text =
				output_escape(s->status->conditions[i]->message);

			printf("Message:    %s\n", text ? text : "");
		}
	printf("Policy:     %u\nAge:        %s\n", s->status->current_policy_version,
	       output_age(s->metadata->created_at_ms, age));
	for (size_t i = 0; i < s->metadata->n_labels; i++)
		printf("%s%s=%s\n",
		       i ? "            " : "Labels:     ", s->metadata->labels[i]->key,
		       s->metadata->labels[i]->value);
	for (size_t i = 0; i < s->spec->n_providers; i++)
		printf("%s%s\n", i ? "            " : "Providers:  ", s->spec->providers[i]);
}

/* The policy in force, as a file. */
static int print_policy(struct client *client, const char *id)
{
	Openshell__Sandbox__V1__GetSandboxConfigRequest request =
		OPENSHELL__SANDBOX__V1__GET_SANDBOX_CONFIG_REQUEST__INIT;
	Openshell__Sandbox__V1__GetSandboxConfigResponse *response;
	_cleanup_free_ char *text = NULL;
	struct error err = {};
	int r;

	request.sandbox_id = (char *)id;
	r = client_unary(client, RPC_GET_SANDBOX_CONFIG, &request, (ProtobufCMessage **)&response);
	if (r)
		return r;
	if (!output_message(client->call, &response->policy->base, &r)) {
		if (policy_wire_to_yaml(response->policy, &text, &err))
			r = command_fail(client->call, "%s", err.message);
		else
			fputs(text, stdout);
	}
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int get(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_sandbox(&client, call->words[0], &response);
	if (!r) {
		if (call->o.policy_only)
			r = print_policy(&client, response->sandbox->metadata->id);
		else if (!output_message(call, &response->base, &r))
			print_sandbox(response->sandbox);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int fetch_list(struct client *client, Openshell__V1__ListSandboxesResponse **ret_response)
{
	Openshell__V1__ListSandboxesRequest request = OPENSHELL__V1__LIST_SANDBOXES_REQUEST__INIT;
	const struct command_call *call = client->call;
	unsigned long limit = 0, offset = 0;
	int r = command_number(call, "limit", call->o.limit, UINT32_MAX, &limit);

	if (!r)
		r = command_number(call, "offset", call->o.offset, UINT32_MAX, &offset);
	if (r)
		return r;
	request.limit = (uint32_t)limit;
	request.offset = (uint32_t)offset;
	request.label_selector = call->o.selector ? (char *)call->o.selector : (char *)"";
	request.workspace = (char *)client->workspace;
	request.all_workspaces = call->o.all_workspaces;
	return client_unary(client, RPC_LIST_SANDBOXES, &request,
			    (ProtobufCMessage **)ret_response);
}

static void print_list(const struct command_call *call,
		       const Openshell__V1__ListSandboxesResponse *response)
{
	static const char *const heads[] = {"NAME", "PHASE", "POLICY", "AGE", "WORKSPACE"};
	struct output_table table = {.heads = heads, .columns = call->o.all_workspaces ? 5 : 4};

	for (size_t i = 0; i < response->n_sandboxes; i++) {
		const Openshell__V1__Sandbox *s = response->sandboxes[i];
		char age[16], version[16];

		snprintf(version, sizeof(version), "%u", s->status->current_policy_version);
		if (call->o.names || call->o.ids)
			puts(call->o.ids ? s->metadata->id : s->metadata->name);
		else
			output_add(&table, s->metadata->name, PHASE(s->status->phase), version,
				   output_age(s->metadata->created_at_ms, age),
				   s->metadata->workspace);
	}
	if (!call->o.names && !call->o.ids)
		output_print(&table);
	output_clear(&table);
}

static int list(struct command_call *call)
{
	Openshell__V1__ListSandboxesResponse *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = fetch_list(&client, &response);
	if (!r) {
		if (!output_message(call, &response->base, &r))
			print_list(call, response);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int delete_one(struct client *client, const char *name)
{
	int r = sandbox_delete(client, name);

	if (!r)
		printf("deleted %s\n", name);
	return r;
}

static int delete_all(struct client *client)
{
	Openshell__V1__ListSandboxesResponse *response;
	int r = fetch_list(client, &response), failed = 0;

	if (r)
		return r;
	for (size_t i = 0; !r && i < response->n_sandboxes; i++)
		failed |= delete_one(client, response->sandboxes[i]->metadata->name);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r ? r : failed;
}

static int delete (struct command_call *call)
{
	struct client client;
	int r, failed = EXIT_DONE;

	if (!call->count == !call->o.all)
		return command_usage(call, "expected names, or --all");
	r = client_open(call, &client);
	if (r)
		return r;
	if (call->o.all)
		failed = delete_all(&client);
	for (int i = 0; i < call->count; i++)
		if (delete_one(&client, call->words[i]))
			failed = EXIT_FAILED;
	client_close(&client);
	return failed;
}

static int change(struct command_call *call, enum rpc_id method, Openshell__V1__SandboxPhase phase,
		  const char *done)
{
	Openshell__V1__StopSandboxRequest request = OPENSHELL__V1__STOP_SANDBOX_REQUEST__INIT;
	Openshell__V1__StartSandboxRequest start = OPENSHELL__V1__START_SANDBOX_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.name = start.name = call->words[0];
	request.workspace = start.workspace = (char *)client.workspace;
	r = client_unary(&client, method,
			 method == RPC_STOP_SANDBOX ? (void *)&request : (void *)&start, &response);
	if (!r) {
		protobuf_c_message_free_unpacked(response, NULL);
		r = sandbox_wait(&client, call->words[0], phase, NULL);
	}
	if (!r)
		printf("%s %s\n", done, call->words[0]);
	client_close(&client);
	return r;
}

static int stop(struct command_call *call)
{
	return change(call, RPC_STOP_SANDBOX, OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_STOPPED,
		      "stopped");
}

static int start(struct command_call *call)
{
	return change(call, RPC_START_SANDBOX, OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_READY,
		      "started");
}

/* ---- providers of a sandbox ---- */

static int provider_list(struct command_call *call)
{
	Openshell__V1__ListSandboxProvidersRequest request =
		OPENSHELL__V1__LIST_SANDBOX_PROVIDERS_REQUEST__INIT;
	static const char *const heads[] = {"NAME", "TYPE"};
	Openshell__V1__ListSandboxProvidersResponse *response;
	struct output_table table = {.heads = heads, .columns = 2};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.sandbox_name = call->words[0];
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_LIST_SANDBOX_PROVIDERS, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		if (!output_message(call, &response->base, &r)) {
			for (size_t i = 0; i < response->n_providers; i++)
				output_add(&table, response->providers[i]->metadata->name,
					   response->providers[i]->type);
			output_print(&table);
			output_clear(&table);
		}
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int provider_change(struct command_call *call, bool attach)
{
	Openshell__V1__AttachSandboxProviderRequest one =
		OPENSHELL__V1__ATTACH_SANDBOX_PROVIDER_REQUEST__INIT;
	Openshell__V1__DetachSandboxProviderRequest other =
		OPENSHELL__V1__DETACH_SANDBOX_PROVIDER_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	one.sandbox_name = other.sandbox_name = call->words[0];
	one.provider_name = other.provider_name = call->words[1];
	one.workspace = other.workspace = (char *)client.workspace;
	r = attach ? client_unary(&client, RPC_ATTACH_SANDBOX_PROVIDER, &one, &response)
		   : client_unary(&client, RPC_DETACH_SANDBOX_PROVIDER, &other, &response);
	if (!r) {
		if (!output_message(call, response, &r))
			printf("%s %s\n", attach ? "attached" : "detached", call->words[1]);
		protobuf_c_message_free_unpacked(response, NULL);
	}
	client_close(&client);
	return r;
}

static int provider_attach(struct command_call *call)
{
	return provider_change(call, true);
}

static int provider_detach(struct command_call *call)
{
	return provider_change(call, false);
}

static const struct option_row get_rows[] = {
	ROW_FLAG("policy-only", 0, policy_only, "print the policy in force, as a file"),
};

static const struct option_row list_rows[] = {
	ROW_STRING("selector", 'l', selector, "KEY=VALUE,..", "only those with such labels"),
	ROW_FLAG("names", 0, names, "print names alone"),
	ROW_FLAG("ids", 0, ids, "print ids alone"),
	ROW_STRING("limit", 0, limit, "N", "at most so many"),
	ROW_STRING("offset", 0, offset, "N", "leave out so many"),
	ROW_FLAG("all-workspaces", 0, all_workspaces, "of all workspaces"),
};

static const struct option_row delete_rows[] = {
	ROW_FLAG("all", 0, all, "all of the workspace"),
	ROW_FLAG("yes", 'y', yes, "do not ask"),
};

const struct command sandbox_commands[] = {
	{"sandbox", "get", "NAME", 1, 1, get, "show a sandbox", ROWS(get_rows)},
	{"sandbox", "list", NULL, 0, 0, list, "list sandboxes", ROWS(list_rows)},
	{"sandbox", "delete", "NAME..|--all", 0, -1, delete, "delete sandboxes and their files",
	 ROWS(delete_rows)},
	{"sandbox", "stop", "NAME", 1, 1, stop, "end what runs, keep the files", NO_ROWS},
	{"sandbox", "start", "NAME", 1, 1, start, "start a sandbox that was stopped", NO_ROWS},
	{"sandbox", "provider list", "NAME", 1, 1, provider_list, "providers that it has", NO_ROWS},
	{"sandbox", "provider attach", "NAME PROVIDER", 2, 2, provider_attach, "give it a provider",
	 NO_ROWS},
	{"sandbox", "provider detach", "NAME PROVIDER", 2, 2, provider_detach, "take one away",
	 NO_ROWS},
	{},
};
