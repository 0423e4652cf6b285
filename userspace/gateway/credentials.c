/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/credentials.h"

#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/provider.h"
#include "common/rpc.h"
#include "gateway/policy_revision.h"
#include "gateway/profile_store.h"
#include "gateway/provider_record.h"
#include "gateway/provider_variables.h"
#include "gateway/replace_string.h"
#include "gateway/request.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CREDENTIALS Openshell__Node__V1__Credentials
#define VARIABLE    Openshell__Node__V1__Credentials__EnvironmentEntry
#define REQUEST_MAX 8192

static bool has_expired(const Openshell__Datamodel__V1__Provider *provider, const char *name)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < provider->n_credential_expires_at_ms; i++)
		if (!strcmp(provider->credential_expires_at_ms[i]->key, name))
			return provider->credential_expires_at_ms[i]->value / 1000 <= now.tv_sec;
	return false;
}

const char *provider_variable(void *arg, const char *name)
{
	const Openshell__Datamodel__V1__Provider *provider = arg;

	for (size_t i = 0; i < provider->n_credentials; i++)
		if (!strcmp(provider->credentials[i]->key, name))
			return has_expired(provider, name) ? NULL : provider->credentials[i]->value;
	for (size_t i = 0; i < provider->n_config; i++)
		if (!strcmp(provider->config[i]->key, name))
			return provider->config[i]->value;
	return NULL;
}

/* "NAME=TYPE", and what a type without variables of its own is given. */
int provider_request_text(const Openshell__Datamodel__V1__Provider *provider,
			  const struct provider_profile *profile, char *ret_text, size_t size,
			  struct error *err)
{
	size_t n =
		(size_t)snprintf(ret_text, size, "%s=%s", provider->metadata->name, provider->type);

	for (size_t i = 0; profile->named_variables.value && i < provider->n_credentials; i++)
		if (n < size)
			n += (size_t)snprintf(ret_text + n, size - n, "%c%s", i ? ',' : ':',
					      provider->credentials[i]->key);
	if (n >= size)
		return error_set(err, -E2BIG, "provider '%s' has too many credentials",
				 provider->metadata->name);
	return 0;
}

static ProtobufCMessage *copy_message(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size + 1);
	ProtobufCMessage *copy;

	if (!packed)
		return NULL;
	protobuf_c_message_pack(message, packed);
	copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
	OPENSSL_cleanse(packed, size);
	free(packed);
	return copy;
}

static int add_variable(CREDENTIALS *message, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = (size_t)(equals - text);
	VARIABLE **grown, *entry;

	for (size_t i = 0; i < message->n_environment; i++)
		if (!strncmp(message->environment[i]->key, text, length) &&
		    !message->environment[i]->key[length])
			return 0;
	grown = reallocarray(message->environment, message->n_environment + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	message->environment = grown;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	openshell__node__v1__credentials__environment_entry__init(entry);
	grown[message->n_environment++] = entry;
	entry->key = strndup(text, length);
	if (!entry->key) {
		entry->key = (char *)protobuf_c_empty_string;
		return -ENOMEM;
	}
	return replace_string(&entry->value, equals + 1);
}

static int add_set(CREDENTIALS *message, const struct provider_set *set)
{
	size_t wanted = message->n_credentials + set->n_credentials;
	void *grown = reallocarray(message->credentials, wanted + 1, sizeof(*message->credentials));
	int r = 0;

	if (!grown)
		return -ENOMEM;
	message->credentials = grown;
	if (wanted > PROVIDER_CREDENTIALS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < set->n_credentials; i++) {
		ProtobufCMessage *copy = copy_message(&set->credentials[i]->base);

		if (!copy)
			return -ENOMEM;
		message->credentials[message->n_credentials++] =
			(Openshell__Worker__V1__Credential *)copy;
	}
	for (size_t i = 0; !r && i < set->envs; i++)
		r = add_variable(message, set->env[i]);
	return r;
}

static int add_provider(struct gateway *gateway, const struct sandbox_record *record,
			const char *name, const Openshell__Compiled__V1__CompiledPolicy *policy,
			CREDENTIALS *message, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	_cleanup_provider_set_ struct provider_set *set = NULL;
	struct provider_record provider = {};
	struct caller_variables variables = {.find = provider_variable,
					     .place = PROVIDER_VARIABLES_PLACE};
	char text[REQUEST_MAX];
	int r = provider_record_get(gateway, record->object.workspace, name, &provider, err);

	if (!r)
		r = profile_store_find(gateway, record->object.workspace, provider.provider->type,
				       &profile, err);
	if (!r)
		r = provider_request_text(provider.provider, profile, text, sizeof(text), err);
	if (!r) {
		variables.arg = provider.provider;
		caller_variables_use(&variables);
		r = provider_set_of_profile(profile, text, policy, &set, err);
		caller_variables_use(NULL);
	}
	if (!r) {
		r = add_set(message, set);
		if (r == -E2BIG)
			error_set(err, r, "provider '%s' makes it more than %d credentials", name,
				  PROVIDER_CREDENTIALS_MAX);
		else if (r)
			error_set(err, r, "out of memory");
	}
	provider_record_clear(&provider);
	return r;
}

static int by_provider(const void *a, const void *b)
{
	const Openshell__Worker__V1__Credential *x = *(Openshell__Worker__V1__Credential *const *)a;
	const Openshell__Worker__V1__Credential *y = *(Openshell__Worker__V1__Credential *const *)b;
	int r = strcmp(x->provider, y->provider);

	return r ? r : strcmp(x->key, y->key);
}

static int load_policy(struct gateway *gateway, const struct sandbox_record *record,
		       Openshell__Compiled__V1__CompiledPolicy **ret_policy, struct error *err)
{
	Openshell__Node__V1__Policy *policy;
	int r = policy_revision_current(gateway, record, &policy, err);

	if (r)
		return r;
	*ret_policy = openshell__compiled__v1__compiled_policy__unpack(NULL, policy->compiled.len,
								       policy->compiled.data);
	openshell__node__v1__policy__free_unpacked(policy, NULL);
	return *ret_policy ? 0 : error_set(err, -EIO, "the sandbox's policy is damaged");
}

int credentials_for_sandbox(struct gateway *gateway, const struct sandbox_record *record,
			    Openshell__Node__V1__Credentials **ret_credentials, struct error *err)
{
	const Openshell__V1__SandboxSpec *spec = record->stored->sandbox->spec;
	Openshell__Compiled__V1__CompiledPolicy *policy = NULL;
	CREDENTIALS *message = malloc(sizeof(*message));
	int r = 0;

	if (!message)
		return error_set(err, -ENOMEM, "out of memory");
	openshell__node__v1__credentials__init(message);
	message->revision = record->stored->credentials_revision + 1;
	if (replace_string(&message->sandbox_id, record->object.id))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && spec->n_providers)
		r = load_policy(gateway, record, &policy, err);
	for (size_t i = 0; !r && i < spec->n_providers; i++)
		r = add_provider(gateway, record, spec->providers[i], policy, message, err);
	if (policy)
		openshell__compiled__v1__compiled_policy__free_unpacked(policy, NULL);
	if (r) {
		rpc_scrub(&message->base);
		openshell__node__v1__credentials__free_unpacked(message, NULL);
		return r;
	}
	if (message->n_credentials)
		qsort(message->credentials, message->n_credentials, sizeof(*message->credentials),
		      by_provider);
	*ret_credentials = message;
	return 0;
}

int credentials_try(struct gateway *gateway, const struct sandbox_record *record,
		    const char *provider, struct error *err)
{
	Openshell__Compiled__V1__CompiledPolicy *policy = NULL;
	CREDENTIALS *message = malloc(sizeof(*message));
	int r;

	if (!message)
		return error_set(err, -ENOMEM, "out of memory");
	openshell__node__v1__credentials__init(message);
	r = load_policy(gateway, record, &policy, err);
	if (!r) {
		r = add_provider(gateway, record, provider, policy, message, err);
		openshell__compiled__v1__compiled_policy__free_unpacked(policy, NULL);
	}
	rpc_scrub(&message->base);
	openshell__node__v1__credentials__free_unpacked(message, NULL);
	return r;
}

int credentials_check(struct gateway *gateway, const char *workspace, char *const *providers,
		      size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct provider_record record;
		int r = provider_record_get(gateway, workspace, providers[i], &record, err);

		if (r)
			return r;
		provider_record_clear(&record);
	}
	return 0;
}

/* What a sandbox's own supervisor asks for: placeholders, never the values. */
void credentials_get_environment(struct request *request)
{
	Openshell__V1__GetSandboxProviderEnvironmentResponse response =
		OPENSHELL__V1__GET_SANDBOX_PROVIDER_ENVIRONMENT_RESPONSE__INIT;
	struct sandbox_record record = {};
	CREDENTIALS *credentials = NULL;
	struct error err = {};
	int r = sandbox_record_get_id(request->gateway, request->principal->subject, &record, &err);

	if (!r)
		r = credentials_for_sandbox(request->gateway, &record, &credentials, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		/* The entries look the same in memory. */
		response.environment =
			(Openshell__V1__GetSandboxProviderEnvironmentResponse__EnvironmentEntry **)
				credentials->environment;
		response.n_environment = credentials->n_environment;
		response.provider_env_revision = credentials->revision;
		request_reply(request, &response.base);
		rpc_scrub(&credentials->base);
		openshell__node__v1__credentials__free_unpacked(credentials, NULL);
	}
	sandbox_record_clear(&record);
}
