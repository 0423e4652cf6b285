/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateConfig: another policy, operations on the one there is, or a setting. */
#include "gateway/policy_internal.h"

#include "common/cleanup.h"
#include "common/policy_merge.h"
#include "gateway/logs.h"
#include "gateway/nodes.h"
#include "gateway/policy_store.h"
#include "gateway/sandbox_record.h"
#include "gateway/setting.h"
#include "gateway/watch.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOTES_MAX      64
#define OPERATIONS_MAX 256
#define POLICY_KEY     "policy" /* deleting this global setting deletes the global policy */

struct update {
	struct request *request;
	struct gateway *gateway;
	const Openshell__V1__UpdateConfigRequest *message;
	struct sandbox_record record; /* of one sandbox */
	bool global;
	Openshell__V1__UpdateConfigResponse response;
	char hash[65];
};

/* ---- policies ---- */

static const char *owner_of(const struct update *update)
{
	return update->global ? POLICY_OWNER_GLOBAL : update->record.object.id;
}

static void answer(struct update *update, const struct policy_stored *revision)
{
	update->response.version = revision->stored->revision->version;
	snprintf(update->hash, sizeof(update->hash), "%s", revision->stored->revision->policy_hash);
	update->response.policy_hash = update->hash;
}

/* Add it unless it means what the newest one means. */
static int add_revision(struct update *update, const Openshell__Sandbox__V1__SandboxPolicy *policy,
			uint32_t newest, bool superseded, const char *newest_hash, bool *ret_new,
			struct error *err)
{
	const Openshell__V1__UpdateConfigRequest *m = update->message;
	struct policy_note notes[NOTES_MAX];
	struct policy_stored revision = {};
	size_t count = 0;
	int r;

	if (m->n_annotations > NOTES_MAX)
		return error_set(err, -EINVAL, "more than %d annotations", NOTES_MAX);
	for (; count < m->n_annotations; count++)
		notes[count] = (struct policy_note){m->annotations[count]->key,
						    m->annotations[count]->value};
	r = policy_store_add(update->gateway, owner_of(update), newest + 1, policy, notes, count,
			     &revision, err);
	if (r)
		return r;
	if (!superseded && newest_hash &&
	    !strcmp(newest_hash, revision.stored->revision->policy_hash)) {
		policy_stored_clear(&revision);
		return -EALREADY;
	}
	answer(update, &revision);
	*ret_new = true;
	policy_stored_clear(&revision);
	return 0;
}

static int save_record(struct update *update, uint32_t version, struct error *err)
{
	if (update->global)
		return 0;
	update->record.stored->policy_version = version;
	return sandbox_record_save(update->gateway, &update->record,
				   update->message->expected_resource_version, err);
}

/* Inside a transaction, which is rolled back when it is the same policy again. */
static int change_policy(struct update *update, bool *ret_new, struct error *err)
{
	const Openshell__V1__UpdateConfigRequest *m = update->message;
	Openshell__Sandbox__V1__SandboxPolicy *merged = NULL;
	const Openshell__Sandbox__V1__SandboxPolicy *policy = m->policy;
	struct policy_stored newest = {};
	Openshell__V1__SandboxPolicyRevision *r1 = NULL;
	int r = policy_store_get(update->gateway, owner_of(update), 0, &newest, err);

	if (r && (r != -ENOENT || (m->n_merge_operations && update->global)))
		return r;
	if (!r)
		r1 = newest.stored->revision;
	r = 0;
	if (m->n_merge_operations) {
		merged = r1->policy;
		r = policy_merge(merged, m->merge_operations, m->n_merge_operations, err);
		policy = merged;
	}
	if (!r)
		r = add_revision(
			update, policy, r1 ? r1->version : 0,
			r1 && r1->status == OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_SUPERSEDED,
			r1 ? r1->policy_hash : NULL, ret_new, err);
	if (!r)
		r = save_record(update, update->response.version, err);
	if (r == -EALREADY)
		answer(update, &newest);
	policy_stored_clear(&newest);
	return r;
}

/* Where credentials may go is the policy's to say too. */
static unsigned int changes_of(const struct sandbox_record *record)
{
	return record->stored->sandbox->spec->n_providers
		       ? NODE_CHANGE_POLICY | NODE_CHANGE_CREDENTIALS
		       : NODE_CHANGE_POLICY;
}

static int tell_node(void *arg, struct sandbox_record *record)
{
	struct gateway *gateway = arg;

	nodes_sandbox_changed(gateway->nodes, record->object.id, changes_of(record));
	return 0;
}

static void tell(struct update *update)
{
	if (update->global) {
		(void)sandbox_record_each(update->gateway, NULL, tell_node, update->gateway, NULL);
		return;
	}
	nodes_sandbox_changed(update->gateway->nodes, update->record.object.id,
			      changes_of(&update->record));
	logs_gateway(update->gateway, update->record.object.id, "info", "policy %u was set by %s",
		     update->response.version, update->request->principal->subject);
	watch_sandbox_changed(update->gateway, update->record.object.id);
}

static int update_policy(struct update *update, struct error *err)
{
	bool is_new = false;
	int r;

	if (update->message->n_merge_operations > OPERATIONS_MAX)
		return error_set(err, -EINVAL, "more than %d operations", OPERATIONS_MAX);
	r = store_begin(update->gateway->store, err);
	if (r)
		return r;
	r = change_policy(update, &is_new, err);
	if (r) {
		store_rollback(update->gateway->store);
		return r == -EALREADY ? 0 : r;
	}
	r = store_commit(update->gateway->store, err);
	if (!r && is_new)
		tell(update);
	return r;
}

static int delete_global_policy(struct update *update, struct error *err)
{
	struct policy_stored revision = {};
	int r = policy_store_global(update->gateway, &revision, err);

	if (r == -ENOENT)
		return 0;
	if (r)
		return r;
	revision.stored->revision->status = OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_SUPERSEDED;
	r = policy_store_save(update->gateway, &revision, err);
	policy_stored_clear(&revision);
	if (r)
		return r;
	update->response.deleted = true;
	tell(update);
	return 0;
}

/* ---- settings ---- */

static int update_setting(struct update *update, struct error *err)
{
	const Openshell__V1__UpdateConfigRequest *m = update->message;
	bool existed = false;
	int r;

	if (update->global && m->delete_setting && !strcmp(m->setting_key, POLICY_KEY))
		return delete_global_policy(update, err);
	if (!m->delete_setting && !m->setting_value)
		return error_set(err, -EINVAL, "setting_value is missing");
	r = setting_change(update->gateway, update->global ? NULL : update->record.object.id,
			   m->setting_key, m->delete_setting ? NULL : m->setting_value, &existed,
			   &update->response.settings_revision, err);
	update->response.deleted = existed;
	return r;
}

/* ---- which ---- */

static int check(struct update *update, struct error *err)
{
	const Openshell__V1__UpdateConfigRequest *m = update->message;
	const struct principal *principal = update->request->principal;
	int what = !!m->policy + !!m->n_merge_operations + !!*m->setting_key;

	if (principal->kind != PRINCIPAL_USER)
		return error_set(err, -EACCES, "a sandbox may not change what holds for it");
	if (what != 1)
		return error_set(
			err, -EINVAL,
			"a policy, merge_operations or a setting_key: exactly one of them");
	if (m->delete_setting && !*m->setting_key)
		return error_set(err, -EINVAL, "delete_setting wants a setting_key");
	if (m->global && *m->name)
		return error_set(err, -EINVAL, "either a sandbox's name or global, not both");
	if (m->global && !principal_has_role(principal, "platform_admin"))
		return error_set(err, -EACCES,
				 "only platform administrators may change what holds for all");
	return 0;
}

static int find(struct update *update, struct error *err)
{
	uint64_t expected = update->message->expected_resource_version;
	int r;

	if (update->global)
		return 0;
	r = sandbox_record_get(update->gateway, update->request->workspace, update->message->name,
			       &update->record, err);
	if (r)
		return r;
	if (update->record.stored->deleting)
		return error_set(err, -EBUSY, "the sandbox is being deleted");
	if (expected && expected != update->record.object.version)
		return error_set(err, -ESTALE,
				 "it was changed meanwhile: resource_version is %llu, not %llu",
				 (unsigned long long)update->record.object.version,
				 (unsigned long long)expected);
	return 0;
}

void policy_update_config(struct request *request)
{
	struct update update = {
		.request = request,
		.gateway = request->gateway,
		.message = (const void *)request->message,
		.response = OPENSHELL__V1__UPDATE_CONFIG_RESPONSE__INIT,
	};
	struct error err = {};
	int r;

	update.global = update.message->global;
	update.response.policy_hash = update.hash;
	r = check(&update, &err);
	if (!r)
		r = find(&update, &err);
	if (!r)
		r = *update.message->setting_key ? update_setting(&update, &err)
						 : update_policy(&update, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		/* The entries look the same in memory. */
		update.response.annotations =
			(Openshell__V1__UpdateConfigResponse__AnnotationsEntry **)
				update.message->annotations;
		update.response.n_annotations = update.message->n_annotations;
		request_reply(request, &update.response.base);
	}
	sandbox_record_clear(&update.record);
}
