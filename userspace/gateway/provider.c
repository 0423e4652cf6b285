/* SPDX-License-Identifier: Apache-2.0 */
/* Providers: made, read without their secrets, changed, deleted. */
#include "common/cleanup.h"
#include "common/provider_key.h"
#include "common/rpc.h"
#include "gateway/authority.h"
#include "gateway/credentials.h"
#include "gateway/handlers.h"
#include "gateway/profile.h"
#include "gateway/profile_store.h"
#include "gateway/provider_change.h"
#include "gateway/provider_record.h"
#include "gateway/replace_string.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define PROVIDER    Openshell__Datamodel__V1__Provider
#define CREDENTIAL  Openshell__Datamodel__V1__Provider__CredentialsEntry
#define CONFIG	    Openshell__Datamodel__V1__Provider__ConfigEntry
#define EXPIRY	    Openshell__Datamodel__V1__Provider__CredentialExpiresAtMsEntry
#define ENTRIES_MAX 128
#define VALUE_MAX   16384

static int check_entries(const PROVIDER *provider, struct error *err)
{
	if (provider->n_credentials > ENTRIES_MAX || provider->n_config > ENTRIES_MAX)
		return error_set(err, -EINVAL, "more than %d credentials or settings", ENTRIES_MAX);
	for (size_t i = 0; i < provider->n_credentials; i++) {
		const CREDENTIAL *c = provider->credentials[i];

		if (!provider_key_is_valid(c->key) || !strncmp(c->key, "OPENSHELL_", 10))
			return error_set(err, -EINVAL,
					 "credentials: '%.64s' cannot name a variable", c->key);
		/* Without the value: it is a secret. */
		if (strlen(c->value) > VALUE_MAX || strpbrk(c->value, "\r\n"))
			return error_set(err, -EINVAL,
					 "credentials: the value of %s has a line break or more "
					 "than %d bytes",
					 c->key, VALUE_MAX);
	}
	for (size_t i = 0; i < provider->n_config; i++)
		if (!*provider->config[i]->key || strlen(provider->config[i]->key) > 256)
			return error_set(err, -EINVAL, "config: a key has 1 to 256 characters");
	if (provider->n_credential_handles)
		return error_set(err, -EINVAL,
				 "credential_handles: this gateway keeps credentials itself");
	return 0;
}

static bool has_credential(const PROVIDER *provider, const char *key)
{
	for (size_t i = 0; i < provider->n_credentials; i++)
		if (!strcmp(provider->credentials[i]->key, key))
			return true;
	return false;
}

static int check_expiry(const PROVIDER *provider, struct error *err)
{
	for (size_t i = 0; i < provider->n_credential_expires_at_ms; i++)
		if (!has_credential(provider, provider->credential_expires_at_ms[i]->key))
			return error_set(err, -EINVAL,
					 "credential_expires_at_ms: provider '%s' has no "
					 "credential '%.64s'",
					 provider->metadata->name,
					 provider->credential_expires_at_ms[i]->key);
	return 0;
}

static int pack(struct store_object *object, const PROVIDER *provider, struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&provider->base);

	object->payload = malloc(size + 1);
	if (!object->payload)
		return error_set(err, -ENOMEM, "out of memory");
	object->payload_size = protobuf_c_message_pack(&provider->base, object->payload);
	return 0;
}

static void drop_payload(struct store_object *object)
{
	if (object->payload)
		OPENSSL_cleanse(object->payload, object->payload_size);
	free(object->payload);
	object->payload = NULL;
	object->payload_size = 0;
}

static void reply(struct request *request, struct provider_record *record)
{
	Openshell__V1__ProviderResponse response = OPENSHELL__V1__PROVIDER_RESPONSE__INIT;

	record->provider->metadata->created_at_ms = record->object.created_ms;
	record->provider->metadata->resource_version = record->object.version;
	rpc_scrub(&record->provider->base);
	response.provider = record->provider;
	request_reply(request, &response.base);
}

static int check_new(struct request *request, const PROVIDER *provider, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;

	if (!provider || !provider->metadata || !*provider->metadata->name)
		return error_set(err, -EINVAL, "a provider has a name: metadata.name");
	if (!*provider->type)
		return error_set(err, -EINVAL, "a provider has a type, such as github");
	if (*provider->profile_workspace &&
	    strcmp(provider->profile_workspace, request->workspace) != 0)
		return error_set(err, -EINVAL,
				 "profile_workspace: a provider's profile is of its own workspace, "
				 "or came with this gateway");
	return profile_store_find(request->gateway, request->workspace, provider->type, &profile,
				  err);
}

static void create(struct request *request)
{
	const Openshell__V1__CreateProviderRequest *message = (const void *)request->message;
	struct provider_record record = {};
	struct store_object object = {.kind = STORE_PROVIDER};
	struct error err = {};
	char id[37];
	int r = check_new(request, message->provider, &err);

	if (!r)
		r = check_entries(message->provider, &err);
	if (!r)
		r = check_expiry(message->provider, &err);
	if (!r) {
		PROVIDER provider = *message->provider;
		Openshell__Datamodel__V1__ObjectMeta meta = *provider.metadata;

		store_make_id(id);
		meta.id = id;
		meta.workspace = (char *)request->workspace;
		provider.metadata = &meta;
		object.id = id;
		object.workspace = (char *)request->workspace;
		object.name = meta.name;
		r = pack(&object, &provider, &err);
	}
	if (!r)
		r = store_insert(request->gateway->store, &object, &err);
	if (r == -EEXIST)
		error_set(&err, r, "there is a provider '%s' already", object.name);
	drop_payload(&object);
	if (!r)
		r = provider_record_get(request->gateway, request->workspace, object.name, &record,
					&err);
	if (r)
		request_fail_error(request, &err);
	else
		reply(request, &record);
	provider_record_clear(&record);
}

static void get(struct request *request)
{
	const Openshell__V1__GetProviderRequest *message = (const void *)request->message;
	struct provider_record record = {};
	struct error err = {};

	if (provider_record_get(request->gateway, request->workspace, message->name, &record, &err))
		request_fail_error(request, &err);
	else
		reply(request, &record);
	provider_record_clear(&record);
}

static bool may_see(struct request *request, const char *workspace, bool everywhere)
{
	return !everywhere || !authority_allows(request->gateway->authority, request->principal,
						request->method, workspace, NULL, NULL);
}

static void list(struct request *request)
{
	const Openshell__V1__ListProvidersRequest *message = (const void *)request->message;
	Openshell__V1__ListProvidersResponse response =
		OPENSHELL__V1__LIST_PROVIDERS_RESPONSE__INIT;
	const struct store_query query = {
		.kind = STORE_PROVIDER,
		.workspace = message->all_workspaces ? NULL : request->workspace,
		.limit = message->limit,
		.offset = message->offset,
	};
	struct store_list list = {};
	struct error err = {};
	int r = store_list(request->gateway->store, &query, &list, &err);

	if (!r) {
		response.providers = calloc(list.count + 1, sizeof(*response.providers));
		if (!response.providers)
			r = error_set(&err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; !r && i < list.count; i++) {
		struct provider_record record;

		if (!may_see(request, list.items[i].workspace, message->all_workspaces))
			continue;
		r = provider_record_unpack(&list.items[i], &record, &err);
		if (r)
			break;
		rpc_scrub(&record.provider->base);
		response.providers[response.n_providers++] = TAKE_PTR(record.provider);
		provider_record_clear(&record);
	}
	if (r)
		request_fail_error(request, &err);
	else
		request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_providers; i++)
		openshell__datamodel__v1__provider__free_unpacked(response.providers[i], NULL);
	free(response.providers);
	store_list_clear(&list);
}

/* ---- changes ---- */

/* Entries of a map from text to text: an empty value takes the key out. */
static int set_entry(void *map, size_t *count, const ProtobufCMessageDescriptor *type,
		     const char *key, const char *value)
{
	CONFIG **entries = *(CONFIG ***)map, **grown, *entry;
	size_t i = 0;

	while (i < *count && strcmp(entries[i]->key, key) != 0)
		i++;
	if (i < *count && *value) {
		if (entries[i]->value != protobuf_c_empty_string)
			OPENSSL_cleanse(entries[i]->value, strlen(entries[i]->value));
		return replace_string(&entries[i]->value, value);
	}
	if (i < *count) {
		if (entries[i]->value != protobuf_c_empty_string)
			OPENSSL_cleanse(entries[i]->value, strlen(entries[i]->value));
		protobuf_c_message_free_unpacked(&entries[i]->base, NULL);
		memmove(entries + i, entries + i + 1, (--*count - i) * sizeof(*entries));
		return 0;
	}
	if (!*value)
		return 0;
	if (*count >= ENTRIES_MAX)
		return -E2BIG;
	grown = reallocarray(entries, *count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*(CONFIG ***)map = grown;
	entry = malloc(type->sizeof_message);
	if (!entry)
		return -ENOMEM;
	protobuf_c_message_init(type, entry);
	grown[(*count)++] = entry;
	return replace_string(&entry->key, key) ?: replace_string(&entry->value, value);
}

/* 0 takes it away: the credential does not expire. */
static int set_expiry(PROVIDER *provider, const char *key, int64_t value)
{
	EXPIRY **entries = provider->credential_expires_at_ms, **grown, *entry;
	size_t count = provider->n_credential_expires_at_ms, i = 0;

	while (i < count && strcmp(entries[i]->key, key) != 0)
		i++;
	if (i < count && value) {
		entries[i]->value = value;
		return 0;
	}
	if (i < count) {
		protobuf_c_message_free_unpacked(&entries[i]->base, NULL);
		memmove(entries + i, entries + i + 1, (count - i - 1) * sizeof(*entries));
		provider->n_credential_expires_at_ms--;
		return 0;
	}
	if (!value)
		return 0;
	if (count >= ENTRIES_MAX)
		return -E2BIG;
	grown = reallocarray(provider->credential_expires_at_ms,
			     provider->n_credential_expires_at_ms + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	provider->credential_expires_at_ms = grown;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	openshell__datamodel__v1__provider__credential_expires_at_ms_entry__init(entry);
	grown[provider->n_credential_expires_at_ms++] = entry;
	entry->value = value;
	return replace_string(&entry->key, key);
}

static int merge(PROVIDER *provider, const Openshell__V1__UpdateProviderRequest *message,
		 struct error *err)
{
	const PROVIDER *given = message->provider;
	int r = 0;

	if (*given->type && strcmp(given->type, provider->type) != 0)
		return error_set(err, -EBUSY, "provider '%s' is of type '%s', which stays",
				 provider->metadata->name, provider->type);
	for (size_t i = 0; !r && i < given->n_credentials; i++)
		r = set_entry(&provider->credentials, &provider->n_credentials,
			      &openshell__datamodel__v1__provider__credentials_entry__descriptor,
			      given->credentials[i]->key, given->credentials[i]->value);
	for (size_t i = 0; !r && i < given->n_config; i++)
		r = set_entry(&provider->config, &provider->n_config,
			      &openshell__datamodel__v1__provider__config_entry__descriptor,
			      given->config[i]->key, given->config[i]->value);
	/* A value that is new or gone does not expire when the old one would have. */
	for (size_t i = 0; !r && i < given->n_credentials; i++)
		r = set_expiry(provider, given->credentials[i]->key, 0);
	for (size_t i = 0; !r && i < given->n_credential_expires_at_ms; i++)
		r = set_expiry(provider, given->credential_expires_at_ms[i]->key,
			       given->credential_expires_at_ms[i]->value);
	for (size_t i = 0; !r && i < message->n_credential_expires_at_ms; i++)
		r = set_expiry(provider, message->credential_expires_at_ms[i]->key,
			       message->credential_expires_at_ms[i]->value);
	if (!r && check_expiry(provider, err))
		return -EINVAL;
	return r ? error_set(err, r, "the provider cannot be changed: %s", strerror(-r)) : 0;
}

/* Together with what it is for the sandboxes that have it, or not at all. */
static int write_changed(struct request *request, struct provider_record *record, uint64_t expected,
			 struct error *err)
{
	struct store *store = request->gateway->store;
	int r = pack(&record->object, record->provider, err);

	if (!r)
		r = store_begin(store, err);
	if (r) {
		drop_payload(&record->object);
		return r;
	}
	r = store_update(store, &record->object, expected ? expected : record->object.version, err);
	drop_payload(&record->object);
	if (!r)
		r = provider_touch(request->gateway, request->workspace, record->object.name, err);
	if (!r)
		return store_commit(store, err);
	store_rollback(store);
	return r;
}

static void update(struct request *request)
{
	const Openshell__V1__UpdateProviderRequest *message = (const void *)request->message;
	struct provider_record record = {};
	struct error err = {};
	uint64_t expected;
	int r;

	if (!message->provider || !message->provider->metadata) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "which provider? metadata.name");
		return;
	}
	expected = message->provider->metadata->resource_version;
	r = provider_record_get(request->gateway, request->workspace,
				message->provider->metadata->name, &record, &err);
	if (!r)
		r = check_entries(message->provider, &err);
	if (!r)
		r = merge(record.provider, message, &err);
	if (!r)
		r = write_changed(request, &record, expected, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		provider_changed(request->gateway, request->workspace, record.object.name);
		reply(request, &record);
	}
	provider_record_clear(&record);
}

static void delete (struct request *request)
{
	const Openshell__V1__DeleteProviderRequest *message = (const void *)request->message;
	Openshell__V1__DeleteProviderResponse response =
		OPENSHELL__V1__DELETE_PROVIDER_RESPONSE__INIT;
	struct provider_record record = {};
	struct error err = {};
	int r = provider_record_get(request->gateway, request->workspace, message->name, &record,
				    &err);

	if (!r)
		r = provider_is_attached(request->gateway, request->workspace, message->name, &err);
	/* A route without its provider would be an error for each sandbox. */
	if (!r)
		r = inference_uses(request->gateway, request->workspace, message->name, &err);
	if (!r)
		r = store_delete(request->gateway->store, STORE_PROVIDER, record.object.id, 0,
				 &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.deleted = true;
		request_reply(request, &response.base);
	}
	provider_record_clear(&record);
}

const struct handler provider_handlers[] = {
	{RPC_CREATE_PROVIDER, create},
	{RPC_GET_PROVIDER, get},
	{RPC_LIST_PROVIDERS, list},
	{RPC_UPDATE_PROVIDER, update},
	{RPC_DELETE_PROVIDER, delete},
	{RPC_LIST_PROVIDER_PROFILES, profile_list},
	{RPC_GET_PROVIDER_PROFILE, profile_get},
	{RPC_IMPORT_PROVIDER_PROFILES, profile_import},
	{RPC_UPDATE_PROVIDER_PROFILES, profile_update},
	{RPC_LINT_PROVIDER_PROFILES, profile_lint},
	{RPC_DELETE_PROVIDER_PROFILE, profile_delete},
	{RPC_GET_SANDBOX_PROVIDER_ENVIRONMENT, credentials_get_environment},
	{},
};
