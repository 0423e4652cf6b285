/* SPDX-License-Identifier: Apache-2.0 */
/* The providers of a sandbox: listing, attaching, detaching. */
#include "gateway/sandbox_internal.h"

#include "common/cleanup.h"
#include "common/rpc.h"
#include "gateway/credentials.h"
#include "gateway/logs.h"
#include "gateway/nodes.h"
#include "gateway/provider_record.h"
#include "gateway/watch.h"

#include <errno.h>
#include <string.h>

#define PROVIDERS_LIMIT 32

void sandbox_list_providers(struct request *request)
{
	const Openshell__V1__ListSandboxProvidersRequest *message = (const void *)request->message;
	Openshell__V1__ListSandboxProvidersResponse response =
		OPENSHELL__V1__LIST_SANDBOX_PROVIDERS_RESPONSE__INIT;
	Openshell__Datamodel__V1__Provider *items[PROVIDERS_LIMIT];
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get(request->gateway, request->workspace, message->sandbox_name,
				   &record, &err);
	const Openshell__V1__SandboxSpec *spec = r ? NULL : record.stored->sandbox->spec;

	response.providers = items;
	for (size_t i = 0; !r && i < spec->n_providers && i < PROVIDERS_LIMIT; i++) {
		struct provider_record provider;

		r = provider_record_get(request->gateway, request->workspace, spec->providers[i],
					&provider, &err);
		if (r)
			break;
		rpc_scrub(&provider.provider->base);
		items[response.n_providers++] = TAKE_PTR(provider.provider);
		provider_record_clear(&provider);
	}
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_providers; i++)
		openshell__datamodel__v1__provider__free_unpacked(items[i], NULL);
	sandbox_record_clear(&record);
}

static size_t find(const Openshell__V1__SandboxSpec *spec, const char *name)
{
	size_t i = 0;

	while (i < spec->n_providers && strcmp(spec->providers[i], name) != 0)
		i++;
	return i;
}

static int add(Openshell__V1__SandboxSpec *spec, const char *name, struct error *err)
{
	char **grown, *copy;

	if (spec->n_providers >= PROVIDERS_LIMIT)
		return error_set(err, -ENOSPC, "a sandbox has at most %d providers",
				 PROVIDERS_LIMIT);
	grown = reallocarray(spec->providers, spec->n_providers + 1, sizeof(*grown));
	if (!grown)
		return error_set(err, -ENOMEM, "out of memory");
	spec->providers = grown;
	copy = strdup(name);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	grown[spec->n_providers++] = copy;
	return 0;
}

static void remove_at(Openshell__V1__SandboxSpec *spec, size_t at)
{
	free(spec->providers[at]);
	spec->n_providers--;
	memmove(spec->providers + at, spec->providers + at + 1,
		(spec->n_providers - at) * sizeof(*spec->providers));
}

/* What its node would be told has to work before it is written. */
static int save(struct gateway *gateway, struct sandbox_record *record, uint64_t expected,
		struct error *err)
{
	Openshell__Node__V1__Credentials *credentials = NULL;
	int r;

	record->stored->credentials_revision++;
	r = credentials_for_sandbox(gateway, record, &credentials, err);
	if (r)
		return r;
	rpc_scrub(&credentials->base);
	openshell__node__v1__credentials__free_unpacked(credentials, NULL);
	r = sandbox_record_save(gateway, record, expected, err);
	if (r)
		return r;
	nodes_sandbox_changed(gateway->nodes, record->object.id, NODE_CHANGE_CREDENTIALS);
	watch_sandbox_changed(gateway, record->object.id);
	return 0;
}

/* *ret_changed is false when it was so already; then nothing is written. */
static int change(struct request *request, const char *sandbox, const char *provider, bool attach,
		  uint64_t expected, struct sandbox_record *record, bool *ret_changed,
		  struct error *err)
{
	Openshell__V1__SandboxSpec *spec;
	size_t at;
	int r = sandbox_record_get(request->gateway, request->workspace, sandbox, record, err);

	if (r)
		return r;
	if (!*provider)
		return error_set(err, -EINVAL, "which provider? its name is missing");
	if (record->stored->deleting)
		return error_set(err, -EBUSY, "the sandbox is being deleted");
	if (expected && expected != record->object.version)
		return error_set(err, -ESTALE,
				 "it was changed meanwhile: resource_version is %llu, not %llu",
				 (unsigned long long)record->object.version,
				 (unsigned long long)expected);
	if (attach) {
		char *names[] = {(char *)provider};

		r = credentials_check(request->gateway, request->workspace, names, 1, err);
		if (r)
			return r;
	}
	spec = record->stored->sandbox->spec;
	at = find(spec, provider);
	if (attach == (at < spec->n_providers))
		return 0;
	if (attach)
		r = add(spec, provider, err);
	else
		remove_at(spec, at);
	if (!r)
		r = save(request->gateway, record, expected, err);
	if (!r) {
		*ret_changed = true;
		logs_gateway(request->gateway, record->object.id, "info", "provider %s %s",
			     provider, attach ? "attached" : "detached");
	}
	return r;
}

void sandbox_attach_provider(struct request *request)
{
	const Openshell__V1__AttachSandboxProviderRequest *message = (const void *)request->message;
	Openshell__V1__AttachSandboxProviderResponse response =
		OPENSHELL__V1__ATTACH_SANDBOX_PROVIDER_RESPONSE__INIT;
	struct sandbox_record record = {};
	struct error err = {};
	bool changed = false;

	if (change(request, message->sandbox_name, message->provider_name, true,
		   message->expected_resource_version, &record, &changed, &err)) {
		request_fail_error(request, &err);
	} else {
		response.sandbox = (Openshell__V1__Sandbox *)sandbox_record_message(&record);
		response.attached = changed;
		request_reply(request, &response.base);
	}
	sandbox_record_clear(&record);
}

void sandbox_detach_provider(struct request *request)
{
	const Openshell__V1__DetachSandboxProviderRequest *message = (const void *)request->message;
	Openshell__V1__DetachSandboxProviderResponse response =
		OPENSHELL__V1__DETACH_SANDBOX_PROVIDER_RESPONSE__INIT;
	struct sandbox_record record = {};
	struct error err = {};
	bool changed = false;

	if (change(request, message->sandbox_name, message->provider_name, false,
		   message->expected_resource_version, &record, &changed, &err)) {
		request_fail_error(request, &err);
	} else {
		response.sandbox = (Openshell__V1__Sandbox *)sandbox_record_message(&record);
		response.detached = changed;
		request_reply(request, &response.base);
	}
	sandbox_record_clear(&record);
}
