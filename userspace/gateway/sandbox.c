/* SPDX-License-Identifier: Apache-2.0 */
/* Getting, listing, stopping, starting and deleting sandboxes. */
#include "gateway/sandbox_internal.h"

#include "common/cleanup.h"
#include "gateway/authority.h"
#include "gateway/journal.h"
#include "gateway/logs.h"
#include "gateway/nodes.h"
#include "gateway/policy_revision.h"
#include "gateway/sandbox_phase.h"
#include "gateway/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PHASE(name) OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name

void sandbox_reply(struct request *request, struct sandbox_record *record)
{
	Openshell__V1__SandboxResponse response = OPENSHELL__V1__SANDBOX_RESPONSE__INIT;

	response.sandbox = (Openshell__V1__Sandbox *)sandbox_record_message(record);
	request_reply(request, &response.base);
}

void sandbox_get(struct request *request)
{
	const Openshell__V1__GetSandboxRequest *message = (const void *)request->message;
	struct sandbox_record record = {};
	struct error err = {};

	if (sandbox_record_get(request->gateway, request->workspace, message->name, &record, &err))
		request_fail_error(request, &err);
	else
		sandbox_reply(request, &record);
	sandbox_record_clear(&record);
}

/* Of all workspaces those that the caller may see; each is asked about once. */
struct listing {
	struct request *request;
	Openshell__V1__Sandbox **items;
	struct sandbox_record *records;
	size_t count, capacity;
	uint32_t skip, limit;
	char workspace[64];
	bool may;
};

static bool may_see(struct listing *listing, const char *workspace)
{
	struct request *request = listing->request;

	if (strcmp(listing->workspace, workspace) != 0) {
		snprintf(listing->workspace, sizeof(listing->workspace), "%s", workspace);
		listing->may = !authority_allows(request->gateway->authority, request->principal,
						 request->method, workspace, NULL, NULL);
	}
	return listing->may;
}

static int add(struct listing *listing, struct sandbox_record *record)
{
	if (listing->count == listing->capacity) {
		size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
		void *items = reallocarray(listing->items, capacity, sizeof(*listing->items));
		void *records;

		if (!items)
			return -ENOMEM;
		listing->items = items;
		records = reallocarray(listing->records, capacity, sizeof(*listing->records));
		if (!records)
			return -ENOMEM;
		listing->records = records;
		listing->capacity = capacity;
	}
	listing->records[listing->count] = *record;
	*record = (struct sandbox_record){};
	listing->items[listing->count] = listing->records[listing->count].stored->sandbox;
	listing->count++;
	return 0;
}

static int visit(void *arg, struct sandbox_record *record)
{
	struct listing *listing = arg;

	if (!may_see(listing, record->object.workspace))
		return 0;
	if (listing->skip) {
		listing->skip--;
		return 0;
	}
	if (add(listing, record))
		return -ENOMEM;
	return listing->limit && listing->count == listing->limit ? 1 : 0;
}

static int unpack_all(struct listing *listing, struct store_list *list, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < list->count; i++) {
		struct sandbox_record record = {};

		r = sandbox_record_get_id(listing->request->gateway, list->items[i].id, &record,
					  err);
		if (!r)
			r = visit(listing, &record);
		sandbox_record_clear(&record);
	}
	return r > 0 ? 0 : r;
}

void sandbox_list(struct request *request)
{
	const Openshell__V1__ListSandboxesRequest *message = (const void *)request->message;
	Openshell__V1__ListSandboxesResponse response =
		OPENSHELL__V1__LIST_SANDBOXES_RESPONSE__INIT;
	struct listing listing = {
		.request = request,
		.skip = message->offset,
		.limit = message->limit,
	};
	const struct store_query query = {
		.kind = STORE_SANDBOX,
		.workspace = message->all_workspaces ? NULL : request->workspace,
		.selector = message->label_selector,
	};
	struct store_list list = {};
	struct error err = {};
	int r = store_list(request->gateway->store, &query, &list, &err);

	if (!r)
		r = unpack_all(&listing, &list, &err);
	if (r) {
		if (!err.code)
			error_set(&err, r, "out of memory");
		request_fail_error(request, &err);
	} else {
		response.sandboxes = listing.items;
		response.n_sandboxes = listing.count;
		request_reply(request, &response.base);
	}
	for (size_t i = 0; i < listing.count; i++)
		sandbox_record_clear(&listing.records[i]);
	free(listing.records);
	free(listing.items);
	store_list_clear(&list);
}

/* ---- changes ---- */

static int save(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	int r = sandbox_record_save(gateway, record, 0, err);

	if (!r) {
		nodes_sandbox_changed(gateway->nodes, record->object.id, NODE_CHANGE_SANDBOX);
		watch_sandbox_changed(gateway, record->object.id);
	}
	return r;
}

static int set_stopped(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	Openshell__V1__SandboxPhase phase = record->stored->sandbox->status->phase;

	if (record->stored->deleting)
		return error_set(err, -EBUSY, "the sandbox is being deleted");
	if (phase == PHASE(STOPPED) || phase == PHASE(STOPPING))
		return error_set(err, -EBUSY, "the sandbox is %s already",
				 sandbox_phase_name(phase));
	record->stored->stopped = true;
	if (sandbox_phase_set(record, PHASE(STOPPING), "Stopping", ""))
		return error_set(err, -ENOMEM, "out of memory");
	return save(gateway, record, err);
}

static int set_started(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	Openshell__V1__SandboxPhase phase = record->stored->sandbox->status->phase;

	if (record->stored->deleting)
		return error_set(err, -EBUSY, "the sandbox is being deleted");
	if (phase != PHASE(STOPPED) && phase != PHASE(ERROR))
		return error_set(err, -EBUSY,
				 "the sandbox is %s: only a stopped one can be started",
				 sandbox_phase_name(phase));
	if (!nodes_attached(gateway->nodes, record->stored->node))
		return error_set(err, -ENOTCONN, "its supervisor, %s, is not attached",
				 record->stored->node);
	record->stored->stopped = false;
	if (sandbox_phase_new_instance(record) ||
	    sandbox_phase_set(record, PHASE(STARTING), "Starting", ""))
		return error_set(err, -ENOMEM, "out of memory");
	return save(gateway, record, err);
}

static void change(struct request *request, const char *name, const char *what,
		   int (*set)(struct gateway *gateway, struct sandbox_record *record,
			      struct error *err))
{
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get(request->gateway, request->workspace, name, &record, &err);

	if (!r)
		r = set(request->gateway, &record, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		logs_gateway(request->gateway, record.object.id, "info", "%s", what);
		sandbox_reply(request, &record);
	}
	sandbox_record_clear(&record);
}

void sandbox_stop(struct request *request)
{
	const Openshell__V1__StopSandboxRequest *message = (const void *)request->message;

	change(request, message->name, "stopping", set_stopped);
}

void sandbox_start_again(struct request *request)
{
	const Openshell__V1__StartSandboxRequest *message = (const void *)request->message;

	change(request, message->name, "starting", set_started);
}

static int set_deleting(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	if (record->stored->deleting)
		return 0;
	record->stored->deleting = true;
	record->stored->sandbox->metadata->deletion_timestamp_ms = (int64_t)time(NULL) * 1000;
	if (sandbox_phase_set(record, PHASE(DELETING), "Deleting", ""))
		return error_set(err, -ENOMEM, "out of memory");
	return save(gateway, record, err);
}

void sandbox_delete(struct request *request)
{
	const Openshell__V1__DeleteSandboxRequest *message = (const void *)request->message;
	Openshell__V1__DeleteSandboxResponse response =
		OPENSHELL__V1__DELETE_SANDBOX_RESPONSE__INIT;
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get(request->gateway, request->workspace, message->name, &record,
				   &err);

	if (!r)
		r = set_deleting(request->gateway, &record, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.deleted = true;
		request_reply(request, &response.base);
	}
	sandbox_record_clear(&record);
}

/* Everything that belongs to it and to nothing else. */
static int forget_all(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	static const enum store_kind kinds[] = {STORE_SETTING, STORE_SERVICE, STORE_SSH_SESSION};
	int r = policy_revision_forget(gateway, record->object.id, err);

	for (size_t i = 0; !r && i < ARRAY_LEN(kinds); i++) {
		char prefix[128];
		const struct store_query query = {
			.kind = kinds[i],
			.name_prefix = kinds[i] == STORE_SSH_SESSION ? NULL : prefix,
			.workspace = kinds[i] == STORE_SSH_SESSION ? record->object.id
				     : kinds[i] == STORE_SERVICE   ? record->object.workspace
								   : NULL,
		};
		struct store_list list;

		snprintf(prefix, sizeof(prefix), "%s/",
			 kinds[i] == STORE_SERVICE ? record->object.name : record->object.id);
		r = store_list(gateway->store, &query, &list, err);
		if (r)
			break;
		for (size_t k = 0; !r && k < list.count; k++)
			r = store_delete(gateway->store, kinds[i], list.items[k].id, 0, err);
		store_list_clear(&list);
	}
	return r;
}

void sandbox_gone(struct gateway *gateway, const char *id)
{
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get_id(gateway, id, &record, &err);

	if (r == -ENOENT)
		return;
	if (!r)
		r = store_begin(gateway->store, &err);
	if (!r) {
		r = forget_all(gateway, &record, &err);
		if (!r)
			r = store_delete(gateway->store, STORE_SANDBOX, id, 0, &err);
		if (r)
			store_rollback(gateway->store);
		else
			r = store_commit(gateway->store, &err);
	}
	if (r) {
		journal(JOURNAL_ERROR, "sandbox %s cannot be forgotten: %s", id, err.message);
	} else {
		watch_sandbox_deleted(gateway, id);
		logs_forget(gateway, id);
	}
	sandbox_record_clear(&record);
}

const struct handler sandbox_handlers[] = {
	{RPC_CREATE_SANDBOX, sandbox_create},
	{RPC_GET_SANDBOX, sandbox_get},
	{RPC_LIST_SANDBOXES, sandbox_list},
	{RPC_DELETE_SANDBOX, sandbox_delete},
	{RPC_STOP_SANDBOX, sandbox_stop},
	{RPC_START_SANDBOX, sandbox_start_again},
	{RPC_LIST_SANDBOX_PROVIDERS, sandbox_list_providers},
	{RPC_ATTACH_SANDBOX_PROVIDER, sandbox_attach_provider},
	{RPC_DETACH_SANDBOX_PROVIDER, sandbox_detach_provider},
	{},
};
