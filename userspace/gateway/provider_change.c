/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider_change.h"

#include "gateway/journal.h"
#include "gateway/nodes.h"
#include "gateway/sandbox_record.h"

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

static int tell_credentials(void *arg, struct sandbox_record *record)
{
	struct visit *visit = arg;
	struct error err = {};

	if (has(record, visit->provider)) {
		record->stored->credentials_revision++;
		if (sandbox_record_save(visit->gateway, record, 0, &err))
			journal(JOURNAL_ERROR, "sandbox %s: %s", record->object.id, err.message);
		nodes_sandbox_changed(visit->gateway->nodes, record->object.id,
				      NODE_CHANGE_CREDENTIALS | NODE_CHANGE_INFERENCE);
	} else {
		/* Routes may use a provider that is attached nowhere. */
		nodes_sandbox_changed(visit->gateway->nodes, record->object.id,
				      NODE_CHANGE_INFERENCE);
	}
	return 0;
}

void provider_changed(struct gateway *gateway, const char *workspace, const char *provider)
{
	struct visit visit = {gateway, provider, NULL};

	(void)sandbox_record_each(gateway, workspace, tell_credentials, &visit, NULL);
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
