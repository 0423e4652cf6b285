/* SPDX-License-Identifier: Apache-2.0 */
/* What holds: revisions of policies, settings, and both together for a sandbox. */
#include "gateway/policy_internal.h"

#include "common/cleanup.h"
#include "gateway/policy_revision.h"
#include "gateway/policy_store.h"
#include "gateway/sandbox_record.h"
#include "gateway/setting.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100

/* Whose revisions: *ret_owner lives as long as the record. */
static int find_owner(struct request *request, bool global, const char *name,
		      struct sandbox_record *record, const char **ret_owner, struct error *err)
{
	int r;

	if (global) {
		*ret_owner = POLICY_OWNER_GLOBAL;
		return 0;
	}
	r = sandbox_record_get(request->gateway, request->workspace, name, record, err);
	*ret_owner = record->object.id;
	return r;
}

void policy_get_status(struct request *request)
{
	const Openshell__V1__GetSandboxPolicyStatusRequest *message =
		(const void *)request->message;
	Openshell__V1__GetSandboxPolicyStatusResponse response =
		OPENSHELL__V1__GET_SANDBOX_POLICY_STATUS_RESPONSE__INIT;
	struct sandbox_record record = {};
	struct policy_stored revision = {}, active = {};
	struct error err = {};
	const char *owner;
	int r = find_owner(request, message->global, message->name, &record, &owner, &err);

	if (!r)
		r = policy_store_get(request->gateway, owner, message->version, &revision, &err);
	if (!r && message->global && !policy_store_global(request->gateway, &active, NULL))
		response.active_version = active.stored->revision->version;
	if (!r && !message->global)
		response.active_version = record.stored->sandbox->status->current_policy_version;
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.revision = revision.stored->revision;
		request_reply(request, &response.base);
	}
	policy_stored_clear(&revision);
	policy_stored_clear(&active);
	sandbox_record_clear(&record);
}

void policy_list(struct request *request)
{
	const Openshell__V1__ListSandboxPoliciesRequest *message = (const void *)request->message;
	Openshell__V1__ListSandboxPoliciesResponse response =
		OPENSHELL__V1__LIST_SANDBOX_POLICIES_RESPONSE__INIT;
	Openshell__V1__SandboxPolicyRevision *items[POLICY_REVISIONS_MAX + 16];
	struct policy_stored *list = NULL;
	struct sandbox_record record = {};
	struct error err = {};
	const char *owner;
	size_t count = 0;
	uint32_t limit = message->limit ? message->limit : LIMIT_DEFAULT;
	int r = find_owner(request, message->global, message->name, &record, &owner, &err);

	if (limit > ARRAY_LEN(items))
		limit = ARRAY_LEN(items);
	if (!r)
		r = policy_store_list(request->gateway, owner, limit, message->offset, &list,
				      &count, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		for (size_t i = 0; i < count; i++)
			items[i] = list[i].stored->revision;
		response.revisions = items;
		response.n_revisions = count;
		request_reply(request, &response.base);
	}
	for (size_t i = 0; i < count; i++)
		policy_stored_clear(&list[i]);
	free(list);
	sandbox_record_clear(&record);
}

/* The policy in force, and where it is from. */
static int effective_policy(struct gateway *gateway, const struct sandbox_record *record,
			    Openshell__Sandbox__V1__GetSandboxConfigResponse *response,
			    struct policy_stored *revision, struct error *err)
{
	int r = policy_store_global(gateway, revision, err);

	if (!r) {
		response->policy_source =
			OPENSHELL__SANDBOX__V1__POLICY_SOURCE__POLICY_SOURCE_GLOBAL;
		response->global_policy_version = revision->stored->revision->version;
	} else if (r == -ENOENT) {
		response->policy_source =
			OPENSHELL__SANDBOX__V1__POLICY_SOURCE__POLICY_SOURCE_SANDBOX;
		r = policy_store_get(gateway, record->object.id, record->stored->policy_version,
				     revision, err);
	}
	if (r)
		return r;
	response->policy = revision->stored->revision->policy;
	response->policy_hash = revision->stored->revision->policy_hash;
	response->version = revision->stored->revision->version;
	return 0;
}

void policy_get_sandbox_config(struct request *request)
{
	const Openshell__Sandbox__V1__GetSandboxConfigRequest *message =
		(const void *)request->message;
	Openshell__Sandbox__V1__GetSandboxConfigResponse response =
		OPENSHELL__SANDBOX__V1__GET_SANDBOX_CONFIG_RESPONSE__INIT;
	Openshell__Sandbox__V1__GetSandboxConfigResponse__SettingsEntry entries[SETTINGS_MAX],
		*list[SETTINGS_MAX];
	Openshell__Sandbox__V1__EffectiveSetting effective[SETTINGS_MAX];
	const char *id = message->sandbox_id;
	struct sandbox_record record = {};
	struct policy_stored revision = {};
	struct settings settings = {};
	struct error err = {};
	int r;

	if (!*id && request->principal->kind == PRINCIPAL_SANDBOX)
		id = request->principal->subject;
	r = sandbox_record_get_id(request->gateway, id, &record, &err);
	if (!r)
		r = effective_policy(request->gateway, &record, &response, &revision, &err);
	if (!r)
		r = settings_get(request->gateway, id, &settings, &err);
	for (size_t i = 0; !r && i < settings.count; i++) {
		openshell__sandbox__v1__get_sandbox_config_response__settings_entry__init(
			&entries[i]);
		openshell__sandbox__v1__effective_setting__init(&effective[i]);
		effective[i].value = settings.item[i].value;
		effective[i].scope =
			settings.item[i].global
				? OPENSHELL__SANDBOX__V1__SETTING_SCOPE__SETTING_SCOPE_GLOBAL
				: OPENSHELL__SANDBOX__V1__SETTING_SCOPE__SETTING_SCOPE_SANDBOX;
		entries[i].key = (char *)settings.item[i].key;
		entries[i].value = &effective[i];
		list[i] = &entries[i];
	}
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.settings = list;
		response.n_settings = settings.count;
		response.config_revision = record.object.version + settings.revision;
		response.provider_env_revision = record.stored->credentials_revision;
		response.workspace = record.object.workspace;
		request_reply(request, &response.base);
	}
	settings_clear(&settings);
	policy_stored_clear(&revision);
	sandbox_record_clear(&record);
}

void policy_get_gateway_config(struct request *request)
{
	Openshell__Sandbox__V1__GetGatewayConfigResponse response =
		OPENSHELL__SANDBOX__V1__GET_GATEWAY_CONFIG_RESPONSE__INIT;
	Openshell__Sandbox__V1__GetGatewayConfigResponse__SettingsEntry entries[SETTINGS_MAX],
		*list[SETTINGS_MAX];
	struct settings settings = {};
	struct error err = {};

	if (settings_get(request->gateway, NULL, &settings, &err)) {
		request_fail_error(request, &err);
		return;
	}
	for (size_t i = 0; i < settings.count; i++) {
		openshell__sandbox__v1__get_gateway_config_response__settings_entry__init(
			&entries[i]);
		entries[i].key = (char *)settings.item[i].key;
		entries[i].value = settings.item[i].value;
		list[i] = &entries[i];
	}
	response.settings = list;
	response.n_settings = settings.count;
	response.settings_revision = settings.revision;
	request_reply(request, &response.base);
	settings_clear(&settings);
}

/* By a sandbox itself, as the published supervisors do. */
void policy_report_status(struct request *request)
{
	const Openshell__V1__ReportPolicyStatusRequest *message = (const void *)request->message;
	Openshell__V1__ReportPolicyStatusResponse response =
		OPENSHELL__V1__REPORT_POLICY_STATUS_RESPONSE__INIT;
	Openshell__Node__V1__PolicyReport report = OPENSHELL__NODE__V1__POLICY_REPORT__INIT;

	if (message->status != OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_LOADED &&
	    message->status != OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_FAILED) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "the status is LOADED or FAILED");
		return;
	}
	report.sandbox_id = request->principal->subject;
	report.version = message->version & ~POLICY_GLOBAL_BIT;
	report.loaded = message->status == OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_LOADED;
	report.error = message->load_error;
	policy_revision_reported(request->gateway, &report);
	request_reply(request, &response.base);
}

const struct handler policy_handlers[] = {
	{RPC_UPDATE_CONFIG, policy_update_config},
	{RPC_GET_SANDBOX_POLICY_STATUS, policy_get_status},
	{RPC_LIST_SANDBOX_POLICIES, policy_list},
	{RPC_GET_SANDBOX_CONFIG, policy_get_sandbox_config},
	{RPC_GET_GATEWAY_CONFIG, policy_get_gateway_config},
	{RPC_REPORT_POLICY_STATUS, policy_report_status},
	{},
};
