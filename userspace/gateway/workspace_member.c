/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a workspace, and as what. */
#include "gateway/workspace.h"

#include "common/cleanup.h"
#include "gateway/request.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER	    Openshell__V1__WorkspaceMember
#define MEMBERS_MAX 10000

static MEMBER *unpack(const struct store_object *object)
{
	MEMBER *member = openshell__v1__workspace_member__unpack(NULL, object->payload_size,
								 object->payload);

	if (member && member->metadata) {
		member->metadata->created_at_ms = object->created_ms;
		member->metadata->resource_version = object->version;
	}
	return member;
}

static int check(const Openshell__V1__AddWorkspaceMemberRequest *message, struct error *err)
{
	if (!*message->principal_subject)
		return error_set(err, -EINVAL, "who? principal_subject is missing");
	if (message->role != OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_USER &&
	    message->role != OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_ADMIN)
		return error_set(err, -EINVAL, "role: USER or ADMIN");
	return 0;
}

void member_add(struct request *request)
{
	const Openshell__V1__AddWorkspaceMemberRequest *message = (const void *)request->message;
	Openshell__V1__AddWorkspaceMemberResponse response =
		OPENSHELL__V1__ADD_WORKSPACE_MEMBER_RESPONSE__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	MEMBER member = OPENSHELL__V1__WORKSPACE_MEMBER__INIT;
	struct store_object object = {.kind = STORE_MEMBER};
	uint8_t packed[1024];
	struct error err = {};
	uint64_t count;
	char id[37];
	int r = check(message, &err);

	if (!r)
		r = store_count(request->gateway->store, STORE_MEMBER, request->workspace, &count,
				&err);
	if (!r && count >= MEMBERS_MAX)
		r = error_set(&err, -ENOSPC, "a workspace has at most %d members", MEMBERS_MAX);
	if (!r) {
		store_make_id(id);
		meta.id = id;
		meta.workspace = (char *)request->workspace;
		member.metadata = &meta;
		member.principal_subject = message->principal_subject;
		member.role = message->role;
		object.id = id;
		object.workspace = (char *)request->workspace;
		object.name = message->principal_subject;
		object.payload = packed;
		object.payload_size = protobuf_c_message_pack(&member.base, packed);
		r = store_insert(request->gateway->store, &object, &err);
		if (r == -EEXIST)
			error_set(&err, r, "%s is a member already: remove it for another role",
				  message->principal_subject);
	}
	if (r) {
		request_fail_error(request, &err);
		return;
	}
	meta.created_at_ms = object.created_ms;
	meta.resource_version = object.version;
	response.member = &member;
	request_reply(request, &response.base);
}

void member_remove(struct request *request)
{
	const Openshell__V1__RemoveWorkspaceMemberRequest *message = (const void *)request->message;
	Openshell__V1__RemoveWorkspaceMemberResponse response =
		OPENSHELL__V1__REMOVE_WORKSPACE_MEMBER_RESPONSE__INIT;
	struct store_object object = {};
	struct error err = {};
	int r = store_get(request->gateway->store, STORE_MEMBER, request->workspace,
			  message->principal_subject, &object, &err);

	if (r == -ENOENT)
		error_set(&err, r, "%s is no member of workspace '%s'", message->principal_subject,
			  request->workspace);
	if (!r)
		r = store_delete(request->gateway->store, STORE_MEMBER, object.id, 0, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.removed = true;
		request_reply(request, &response.base);
	}
	store_object_clear(&object);
}

void member_list(struct request *request)
{
	const Openshell__V1__ListWorkspaceMembersRequest *message = (const void *)request->message;
	Openshell__V1__ListWorkspaceMembersResponse response =
		OPENSHELL__V1__LIST_WORKSPACE_MEMBERS_RESPONSE__INIT;
	const struct store_query query = {
		.kind = STORE_MEMBER,
		.workspace = request->workspace,
		.limit = message->limit,
		.offset = message->offset,
	};
	struct store_list list = {};
	struct error err = {};
	int r = store_list(request->gateway->store, &query, &list, &err);

	if (!r) {
		response.members = calloc(list.count + 1, sizeof(*response.members));
		if (!response.members)
			r = error_set(&err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; !r && i < list.count; i++) {
		MEMBER *member = unpack(&list.items[i]);

		if (member)
			response.members[response.n_members++] = member;
	}
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_members; i++)
		openshell__v1__workspace_member__free_unpacked(response.members[i], NULL);
	free(response.members);
	store_list_clear(&list);
}
