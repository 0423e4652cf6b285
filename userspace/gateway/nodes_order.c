/* SPDX-License-Identifier: Apache-2.0 */
/* What a node is told about a sandbox: read from the store when it is told. */
#include "gateway/nodes_internal.h"

#include "common/cleanup.h"
#include "common/rpc.h"
#include "gateway/credentials.h"
#include "gateway/journal.h"
#include "gateway/logs.h"
#include "gateway/policy_revision.h"
#include "gateway/sandbox_record.h"
#include "gateway/struct_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_INIT  OPENSHELL__NODE__V1__GATEWAY_MESSAGE__INIT
#define PAYLOAD(name) OPENSHELL__NODE__V1__GATEWAY_MESSAGE__PAYLOAD_##name

/* One sandbox is told of once, whatever changed meanwhile. */
void node_add_todo(struct node *node, const char *sandbox_id, unsigned int changes)
{
	struct node_todo *todo;

	TAILQ_FOREACH(todo, &node->todo, link)
	{
		if (!strcmp(todo->sandbox_id, sandbox_id)) {
			todo->changes |= changes;
			return;
		}
	}
	todo = node->todos < NODE_TODO_MAX ? calloc(1, sizeof(*todo)) : NULL;
	if (!todo) {
		/* It hears of everything when it attaches again. */
		grpc_call_finish(node->call, GRPC_RESOURCE_EXHAUSTED, "too much to tell");
		return;
	}
	todo->changes = changes;
	snprintf(todo->sandbox_id, sizeof(todo->sandbox_id), "%s", sandbox_id);
	TAILQ_INSERT_TAIL(&node->todo, todo, link);
	node->todos++;
}

static int send_order(struct node *node, Openshell__Node__V1__GatewayMessage *message)
{
	int r = grpc_call_send(node->call, &message->base);

	if (r == 1)
		node->wait = true;
	return r < 0 ? r : 0;
}

static int send_release(struct node *node, const struct sandbox_record *record)
{
	Openshell__Node__V1__Release release = OPENSHELL__NODE__V1__RELEASE__INIT;
	Openshell__Node__V1__GatewayMessage message = MESSAGE_INIT;
	struct node_order *order;

	TAILQ_FOREACH(order, &node->orders, link)
	if (!strcmp(order->sandbox_id, record->object.id))
		return 0;
	order = calloc(1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	order->request_id = ++node->nodes->next_request;
	snprintf(order->sandbox_id, sizeof(order->sandbox_id), "%s", record->object.id);
	TAILQ_INSERT_TAIL(&node->orders, order, link);
	release.request_id = order->request_id;
	release.sandbox_id = record->object.id;
	message.payload_case = PAYLOAD(RELEASE);
	message.release = &release;
	return send_order(node, &message);
}

/* Parts of an Assign that are made for it alone. */
struct parts {
	Openshell__Node__V1__Policy *policy;
	Openshell__Node__V1__Credentials *credentials;
	Openshell__Node__V1__Inference *inference;
	char *cpu, *memory;
};

static void parts_clear(struct parts *parts)
{
	if (parts->policy)
		openshell__node__v1__policy__free_unpacked(parts->policy, NULL);
	if (parts->credentials) {
		rpc_scrub(&parts->credentials->base);
		openshell__node__v1__credentials__free_unpacked(parts->credentials, NULL);
	}
	if (parts->inference) {
		rpc_scrub(&parts->inference->base);
		openshell__node__v1__inference__free_unpacked(parts->inference, NULL);
	}
	free(parts->cpu);
	free(parts->memory);
}

static void set_spec(Openshell__Node__V1__Assign *assign, const Openshell__V1__SandboxSpec *spec)
{
	assign->command = spec->command;
	assign->n_command = spec->n_command;
	assign->tty = spec->tty || !spec->n_command;
	/* Entries of maps look the same in memory, whatever message they are of. */
	assign->environment = (Openshell__Node__V1__Assign__EnvironmentEntry **)spec->environment;
	assign->n_environment = spec->n_environment;
	assign->log_level = spec->log_level;
	if (spec->template_)
		assign->image = spec->template_->image;
	assign->gpu = spec->resource_requirements && spec->resource_requirements->gpu;
}

/*
 * A sandbox that is not assigned is removed by its node, with its files: what is wrong with its
 * providers must not do that. Without its secrets it starts, or keeps those that it had.
 */
static void add_secrets(struct gateway *gateway, struct sandbox_record *record, struct parts *parts)
{
	struct error err = {};
	int r = credentials_for_sandbox(gateway, record, &parts->credentials, &err);

	if (!r)
		r = inference_for_sandbox(gateway, record, &parts->inference, &err);
	if (!r)
		return;
	journal(JOURNAL_ERROR, "sandbox %s: %s", record->object.id, err.message);
	logs_gateway(gateway, record->object.id, "error",
		     "it is assigned without what cannot be told: %s", err.message);
}

static int send_assign(struct node *node, struct sandbox_record *record, struct parts *parts,
		       struct error *err)
{
	Openshell__Node__V1__Assign assign = OPENSHELL__NODE__V1__ASSIGN__INIT;
	Openshell__Node__V1__GatewayMessage message = MESSAGE_INIT;
	const Openshell__V1__SandboxSpec *spec = record->stored->sandbox->spec;
	struct gateway *gateway = node->nodes->gateway;
	int r = 0;

	assign.request_id = ++node->nodes->next_request;
	assign.sandbox_id = record->object.id;
	assign.name = record->object.name;
	assign.workspace = record->object.workspace;
	assign.stopped = record->stored->stopped;
	assign.instance_id = record->stored->instance_id;
	set_spec(&assign, spec);
	if (!assign.stopped) {
		r = policy_revision_current(gateway, record, &parts->policy, err);
		if (r)
			return r;
		add_secrets(gateway, record, parts);
		assign.policy = parts->policy;
		assign.credentials = parts->credentials;
		assign.inference = parts->inference;
	}
	if (spec->template_ && spec->template_->resources) {
		parts->cpu = struct_limit_text(spec->template_->resources, "cpu");
		parts->memory = struct_limit_text(spec->template_->resources, "memory");
		if (parts->cpu)
			assign.cpu = parts->cpu;
		if (parts->memory)
			assign.memory = parts->memory;
	}
	message.payload_case = PAYLOAD(ASSIGN);
	message.assign = &assign;
	return send_order(node, &message);
}

static int send_parts(struct node *node, struct sandbox_record *record, unsigned int changes,
		      struct parts *parts, struct error *err)
{
	struct gateway *gateway = node->nodes->gateway;
	Openshell__Node__V1__GatewayMessage message = MESSAGE_INIT;
	int r = 0;

	if (changes & NODE_CHANGE_POLICY) {
		r = policy_revision_current(gateway, record, &parts->policy, err);
		if (!r) {
			parts->policy->request_id = ++node->nodes->next_request;
			message.payload_case = PAYLOAD(POLICY);
			message.policy = parts->policy;
			r = send_order(node, &message);
		}
	}
	if (!r && changes & NODE_CHANGE_CREDENTIALS) {
		r = credentials_for_sandbox(gateway, record, &parts->credentials, err);
		if (!r) {
			parts->credentials->request_id = ++node->nodes->next_request;
			message.payload_case = PAYLOAD(CREDENTIALS);
			message.credentials = parts->credentials;
			r = send_order(node, &message);
		}
	}
	if (!r && changes & NODE_CHANGE_INFERENCE) {
		r = inference_for_sandbox(gateway, record, &parts->inference, err);
		if (!r) {
			parts->inference->request_id = ++node->nodes->next_request;
			message.payload_case = PAYLOAD(INFERENCE);
			message.inference = parts->inference;
			r = send_order(node, &message);
		}
	}
	return r;
}

static void tell(struct node *node, const struct node_todo *todo)
{
	struct sandbox_record record = {};
	struct parts parts = {};
	struct error err = {};
	int r = sandbox_record_get_id(node->nodes->gateway, todo->sandbox_id, &record, &err);

	if (r)
		return;
	if (record.stored->deleting)
		r = send_release(node, &record);
	else if (todo->changes & NODE_CHANGE_SANDBOX)
		r = send_assign(node, &record, &parts, &err);
	else if (!record.stored->stopped)
		r = send_parts(node, &record, todo->changes, &parts, &err);
	if (r) {
		journal(JOURNAL_ERROR, "sandbox %s: %s", todo->sandbox_id, err.message);
		logs_gateway(node->nodes->gateway, todo->sandbox_id, "error",
			     "its node cannot be told: %s", err.message);
	}
	parts_clear(&parts);
	sandbox_record_clear(&record);
}

static void send_synced(struct node *node)
{
	Openshell__Node__V1__Synced synced = OPENSHELL__NODE__V1__SYNCED__INIT;
	Openshell__Node__V1__GatewayMessage message = MESSAGE_INIT;

	message.payload_case = PAYLOAD(SYNCED);
	message.synced = &synced;
	send_order(node, &message);
	node->synced = true;
}

void node_flush(struct node *node)
{
	struct node_todo *todo;

	while (!node->wait && (todo = TAILQ_FIRST(&node->todo))) {
		TAILQ_REMOVE(&node->todo, todo, link);
		node->todos--;
		tell(node, todo);
		free(todo);
	}
	if (!node->synced && TAILQ_EMPTY(&node->todo))
		send_synced(node);
}
