/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/request_scope.h"

#include "common/cleanup.h"
#include "gateway/message_field.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Where a request that begins with another message has what it is about. */
static const ProtobufCMessage *inner(const struct rpc_method *method,
				     const ProtobufCMessage *message)
{
	const ProtobufCMessage *found = NULL;

	if (method->id == RPC_EXEC_SANDBOX_INTERACTIVE)
		found = message_message(message, "start");
	else if (method->id == RPC_FORWARD_TCP)
		found = message_message(message, "init");
	return found ? found : message;
}

static const char *sandbox_id(const struct rpc_method *method, const ProtobufCMessage *message)
{
	if (method->id == RPC_WATCH_SANDBOX)
		return message_string(message, "id");
	return message_string(message, "sandbox_id");
}

static const char *workspace_of(const struct rpc_method *method, const ProtobufCMessage *message)
{
	const ProtobufCMessage *provider, *metadata;
	const char *workspace;

	if (method->id == RPC_GET_WORKSPACE || method->id == RPC_DELETE_WORKSPACE ||
	    method->id == RPC_CREATE_WORKSPACE)
		return message_string(message, "name");
	workspace = message_string(message, "workspace");
	if (workspace)
		return workspace;
	/* A provider may say in its own metadata where it belongs. */
	provider = message_message(message, "provider");
	metadata = provider ? message_message(provider, "metadata") : NULL;
	return metadata ? message_string(metadata, "workspace") : NULL;
}

static bool is_everywhere(const struct rpc_method *method, const ProtobufCMessage *message)
{
	if (method->id == RPC_LIST_WORKSPACES || method->id == RPC_REVOKE_SSH_SESSION)
		return true;
	return message_bool(message, "all_workspaces") || message_bool(message, "global");
}

static int by_sandbox(struct gateway *gateway, const char *id, struct request_scope *scope,
		      struct error *err)
{
	struct store_object object;
	int r = store_get_id(gateway->store, STORE_SANDBOX, id, &object, err);

	if (r == -ENOENT)
		return error_set(err, r, "there is no sandbox with id '%.64s'", id);
	if (r)
		return r;
	snprintf(scope->workspace, sizeof(scope->workspace), "%s", object.workspace);
	scope->sandbox_id = id;
	store_object_clear(&object);
	return 0;
}

int request_scope_find(struct gateway *gateway, const struct rpc_method *method,
		       const ProtobufCMessage *message, struct request_scope *ret_scope,
		       struct error *err)
{
	struct request_scope scope = {};
	const char *workspace, *id;

	message = inner(method, message);
	id = sandbox_id(method, message);
	if (id && method->auth != RPC_AUTH_NODE) {
		int r = by_sandbox(gateway, id, &scope, err);

		if (r)
			return r;
		*ret_scope = scope;
		return 0;
	}
	scope.everywhere = is_everywhere(method, message);
	workspace = workspace_of(method, message);
	if (!workspace)
		workspace = WORKSPACE_DEFAULT;
	if (strlen(workspace) >= sizeof(scope.workspace))
		return error_set(err, -EINVAL, "a workspace's name has at most %zu characters",
				 sizeof(scope.workspace) - 1);
	snprintf(scope.workspace, sizeof(scope.workspace), "%s", workspace);
	*ret_scope = scope;
	return 0;
}
