/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/setting.h"

#include "common/cleanup.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REVISION_NAME "~revision"
#define NAME_SIZE     128
#define VALUE_MAX     4096

enum type { TYPE_BOOL, TYPE_WORD };

static const struct {
	const char *key;
	enum type type;
	const char *const words[4];
} keys[] = {
	{"providers_v2_enabled", TYPE_BOOL, {}},
	{"ocsf_json_enabled", TYPE_BOOL, {}},
	{"agent_policy_proposals_enabled", TYPE_BOOL, {}},
	{"proposal_approval_mode", TYPE_WORD, {"manual", "auto"}},
};

_Static_assert(ARRAY_LEN(keys) <= SETTINGS_MAX, "all of them fit");

static int check(const char *key, const Openshell__Sandbox__V1__SettingValue *value,
		 struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (!value)
			return 0;
		if (keys[i].type == TYPE_BOOL) {
			if (value->value_case ==
			    OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_BOOL_VALUE)
				return 0;
			return error_set(err, -EINVAL, "%s is true or false", key);
		}
		for (size_t k = 0; keys[i].words[k]; k++)
			if (value->value_case ==
				    OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_STRING_VALUE &&
			    !strcmp(value->string_value, keys[i].words[k]))
				return 0;
		return error_set(err, -EINVAL, "%s is %s or %s", key, keys[i].words[0],
				 keys[i].words[1]);
	}
	return error_set(err, -EINVAL, "there is no setting '%.64s'; there are %s, %s, %s and %s",
			 key, keys[0].key, keys[1].key, keys[2].key, keys[3].key);
}

static void name_of(char name[NAME_SIZE], const char *sandbox_id, const char *key)
{
	snprintf(name, NAME_SIZE, "%s%s%s", sandbox_id ? sandbox_id : "", sandbox_id ? "/" : "",
		 key);
}

/* Its version counts; nothing else is in it. */
static int bump(struct gateway *gateway, uint64_t *ret_revision, struct error *err)
{
	struct store_object object;
	char id[37];
	int r = store_get(gateway->store, STORE_SETTING, "", REVISION_NAME, &object, err);

	if (!r) {
		r = store_update(gateway->store, &object, 0, err);
		*ret_revision = object.version;
		store_object_clear(&object);
		return r;
	}
	if (r != -ENOENT)
		return r;
	store_make_id(id);
	object = (struct store_object){
		.id = id,
		.kind = STORE_SETTING,
		.workspace = (char *)"",
		.name = (char *)REVISION_NAME,
	};
	r = store_insert(gateway->store, &object, err);
	*ret_revision = object.version;
	return r;
}

static int write_value(struct gateway *gateway, const char *name,
		       const Openshell__Sandbox__V1__SettingValue *value, struct error *err)
{
	struct store_object object = {};
	uint8_t packed[VALUE_MAX];
	char id[37];
	int r;

	if (protobuf_c_message_get_packed_size(&value->base) > sizeof(packed))
		return error_set(err, -EINVAL, "the value is longer than %d bytes", VALUE_MAX);
	r = store_get(gateway->store, STORE_SETTING, "", name, &object, err);
	if (r && r != -ENOENT)
		return r;
	if (!r) {
		free(object.payload);
		object.payload = packed;
		object.payload_size = protobuf_c_message_pack(&value->base, packed);
		r = store_update(gateway->store, &object, 0, err);
		object.payload = NULL;
		store_object_clear(&object);
		return r;
	}
	store_make_id(id);
	object = (struct store_object){
		.id = id,
		.kind = STORE_SETTING,
		.workspace = (char *)"",
		.name = (char *)name,
		.payload = packed,
		.payload_size = protobuf_c_message_pack(&value->base, packed),
	};
	return store_insert(gateway->store, &object, err);
}

static int delete_value(struct gateway *gateway, const char *name, bool *ret_existed,
			struct error *err)
{
	struct store_object object;
	int r = store_get(gateway->store, STORE_SETTING, "", name, &object, err);

	*ret_existed = !r;
	if (r)
		return r == -ENOENT ? 0 : r;
	r = store_delete(gateway->store, STORE_SETTING, object.id, 0, err);
	store_object_clear(&object);
	return r;
}

int setting_change(struct gateway *gateway, const char *sandbox_id, const char *key,
		   const Openshell__Sandbox__V1__SettingValue *value, bool *ret_existed,
		   uint64_t *ret_revision, struct error *err)
{
	char name[NAME_SIZE];
	int r = check(key, value, err);

	if (!r)
		r = store_begin(gateway->store, err);
	if (r)
		return r;
	name_of(name, sandbox_id, key);
	r = value ? write_value(gateway, name, value, err)
		  : delete_value(gateway, name, ret_existed, err);
	if (!r)
		r = bump(gateway, ret_revision, err);
	if (r) {
		store_rollback(gateway->store);
		return r;
	}
	return store_commit(gateway->store, err);
}

static int read_value(struct gateway *gateway, const char *sandbox_id, const char *key,
		      Openshell__Sandbox__V1__SettingValue **ret_value, struct error *err)
{
	struct store_object object;
	char name[NAME_SIZE];
	int r;

	name_of(name, sandbox_id, key);
	r = store_get(gateway->store, STORE_SETTING, "", name, &object, err);
	if (r)
		return r;
	*ret_value = openshell__sandbox__v1__setting_value__unpack(NULL, object.payload_size,
								   object.payload);
	store_object_clear(&object);
	return *ret_value ? 0 : error_set(err, -EIO, "the setting %s is damaged", key);
}

void settings_clear(struct settings *settings)
{
	for (size_t i = 0; i < settings->count; i++)
		openshell__sandbox__v1__setting_value__free_unpacked(settings->item[i].value, NULL);
	*settings = (struct settings){};
}

int settings_get(struct gateway *gateway, const char *sandbox_id, struct settings *ret_settings,
		 struct error *err)
{
	struct settings settings = {};
	struct store_object object;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct setting *item = &settings.item[settings.count];

		r = sandbox_id ? read_value(gateway, sandbox_id, keys[i].key, &item->value, err)
			       : -ENOENT;
		item->global = r == -ENOENT;
		if (r == -ENOENT)
			r = read_value(gateway, NULL, keys[i].key, &item->value, err);
		if (r && r != -ENOENT)
			break;
		item->key = keys[i].key;
		settings.count += !r;
	}
	if (!r || r == -ENOENT) {
		r = store_get(gateway->store, STORE_SETTING, "", REVISION_NAME, &object, err);
		if (!r) {
			settings.revision = object.version;
			store_object_clear(&object);
		}
	}
	if (r && r != -ENOENT) {
		settings_clear(&settings);
		return r;
	}
	*ret_settings = settings;
	return 0;
}
