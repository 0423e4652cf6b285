/* SPDX-License-Identifier: Apache-2.0 */
/* openshell workspace create, get, list, delete, member. */
#include "cli/client.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

/* A call whose answer is printed as a sentence, or as it is. */
static int simple(struct command_call *call, enum rpc_id method, void *request, const char *done)
{
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_unary(&client, method, request, &response);
	if (!r) {
		if (!output_message(call, response, &r))
			printf("%s %s\n", done, call->words[call->count - 1]);
		protobuf_c_message_free_unpacked(response, NULL);
	}
	client_close(&client);
	return r;
}

static int create(struct command_call *call)
{
	Openshell__V1__CreateWorkspaceRequest request =
		OPENSHELL__V1__CREATE_WORKSPACE_REQUEST__INIT;

	request.name = call->words[0];
	return simple(call, RPC_CREATE_WORKSPACE, &request, "created");
}

static int get(struct command_call *call)
{
	Openshell__V1__GetWorkspaceRequest request = OPENSHELL__V1__GET_WORKSPACE_REQUEST__INIT;

	request.name = call->words[0];
	return simple(call, RPC_GET_WORKSPACE, &request, "workspace");
}

static int delete (struct command_call *call)
{
	Openshell__V1__DeleteWorkspaceRequest request =
		OPENSHELL__V1__DELETE_WORKSPACE_REQUEST__INIT;

	request.name = call->words[0];
	return simple(call, RPC_DELETE_WORKSPACE, &request, "deleted");
}

static int list(struct command_call *call)
{
	Openshell__V1__ListWorkspacesRequest request = OPENSHELL__V1__LIST_WORKSPACES_REQUEST__INIT;
	static const char *const heads[] = {"NAME", "AGE"};
	Openshell__V1__ListWorkspacesResponse *response;
	struct output_table table = {.heads = heads, .columns = 2};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = client_unary(&client, RPC_LIST_WORKSPACES, &request, (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_workspaces; i++) {
			char age[16];

			output_add(
				&table, response->workspaces[i]->metadata->name,
				output_age(response->workspaces[i]->metadata->created_at_ms, age));
		}
		if (!output_message(call, &response->base, &r))
			output_print(&table);
		output_clear(&table);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int member_add(struct command_call *call)
{
	Openshell__V1__AddWorkspaceMemberRequest request =
		OPENSHELL__V1__ADD_WORKSPACE_MEMBER_REQUEST__INIT;
	const char *role = call->o.role ? call->o.role : "user";

	if (strcmp(role, "user") && strcmp(role, "admin"))
		return command_usage(call, "--role: user or admin");
	request.workspace = call->words[0];
	request.principal_subject = call->words[1];
	request.role = *role == 'a' ? OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_ADMIN
				    : OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_USER;
	return simple(call, RPC_ADD_WORKSPACE_MEMBER, &request, "added");
}

static int member_remove(struct command_call *call)
{
	Openshell__V1__RemoveWorkspaceMemberRequest request =
		OPENSHELL__V1__REMOVE_WORKSPACE_MEMBER_REQUEST__INIT;

	request.workspace = call->words[0];
	request.principal_subject = call->words[1];
	return simple(call, RPC_REMOVE_WORKSPACE_MEMBER, &request, "removed");
}

static int member_list(struct command_call *call)
{
	Openshell__V1__ListWorkspaceMembersRequest request =
		OPENSHELL__V1__LIST_WORKSPACE_MEMBERS_REQUEST__INIT;
	static const char *const heads[] = {"SUBJECT", "ROLE"};
	Openshell__V1__ListWorkspaceMembersResponse *response;
	struct output_table table = {.heads = heads, .columns = 2};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.workspace = call->words[0];
	r = client_unary(&client, RPC_LIST_WORKSPACE_MEMBERS, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_members; i++)
			output_add(&table, response->members[i]->principal_subject,
				   output_enum(&openshell__v1__workspace_role__descriptor,
					       (int)response->members[i]->role, "WORKSPACE_ROLE_"));
		if (!output_message(call, &response->base, &r))
			output_print(&table);
		output_clear(&table);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static const struct option_row member_rows[] = {
	ROW_STRING("role", 0, role, "user|admin", "as what [user]"),
};

const struct command workspace_commands[] = {
	{"workspace", "create", "NAME", 1, 1, create, "make a workspace", NO_ROWS},
	{"workspace", "get", "NAME", 1, 1, get, "show one", NO_ROWS},
	{"workspace", "list", NULL, 0, 0, list, "list those that you are in", NO_ROWS},
	{"workspace", "delete", "NAME", 1, 1, delete, "delete an empty one", NO_ROWS},
	{"workspace", "member add", "NAME SUBJECT", 2, 2, member_add, "let somebody in",
	 ROWS(member_rows)},
	{"workspace", "member remove", "NAME SUBJECT", 2, 2, member_remove, "no more", NO_ROWS},
	{"workspace", "member list", "NAME", 1, 1, member_list, "who is in it", NO_ROWS},
	{},
};
