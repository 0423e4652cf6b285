/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/profile.h"

#include "common/cleanup.h"
#include "gateway/profile_store.h"
#include "gateway/provider_change.h"
#include "gateway/provider_profile_wire.h"
#include "gateway/replace_string.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIAGNOSTIC   Openshell__V1__ProviderProfileDiagnostic
#define ITEMS_MAX    100
#define FINDINGS_MAX 500

struct findings {
	DIAGNOSTIC **items;
	size_t count, errors;
};

static void add_finding(struct findings *findings,
			const Openshell__V1__ProviderProfileImportItem *item, const char *field,
			const char *message, bool error)
{
	DIAGNOSTIC **grown, *d;

	findings->errors += error;
	if (findings->count == FINDINGS_MAX)
		return;
	grown = reallocarray(findings->items, findings->count + 1, sizeof(*grown));
	if (!grown)
		return;
	findings->items = grown;
	d = malloc(sizeof(*d));
	if (!d)
		return;
	openshell__v1__provider_profile_diagnostic__init(d);
	grown[findings->count++] = d;
	(void)replace_string(&d->source, item->source);
	(void)replace_string(&d->profile_id, item->profile ? item->profile->id : "");
	(void)replace_string(&d->field, field);
	(void)replace_string(&d->message, message);
	(void)replace_string(&d->severity, error ? "error" : "warning");
}

static void findings_clear(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		openshell__v1__provider_profile_diagnostic__free_unpacked(findings->items[i], NULL);
	free(findings->items);
}

static void lint(const Openshell__V1__ProviderProfileImportItem *item, struct findings *findings)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	_cleanup_diagnostics_ struct diagnostics diag = {};
	struct error err = {};
	int r;

	if (!item->profile) {
		add_finding(findings, item, "", "there is no profile in it", true);
		return;
	}
	r = profile_from_wire(item->profile, &profile, &diag, &err);
	for (size_t i = 0; i < diag.count; i++)
		add_finding(findings, item, diag.items[i].rule, diag.items[i].message,
			    diag.items[i].is_error);
	if (r && !diag.errors)
		add_finding(findings, item, "", err.message, true);
}

/* The same type twice in one request, or one that the gateway has itself. */
static void check_ids(struct request *request, Openshell__V1__ProviderProfileImportItem **items,
		      size_t count, struct findings *findings)
{
	for (size_t i = 0; i < count; i++) {
		if (!items[i]->profile)
			continue;
		if (profile_store_is_builtin(request->gateway, items[i]->profile->id))
			add_finding(findings, items[i], "id",
				    "this gateway has a profile with that id itself", true);
		for (size_t k = 0; k < i; k++)
			if (items[k]->profile &&
			    !strcmp(items[k]->profile->id, items[i]->profile->id))
				add_finding(findings, items[i], "id", "the id is there twice",
					    true);
	}
}

void profile_lint(struct request *request)
{
	const Openshell__V1__LintProviderProfilesRequest *message = (const void *)request->message;
	Openshell__V1__LintProviderProfilesResponse response =
		OPENSHELL__V1__LINT_PROVIDER_PROFILES_RESPONSE__INIT;
	struct findings findings = {};

	if (message->n_profiles > ITEMS_MAX) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "more than %d profiles", ITEMS_MAX);
		return;
	}
	for (size_t i = 0; i < message->n_profiles; i++)
		lint(message->profiles[i], &findings);
	check_ids(request, message->profiles, message->n_profiles, &findings);
	response.diagnostics = findings.items;
	response.n_diagnostics = findings.count;
	response.valid = !findings.errors;
	request_reply(request, &response.base);
	findings_clear(&findings);
}

/* All of them, or none. */
static int import_all(struct request *request, Openshell__V1__ProviderProfileImportItem **items,
		      size_t count, struct error *err)
{
	struct store *store = request->gateway->store;
	int r = store_begin(store, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < count; i++) {
		Openshell__V1__ProviderProfile copy = *items[i]->profile;

		copy.source = (char *)PROFILE_IMPORTED;
		copy.scope = (char *)"workspace";
		copy.resource_version = 0;
		r = profile_store_write(request->gateway, request->workspace, &copy, false, 0, err);
	}
	if (!r)
		return store_commit(store, err);
	store_rollback(store);
	return r;
}

void profile_import(struct request *request)
{
	const Openshell__V1__ImportProviderProfilesRequest *message =
		(const void *)request->message;
	Openshell__V1__ImportProviderProfilesResponse response =
		OPENSHELL__V1__IMPORT_PROVIDER_PROFILES_RESPONSE__INIT;
	Openshell__V1__ProviderProfile *profiles[ITEMS_MAX];
	struct findings findings = {};
	struct error err = {};
	int r = 0;

	if (!message->n_profiles || message->n_profiles > ITEMS_MAX) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "1 to %d profiles", ITEMS_MAX);
		return;
	}
	for (size_t i = 0; i < message->n_profiles; i++)
		lint(message->profiles[i], &findings);
	check_ids(request, message->profiles, message->n_profiles, &findings);
	if (!findings.errors)
		r = import_all(request, message->profiles, message->n_profiles, &err);
	response.profiles = profiles;
	for (size_t i = 0; !r && !findings.errors && i < message->n_profiles; i++)
		if (!profile_store_get(request->gateway, request->workspace,
				       message->profiles[i]->profile->id,
				       &profiles[response.n_profiles], NULL))
			response.n_profiles++;
	response.diagnostics = findings.items;
	response.n_diagnostics = findings.count;
	response.imported = !findings.errors;
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_profiles; i++)
		openshell__v1__provider_profile__free_unpacked(profiles[i], NULL);
	findings_clear(&findings);
}

struct change {
	struct request *request;
	struct error *err;
};

static int touch_provider(void *arg, const char *provider)
{
	struct change *change = arg;

	return provider_touch(change->request->gateway, change->request->workspace, provider,
			      change->err);
}

static int tell_of_provider(void *arg, const char *provider)
{
	struct change *change = arg;

	provider_changed(change->request->gateway, change->request->workspace, provider);
	return 0;
}

/* Together with what its providers are for the sandboxes that have them, or not at all. */
static int write_changed(struct request *request, const Openshell__V1__ProviderProfile *profile,
			 uint64_t expected, struct error *err)
{
	struct gateway *gateway = request->gateway;
	struct change change = {request, err};
	int r = store_begin(gateway->store, err);

	if (r)
		return r;
	r = profile_store_write(gateway, request->workspace, profile, true, expected, err);
	if (!r)
		r = provider_each_of_type(gateway, request->workspace, profile->id, touch_provider,
					  &change, err);
	if (r) {
		store_rollback(gateway->store);
		return r;
	}
	r = store_commit(gateway->store, err);
	if (!r)
		(void)provider_each_of_type(gateway, request->workspace, profile->id,
					    tell_of_provider, &change, NULL);
	return r;
}

void profile_update(struct request *request)
{
	const Openshell__V1__UpdateProviderProfilesRequest *message =
		(const void *)request->message;
	Openshell__V1__UpdateProviderProfilesResponse response =
		OPENSHELL__V1__UPDATE_PROVIDER_PROFILES_RESPONSE__INIT;
	struct findings findings = {};
	struct error err = {};
	int r = 0;

	if (!message->profile || !message->profile->profile) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "there is no profile in it");
		return;
	}
	if (*message->id && strcmp(message->id, message->profile->profile->id) != 0) {
		request_fail(request, GRPC_INVALID_ARGUMENT,
			     "a profile's id stays: '%s' is not '%s'",
			     message->profile->profile->id, message->id);
		return;
	}
	lint(message->profile, &findings);
	if (profile_store_is_builtin(request->gateway, message->profile->profile->id))
		r = error_set(&err, -EBUSY, "profile '%s' belongs to this gateway: it stays",
			      message->profile->profile->id);
	if (!r && !findings.errors) {
		Openshell__V1__ProviderProfile copy = *message->profile->profile;

		copy.source = (char *)PROFILE_IMPORTED;
		copy.scope = (char *)"workspace";
		r = write_changed(request, &copy, message->expected_resource_version, &err);
		if (!r)
			r = profile_store_get(request->gateway, request->workspace, copy.id,
					      &response.profile, &err);
	}
	response.diagnostics = findings.items;
	response.n_diagnostics = findings.count;
	response.updated = !findings.errors;
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	if (response.profile)
		openshell__v1__provider_profile__free_unpacked(response.profile, NULL);
	findings_clear(&findings);
}

void profile_get(struct request *request)
{
	const Openshell__V1__GetProviderProfileRequest *message = (const void *)request->message;
	Openshell__V1__ProviderProfileResponse response =
		OPENSHELL__V1__PROVIDER_PROFILE_RESPONSE__INIT;
	struct error err = {};

	if (profile_store_get(request->gateway, request->workspace, message->id, &response.profile,
			      &err)) {
		request_fail_error(request, &err);
		return;
	}
	request_reply(request, &response.base);
	openshell__v1__provider_profile__free_unpacked(response.profile, NULL);
}

void profile_list(struct request *request)
{
	const Openshell__V1__ListProviderProfilesRequest *message = (const void *)request->message;
	Openshell__V1__ListProviderProfilesResponse response =
		OPENSHELL__V1__LIST_PROVIDER_PROFILES_RESPONSE__INIT;
	Openshell__V1__ProviderProfile **list = NULL;
	struct error err = {};
	size_t count = 0, skip;

	if (profile_store_list(request->gateway, request->workspace, &list, &count, &err)) {
		request_fail_error(request, &err);
		return;
	}
	skip = message->offset < count ? message->offset : count;
	response.profiles = list + skip;
	response.n_profiles = count - skip;
	if (message->limit && response.n_profiles > message->limit)
		response.n_profiles = message->limit;
	request_reply(request, &response.base);
	for (size_t i = 0; i < count; i++)
		openshell__v1__provider_profile__free_unpacked(list[i], NULL);
	free(list);
}

static int refuse_used(void *arg, const char *provider)
{
	return error_set(arg, -EBUSY, "provider '%s' is of this type: delete it first", provider);
}

void profile_delete(struct request *request)
{
	const Openshell__V1__DeleteProviderProfileRequest *message = (const void *)request->message;
	Openshell__V1__DeleteProviderProfileResponse response =
		OPENSHELL__V1__DELETE_PROVIDER_PROFILE_RESPONSE__INIT;
	struct error err = {};

	int r = *message->id ? 0 : error_set(&err, -EINVAL, "which profile? its id is missing");

	/* What is built in stays for another reason. */
	if (!r && !profile_store_is_builtin(request->gateway, message->id))
		r = provider_each_of_type(request->gateway, request->workspace, message->id,
					  refuse_used, &err, &err);
	if (!r)
		r = profile_store_delete(request->gateway, request->workspace, message->id, &err);
	if (r) {
		request_fail_error(request, &err);
		return;
	}
	response.deleted = true;
	request_reply(request, &response.base);
}
