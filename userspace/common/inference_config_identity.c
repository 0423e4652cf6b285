/* SPDX-License-Identifier: Apache-2.0 */
#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/inference_config_internal.h"

#include <string.h>

#define BEARER "Bearer "

/* One identity on its way. */
struct identity {
	const struct inference_build *build;
	const struct inference_wish *wish;
	const struct provider_profile *profile;
	const char *region;
	WORKER(InferenceRoute) * route;
};

int inference_header_add(struct inference_config *config, const char *name, const char *value,
			 WORKER(InferenceHeader) * **list, size_t *count)
{
	WORKER(InferenceHeader) *header = arena_alloc(config->arena, sizeof(*header));

	if (!header)
		return -ENOMEM;
	*header = (WORKER(InferenceHeader))WORKER_INIT(INFERENCE_HEADER);
	header->name = arena_copy(config->arena, name, strlen(name));
	/* All of them: which ones are keys is not known here. */
	header->value = inference_secret_copy(config, value);
	if (!header->name || !header->value)
		return -ENOMEM;
	(*list)[(*count)++] = header;
	return 0;
}

static int keep_secret(struct identity *identity, const char *value)
{
	WORKER(InferenceRoute) *route = identity->route;
	char *copy;

	if (strlen(value) < INFERENCE_SECRET_MIN)
		return 0;
	copy = inference_secret_copy(identity->build->config, value);
	if (!copy)
		return -ENOMEM;
	route->secrets[route->n_secrets++] = copy;
	return 0;
}

static int use_key(struct identity *identity, int auth, const char *value)
{
	static const char *const headers[] = {[PROFILE_AUTH_BEARER] = "authorization",
					      [PROFILE_AUTH_X_API_KEY] = "x-api-key",
					      [PROFILE_AUTH_API_KEY] = "api-key"};
	WORKER(InferenceRoute) *route = identity->route;
	char text[sizeof(BEARER) + INFERENCE_KEY_MAX];
	int r;

	snprintf(text, sizeof(text), "%s%s", auth == PROFILE_AUTH_BEARER ? BEARER : "", value);
	r = inference_header_add(identity->build->config, headers[auth], text, &route->headers,
				 &route->n_headers);
	explicit_bzero(text, sizeof(text));
	if (!r)
		r = keep_secret(identity, value);
	return r ? inference_no_memory(identity->build->report) : 0;
}

static int find(struct identity *identity, const char *credential, const char **ret_value)
{
	const struct profile_credential *found = profile_credential(identity->profile, credential);

	*ret_value = NULL;
	return found ? inference_keys_find(identity->build->config, identity->build->report,
					   identity->wish->provider.at, found, ret_value)
		     : 0;
}

static int needs(struct identity *identity, const char *variables, const char *first)
{
	const struct inference_source *source = identity->build->source;
	const char *provider = identity->wish->provider.value;
	const char *hint = caller_variables_sudo();

	if (source->before)
		return inference_refuse(identity->build->report, identity->wish->provider.at,
					-ENOENT,
					"provider '%s' needs %s, and credentials are read when a "
					"sandbox starts: start it anew, or give the route a "
					"key file",
					provider, variables);
	return inference_refuse(identity->build->report, identity->wish->provider.at, -ENOENT,
				"provider '%s' needs %s %s, or the route a key file%s%s", provider,
				variables, caller_variables_place(), hint, *hint ? first : "");
}

static int use_signing(struct identity *identity, const char *access_key)
{
	struct inference_config *config = identity->build->config;
	WORKER(InferenceSigning) *signing = arena_alloc(config->arena, sizeof(*signing));
	const char *secret, *token;
	int r = find(identity, "AWS_SECRET_ACCESS_KEY", &secret);

	if (!r)
		r = find(identity, "AWS_SESSION_TOKEN", &token);
	if (r < 0)
		return r;
	if (!secret)
		return needs(identity, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY");
	if (!*identity->region)
		return inference_refuse(identity->build->report, identity->wish->provider.at,
					-EINVAL,
					"provider '%s' needs a region to sign for: give the route "
					"a region, or set AWS_REGION",
					identity->wish->provider.value);
	if (!signing)
		return inference_no_memory(identity->build->report);
	*signing = (WORKER(InferenceSigning))WORKER_INIT(INFERENCE_SIGNING);
	signing->service = arena_copy(config->arena, "bedrock", 7);
	signing->region = arena_copy(config->arena, identity->region, strlen(identity->region));
	signing->access_key = inference_secret_copy(config, access_key);
	signing->secret_key = inference_secret_copy(config, secret);
	signing->session_token = inference_secret_copy(config, token ? token : "");
	if (!signing->service || !signing->region || !signing->access_key || !signing->secret_key ||
	    !signing->session_token || keep_secret(identity, secret) < 0 ||
	    (token && keep_secret(identity, token) < 0))
		return inference_no_memory(identity->build->report);
	identity->route->signing = signing;
	return 0;
}

static int auth_of(const struct profile_inference_key *key)
{
	return key->auth.value ? key->auth.value : PROFILE_AUTH_BEARER;
}

/* Whether a key of the profile is one that the route may use. */
static bool fits(const struct identity *identity, const struct profile_inference_key *key,
		 bool own_url)
{
	int asked = identity->wish->auth.value;
	bool signs = auth_of(key) == PROFILE_AUTH_SIGV4;

	/* A bridge is signed for only by request: its owner may have keys of their own. */
	if (!asked)
		return !signs || !own_url;
	return signs == (asked == PROFILE_AUTH_SIGV4);
}

static int from_file(struct identity *identity)
{
	const struct profile_inference *inference = &identity->profile->inference;
	const struct profile_inference_key *keys = inference->keys.items;
	int auth = identity->wish->auth.value, r;
	const char *value;

	for (size_t i = 0; !auth && i < inference->keys.count; i++)
		if (auth_of(&keys[i]) != PROFILE_AUTH_SIGV4)
			auth = auth_of(&keys[i]);
	r = inference_keys_read_file(identity->build->config, identity->build->report,
				     identity->wish->key_file.at, identity->wish->key_file.value,
				     &value);
	return r < 0 ? r : use_key(identity, auth ? auth : PROFILE_AUTH_BEARER, value);
}

/* 1: one was found and is used. */
static int from_environment(struct identity *identity, bool own_url)
{
	const struct profile_inference *inference = &identity->profile->inference;
	const struct profile_inference_key *keys = inference->keys.items;
	int asked = identity->wish->auth.value;

	for (size_t i = 0; i < inference->keys.count; i++) {
		const char *value;
		int r;

		if (!fits(identity, &keys[i], own_url))
			continue;
		r = find(identity, keys[i].credential.value, &value);
		if (r < 0)
			return r;
		if (!value)
			continue;
		if (auth_of(&keys[i]) == PROFILE_AUTH_SIGV4)
			r = use_signing(identity, value);
		else
			r = use_key(identity, asked ? asked : auth_of(&keys[i]), value);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* "A or B"; the first of them for a hint. */
static void list_variables(const struct profile_credential *credential, const char **first,
			   char *list, size_t size)
{
	size_t count = credential->env.count ? credential->env.count : 1;

	for (size_t i = 0; i < count; i++) {
		const char *name = credential->env.count ? credential->env.items[i].value
							 : credential->key.value;
		size_t used = strlen(list);

		snprintf(list + used, size - used, "%s%s", *first ? " or " : "", name);
		if (!*first)
			*first = name;
	}
}

static int is_missing(struct identity *identity, bool own_url)
{
	const struct profile_inference *inference = &identity->profile->inference;
	const struct profile_inference_key *keys = inference->keys.items;
	const char *first = NULL;
	char list[400] = "";

	for (size_t i = 0; i < inference->keys.count; i++)
		if (fits(identity, &keys[i], own_url))
			list_variables(
				profile_credential(identity->profile, keys[i].credential.value),
				&first, list, sizeof(list));
	if (!first)
		return inference_refuse(identity->build->report, identity->wish->auth.at, -EINVAL,
					"provider '%s' has no key that auth could be used with",
					identity->wish->provider.value);
	return needs(identity, list, first);
}

int inference_identity_make(const struct inference_build *build, const struct inference_wish *wish,
			    const struct provider_profile *profile, const struct inference_url *url,
			    bool own_url, const char *region, WORKER(InferenceRoute) * route)
{
	struct identity identity = {build, wish, profile, region, route};
	int keyless = profile->inference.keyless.value, r;

	if (wish->auth.value == PROFILE_AUTH_NONE)
		return 0;
	if (wish->key_file.value)
		return from_file(&identity);
	r = from_environment(&identity, own_url);
	if (r)
		return r < 0 ? r : 0;
	if (!wish->auth.value && own_url && keyless == PROFILE_KEYLESS_BASE_URL)
		return 0;
	if (wish->auth.value || !own_url || !url->loopback || keyless != PROFILE_KEYLESS_LOOPBACK)
		return is_missing(&identity, own_url);
	inference_warn(build->report, wish->provider.at,
		       "provider '%s' has no key: %s:%u, which is this host, is asked without one",
		       wish->provider.value, url->host, url->port);
	return 0;
}
