/* SPDX-License-Identifier: Apache-2.0 */
/* openshell policy set, get, list, update, delete. */
#include "cli/client.h"
#include "cli/output.h"
#include "cli/policy_file.h"

#include "common/cleanup.h"
#include "common/policy_merge.h"
#include "common/policy_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_DEFAULT_S 60
#define OPERATIONS_MAX	  256
#define POLL_MS		  10
#define STATUS(s)	  output_enum(&openshell__v1__policy_status__descriptor, (int)(s), "POLICY_STATUS_")

static int get_status(struct client *client, const char *name, uint32_t version,
		      Openshell__V1__GetSandboxPolicyStatusResponse **ret_response)
{
	Openshell__V1__GetSandboxPolicyStatusRequest request =
		OPENSHELL__V1__GET_SANDBOX_POLICY_STATUS_REQUEST__INIT;

	request.name = name ? (char *)name : (char *)"";
	request.global = !name;
	request.version = version;
	request.workspace = (char *)client->workspace;
	return client_unary(client, RPC_GET_SANDBOX_POLICY_STATUS, &request,
			    (ProtobufCMessage **)ret_response);
}

/* Until it is in force, or was refused. */
static int wait_loaded(struct client *client, const char *name, uint32_t version,
		       unsigned long seconds)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	time_t end = time(NULL) + (time_t)seconds;

	for (;;) {
		Openshell__V1__GetSandboxPolicyStatusResponse *response;
		Openshell__V1__PolicyStatus status;
		int r = get_status(client, name, version, &response);

		if (r)
			return r;
		status = response->revision->status;
		if (status == OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_FAILED)
			r = command_fail(client->call,
					 "policy %u was not loaded, the last one stays: "
					 "%s",
					 version, response->revision->load_error);
		protobuf_c_message_free_unpacked(&response->base, NULL);
		if (r || status == OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_LOADED ||
		    status == OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_SUPERSEDED)
			return r;
		if (time(NULL) >= end) {
			command_fail(client->call, "policy %u is not in force after %lu seconds",
				     version, seconds);
			return EXIT_TIMEOUT;
		}
		nanosleep(&pause, NULL);
	}
}

static int send_update(struct client *client, Openshell__V1__UpdateConfigRequest *request)
{
	struct command_call *call = (struct command_call *)client->call;
	Openshell__V1__UpdateConfigResponse *response;
	unsigned long seconds = TIMEOUT_DEFAULT_S;
	int r = command_number(call, "timeout", call->o.timeout, 86400, &seconds);

	request->workspace = (char *)client->workspace;
	if (!r)
		r = client_unary(client, RPC_UPDATE_CONFIG, request,
				 (ProtobufCMessage **)&response);
	if (r)
		return r;
	if (call->o.wait)
		r = wait_loaded(client, request->global ? NULL : request->name, response->version,
				seconds);
	if (!r && !output_message(call, &response->base, &r))
		printf("policy %u, sha256:%.12s%s\n", response->version, response->policy_hash,
		       call->o.wait ? ", is in force" : "");
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int set(struct command_call *call)
{
	Openshell__V1__UpdateConfigRequest request = OPENSHELL__V1__UPDATE_CONFIG_REQUEST__INIT;
	struct client client;
	int r;

	if (!call->o.policy)
		return command_usage(call, "--policy FILE is missing");
	if (!call->count == !call->o.global)
		return command_usage(call, "expected a sandbox's name, or --global");
	if (call->o.global && !output_confirm("Set this policy for all sandboxes?", call->o.yes))
		return command_fail(call, "not confirmed: give --yes");
	r = policy_file_load(call, call->o.policy, &request.policy);
	if (r)
		return r;
	request.global = call->o.global;
	if (call->count)
		request.name = call->words[0];
	r = client_open(call, &client);
	if (!r) {
		r = send_update(&client, &request);
		client_close(&client);
	}
	protobuf_c_message_free_unpacked(&request.policy->base, NULL);
	return r;
}

static int print_policy(struct client *client, const Openshell__Sandbox__V1__SandboxPolicy *policy)
{
	_cleanup_free_ char *text = NULL;
	struct error err = {};

	if (policy_wire_to_yaml(policy, &text, &err))
		return command_fail(client->call, "%s", err.message);
	fputs(text, stdout);
	return EXIT_DONE;
}

static int get(struct command_call *call)
{
	Openshell__V1__GetSandboxPolicyStatusResponse *response;
	unsigned long version = 0;
	struct client client;
	int r = command_number(call, "rev", call->o.rev, UINT32_MAX, &version);

	if (!r && !call->count == !call->o.global)
		r = command_usage(call, "expected a sandbox's name, or --global");
	if (!r)
		r = client_open(call, &client);
	if (r)
		return r;
	r = get_status(&client, call->count ? call->words[0] : NULL, (uint32_t)version, &response);
	if (!r) {
		const Openshell__V1__SandboxPolicyRevision *rev = response->revision;

		if (!output_message(call, &response->base, &r)) {
			if (call->o.full)
				printf("# revision %u, %s, sha256:%s, in force: %u\n", rev->version,
				       STATUS(rev->status), rev->policy_hash,
				       response->active_version);
			r = print_policy(&client, rev->policy);
		}
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int list(struct command_call *call)
{
	Openshell__V1__ListSandboxPoliciesRequest request =
		OPENSHELL__V1__LIST_SANDBOX_POLICIES_REQUEST__INIT;
	static const char *const heads[] = {"VERSION", "STATUS", "HASH", "AGE", "ERROR"};
	Openshell__V1__ListSandboxPoliciesResponse *response;
	struct output_table table = {.heads = heads, .columns = 5};
	struct client client;
	int r;

	if (!call->count == !call->o.global)
		return command_usage(call, "expected a sandbox's name, or --global");
	r = client_open(call, &client);
	if (r)
		return r;
	request.name = call->count ? call->words[0] : (char *)"";
	request.global = call->o.global;
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_LIST_SANDBOX_POLICIES, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_revisions; i++) {
			const Openshell__V1__SandboxPolicyRevision *rev = response->revisions[i];
			char version[16], hash[16], age[16];

			snprintf(version, sizeof(version), "%u", rev->version);
			snprintf(hash, sizeof(hash), "%.12s", rev->policy_hash);
			output_add(&table, version, STATUS(rev->status), hash,
				   output_age(rev->created_at_ms, age), rev->load_error);
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
	Openshell__V1__UpdateConfigRequest request = OPENSHELL__V1__UPDATE_CONFIG_REQUEST__INIT;
	Openshell__V1__UpdateConfigResponse *response;
	struct client client;
	int r;

	if (!call->o.global)
		return command_usage(call, "only the global policy can be deleted: --global");
	r = client_open(call, &client);
	if (r)
		return r;
	request.global = request.delete_setting = true;
	request.setting_key = (char *)"policy";
	r = client_unary(&client, RPC_UPDATE_CONFIG, &request, (ProtobufCMessage **)&response);
	if (!r) {
		puts(response->deleted ? "deleted" : "there was none");
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

/* ---- update ---- */

struct operations {
	Openshell__V1__PolicyMergeOperation *item[OPERATIONS_MAX];
	size_t count;
};

static void clear(struct operations *ops)
{
	for (size_t i = 0; i < ops->count; i++)
		protobuf_c_message_free_unpacked(&ops->item[i]->base, NULL);
}

/* A copy: what it points to is on the stack or in argv. */
static int add(struct operations *ops, const Openshell__V1__PolicyMergeOperation *op)
{
	size_t size = protobuf_c_message_get_packed_size(&op->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed || ops->count == OPERATIONS_MAX)
		return -1;
	protobuf_c_message_pack(&op->base, packed);
	ops->item[ops->count] = openshell__v1__policy_merge_operation__unpack(NULL, size, packed);
	return ops->item[ops->count] ? (ops->count++, 0) : -1;
}

/* The endpoints and binaries of one command are named together. */
static int add_endpoints(struct command_call *call, struct operations *ops, struct error *err)
{
	Openshell__Sandbox__V1__NetworkEndpoint *endpoints[OPTION_STRINGS_MAX];
	Openshell__Sandbox__V1__NetworkBinary binary[OPTION_STRINGS_MAX],
		*binaries[OPTION_STRINGS_MAX];
	Openshell__Sandbox__V1__NetworkPolicyRule rule =
		OPENSHELL__SANDBOX__V1__NETWORK_POLICY_RULE__INIT;
	Openshell__V1__AddNetworkRule add_rule = OPENSHELL__V1__ADD_NETWORK_RULE__INIT;
	Openshell__V1__PolicyMergeOperation op = OPENSHELL__V1__POLICY_MERGE_OPERATION__INIT;
	char name[128];
	int r = 0;

	if (!call->o.add_endpoint.len)
		return 0;
	rule.endpoints = endpoints;
	rule.binaries = binaries;
	for (size_t i = 0; !r && i < call->o.add_endpoint.len; i++) {
		r = policy_endpoint_words(call->o.add_endpoint.item[i], &endpoints[i], err);
		rule.n_endpoints += !r;
	}
	for (; rule.n_binaries < call->o.binary.len; rule.n_binaries++) {
		openshell__sandbox__v1__network_binary__init(&binary[rule.n_binaries]);
		binary[rule.n_binaries].path = (char *)call->o.binary.item[rule.n_binaries];
		binaries[rule.n_binaries] = &binary[rule.n_binaries];
	}
	if (!r) {
		/* A rule of its own for a host, unless one is named. */
		snprintf(name, sizeof(name), "%.100s", endpoints[0]->host);
		for (char *p = name; *p; p++)
			if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345678"
				    "9",
				    *p))
				*p = '_';
		add_rule.rule_name = call->o.rule_name ? (char *)call->o.rule_name : name;
		add_rule.rule = &rule;
		op.operation_case = OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_RULE;
		op.add_rule = &add_rule;
		r = add(ops, &op);
	}
	for (size_t i = 0; i < rule.n_endpoints; i++)
		protobuf_c_message_free_unpacked(&endpoints[i]->base, NULL);
	return r;
}

static int add_removals(struct command_call *call, struct operations *ops, struct error *err)
{
	for (size_t i = 0; i < call->o.remove_endpoint.len; i++) {
		Openshell__V1__RemoveNetworkEndpoint remove =
			OPENSHELL__V1__REMOVE_NETWORK_ENDPOINT__INIT;
		Openshell__V1__PolicyMergeOperation op =
			OPENSHELL__V1__POLICY_MERGE_OPERATION__INIT;
		const char *rest;
		int r = policy_host_port_words(call->o.remove_endpoint.item[i], &remove.host,
					       &remove.port, &rest, err);

		if (r)
			return r;
		remove.rule_name = call->o.rule_name ? (char *)call->o.rule_name : (char *)"";
		op.operation_case =
			OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_REMOVE_ENDPOINT;
		op.remove_endpoint = &remove;
		r = add(ops, &op);
		free(remove.host);
		if (r)
			return r;
	}
	for (size_t i = 0; i < call->o.remove_rule.len; i++) {
		Openshell__V1__RemoveNetworkRule remove = OPENSHELL__V1__REMOVE_NETWORK_RULE__INIT;
		Openshell__V1__PolicyMergeOperation op =
			OPENSHELL__V1__POLICY_MERGE_OPERATION__INIT;

		remove.rule_name = (char *)call->o.remove_rule.item[i];
		op.operation_case = OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_REMOVE_RULE;
		op.remove_rule = &remove;
		if (add(ops, &op))
			return -1;
	}
	return 0;
}

static int add_rules(const struct option_strings *words, bool deny, struct operations *ops,
		     struct error *err)
{
	for (size_t i = 0; i < words->len; i++) {
		int r;

		if (ops->count == OPERATIONS_MAX)
			return -1;
		r = policy_rule_words(words->item[i], deny, &ops->item[ops->count], err);
		if (r)
			return r;
		ops->count++;
	}
	return 0;
}

/* What would come of it, without a change. */
static int dry_run(struct client *client, struct operations *ops)
{
	Openshell__V1__GetSandboxPolicyStatusResponse *response;
	struct policy *policy = NULL;
	struct error err = {};
	int r = get_status(client, client->call->words[0], 0, &response);

	if (r)
		return r;
	if (policy_merge(response->revision->policy, ops->item, ops->count, &err) ||
	    policy_from_wire(response->revision->policy, &policy, &err))
		r = command_fail(client->call, "%s", err.message);
	else
		r = print_policy(client, response->revision->policy);
	policy_free(policy);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int update(struct command_call *call)
{
	Openshell__V1__UpdateConfigRequest request = OPENSHELL__V1__UPDATE_CONFIG_REQUEST__INIT;
	struct operations ops = {};
	struct error err = {};
	struct client client;
	int r = add_removals(call, &ops, &err);

	if (!r)
		r = add_endpoints(call, &ops, &err);
	if (!r)
		r = add_rules(&call->o.add_allow, false, &ops, &err);
	if (!r)
		r = add_rules(&call->o.add_deny, true, &ops, &err);
	if (r || !ops.count) {
		clear(&ops);
		return command_usage(call, "%s", *err.message ? err.message : "nothing to change");
	}
	r = client_open(call, &client);
	if (!r) {
		request.name = call->words[0];
		request.merge_operations = ops.item;
		request.n_merge_operations = ops.count;
		r = call->o.dry_run ? dry_run(&client, &ops) : send_update(&client, &request);
		client_close(&client);
	}
	clear(&ops);
	return r;
}

static const struct option_row set_rows[] = {
	ROW_STRING("policy", 'p', policy, "FILE", "the policy"),
	ROW_FLAG("global", 0, global, "for all sandboxes, in the place of their own"),
	ROW_FLAG("yes", 'y', yes, "do not ask"),
	ROW_FLAG("wait", 0, wait, "until it is in force"),
	ROW_STRING("timeout", 0, timeout, "SECONDS", "how long to wait [60]: exit status 124"),
};

static const struct option_row get_rows[] = {
	ROW_STRING("rev", 0, rev, "N", "which revision; default: the newest"),
	ROW_FLAG("full", 0, full, "with what is known of it"),
	ROW_FLAG("base", 0, base, "the sandbox's own"),
	ROW_FLAG("global", 0, global, "the one for all sandboxes"),
};

static const struct option_row global_rows[] = {
	ROW_FLAG("global", 0, global, "of all sandboxes"),
};

static const struct option_row update_rows[] = {
	ROW_STRINGS("add-endpoint", 0, add_endpoint,
		    "HOST:PORT[:ACCESS[:PROTOCOL[:ENFORCEMENT[:OPTIONS]]]]", "admit it"),
	ROW_STRINGS("remove-endpoint", 0, remove_endpoint, "HOST:PORT", "admit it no more"),
	ROW_STRINGS("add-allow", 0, add_allow, "HOST:PORT:METHOD:PATH", "allow such requests"),
	ROW_STRINGS("add-deny", 0, add_deny, "HOST:PORT:METHOD:PATH", "deny such requests"),
	ROW_STRINGS("remove-rule", 0, remove_rule, "NAME", "remove a rule"),
	ROW_STRINGS("binary", 0, binary, "PATH", "who may; with --add-endpoint"),
	ROW_STRING("rule-name", 0, rule_name, "NAME", "in which rule; default: one for the host"),
	ROW_FLAG("dry-run", 0, dry_run, "print what would come of it"),
	ROW_FLAG("wait", 0, wait, "until it is in force"),
	ROW_STRING("timeout", 0, timeout, "SECONDS", "how long to wait [60]: exit status 124"),
};

const struct command policy_commands[] = {
	{"policy", "set", "NAME|--global", 0, 1, set, "put a policy in force", ROWS(set_rows)},
	{"policy", "get", "NAME|--global", 0, 1, get, "print a policy", ROWS(get_rows)},
	{"policy", "list", "NAME|--global", 0, 1, list, "list its revisions", ROWS(global_rows)},
	{"policy", "update", "NAME", 1, 1, update, "change a part of a policy", ROWS(update_rows)},
	{"policy", "delete", "--global", 0, 0, delete, "delete the global policy",
	 ROWS(global_rows)},
	{},
};
