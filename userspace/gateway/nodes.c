/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors: attaching, heartbeats, the end of a session. */
#include "gateway/nodes_internal.h"

#include "common/cleanup.h"
#include "gateway/handlers.h"
#include "gateway/journal.h"
#include "gateway/logs.h"
#include "gateway/policy_revision.h"
#include "gateway/request_check.h"
#include "gateway/sandbox_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROTOCOL 1
#define MISSED	 3 /* heartbeats */

#define ORDER_INIT  OPENSHELL__NODE__V1__GATEWAY_MESSAGE__INIT
#define ORDER(name) OPENSHELL__NODE__V1__GATEWAY_MESSAGE__PAYLOAD_##name

struct node *nodes_find(const struct nodes *nodes, const char *name)
{
	struct node *node;

	TAILQ_FOREACH(node, &nodes->attached, link)
	if (!strcmp(node->name, name))
		return node;
	return NULL;
}

bool nodes_attached(const struct nodes *nodes, const char *name)
{
	return *name && nodes_find(nodes, name);
}

size_t nodes_count(const struct nodes *nodes)
{
	return nodes->count;
}

const char *nodes_choose(struct nodes *nodes)
{
	struct node *node, *best = NULL;

	TAILQ_FOREACH(node, &nodes->attached, link)
	if (node->synced && (!best || node->sandboxes < best->sandboxes))
		best = node;
	if (!best)
		return NULL;
	best->sandboxes++;
	return best->name;
}

static void free_node(struct node *node)
{
	struct node_todo *todo;
	struct node_order *order;

	while ((todo = TAILQ_FIRST(&node->todo))) {
		TAILQ_REMOVE(&node->todo, todo, link);
		free(todo);
	}
	while ((order = TAILQ_FIRST(&node->orders))) {
		TAILQ_REMOVE(&node->orders, order, link);
		free(order);
	}
	free(node);
}

/* ---- what is told ---- */

static void on_soon(uv_timer_t *timer)
{
	struct nodes *nodes = timer->data;
	struct node *node;

	TAILQ_FOREACH(node, &nodes->attached, link)
	node_flush(node);
}

static void wake(struct nodes *nodes)
{
	if (!uv_is_active((uv_handle_t *)&nodes->soon))
		uv_timer_start(&nodes->soon, on_soon, 0, 0);
}

/* The record is read when it is told: by then the transaction is written. */
void nodes_sandbox_changed(struct nodes *nodes, const char *sandbox_id, unsigned int changes)
{
	struct sandbox_record record = {};
	struct node *node;

	if (TAILQ_EMPTY(&nodes->attached) ||
	    sandbox_record_get_id(nodes->gateway, sandbox_id, &record, NULL))
		return;
	node = nodes_find(nodes, record.stored->node);
	sandbox_record_clear(&record);
	if (!node)
		return;
	node_add_todo(node, sandbox_id, changes);
	wake(nodes);
}

static void on_heartbeat(uv_timer_t *timer)
{
	struct nodes *nodes = timer->data;
	uint64_t now = uv_now(nodes->gateway->loop);
	Openshell__Node__V1__Heartbeat beat = OPENSHELL__NODE__V1__HEARTBEAT__INIT;
	Openshell__Node__V1__GatewayMessage message = ORDER_INIT;
	struct node *node, *next;

	beat.sequence = ++nodes->sequence;
	message.payload_case = ORDER(HEARTBEAT);
	message.heartbeat = &beat;
	for (node = TAILQ_FIRST(&nodes->attached); node; node = next) {
		next = TAILQ_NEXT(node, link);
		if (now - node->last_ms > MISSED * NODE_HEARTBEAT_MS) {
			journal(JOURNAL_WARN, "node %s is silent: its session ends", node->name);
			grpc_call_finish(node->call, GRPC_DEADLINE_EXCEEDED,
					 "no heartbeat in time");
			continue;
		}
		grpc_call_send(node->call, &message.base);
	}
	nodes_relays_tick(nodes, now);
}

/* ---- a session ---- */

static int add_assigned(void *arg, struct sandbox_record *record)
{
	struct node *node = arg;

	if (strcmp(record->stored->node, node->name) != 0)
		return 0;
	node->sandboxes++;
	node_add_todo(node, record->object.id, NODE_CHANGE_SANDBOX);
	return 0;
}

static int check_hello(struct node *node, const Openshell__Node__V1__Hello *hello,
		       struct error *err)
{
	struct node *other;

	if (hello->protocol != PROTOCOL)
		return error_set(err, -EPROTO,
				 "this gateway speaks protocol %d, not %u: use supervisor and "
				 "gateway of one version",
				 PROTOCOL, hello->protocol);
	if (!request_is_name(hello->node))
		return error_set(err, -EINVAL,
				 "a node's name has lower-case letters, digits and '-', at most "
				 "63");
	if (*node->subject && strcmp(node->subject, hello->node) != 0)
		return error_set(err, -EACCES, "the certificate is for node '%s', not '%s'",
				 node->subject, hello->node);
	other = nodes_find(node->nodes, hello->node);
	if (other && strcmp(other->subject, node->subject) != 0)
		return error_set(err, -EACCES,
				 "node '%s' is attached by another certificate or token",
				 hello->node);
	if (!other && node->nodes->count >= NODES_MAX)
		return error_set(err, -ENOSPC, "%d nodes are attached", NODES_MAX);
	return 0;
}

static void reject(struct node *node, const struct error *err)
{
	Openshell__Node__V1__Rejected rejected = OPENSHELL__NODE__V1__REJECTED__INIT;
	Openshell__Node__V1__GatewayMessage message = ORDER_INIT;

	rejected.reason = (char *)err->message;
	message.payload_case = ORDER(REJECTED);
	message.rejected = &rejected;
	journal(JOURNAL_WARN, "a supervisor was rejected: %s", err->message);
	grpc_call_send(node->call, &message.base);
	grpc_call_finish(node->call, grpc_code_of_errno(err->code), err->message);
}

static void detach(struct node *node)
{
	if (!*node->name)
		return;
	TAILQ_REMOVE(&node->nodes->attached, node, link);
	node->nodes->count--;
	nodes_relays_lost(node->nodes, node);
	node->name[0] = 0;
}

static void accept_node(struct node *node, const Openshell__Node__V1__Hello *hello)
{
	Openshell__Node__V1__Accepted accepted = OPENSHELL__NODE__V1__ACCEPTED__INIT;
	struct node *other = nodes_find(node->nodes, hello->node);
	Openshell__Node__V1__GatewayMessage message = ORDER_INIT;
	struct error err = {};
	char session[37];

	if (other) {
		detach(other);
		grpc_call_finish(other->call, GRPC_ABORTED,
				 "the same node attached again: this session is over");
	}
	snprintf(node->name, sizeof(node->name), "%s", hello->node);
	TAILQ_INSERT_TAIL(&node->nodes->attached, node, link);
	node->nodes->count++;
	store_make_id(session);
	accepted.session_id = session;
	accepted.heartbeat_ms = NODE_HEARTBEAT_MS;
	message.payload_case = ORDER(ACCEPTED);
	message.accepted = &accepted;
	grpc_call_send(node->call, &message.base);
	for (size_t i = 0; i < hello->n_sandboxes; i++)
		node_reported(node, hello->sandboxes[i]);
	if (sandbox_record_each(node->nodes->gateway, NULL, add_assigned, node, &err)) {
		journal(JOURNAL_ERROR, "node %s: %s", node->name, err.message);
		grpc_call_finish(node->call, GRPC_UNAVAILABLE, err.message);
		return;
	}
	journal(JOURNAL_INFO, "node %s attached: %s, Linux %s, %s, %zu sandboxes", node->name,
		hello->version, hello->kernel ? hello->kernel->release : "?",
		hello->kernel && hello->kernel->bpf_lsm ? "BPF-LSM" : "Landlock", node->sandboxes);
	node_flush(node);
}

static void add_logs(struct node *node, const Openshell__Node__V1__Logs *logs)
{
	struct gateway *gateway = node->nodes->gateway;
	struct sandbox_record record = {};

	if (sandbox_record_get_id(gateway, logs->sandbox_id, &record, NULL))
		return;
	if (!strcmp(record.stored->node, node->name)) {
		for (size_t i = 0; i < logs->n_lines; i++) {
			Openshell__V1__SandboxLogLine line = *logs->lines[i];

			/* Whose line it is, is not for the line to say. */
			line.sandbox_id = logs->sandbox_id;
			line.source = (char *)"sandbox";
			logs_add(gateway, &line);
		}
		if (logs->dropped)
			logs_gateway(gateway, logs->sandbox_id, "warn",
				     "%llu lines were lost before these",
				     (unsigned long long)logs->dropped);
	}
	sandbox_record_clear(&record);
}

static void add_policy(struct node *node, const Openshell__Node__V1__PolicyReport *report)
{
	struct sandbox_record record = {};
	bool there;

	if (sandbox_record_get_id(node->nodes->gateway, report->sandbox_id, &record, NULL))
		return;
	there = !strcmp(record.stored->node, node->name);
	sandbox_record_clear(&record);
	if (there)
		policy_revision_reported(node->nodes->gateway, report);
}

static void answered(struct node *node, const Openshell__Node__V1__Result *result)
{
	struct node_order *order;

	TAILQ_FOREACH(order, &node->orders, link)
	if (order->request_id == result->request_id)
		break;
	if (!order) {
		if (!result->ok)
			journal(JOURNAL_WARN, "node %s: %s", node->name, result->error);
		return;
	}
	TAILQ_REMOVE(&node->orders, order, link);
	if (result->ok) {
		sandbox_gone(node->nodes->gateway, order->sandbox_id);
		if (node->sandboxes)
			node->sandboxes--;
	} else {
		journal(JOURNAL_ERROR, "node %s cannot remove sandbox %s: %s", node->name,
			order->sandbox_id, result->error);
	}
	free(order);
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__Node__V1__NodeMessage *message = (const void *)base;
	struct node *node = arg;

	node->last_ms = uv_now(node->nodes->gateway->loop);
	if (!*node->name) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "the first message is a hello");
		return;
	}
	switch (message->payload_case) {
	case OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_SANDBOX:
		node_reported(node, message->sandbox);
		break;
	case OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_POLICY:
		add_policy(node, message->policy);
		break;
	case OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_LOGS:
		add_logs(node, message->logs);
		break;
	case OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_RESULT:
		answered(node, message->result);
		break;
	case OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_HEARTBEAT:
		break;
	default:
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "a message that is not expected");
	}
}

static void on_writable(void *arg, struct grpc_call *call)
{
	struct node *node = arg;

	node->wait = false;
	node_flush(node);
}

static void on_half_closed(void *arg, struct grpc_call *call)
{
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct node *node = arg;

	if (*node->name)
		journal(JOURNAL_INFO, "node %s detached", node->name);
	detach(node);
	free_node(node);
}

static void attach(struct request *request)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.half_closed = on_half_closed,
		.writable = on_writable,
		.ended = on_ended,
	};
	const Openshell__Node__V1__NodeMessage *message = (const void *)request->message;
	struct error err = {};
	struct node *node;

	if (message->payload_case != OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_HELLO) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "the first message is a hello");
		return;
	}
	node = calloc(1, sizeof(*node));
	if (!node) {
		request_fail(request, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	TAILQ_INIT(&node->todo);
	TAILQ_INIT(&node->orders);
	node->nodes = request->gateway->nodes;
	node->last_ms = uv_now(request->gateway->loop);
	snprintf(node->subject, sizeof(node->subject), "%s", request->principal->subject);
	node->call = request_take_call(request, &events, node);
	if (check_hello(node, message->hello, &err))
		reject(node, &err);
	else
		accept_node(node, message->hello);
}

/* ---- all of them ---- */

int nodes_new(struct gateway *gateway, struct nodes **ret_nodes, struct error *err)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));

	if (!nodes)
		return error_set(err, -ENOMEM, "out of memory");
	nodes->gateway = gateway;
	TAILQ_INIT(&nodes->attached);
	TAILQ_INIT(&nodes->relays);
	uv_timer_init(gateway->loop, &nodes->heartbeat);
	uv_timer_init(gateway->loop, &nodes->soon);
	nodes->heartbeat.data = nodes->soon.data = nodes;
	uv_timer_start(&nodes->heartbeat, on_heartbeat, NODE_HEARTBEAT_MS, NODE_HEARTBEAT_MS);
	*ret_nodes = nodes;
	return 0;
}

static void timer_closed(uv_handle_t *handle)
{
	struct nodes *nodes = handle->data;

	/* The loop says in which order. */
	if (++nodes->timers_closed == 2)
		free(nodes);
}

void nodes_free(struct nodes *nodes)
{
	if (!nodes)
		return;
	uv_close((uv_handle_t *)&nodes->heartbeat, timer_closed);
	uv_close((uv_handle_t *)&nodes->soon, timer_closed);
}

const struct handler node_handlers[] = {
	{RPC_NODE_ATTACH, attach},
	{RPC_NODE_RELAY, node_relay_attach},
	{},
};
