/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about nodes share. */
#pragma once

#include "common/grpc_server.h"
#include "gateway/nodes.h"
#include "gateway/request.h"

#include <sys/queue.h>

#define NODE_NAME_MAX	  64
#define NODE_HEARTBEAT_MS 10000
#define NODE_TODO_MAX	  100000 /* sandboxes that one node is still to hear of */
#define NODES_MAX	  10000
#define RELAYS_MAX	  4096 /* at once, of all nodes */
#define RELAY_ID_SIZE	  33

/* A sandbox that a node is to hear of. */
struct node_todo {
	TAILQ_ENTRY(node_todo) link;
	unsigned int changes;
	char sandbox_id[37];
};

/* An order that is not answered yet. */
struct node_order {
	TAILQ_ENTRY(node_order) link;
	uint64_t request_id;
	char sandbox_id[37]; /* to be gone when it is done */
};

/* A supervisor that is attached. */
struct node {
	TAILQ_ENTRY(node) link;
	struct nodes *nodes;
	struct grpc_call *call;
	char name[NODE_NAME_MAX];    /* "" until its hello */
	char subject[NODE_NAME_MAX]; /* of its certificate; "" = it showed the nodes' token */
	uint64_t last_ms;
	bool synced, wait; /* everything was told once; its queue is full */
	size_t sandboxes;  /* about how many are there */
	TAILQ_HEAD(, node_todo) todo;
	size_t todos;
	TAILQ_HEAD(, node_order) orders;
};

struct nodes {
	struct gateway *gateway;
	TAILQ_HEAD(, node) attached;
	size_t count;
	TAILQ_HEAD(, node_relay) relays;
	size_t relay_count;
	uint64_t next_request;
	uint64_t sequence; /* of heartbeats */
	uv_timer_t heartbeat, soon;
	int timers_closed;
};

struct node *nodes_find(const struct nodes *nodes, const char *name);

/* nodes_order.c: tell a node, as long as its queue takes it. */
void node_flush(struct node *node);
void node_add_todo(struct node *node, const char *sandbox_id, unsigned int changes);

/* nodes_report.c: what a node says about a sandbox. */
void node_reported(struct node *node, const Openshell__Node__V1__SandboxReport *report);

/* nodes_relay.c */
void node_relay_attach(struct request *request);
void nodes_relays_lost(struct nodes *nodes, const struct node *node);
void nodes_relays_tick(struct nodes *nodes, uint64_t now_ms);
