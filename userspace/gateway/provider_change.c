/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider_change.h"

#include "gateway/credentials.h"
#include "gateway/nodes.h"
#include "gateway/provider_record.h"
#include "gateway/sandbox_record.h"
#include "gateway/watch.h"

#include <errno.h>
#include <string.h>

struct visit {
	struct gateway *gateway;
	const char *provider;
	struct error *err;
};

static bool has(const struct sandbox_record *record, const char *provider)
{
	const Openshell__V1__SandboxSpec *spec = record->stored->sandbox->spec;

	for (size_t i = 0; i < spec->n_providers; i++)
		if (!strcmp(spec->providers[i], provider))
			return true;
	return false;
}

static int refuse_attached(void *arg, struct sandbox_record *record)
{
	struct visit *visit = arg;

	if (record->stored->deleting || !has(record, visit->provider))
		return 0;
	return error_set(visit->err, -EBUSY,
			 "provider '%s' is attached to sandbox '%s': detach it first",
			 visit->provider, record->object.name);
}

int provider_is_attached(struct gateway *gateway, const char *workspace, const char *provider,
			 struct error *err)
{
	struct visit visit = {gateway, provider, err};

	return sandbox_record_each(gateway, workspace, refuse_attached, &visit, err);
}

static int touch(void *arg, struct sandbox_record *record)
{
	struct visit *visit = arg;
	struct error err = {};

	if (record->stored->deleting || !has(record, visit->provider))
		return 0;
	if (credentials_try(visit->gateway, record, visit->provider, &err))
		return error_set(visit->err, -EBUSY, "sandbox '%s' could not use it any more: %s",
				 record->object.name, err.message);
	record->stored->credentials_revision++;
	return sandbox_record_save(visit->gateway, record, 0, visit->err);
}

int provider_touch(struct gateway *gateway, const char *workspace, const char *provider,
		   struct error *err)
{
	struct visit visit = {gateway, provider, err};
	int r = sandbox_record_each(gateway, workspace, touch, &visit, err);

	return r ? r : inference_try(gateway, workspace, provider, err);
}

static int tell(void *arg, struct sandbox_record *record)
{
	struct visit *visit = arg;
	/* Routes may use a provider that is attached nowhere. */
	unsigned int changes = NODE_CHANGE_INFERENCE;

	if (has(record, visit->provider)) {
		changes |= NODE_CHANGE_CREDENTIALS;
		watch_sandbox_changed(visit->gateway, record->object.id);
	}
	nodes_sandbox_changed(visit->gateway->nodes, record->object.id, changes);
	return 0;
}

void provider_changed(struct gateway *gateway, const char *workspace, const char *provider)
{
	struct visit visit = {gateway, provider, NULL};

	(void)sandbox_record_each(gateway, workspace, tell, &visit, NULL);
}

int provider_each_of_type(struct gateway *gateway, const char *workspace, const char *type,
			  int (*visit)(void *arg, const char *provider), void *arg,
			  struct error *err)
{
	const struct store_query query = {.kind = STORE_PROVIDER, .workspace = workspace};
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++) {
		struct provider_record record;

		r = provider_record_unpack(&list.items[i], &record, err);
		if (r)
			break;
		if (!strcmp(record.provider->type, type))
			r = visit(arg, record.object.name);
		provider_record_clear(&record);
	}
	store_list_clear(&list);
	return r;
}

static int tell_inference(void *arg, struct sandbox_record *record)
{
	struct gateway *gateway = arg;

	nodes_sandbox_changed(gateway->nodes, record->object.id, NODE_CHANGE_INFERENCE);
	return 0;
}

void inference_changed(struct gateway *gateway, const char *workspace)
{
	(void)sandbox_record_each(gateway, workspace, tell_inference, gateway, NULL);
}
