/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/profile_store.h"

#include "common/cleanup.h"
#include "gateway/config.h"
#include "gateway/provider_profile_wire.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PROFILES_MAX 1000

static int directory(struct gateway *gateway, char path[PATH_MAX], struct error *err)
{
	if (!*gateway->config->profiles)
		return provider_profile_directory(path, PATH_MAX, err);
	snprintf(path, PATH_MAX, "%s", gateway->config->profiles);
	return 0;
}

static int get_object(struct gateway *gateway, const char *workspace, const char *id,
		      struct store_object *ret_object, Openshell__V1__ProviderProfile **ret_message,
		      struct error *err)
{
	int r = store_get(gateway->store, STORE_PROFILE, workspace, id, ret_object, err);

	if (r)
		return r;
	*ret_message = openshell__v1__provider_profile__unpack(NULL, ret_object->payload_size,
							       ret_object->payload);
	if (*ret_message) {
		(*ret_message)->resource_version = ret_object->version;
		return 0;
	}
	store_object_clear(ret_object);
	return error_set(err, -EIO, "profile '%s' is damaged", id);
}

static int find_imported(struct gateway *gateway, const char *workspace, const char *type,
			 struct provider_profile **ret_profile, struct error *err)
{
	Openshell__V1__ProviderProfile *message;
	struct store_object object;
	int r = get_object(gateway, workspace, type, &object, &message, err);

	if (r)
		return r;
	r = profile_from_wire(message, ret_profile, NULL, err);
	openshell__v1__provider_profile__free_unpacked(message, NULL);
	store_object_clear(&object);
	return r;
}

int profile_store_find(struct gateway *gateway, const char *workspace, const char *type,
		       struct provider_profile **ret_profile, struct error *err)
{
	char path[PATH_MAX];
	int r = find_imported(gateway, workspace, type, ret_profile, err);

	if (r != -ENOENT)
		return r;
	r = directory(gateway, path, err);
	return r ? r : provider_profile_find(path, type, ret_profile, err);
}

bool profile_store_is_builtin(struct gateway *gateway, const char *id)
{
	struct provider_profile *profile;
	char path[PATH_MAX];

	if (directory(gateway, path, NULL) || provider_profile_find(path, id, &profile, NULL))
		return false;
	provider_profile_free(profile);
	return true;
}

int profile_store_get(struct gateway *gateway, const char *workspace, const char *id,
		      Openshell__V1__ProviderProfile **ret_message, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	struct store_object object;
	char path[PATH_MAX];
	int r;

	if (!*id)
		return error_set(err, -EINVAL, "which profile? its id is missing");
	r = get_object(gateway, workspace, id, &object, ret_message, err);
	if (!r)
		store_object_clear(&object);
	if (r != -ENOENT)
		return r;
	r = directory(gateway, path, err);
	if (!r)
		r = provider_profile_find(path, id, &profile, err);
	if (!r && profile_to_wire(profile, PROFILE_BUILTIN, ret_message))
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

struct listing {
	Openshell__V1__ProviderProfile **items;
	size_t count;
};

static int add(struct listing *listing, Openshell__V1__ProviderProfile *message)
{
	Openshell__V1__ProviderProfile **grown;

	if (listing->count == PROFILES_MAX)
		return -E2BIG;
	grown = reallocarray(listing->items, listing->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	listing->items = grown;
	grown[listing->count++] = message;
	return 0;
}

static int list_builtin(struct gateway *gateway, struct listing *listing, struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	int r = directory(gateway, path, err);

	if (r)
		return r;
	dir = opendir(path);
	if (!dir)
		return error_set(err, -errno, "the profiles' directory %s: %s", path,
				 strerror(errno));
	while (!r && (entry = readdir(dir))) {
		_cleanup_provider_profile_ struct provider_profile *profile = NULL;
		Openshell__V1__ProviderProfile *message;
		char file[PATH_MAX + 256];
		size_t n = strlen(entry->d_name);

		if (n < 6 || strcmp(entry->d_name + n - 5, ".yaml") != 0)
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		r = provider_profile_load(file, &profile, NULL, err);
		if (!r && profile_to_wire(profile, PROFILE_BUILTIN, &message))
			r = -ENOMEM;
		else if (!r)
			r = add(listing, message);
	}
	return r;
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(Openshell__V1__ProviderProfile *const *)a)->id,
		      (*(Openshell__V1__ProviderProfile *const *)b)->id);
}

int profile_store_list(struct gateway *gateway, const char *workspace,
		       Openshell__V1__ProviderProfile ***ret_messages, size_t *ret_count,
		       struct error *err)
{
	const struct store_query query = {.kind = STORE_PROFILE, .workspace = workspace};
	struct listing listing = {};
	struct store_list list = {};
	int r = list_builtin(gateway, &listing, err);

	if (!r)
		r = store_list(gateway->store, &query, &list, err);
	for (size_t i = 0; !r && i < list.count; i++) {
		Openshell__V1__ProviderProfile *message = openshell__v1__provider_profile__unpack(
			NULL, list.items[i].payload_size, list.items[i].payload);

		if (!message)
			continue;
		message->resource_version = list.items[i].version;
		r = add(&listing, message);
	}
	store_list_clear(&list);
	if (r) {
		for (size_t i = 0; i < listing.count; i++)
			openshell__v1__provider_profile__free_unpacked(listing.items[i], NULL);
		free(listing.items);
		return err->code ? r : error_set(err, r, "the profiles cannot be listed");
	}
	if (listing.count)
		qsort(listing.items, listing.count, sizeof(*listing.items), by_id);
	*ret_messages = listing.items;
	*ret_count = listing.count;
	return 0;
}

int profile_store_write(struct gateway *gateway, const char *workspace,
			const Openshell__V1__ProviderProfile *message, bool update,
			uint64_t expected, struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&message->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);
	struct store_object object = {};
	char id[37];
	int r;

	if (!packed)
		return error_set(err, -ENOMEM, "out of memory");
	protobuf_c_message_pack(&message->base, packed);
	if (update) {
		r = store_get(gateway->store, STORE_PROFILE, workspace, message->id, &object, err);
		if (r == -ENOENT)
			return error_set(err, r, "there is no imported profile '%s'", message->id);
		if (r)
			return r;
		free(object.payload);
		object.payload = packed;
		object.payload_size = size;
		r = store_update(gateway->store, &object, expected, err);
		object.payload = NULL;
		store_object_clear(&object);
		return r;
	}
	store_make_id(id);
	object = (struct store_object){
		.id = id,
		.kind = STORE_PROFILE,
		.workspace = (char *)workspace,
		.name = message->id,
		.payload = packed,
		.payload_size = size,
	};
	r = store_insert(gateway->store, &object, err);
	if (r == -EEXIST)
		error_set(err, r, "there is a profile '%s' already: update it", message->id);
	return r;
}

int profile_store_delete(struct gateway *gateway, const char *workspace, const char *id,
			 struct error *err)
{
	struct store_object object;
	int r = store_get(gateway->store, STORE_PROFILE, workspace, id, &object, err);

	if (r == -ENOENT && profile_store_is_builtin(gateway, id))
		return error_set(err, -EBUSY, "profile '%s' belongs to this gateway: it stays", id);
	if (r == -ENOENT)
		return error_set(err, r, "there is no profile '%s'", id);
	if (r)
		return r;
	r = store_delete(gateway->store, STORE_PROFILE, object.id, 0, err);
	store_object_clear(&object);
	return r;
}
