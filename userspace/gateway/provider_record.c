/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider_record.h"

#include "common/rpc.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

void provider_record_clear(struct provider_record *record)
{
	if (record->provider) {
		rpc_scrub(&record->provider->base);
		openshell__datamodel__v1__provider__free_unpacked(record->provider, NULL);
	}
	store_object_clear(&record->object);
	*record = (struct provider_record){};
}

int provider_record_unpack(struct store_object *object, struct provider_record *ret_record,
			   struct error *err)
{
	struct provider_record record = {.object = *object};

	*object = (struct store_object){};
	record.provider = openshell__datamodel__v1__provider__unpack(
		NULL, record.object.payload_size, record.object.payload);
	OPENSSL_cleanse(record.object.payload, record.object.payload_size);
	free(record.object.payload);
	record.object.payload = NULL;
	record.object.payload_size = 0;
	if (!record.provider || !record.provider->metadata) {
		error_set(err, -EIO, "the record of provider '%s' is damaged", record.object.name);
		provider_record_clear(&record);
		return -EIO;
	}
	record.provider->metadata->created_at_ms = record.object.created_ms;
	record.provider->metadata->resource_version = record.object.version;
	*ret_record = record;
	return 0;
}

int provider_record_get(struct gateway *gateway, const char *workspace, const char *name,
			struct provider_record *ret_record, struct error *err)
{
	struct store_object object;
	int r;

	if (!name || !*name)
		return error_set(err, -EINVAL, "which provider? its name is missing");
	r = store_get(gateway->store, STORE_PROVIDER, workspace, name, &object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no provider '%s' in workspace '%s'", name,
				 workspace);
	return r ? r : provider_record_unpack(&object, ret_record, err);
}
