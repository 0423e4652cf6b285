/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy_revision.h"

#include "common/cleanup.h"
#include "gateway/journal.h"
#include "gateway/logs.h"
#include "gateway/policy_store.h"
#include "gateway/replace_string.h"
#include "gateway/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STATUS(name) OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_##name

int policy_revision_first(struct gateway *gateway, struct sandbox_record *record,
			  const Openshell__Sandbox__V1__SandboxPolicy *policy, struct error *err)
{
	struct policy_stored revision = {};
	int r = policy_store_add(gateway, record->object.id, 1, policy, NULL, 0, &revision, err);

	if (!r)
		record->stored->policy_version = 1;
	policy_stored_clear(&revision);
	return r;
}

static int to_node(const struct policy_stored *revision, const char *sandbox_id, uint32_t bit,
		   Openshell__Node__V1__Policy **ret_policy)
{
	Openshell__Node__V1__Policy *policy = malloc(sizeof(*policy));
	const Openshell__Stored__V1__PolicyRevision *stored = revision->stored;

	if (!policy)
		return -ENOMEM;
	openshell__node__v1__policy__init(policy);
	policy->version = stored->revision->version | bit;
	policy->sandbox_id = strdup(sandbox_id);
	policy->compiled.data = malloc(stored->compiled.len + 1);
	policy->digest.data = malloc(stored->digest.len + 1);
	if (!policy->sandbox_id || !policy->compiled.data || !policy->digest.data) {
		openshell__node__v1__policy__free_unpacked(policy, NULL);
		return -ENOMEM;
	}
	policy->compiled.len = stored->compiled.len;
	policy->digest.len = stored->digest.len;
	memcpy(policy->compiled.data, stored->compiled.data, stored->compiled.len);
	memcpy(policy->digest.data, stored->digest.data, stored->digest.len);
	*ret_policy = policy;
	return 0;
}

int policy_revision_current(struct gateway *gateway, const struct sandbox_record *record,
			    Openshell__Node__V1__Policy **ret_policy, struct error *err)
{
	struct policy_stored revision = {};
	uint32_t bit = POLICY_GLOBAL_BIT;
	int r = policy_store_global(gateway, &revision, err);

	if (r == -ENOENT) {
		bit = 0;
		r = policy_store_get(gateway, record->object.id, record->stored->policy_version,
				     &revision, err);
	}
	if (!r && to_node(&revision, record->object.id, bit, ret_policy))
		r = error_set(err, -ENOMEM, "out of memory");
	policy_stored_clear(&revision);
	return r;
}

/* What was loaded stays so; a failure is told once. */
static int set_status(struct gateway *gateway, const char *owner,
		      const Openshell__Node__V1__PolicyReport *report, uint32_t version,
		      struct error *err)
{
	struct policy_stored revision = {};
	Openshell__V1__SandboxPolicyRevision *r1;
	struct timespec now;
	int r = policy_store_get(gateway, owner, version, &revision, err);

	if (r)
		return r;
	r1 = revision.stored->revision;
	if (r1->status == STATUS(SUPERSEDED) || (r1->status == STATUS(LOADED) && report->loaded)) {
		policy_stored_clear(&revision);
		return 0;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	r1->status = report->loaded ? STATUS(LOADED) : STATUS(FAILED);
	if (report->loaded)
		r1->loaded_at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	r = replace_string(&r1->load_error, report->loaded ? "" : report->error);
	if (!r)
		r = policy_store_save(gateway, &revision, err);
	if (!r && report->loaded)
		r = policy_store_supersede(gateway, owner, version, true, err);
	policy_stored_clear(&revision);
	return r;
}

static int set_current(struct gateway *gateway, const char *id, uint32_t version, struct error *err)
{
	struct sandbox_record record = {};
	int r = sandbox_record_get_id(gateway, id, &record, err);

	if (!r && record.stored->sandbox->status->current_policy_version != version) {
		record.stored->sandbox->status->current_policy_version = version;
		r = sandbox_record_save(gateway, &record, 0, err);
	}
	sandbox_record_clear(&record);
	return r;
}

void policy_revision_reported(struct gateway *gateway,
			      const Openshell__Node__V1__PolicyReport *report)
{
	uint32_t version = report->version & ~POLICY_GLOBAL_BIT;
	bool global = report->version & POLICY_GLOBAL_BIT;
	struct error err = {};
	int r = store_begin(gateway->store, &err);

	if (!r) {
		r = set_status(gateway, global ? POLICY_OWNER_GLOBAL : report->sandbox_id, report,
			       version, &err);
		if (!r && report->loaded)
			r = set_current(gateway, report->sandbox_id, version, &err);
		if (r)
			store_rollback(gateway->store);
		else
			r = store_commit(gateway->store, &err);
	}
	if (r) {
		journal(JOURNAL_ERROR, "sandbox %s: the state of its policy cannot be written: %s",
			report->sandbox_id, err.message);
		return;
	}
	if (report->loaded)
		logs_gateway(gateway, report->sandbox_id, "info", "%spolicy %u is in force",
			     global ? "global " : "", version);
	else
		logs_gateway(gateway, report->sandbox_id, "error",
			     "%spolicy %u was not loaded, the last one stays: %s",
			     global ? "global " : "", version, report->error);
	watch_event(gateway, report->sandbox_id, "supervisor",
		    report->loaded ? "Normal" : "Warning",
		    report->loaded ? "PolicyLoaded" : "PolicyFailed", report->error);
	watch_sandbox_changed(gateway, report->sandbox_id);
}

int policy_revision_forget(struct gateway *gateway, const char *sandbox_id, struct error *err)
{
	char prefix[64];
	const struct store_query query = {
		.kind = STORE_POLICY_REVISION,
		.workspace = "",
		.name_prefix = prefix,
	};
	struct store_list list;
	int r;

	snprintf(prefix, sizeof(prefix), "%s/", sandbox_id);
	r = store_list(gateway->store, &query, &list, err);
	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++)
		r = store_delete(gateway->store, STORE_POLICY_REVISION, list.items[i].id, 0, err);
	store_list_clear(&list);
	return r;
}
