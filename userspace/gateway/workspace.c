/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/workspace.h"

#include "common/cleanup.h"
#include "gateway/authority.h"
#include "gateway/handlers.h"
#include "gateway/request_scope.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKSPACE Openshell__Datamodel__V1__Workspace

static int insert(struct gateway *gateway, const char *name,
		  const Openshell__V1__CreateWorkspaceRequest *request, struct error *err)
{
	WORKSPACE workspace = OPENSHELL__DATAMODEL__V1__WORKSPACE__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	Openshell__Datamodel__V1__WorkspaceStatus status =
		OPENSHELL__DATAMODEL__V1__WORKSPACE_STATUS__INIT;
	struct store_object object = {.kind = STORE_WORKSPACE, .workspace = (char *)""};
	_cleanup_free_ uint8_t *packed = NULL;
	_cleanup_free_ char **labels = NULL;
	char id[37];
	int r = 0;

	store_make_id(id);
	meta.id = id;
	meta.name = (char *)name;
	if (request) {
		/* The entries look the same in memory. */
		meta.labels = (Openshell__Datamodel__V1__ObjectMeta__LabelsEntry **)request->labels;
		meta.n_labels = request->n_labels;
	}
	status.phase = OPENSHELL__DATAMODEL__V1__WORKSPACE_PHASE__WORKSPACE_PHASE_ACTIVE;
	workspace.metadata = &meta;
	workspace.status = &status;
	packed = malloc(protobuf_c_message_get_packed_size(&workspace.base) + 1);
	labels = calloc(meta.n_labels + 1, sizeof(*labels));
	if (!packed || !labels)
		return error_set(err, -ENOMEM, "out of memory");
	for (; !r && object.labels < meta.n_labels; object.labels++)
		if (asprintf(&labels[object.labels], "%s=%s", meta.labels[object.labels]->key,
			     meta.labels[object.labels]->value) < 0)
			r = error_set(err, -ENOMEM, "out of memory");
	object.id = id;
	object.name = (char *)name;
	object.label = labels;
	object.payload = packed;
	object.payload_size = protobuf_c_message_pack(&workspace.base, packed);
	if (!r)
		r = store_insert(gateway->store, &object, err);
	for (size_t i = 0; i < meta.n_labels; i++)
		free(labels[i]);
	if (r == -EEXIST)
		error_set(err, r, "there is a workspace '%s' already", name);
	return r;
}

int workspace_init(struct gateway *gateway, struct error *err)
{
	int r = insert(gateway, WORKSPACE_DEFAULT, NULL, err);

	return r == -EEXIST ? 0 : r;
}

static WORKSPACE *unpack(const struct store_object *object)
{
	WORKSPACE *workspace = openshell__datamodel__v1__workspace__unpack(
		NULL, object->payload_size, object->payload);

	if (workspace && workspace->metadata) {
		workspace->metadata->created_at_ms = object->created_ms;
		workspace->metadata->resource_version = object->version;
	}
	return workspace;
}

static int get(struct gateway *gateway, const char *name, WORKSPACE **ret_workspace,
	       struct store_object *ret_object, struct error *err)
{
	int r;

	if (!*name)
		return error_set(err, -EINVAL, "which workspace? its name is missing");
	r = store_get(gateway->store, STORE_WORKSPACE, "", name, ret_object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no workspace '%s'", name);
	if (r)
		return r;
	*ret_workspace = unpack(ret_object);
	if (*ret_workspace)
		return 0;
	store_object_clear(ret_object);
	return error_set(err, -EIO, "the record of workspace '%s' is damaged", name);
}

static void create(struct request *request)
{
	const Openshell__V1__CreateWorkspaceRequest *message = (const void *)request->message;
	Openshell__V1__CreateWorkspaceResponse response =
		OPENSHELL__V1__CREATE_WORKSPACE_RESPONSE__INIT;
	struct store_object object = {};
	WORKSPACE *workspace = NULL;
	struct error err = {};
	int r = *message->name ? 0 : error_set(&err, -EINVAL, "a workspace has a name");

	if (!r && strstr(message->name, "--"))
		r = error_set(&err, -EINVAL, "a workspace's name has no '--' in it");
	if (!r)
		r = insert(request->gateway, message->name, message, &err);
	if (!r)
		r = get(request->gateway, message->name, &workspace, &object, &err);
	if (r) {
		request_fail_error(request, &err);
		return;
	}
	response.workspace = workspace;
	request_reply(request, &response.base);
	openshell__datamodel__v1__workspace__free_unpacked(workspace, NULL);
	store_object_clear(&object);
}

static void get_workspace(struct request *request)
{
	const Openshell__V1__GetWorkspaceRequest *message = (const void *)request->message;
	Openshell__V1__GetWorkspaceResponse response = OPENSHELL__V1__GET_WORKSPACE_RESPONSE__INIT;
	struct store_object object = {};
	WORKSPACE *workspace;
	struct error err = {};

	if (get(request->gateway, message->name, &workspace, &object, &err)) {
		request_fail_error(request, &err);
		return;
	}
	response.workspace = workspace;
	request_reply(request, &response.base);
	openshell__datamodel__v1__workspace__free_unpacked(workspace, NULL);
	store_object_clear(&object);
}

/* Of those that the caller is in. */
static void list(struct request *request)
{
	const Openshell__V1__ListWorkspacesRequest *message = (const void *)request->message;
	Openshell__V1__ListWorkspacesResponse response =
		OPENSHELL__V1__LIST_WORKSPACES_RESPONSE__INIT;
	const struct store_query query = {
		.kind = STORE_WORKSPACE,
		.workspace = "",
		.selector = message->label_selector,
	};
	struct store_list list = {};
	struct error err = {};
	uint32_t skip = message->offset;
	int r = store_list(request->gateway->store, &query, &list, &err);

	if (!r) {
		response.workspaces = calloc(list.count + 1, sizeof(*response.workspaces));
		if (!response.workspaces)
			r = error_set(&err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; !r && i < list.count; i++) {
		WORKSPACE *workspace;

		if (authority_allows(request->gateway->authority, request->principal,
				     request->method, list.items[i].name, NULL, NULL))
			continue;
		if (skip) {
			skip--;
			continue;
		}
		if (message->limit && response.n_workspaces == message->limit)
			break;
		workspace = unpack(&list.items[i]);
		if (workspace)
			response.workspaces[response.n_workspaces++] = workspace;
	}
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_workspaces; i++)
		openshell__datamodel__v1__workspace__free_unpacked(response.workspaces[i], NULL);
	free(response.workspaces);
	store_list_clear(&list);
}

/* What is in it has to go first, by somebody who knows what it is. */
static int check_empty(struct gateway *gateway, const char *name, struct error *err)
{
	static const struct {
		enum store_kind kind;
		const char *what;
	} kinds[] = {
		{STORE_SANDBOX, "sandboxes"},
		{STORE_PROVIDER, "providers"},
		{STORE_INFERENCE_ROUTE, "routes of inference.local"},
		{STORE_PROFILE, "provider profiles"},
	};
	uint64_t count;
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_LEN(kinds); i++) {
		r = store_count(gateway->store, kinds[i].kind, name, &count, err);
		if (!r && count)
			r = error_set(err, -EBUSY, "workspace '%s' has %llu %s: delete them first",
				      name, (unsigned long long)count, kinds[i].what);
	}
	return r;
}

static int delete_all(struct gateway *gateway, const char *name, const char *id, struct error *err)
{
	const struct store_query query = {.kind = STORE_MEMBER, .workspace = name};
	struct store_list list;
	int r = store_begin(gateway->store, err);

	if (r)
		return r;
	r = check_empty(gateway, name, err);
	if (!r)
		r = store_list(gateway->store, &query, &list, err);
	if (!r) {
		for (size_t i = 0; !r && i < list.count; i++)
			r = store_delete(gateway->store, STORE_MEMBER, list.items[i].id, 0, err);
		store_list_clear(&list);
	}
	if (!r)
		r = store_delete(gateway->store, STORE_WORKSPACE, id, 0, err);
	if (!r)
		return store_commit(gateway->store, err);
	store_rollback(gateway->store);
	return r;
}

static void delete (struct request *request)
{
	const Openshell__V1__DeleteWorkspaceRequest *message = (const void *)request->message;
	Openshell__V1__DeleteWorkspaceResponse response =
		OPENSHELL__V1__DELETE_WORKSPACE_RESPONSE__INIT;
	struct store_object object = {};
	WORKSPACE *workspace = NULL;
	struct error err = {};
	int r = get(request->gateway, message->name, &workspace, &object, &err);

	if (!r && !strcmp(message->name, WORKSPACE_DEFAULT))
		r = error_set(&err, -EBUSY, "the workspace '%s' stays", WORKSPACE_DEFAULT);
	if (!r)
		r = delete_all(request->gateway, message->name, object.id, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.deleted = true;
		request_reply(request, &response.base);
	}
	if (workspace)
		openshell__datamodel__v1__workspace__free_unpacked(workspace, NULL);
	store_object_clear(&object);
}

const struct handler workspace_handlers[] = {
	{RPC_CREATE_WORKSPACE, create},
	{RPC_GET_WORKSPACE, get_workspace},
	{RPC_LIST_WORKSPACES, list},
	{RPC_DELETE_WORKSPACE, delete},
	{RPC_ADD_WORKSPACE_MEMBER, member_add},
	{RPC_REMOVE_WORKSPACE_MEMBER, member_remove},
	{RPC_LIST_WORKSPACE_MEMBERS, member_list},
	{},
};
