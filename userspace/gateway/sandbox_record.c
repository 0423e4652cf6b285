/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sandbox_record.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

void sandbox_record_clear(struct sandbox_record *record)
{
	if (record->stored)
		openshell__stored__v1__sandbox__free_unpacked(record->stored, NULL);
	store_object_clear(&record->object);
	*record = (struct sandbox_record){};
}

/* What the store knows better than the payload. */
static void fill_metadata(struct sandbox_record *record)
{
	Openshell__Datamodel__V1__ObjectMeta *meta = record->stored->sandbox->metadata;

	meta->created_at_ms = record->object.created_ms;
	meta->resource_version = record->object.version;
}

/* Takes @object. */
static int unpack(struct store_object *object, struct sandbox_record *ret_record, struct error *err)
{
	struct sandbox_record record = {.object = *object};

	*object = (struct store_object){};
	record.stored = openshell__stored__v1__sandbox__unpack(NULL, record.object.payload_size,
							       record.object.payload);
	if (record.object.payload)
		OPENSSL_cleanse(record.object.payload, record.object.payload_size);
	free(record.object.payload);
	record.object.payload = NULL;
	record.object.payload_size = 0;
	if (!record.stored || !record.stored->sandbox || !record.stored->sandbox->metadata ||
	    !record.stored->sandbox->spec || !record.stored->sandbox->status) {
		error_set(err, -EIO, "the record of sandbox %s is damaged", record.object.id);
		sandbox_record_clear(&record);
		return -EIO;
	}
	fill_metadata(&record);
	*ret_record = record;
	return 0;
}

int sandbox_record_get(struct gateway *gateway, const char *workspace, const char *name,
		       struct sandbox_record *ret_record, struct error *err)
{
	struct store_object object;
	int r;

	if (!name || !*name)
		return error_set(err, -EINVAL, "which sandbox? its name is missing");
	r = store_get(gateway->store, STORE_SANDBOX, workspace, name, &object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no sandbox '%s' in workspace '%s'", name,
				 workspace);
	return r ? r : unpack(&object, ret_record, err);
}

int sandbox_record_get_id(struct gateway *gateway, const char *id,
			  struct sandbox_record *ret_record, struct error *err)
{
	struct store_object object;
	int r;

	if (!id || !*id)
		return error_set(err, -EINVAL, "which sandbox? its id is missing");
	r = store_get_id(gateway->store, STORE_SANDBOX, id, &object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no sandbox with id '%s'", id);
	return r ? r : unpack(&object, ret_record, err);
}

int sandbox_record_save(struct gateway *gateway, struct sandbox_record *record, uint64_t expected,
			struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&record->stored->base);
	uint8_t *packed = malloc(size + 1);
	int r;

	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	record->object.payload = packed;
	record->object.payload_size = protobuf_c_message_pack(&record->stored->base, packed);
	r = store_update(gateway->store, &record->object,
			 expected ? expected : record->object.version, err);
	record->object.payload = NULL;
	record->object.payload_size = 0;
	OPENSSL_cleanse(packed, size);
	free(packed);
	if (!r)
		fill_metadata(record);
	return r;
}

const Openshell__V1__Sandbox *sandbox_record_message(struct sandbox_record *record)
{
	return record->stored->sandbox;
}

int sandbox_record_each(struct gateway *gateway, const char *workspace,
			int (*visit)(void *arg, struct sandbox_record *record), void *arg,
			struct error *err)
{
	const struct store_query query = {.kind = STORE_SANDBOX, .workspace = workspace};
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++) {
		struct sandbox_record record;

		r = unpack(&list.items[i], &record, err);
		if (r)
			break;
		r = visit(arg, &record);
		sandbox_record_clear(&record);
	}
	store_list_clear(&list);
	return r;
}
