/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sandbox_internal.h"

#include "common/cleanup.h"
#include "gateway/config.h"
#include "gateway/credentials.h"
#include "gateway/logs.h"
#include "gateway/nodes.h"
#include "gateway/policy_revision.h"
#include "gateway/replace_string.h"
#include "gateway/request_check.h"
#include "gateway/sandbox_name.h"
#include "gateway/sandbox_phase.h"
#include "gateway/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_MAX	4096 /* words */
#define COMMAND_BYTES	(128 << 10)
#define PROVIDERS_LIMIT 32
#define TRIES_MAX	20 /* for a name that nobody has */

static int check_command(const Openshell__V1__SandboxSpec *spec, struct error *err)
{
	size_t size = 0;

	for (size_t i = 0; i < spec->n_command; i++)
		size += strlen(spec->command[i]) + 1;
	if (spec->n_command > COMMAND_MAX || size > COMMAND_BYTES)
		return error_set(err, -EINVAL, "the command has more than %d words or %d bytes",
				 COMMAND_MAX, COMMAND_BYTES);
	if (spec->n_command && !*spec->command[0])
		return error_set(err, -EINVAL, "the command's first word is empty");
	return 0;
}

static int check_providers(struct gateway *gateway, const char *workspace,
			   const Openshell__V1__SandboxSpec *spec, struct error *err)
{
	if (spec->n_providers > PROVIDERS_LIMIT)
		return error_set(err, -EINVAL, "a sandbox has at most %d providers",
				 PROVIDERS_LIMIT);
	for (size_t i = 0; i < spec->n_providers; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(spec->providers[i], spec->providers[k]))
				return error_set(err, -EINVAL, "provider '%s' is there twice",
						 spec->providers[i]);
	return credentials_check(gateway, workspace, spec->providers, spec->n_providers, err);
}

static int check_template(const Openshell__V1__SandboxTemplate *template, struct error *err)
{
	const char *image = template ? template->image : "";

	if (*image && *image != '/' && strncmp(image, "oci:/", 5))
		return error_set(
			err, -EINVAL,
			"'%.200s' is no image that this driver has: it takes a directory "
			"(/PATH) or an OCI layout (oci:/PATH[:TAG]) on the supervisor's host",
			image);
	if (strstr(image, "/../"))
		return error_set(err, -EINVAL, "the image's path has '..' in it");
	return 0;
}

/* A copy that is our own: what a request has goes with it. */
static int build(const Openshell__V1__CreateSandboxRequest *request, const char *workspace,
		 const char *name, const char *id, struct sandbox_record *ret_record,
		 struct error *err)
{
	Openshell__Stored__V1__Sandbox stored = OPENSHELL__STORED__V1__SANDBOX__INIT;
	Openshell__V1__Sandbox sandbox = OPENSHELL__V1__SANDBOX__INIT;
	Openshell__V1__SandboxStatus status = OPENSHELL__V1__SANDBOX_STATUS__INIT;
	Openshell__V1__SandboxSpec none = OPENSHELL__V1__SANDBOX_SPEC__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	_cleanup_free_ uint8_t *packed = NULL;
	size_t size;

	meta.id = (char *)id;
	meta.name = (char *)name;
	meta.workspace = (char *)workspace;
	/* Entries of maps look the same on the wire, whatever message they are of. */
	meta.labels = (Openshell__Datamodel__V1__ObjectMeta__LabelsEntry **)request->labels;
	meta.n_labels = request->n_labels;
	meta.annotations =
		(Openshell__Datamodel__V1__ObjectMeta__AnnotationsEntry **)request->annotations;
	meta.n_annotations = request->n_annotations;
	status.sandbox_name = (char *)name;
	sandbox.metadata = &meta;
	sandbox.spec = request->spec ? request->spec : &none;
	sandbox.status = &status;
	stored.sandbox = &sandbox;
	size = protobuf_c_message_get_packed_size(&stored.base);
	packed = malloc(size + 1);
	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	protobuf_c_message_pack(&stored.base, packed);
	ret_record->stored = openshell__stored__v1__sandbox__unpack(NULL, size, packed);
	if (!ret_record->stored)
		return error_set(err, -ENOMEM, "out of memory");
	ret_record->object.kind = STORE_SANDBOX;
	ret_record->object.id = strdup(id);
	ret_record->object.workspace = strdup(workspace);
	ret_record->object.name = strdup(name);
	ret_record->object.label = calloc(request->n_labels + 1, sizeof(char *));
	if (!ret_record->object.id || !ret_record->object.workspace || !ret_record->object.name ||
	    !ret_record->object.label)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < request->n_labels; i++) {
		if (asprintf(&ret_record->object.label[i], "%s=%s", request->labels[i]->key,
			     request->labels[i]->value) < 0)
			return error_set(err, -ENOMEM, "out of memory");
		ret_record->object.labels++;
	}
	return 0;
}

static int insert(struct gateway *gateway, struct sandbox_record *record, struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&record->stored->base);
	uint8_t *packed = malloc(size + 1);
	int r;

	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	record->object.payload = packed;
	record->object.payload_size = protobuf_c_message_pack(&record->stored->base, packed);
	r = store_insert(gateway->store, &record->object, err);
	record->object.payload = NULL;
	record->object.payload_size = 0;
	free(packed);
	if (r == -EEXIST)
		error_set(err, r, "there is a sandbox '%s' already", record->object.name);
	record->stored->sandbox->metadata->created_at_ms = record->object.created_ms;
	record->stored->sandbox->metadata->resource_version = record->object.version;
	return r;
}

static int check_room(struct gateway *gateway, struct error *err)
{
	uint64_t count;
	int r = store_count(gateway->store, STORE_SANDBOX, NULL, &count, err);

	if (!r && count >= gateway->config->sandboxes_max)
		r = error_set(err, -ENOSPC, "there are %llu sandboxes, as many as are allowed",
			      (unsigned long long)count);
	return r;
}

/* All of it, or nothing: the record and its first policy. */
static int create(struct request *request, const char *name, struct sandbox_record *record,
		  struct error *err)
{
	const Openshell__V1__CreateSandboxRequest *message = (const void *)request->message;
	struct gateway *gateway = request->gateway;
	const char *node = nodes_choose(gateway->nodes);
	char id[37];
	int r;

	if (!node)
		return error_set(err, -ENOTCONN,
				 "no supervisor is attached: start openshell-supervisor, or "
				 "`openshell gateway start` for both");
	store_make_id(id);
	r = build(message, request->workspace, name, id, record, err);
	if (!r &&
	    (replace_string(&record->stored->node, node) || sandbox_phase_new_instance(record) ||
	     sandbox_phase_set(record, OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_PROVISIONING,
			       "Scheduled", node)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = store_begin(gateway->store, err);
	if (r)
		return r;
	r = policy_revision_first(gateway, record, record->stored->sandbox->spec->policy, err);
	if (!r)
		r = insert(gateway, record, err);
	if (r) {
		store_rollback(gateway->store);
		return r;
	}
	return store_commit(gateway->store, err);
}

static int create_named(struct request *request, struct sandbox_record *record, struct error *err)
{
	const Openshell__V1__CreateSandboxRequest *message = (const void *)request->message;
	char name[SANDBOX_NAME_SIZE];
	int r = -EEXIST;

	if (*message->name)
		return create(request, message->name, record, err);
	for (int i = 0; i < TRIES_MAX && r == -EEXIST; i++) {
		sandbox_record_clear(record);
		sandbox_name_make(name);
		r = create(request, name, record, err);
	}
	return r;
}

void sandbox_create(struct request *request)
{
	const Openshell__V1__CreateSandboxRequest *message = (const void *)request->message;
	static const Openshell__V1__SandboxSpec none = OPENSHELL__V1__SANDBOX_SPEC__INIT;
	const Openshell__V1__SandboxSpec *spec = message->spec ? message->spec : &none;
	struct gateway *gateway = request->gateway;
	struct sandbox_record record = {};
	struct error err = {};
	int r = check_command(spec, &err);

	if (!r)
		r = check_template(spec->template_, &err);
	if (!r)
		r = check_providers(gateway, request->workspace, spec, &err);
	if (!r)
		r = check_room(gateway, &err);
	if (!r)
		r = create_named(request, &record, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		nodes_sandbox_changed(gateway->nodes, record.object.id, NODE_CHANGE_SANDBOX);
		logs_gateway(gateway, record.object.id, "info", "created, on node %s",
			     record.stored->node);
		watch_event(gateway, record.object.id, "gateway", "Normal", "Scheduled",
			    record.stored->node);
		sandbox_reply(request, &record);
	}
	sandbox_record_clear(&record);
}
