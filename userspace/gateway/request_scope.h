/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is about: a workspace, a sandbox, or the gateway as a whole. Decided before it is
 * authorized, from the fields that its message has, for every method alike. The gateway's thread.
 * Fails closed: a sandbox that does not exist is an error, not no sandbox.
 */
#pragma once

#include "common/error.h"
#include "common/rpc.h"
#include "gateway/gateway.h"

#define WORKSPACE_MAX	  64
#define WORKSPACE_DEFAULT "default"

struct request_scope {
	char workspace[WORKSPACE_MAX];
	bool everywhere;	/* all workspaces, or none: the handler looks at each */
	const char *sandbox_id; /* NULL; borrowed from the message */
};

/* -ENOENT: it names a sandbox's id that does not exist. -EINVAL: a name that is none. */
int request_scope_find(struct gateway *gateway, const struct rpc_method *method,
		       const ProtobufCMessage *message, struct request_scope *ret_scope,
		       struct error *err);
