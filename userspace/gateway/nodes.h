/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisors that are attached, and what the gateway tells them: which sandboxes shall run
 * where, with which policy, credentials and routes; and ways into a running sandbox. Keeps nothing:
 * what shall be is in the store, and is told whole when a supervisor attaches. The gateway's
 * thread.
 */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"
#include "node.pb-c.h"

#include <stdbool.h>

struct nodes;

int nodes_new(struct gateway *gateway, struct nodes **ret_nodes, struct error *err);
void nodes_free(struct nodes *nodes);

/*
 * A node for a new sandbox: the one with the fewest. NULL: none is attached. The name lives until
 * the loop goes on.
 */
const char *nodes_choose(struct nodes *nodes);
bool nodes_attached(const struct nodes *nodes, const char *node);
size_t nodes_count(const struct nodes *nodes);

/*
 * What shall be of a sandbox has changed in the store: tell its node, if that is attached. What is
 * sent is read from the store then. Never fails: a node that is not there hears of it when it
 * attaches.
 */
enum node_change {
	NODE_CHANGE_SANDBOX = 1, /* to be started, stopped or removed */
	NODE_CHANGE_POLICY = 2,
	NODE_CHANGE_CREDENTIALS = 4,
	NODE_CHANGE_INFERENCE = 8,
};
void nodes_sandbox_changed(struct nodes *nodes, const char *sandbox_id, unsigned int changes);

/* A relay into a sandbox. */
struct relay_events {
	/* A frame of the supervisor's; `ended` is not among them. Borrowed. */
	void (*frame)(void *arg, const Openshell__Node__V1__RelayFrame *frame);
	void (*writable)(void *arg);
	/*
	 * Last: the command's exit code with @code GRPC_OK; or why there is none. After it the
	 * relay is gone.
	 */
	void (*ended)(void *arg, int exit_code, int code, const char *message);
};

struct node_relay;

/*
 * Ask the sandbox's node for a relay; @open has a target and gets its ids here. Frames may be sent
 * at once; they wait. -ENOTCONN with a sentence: its node is not attached. -EBUSY: too many.
 */
int node_relay_open(struct nodes *nodes, const char *sandbox_id,
		    const Openshell__Node__V1__OpenRelay *open, const struct relay_events *events,
		    void *arg, struct node_relay **ret_relay, struct error *err);

/* As grpc_call_send(), grpc_call_pause(), grpc_call_resume(). */
int node_relay_send(struct node_relay *relay, const Openshell__Node__V1__RelayFrame *frame);
void node_relay_pause(struct node_relay *relay);
void node_relay_resume(struct node_relay *relay);

/* Nobody wants it any more: what it started is ended. `ended` does not follow. */
void node_relay_cancel(struct node_relay *relay);
