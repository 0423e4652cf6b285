/* SPDX-License-Identifier: Apache-2.0 */
/* openshell provider create, get, list, update, delete, list-profiles. */
#include "cli/client.h"
#include "cli/output.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 128
#define PROVIDER    Openshell__Datamodel__V1__Provider

struct provider {
	PROVIDER provider;
	Openshell__Datamodel__V1__ObjectMeta meta;
	Openshell__Datamodel__V1__Provider__CredentialsEntry credential[ENTRIES_MAX],
		*credentials[ENTRIES_MAX];
	Openshell__Datamodel__V1__Provider__ConfigEntry config[ENTRIES_MAX], *configs[ENTRIES_MAX];
};

static int add_credential(struct provider *p, const char *key, const char *value)
{
	size_t n = p->provider.n_credentials;

	if (n == ENTRIES_MAX)
		return -1;
	openshell__datamodel__v1__provider__credentials_entry__init(&p->credential[n]);
	p->credential[n].key = strdup(key);
	p->credential[n].value = (char *)value;
	p->credentials[n] = &p->credential[n];
	p->provider.n_credentials++;
	return p->credential[n].key ? 0 : -1;
}

/* KEY alone is taken from the environment: a value in argv is seen by everybody on the host. */
static int add_given(struct command_call *call, struct provider *p)
{
	for (size_t i = 0; i < call->o.credential.len; i++) {
		const char *value;
		_cleanup_free_ char *key = command_split(call->o.credential.item[i], &value);

		if (!value)
			value = getenv(key);
		if (!value)
			return command_fail(call, "--credential %s: there is no such variable",
					    key);
		if (add_credential(p, key, value))
			return command_fail(call, "too many credentials");
	}
	for (size_t i = 0; i < call->o.config.len && i < ENTRIES_MAX; i++) {
		const char *value;

		openshell__datamodel__v1__provider__config_entry__init(&p->config[i]);
		p->config[i].key = command_split(call->o.config.item[i], &value);
		p->config[i].value = value ? (char *)value : (char *)"";
		p->configs[i] = &p->config[i];
		p->provider.n_config++;
	}
	return EXIT_DONE;
}

/* By the profile of its type: what of it is in the environment. */
static int add_existing(struct client *client, const char *type, struct provider *p)
{
	Openshell__V1__GetProviderProfileRequest request =
		OPENSHELL__V1__GET_PROVIDER_PROFILE_REQUEST__INIT;
	Openshell__V1__ProviderProfileResponse *response;
	int r;

	request.id = (char *)type;
	request.workspace = (char *)client->workspace;
	r = client_unary(client, RPC_GET_PROVIDER_PROFILE, &request,
			 (ProtobufCMessage **)&response);
	if (r)
		return r;
	for (size_t i = 0; i < response->profile->n_credentials; i++) {
		const Openshell__V1__ProviderProfileCredential *c =
			response->profile->credentials[i];
		const char *value = c->n_env_vars ? NULL : getenv(c->name);

		for (size_t k = 0; k < c->n_env_vars && !value; k++)
			value = getenv(c->env_vars[k]);
		if (value && *value)
			(void)add_credential(p, c->name, value);
	}
	protobuf_c_message_free_unpacked(&response->base, NULL);
	if (!p->provider.n_credentials)
		return command_fail(client->call, "no variable of type '%s' is in the environment",
				    type);
	return EXIT_DONE;
}

static struct provider *new_provider(const char *name, const char *type)
{
	struct provider *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	openshell__datamodel__v1__provider__init(&p->provider);
	openshell__datamodel__v1__object_meta__init(&p->meta);
	p->meta.name = (char *)name;
	p->provider.metadata = &p->meta;
	p->provider.type = type ? (char *)type : (char *)"";
	p->provider.credentials = p->credentials;
	p->provider.config = p->configs;
	return p;
}

static void free_provider(struct provider *p)
{
	for (size_t i = 0; p && i < p->provider.n_credentials; i++)
		free(p->credential[i].key);
	for (size_t i = 0; p && i < p->provider.n_config; i++)
		free(p->config[i].key);
	free(p);
}

static void print_provider(const PROVIDER *p)
{
	printf("Name:         %s\nType:         %s\n", p->metadata->name, p->type);
	for (size_t i = 0; i < p->n_credentials; i++)
		printf("%s%s\n", i ? "              " : "Credentials:  ", p->credentials[i]->key);
	for (size_t i = 0; i < p->n_config; i++)
		printf("%s%s=%s\n", i ? "              " : "Config:       ", p->config[i]->key,
		       p->config[i]->value);
}

static int show(struct command_call *call, ProtobufCMessage *base)
{
	const Openshell__V1__ProviderResponse *response = (const void *)base;
	int r = EXIT_DONE;

	if (!output_message(call, base, &r))
		print_provider(response->provider);
	protobuf_c_message_free_unpacked(base, NULL);
	return r;
}

static int create(struct command_call *call)
{
	Openshell__V1__CreateProviderRequest request = OPENSHELL__V1__CREATE_PROVIDER_REQUEST__INIT;
	struct provider *p;
	ProtobufCMessage *response;
	struct client client;
	int r;

	if (!call->o.name || !call->o.type)
		return command_usage(call, "--name and --type are needed");
	p = new_provider(call->o.name, call->o.type);
	r = p ? client_open(call, &client) : EXIT_FAILED;
	if (r) {
		free_provider(p);
		return r;
	}
	r = add_given(call, p);
	if (!r && call->o.from_existing)
		r = add_existing(&client, call->o.type, p);
	request.provider = &p->provider;
	request.workspace = (char *)client.workspace;
	if (!r)
		r = client_unary(&client, RPC_CREATE_PROVIDER, &request, &response);
	if (!r)
		r = show(call, response);
	free_provider(p);
	client_close(&client);
	return r;
}

static int update(struct command_call *call)
{
	Openshell__V1__UpdateProviderRequest request = OPENSHELL__V1__UPDATE_PROVIDER_REQUEST__INIT;
	struct provider *p = new_provider(call->words[0], NULL);
	ProtobufCMessage *response;
	struct client client;
	int r = p ? client_open(call, &client) : EXIT_FAILED;

	if (r) {
		free_provider(p);
		return r;
	}
	r = add_given(call, p);
	request.provider = &p->provider;
	request.workspace = (char *)client.workspace;
	if (!r)
		r = client_unary(&client, RPC_UPDATE_PROVIDER, &request, &response);
	if (!r)
		r = show(call, response);
	free_provider(p);
	client_close(&client);
	return r;
}

static int get(struct command_call *call)
{
	Openshell__V1__GetProviderRequest request = OPENSHELL__V1__GET_PROVIDER_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.name = call->words[0];
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_GET_PROVIDER, &request, &response);
	if (!r)
		r = show(call, response);
	client_close(&client);
	return r;
}

static int list(struct command_call *call)
{
	Openshell__V1__ListProvidersRequest request = OPENSHELL__V1__LIST_PROVIDERS_REQUEST__INIT;
	static const char *const heads[] = {"NAME", "TYPE", "CREDENTIALS", "AGE"};
	Openshell__V1__ListProvidersResponse *response;
	struct output_table table = {.heads = heads, .columns = 4};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.workspace = (char *)client.workspace;
	request.all_workspaces = call->o.all_workspaces;
	r = client_unary(&client, RPC_LIST_PROVIDERS, &request, (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_providers; i++) {
			const PROVIDER *p = response->providers[i];
			char count[16], age[16];

			snprintf(count, sizeof(count), "%zu", p->n_credentials);
			output_add(&table, p->metadata->name, p->type, count,
				   output_age(p->metadata->created_at_ms, age));
		}
		if (!output_message(call, &response->base, &r))
			output_print(&table);
		output_clear(&table);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int delete (struct command_call *call)
{
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	for (int i = 0; !r && i < call->count; i++) {
		Openshell__V1__DeleteProviderRequest request =
			OPENSHELL__V1__DELETE_PROVIDER_REQUEST__INIT;
		ProtobufCMessage *response;

		request.name = call->words[i];
		request.workspace = (char *)client.workspace;
		r = client_unary(&client, RPC_DELETE_PROVIDER, &request, &response);
		if (!r) {
			printf("deleted %s\n", call->words[i]);
			protobuf_c_message_free_unpacked(response, NULL);
		}
	}
	client_close(&client);
	return r;
}

static int list_profiles(struct command_call *call)
{
	Openshell__V1__ListProviderProfilesRequest request =
		OPENSHELL__V1__LIST_PROVIDER_PROFILES_REQUEST__INIT;
	static const char *const heads[] = {"ID", "SOURCE", "MODELS", "DESCRIPTION"};
	Openshell__V1__ListProviderProfilesResponse *response;
	struct output_table table = {.heads = heads, .columns = 4};
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_LIST_PROVIDER_PROFILES, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		for (size_t i = 0; i < response->n_profiles; i++)
			output_add(&table, response->profiles[i]->id, response->profiles[i]->source,
				   response->profiles[i]->inference_capable ? "yes" : "no",
				   response->profiles[i]->description);
		if (!output_message(call, &response->base, &r))
			output_print(&table);
		output_clear(&table);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static const struct option_row create_rows[] = {
	ROW_STRING("name", 'n', name, "NAME", "its name"),
	ROW_STRING("type", 0, type, "TYPE", "its type, such as github (list-profiles)"),
	ROW_FLAG("from-existing", 0, from_existing, "take its variables from the environment"),
	ROW_STRINGS("credential", 0, credential, "KEY[=VALUE]",
		    "a credential; without a value that of the variable KEY"),
	ROW_STRINGS("config", 0, config, "KEY=VALUE", "what is no secret, such as a base URL"),
};

static const struct option_row update_rows[] = {
	ROW_STRINGS("credential", 0, credential, "KEY[=VALUE]", "another value; empty: none"),
	ROW_STRINGS("config", 0, config, "KEY=VALUE", "another setting"),
};

static const struct option_row list_rows[] = {
	ROW_FLAG("all-workspaces", 0, all_workspaces, "of all workspaces"),
};

const struct command provider_commands[] = {
	{"provider", "create", NULL, 0, 0, create, "keep the credentials of a service",
	 ROWS(create_rows)},
	{"provider", "get", "NAME", 1, 1, get, "show a provider, without its secrets", NO_ROWS},
	{"provider", "list", NULL, 0, 0, list, "list providers", ROWS(list_rows)},
	{"provider", "update", "NAME", 1, 1, update, "change its credentials", ROWS(update_rows)},
	{"provider", "delete", "NAME..", 1, -1, delete, "delete providers", NO_ROWS},
	{"provider", "list-profiles", NULL, 0, 0, list_profiles, "list types", NO_ROWS},
	{},
};
