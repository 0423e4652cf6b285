/* SPDX-License-Identifier: Apache-2.0 */
#include "common/provider.h"
#include "common/arena.h"
#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/policy_host.h"
#include "common/policy_proxied.h"
#include "common/provider_profile.h"

#include <errno.h>
#include <string.h>

#define WORKER(name)	  Openshell__Worker__V1__##name
#define WORKER_INIT(name) OPENSHELL__WORKER__V1__##name##__INIT
#define COMPILED(name)	  Openshell__Compiled__V1__##name

#define ARENA_MAX   (16u << 20)
#define STEPS_MAX   (1u << 26)
#define PLACEHOLDER "openshell:resolve:env:"

/* One --provider, taken apart; strings are the arena's. */
struct request {
	const char *name, *type;
	char **variables; /* that it names itself */
	size_t variables_len;
};

struct build {
	struct provider_set *set;
	const COMPILED(CompiledPolicy) * policy;
	const struct request *request;
	size_t first; /* of the request's credentials */
	struct error *err;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "not enough memory for the providers");
}

int provider_request_check(const char *request, struct error *err)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-_.";
	size_t len = strcspn(request, "=:"), type_len;
	const char *type = request[len] == '=' ? request + len + 1 : request;

	type_len = strcspn(type, ":");
	if (!len || strspn(request, name) < len || len > PROFILE_NAME_MAX || !type_len ||
	    strspn(type, name) < type_len || type_len > PROFILE_NAME_MAX)
		return error_set(err, -EINVAL,
				 "--provider: expected NAME=TYPE or TYPE, such as work=github (or "
				 "NAME=generic:VARIABLE,VARIABLE); names have letters, digits, "
				 "'-', '_' and '.', at most %d",
				 PROFILE_NAME_MAX);
	return 0;
}

static int split_variables(struct arena *arena, char *list, struct request *request,
			   struct error *err)
{
	size_t count = 1;

	for (const char *c = list; *c; c++)
		count += *c == ',';
	if (count > PROFILE_CREDENTIALS_MAX)
		return error_set(err, -E2BIG, "provider '%s': more than %d variables",
				 request->name, PROFILE_CREDENTIALS_MAX);
	request->variables = arena_alloc_array(arena, count, sizeof(*request->variables));
	if (!request->variables)
		return no_memory(err);
	for (size_t i = 0; i < count; i++) {
		size_t len = strcspn(list, ",");

		list[len] = '\0';
		if (!provider_key_is_valid(list) || provider_key_is_ambiguous(list) ||
		    !strncmp(list, "OPENSHELL_", 10))
			return error_set(err, -EINVAL,
					 "provider '%s': '%s' cannot name a credential's variable",
					 request->name, list);
		request->variables[request->variables_len++] = list;
		list += len + 1;
	}
	return 0;
}

static int take_apart(struct arena *arena, const char *text, struct request *ret_request,
		      struct error *err)
{
	char *copy = arena_copy(arena, text, strlen(text)), *colon, *equals;
	struct request request = {};
	int r = provider_request_check(text, err);

	if (r < 0)
		return r;
	if (!copy)
		return no_memory(err);
	colon = strchr(copy, ':');
	if (colon)
		*colon = '\0';
	equals = strchr(copy, '=');
	if (equals)
		*equals = '\0';
	request.name = copy;
	request.type = equals ? equals + 1 : copy;
	if (colon)
		r = split_variables(arena, colon + 1, &request, err);
	if (!r)
		*ret_request = request;
	return r;
}

/* Values */

static const char *unfit(const char *value)
{
	if (strlen(value) > PROVIDER_VALUE_MAX)
		return "it is longer than 16384 bytes";
	for (const char *c = value; *c; c++) {
		if (*c == '\r' || *c == '\n')
			return "it has a line break";
		if ((unsigned char)*c < ' ' ? *c != '\t' : *c == 0x7f)
			return "it has a control character";
	}
	return NULL;
}

static int add_credential(struct build *build, const char *key, const char *variable,
			  const char *value, bool signing)
{
	struct provider_set *set = build->set;
	const char *why = unfit(value);
	WORKER(Credential) * credential;

	/* Without the value: it is a secret. */
	if (why)
		return error_set(build->err, -EINVAL,
				 "provider '%s': the value of %s is refused: %s",
				 build->request->name, variable, why);
	if (set->n_credentials == PROVIDER_CREDENTIALS_MAX)
		return error_set(build->err, -E2BIG, "more than %d credentials",
				 PROVIDER_CREDENTIALS_MAX);
	credential = arena_alloc(set->arena, sizeof(*credential));
	if (!credential)
		return no_memory(build->err);
	*credential = (WORKER(Credential))WORKER_INIT(CREDENTIAL);
	credential->provider =
		arena_copy(set->arena, build->request->name, strlen(build->request->name));
	credential->key = arena_copy(set->arena, key, strlen(key));
	credential->value = arena_copy(set->arena, value, strlen(value));
	credential->bindings =
		arena_alloc_array(set->arena, PROVIDER_BINDINGS_MAX, sizeof(*credential->bindings));
	credential->signing_only = signing;
	set->variables[set->variables_len] = arena_copy(set->arena, variable, strlen(variable));
	if (!credential->provider || !credential->key || !credential->value ||
	    !credential->bindings || !set->variables[set->variables_len])
		return no_memory(build->err);
	set->variables_len++;
	set->credentials[set->n_credentials++] = credential;
	return 0;
}

static const char *from_environment(const char *variable)
{
	const char *value = caller_variable(variable);

	return value && *value ? value : NULL;
}

static const char *describe_variables(const struct profile_credential *credential, char *buf,
				      size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "%s", credential->key.value);
	for (size_t i = 0; i < credential->env.count && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? " or " : "",
					 credential->env.items[i].value);
	return buf;
}

/* sudo drops what it was not told to keep, which is the usual reason. */
static int is_missing(const struct build *build, const char *variables, const char *first)
{
	const char *hint = caller_variables_sudo();

	return error_set(build->err, -ENOENT, "provider '%s' (%s) needs %s %s%s%s",
			 build->request->name, build->request->type, variables,
			 caller_variables_place(), hint, *hint ? first : "");
}

static int add_from_profile(struct build *build, const struct profile_credential *credential)
{
	const char *variable = credential->key.value, *value;
	char list[512];

	value = credential->env.count ? NULL : from_environment(variable);
	for (size_t i = 0; i < credential->env.count && !value; i++) {
		variable = credential->env.items[i].value;
		value = from_environment(variable);
	}
	if (!value && credential->required.value)
		return is_missing(build, describe_variables(credential, list, sizeof(list)),
				  credential->env.count ? credential->env.items[0].value
							: credential->key.value);
	if (!value)
		return 0;
	return add_credential(build, credential->key.value, variable, value,
			      credential->signing.value);
}

static int add_named(struct build *build, const struct provider_profile *profile)
{
	const struct request *request = build->request;

	if (!profile->named_variables.value) {
		if (!request->variables_len)
			return 0;
		return error_set(
			build->err, -EINVAL,
			"provider '%s': type '%s' knows its own variables; only types such "
			"as generic take them as TYPE:VARIABLE",
			request->name, request->type);
	}
	if (!request->variables_len)
		return error_set(build->err, -EINVAL,
				 "provider '%s': type '%s' needs the variables' names: --provider "
				 "%s=%s:VARIABLE",
				 request->name, request->type, request->name, request->type);
	for (size_t i = 0; i < request->variables_len; i++) {
		const char *variable = request->variables[i], *value = from_environment(variable);
		int r;

		if (!value)
			return is_missing(build, variable, variable);
		r = add_credential(build, variable, variable, value, false);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_values(struct build *build, const struct provider_profile *profile)
{
	const struct profile_credential *credentials = profile->credentials.items;
	char list[512] = "one of ";
	size_t used = strlen(list);
	int r = add_named(build, profile);

	for (size_t i = 0; !r && i < profile->credentials.count; i++)
		r = add_from_profile(build, &credentials[i]);
	if (r < 0 || build->set->n_credentials > build->first)
		return r;
	for (size_t i = 0; i < profile->credentials.count && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 credentials[i].key.value);
	return is_missing(build, list, credentials[0].key.value);
}

/* Bindings */

static int bind(struct build *build, WORKER(Credential) * credential, const char *host,
		const uint32_t *ports, size_t ports_len, const char *path)
{
	struct arena *arena = build->set->arena;
	WORKER(Binding) *binding = arena_alloc(arena, sizeof(*binding));

	if (credential->n_bindings == PROVIDER_BINDINGS_MAX)
		return error_set(build->err, -E2BIG,
				 "provider '%s': more than %d places where %s may go",
				 build->request->name, PROVIDER_BINDINGS_MAX, credential->key);
	if (!binding)
		return no_memory(build->err);
	*binding = (WORKER(Binding))WORKER_INIT(BINDING);
	binding->host = arena_copy(arena, host, strlen(host));
	binding->path = arena_copy(arena, path, strlen(path));
	binding->ports = arena_alloc_array(arena, ports_len, sizeof(*ports));
	if (!binding->host || !binding->path || !binding->ports)
		return no_memory(build->err);
	if (ports_len)
		memcpy(binding->ports, ports, ports_len * sizeof(*ports));
	binding->n_ports = ports_len;
	credential->bindings[credential->n_bindings++] = binding;
	return 0;
}

static bool binds(const struct profile_binding *binding, const char *key)
{
	for (size_t i = 0; i < binding->credentials.count; i++)
		if (!strcmp(binding->credentials.items[i].value, key))
			return true;
	return !policy_given(binding->credentials);
}

static int bind_by_profile(struct build *build, const struct provider_profile *profile,
			   WORKER(Credential) * credential)
{
	const struct profile_binding *bindings = profile->bindings.items;

	for (size_t i = 0; i < profile->bindings.count; i++) {
		_cleanup_free_ uint32_t *ports = NULL;
		char host[POLICY_HOST_MAX + 1];
		enum policy_host_kind kind;
		const char *why;
		int r;

		if (!binds(&bindings[i], credential->key))
			continue;
		ports = calloc(bindings[i].ports.count + 1, sizeof(*ports));
		if (!ports)
			return no_memory(build->err);
		for (size_t j = 0; j < bindings[i].ports.count; j++)
			ports[j] = (uint32_t)bindings[i].ports.items[j].value;
		if (policy_host_parse(bindings[i].host.value, &kind, host, &why) < 0)
			return error_set(build->err, -EINVAL, "host '%s' is refused: %s",
					 bindings[i].host.value, why);
		r = bind(build, credential, host, ports, bindings[i].ports.count,
			 bindings[i].path.value ? bindings[i].path.value : "");
		if (r < 0)
			return r;
	}
	return 0;
}

static int bind_by_policy(struct build *build, WORKER(Credential) * credential)
{
	for (size_t i = 0; i < build->policy->n_endpoints; i++) {
		const COMPILED(Endpoint) *endpoint = build->policy->endpoints[i];
		int r;

		if (strcmp(endpoint->credential_provider, build->request->name))
			continue;
		if (!*endpoint->host)
			return error_set(build->err, -EINVAL,
					 "rule '%s': credential_binding needs an endpoint with a "
					 "host, not addresses alone",
					 endpoint->rule);
		r = bind(build, credential, endpoint->host, endpoint->ports, endpoint->n_ports,
			 endpoint->path);
		if (r < 0)
			return r;
	}
	if (credential->n_bindings)
		return 0;
	return error_set(build->err, -EINVAL,
			 "provider '%s': nothing says where %s may go; add 'credential_binding: "
			 "{provider: %s}' to an endpoint of the policy",
			 build->request->name, credential->key, build->request->name);
}

static bool ports_meet(const WORKER(Binding) * binding, const COMPILED(Endpoint) * endpoint,
		       uint32_t *ret_port)
{
	static const uint32_t https[] = {443};
	const uint32_t *ports = binding->n_ports ? binding->ports : https;
	size_t count = binding->n_ports ? binding->n_ports : 1;

	for (size_t i = 0; i < endpoint->n_ports; i++)
		for (size_t j = 0; j < count; j++)
			if (endpoint->ports[i] == ports[j]) {
				*ret_port = ports[j];
				return true;
			}
	return false;
}

static bool is_seen(const COMPILED(CompiledPolicy) * policy, const COMPILED(Endpoint) * endpoint)
{
	return policy_is_proxied(policy, endpoint) &&
	       endpoint->tls != OPENSHELL__COMPILED__V1__TLS_MODE__TLS_MODE_SKIP;
}

/*
 * A connection that nobody looks at carries placeholders as they are, and the service says no: that
 * is found out here, with a sentence, and not later by an agent.
 */
static int check_uninspected(const struct provider_set *set,
			     const COMPILED(CompiledPolicy) * policy, struct error *err)
{
	size_t steps = STEPS_MAX;
	uint32_t port;

	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const COMPILED(Endpoint) *endpoint = policy->endpoints[i];

		if (endpoint->allow_uninspected_credentials || !*endpoint->host ||
		    is_seen(policy, endpoint))
			continue;
		for (size_t j = 0; j < set->n_credentials; j++) {
			const WORKER(Credential) *credential = set->credentials[j];

			for (size_t k = 0; k < credential->n_bindings; k++)
				if (ports_meet(credential->bindings[k], endpoint, &port) &&
				    policy_host_overlap(credential->bindings[k]->host,
							endpoint->host, &steps))
					return error_set(
						err, -EACCES,
						"rule '%s' lets %s:%u through without inspection, "
						"where %s of provider '%s' may go: an endpoint "
						"with "
						"credentials must be inspected; add 'protocol: "
						"rest' "
						"and leave out 'tls: skip', or write "
						"'allow_uninspected_credentials: true'",
						endpoint->rule, endpoint->host, port,
						credential->key, credential->provider);
		}
	}
	return 0;
}

/* The set */

static int add_profile(struct build *build, const struct provider_profile *profile)
{
	struct provider_set *set = build->set;
	int r;

	build->first = set->n_credentials;
	r = add_values(build, profile);
	for (size_t i = build->first; !r && i < set->n_credentials; i++) {
		r = bind_by_profile(build, profile, set->credentials[i]);
		if (!r)
			r = bind_by_policy(build, set->credentials[i]);
	}
	return r;
}

static int add_request(struct build *build, const char *directory)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	int r = provider_profile_find(directory, build->request->type, &profile, build->err);

	return r < 0 ? r : add_profile(build, profile);
}

static int credential_compare(const void *a, const void *b)
{
	const WORKER(Credential) *x = *(WORKER(Credential) *const *)a;
	const WORKER(Credential) *y = *(WORKER(Credential) *const *)b;
	int r = strcmp(x->provider, y->provider);

	return r ? r : strcmp(x->key, y->key);
}

/* Two providers may know the same variable: the agent has it once. */
static int make_environment(struct provider_set *set, struct error *err)
{
	for (size_t i = 0; i < set->n_credentials; i++) {
		const char *key = set->credentials[i]->key;
		bool had = false;

		for (size_t j = 0; j < i && !had; j++)
			had = !strcmp(set->credentials[j]->key, key);
		if (had)
			continue;
		set->env[set->envs] = arena_format(set->arena, "%s=" PLACEHOLDER "%s", key, key);
		if (!set->env[set->envs])
			return no_memory(err);
		set->envs++;
	}
	return 0;
}

static int set_alloc(struct provider_set **ret_set)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct provider_set *set = arena ? arena_alloc(arena, sizeof(*set)) : NULL;

	if (!set) {
		arena_free(arena);
		return -ENOMEM;
	}
	set->arena = arena;
	set->credentials =
		arena_alloc_array(arena, PROVIDER_CREDENTIALS_MAX, sizeof(*set->credentials));
	set->env = arena_alloc_array(arena, PROVIDER_CREDENTIALS_MAX, sizeof(*set->env));
	set->variables =
		arena_alloc_array(arena, PROVIDER_CREDENTIALS_MAX, sizeof(*set->variables));
	*ret_set = set;
	return set->credentials && set->env && set->variables ? 0 : -ENOMEM;
}

int provider_set_new(const char *directory, const char *const *requests, size_t requests_len,
		     const COMPILED(CompiledPolicy) * policy, struct provider_set **ret_set,
		     struct error *err)
{
	_cleanup_provider_set_ struct provider_set *set = NULL;
	struct request taken[PROVIDERS_MAX];
	struct build build = {.policy = policy, .err = err};
	int r;

	if (requests_len > PROVIDERS_MAX)
		return error_set(err, -E2BIG, "more than %d providers", PROVIDERS_MAX);
	if (set_alloc(&set) < 0)
		return no_memory(err);
	build.set = set;
	for (size_t i = 0; i < requests_len; i++) {
		r = take_apart(set->arena, requests[i], &taken[i], err);
		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(taken[j].name, taken[i].name))
				return error_set(err, -EINVAL,
						 "two providers are named '%s': give one another "
						 "name, NAME=TYPE",
						 taken[i].name);
		build.request = &taken[i];
		r = add_request(&build, directory);
		if (r < 0)
			return r;
	}
	qsort(set->credentials, set->n_credentials, sizeof(*set->credentials), credential_compare);
	r = make_environment(set, err);
	if (!r)
		r = check_uninspected(set, policy, err);
	if (!r)
		*ret_set = TAKE_PTR(set);
	return r;
}

int provider_set_of_profile(const struct provider_profile *profile, const char *text,
			    const COMPILED(CompiledPolicy) * policy, struct provider_set **ret_set,
			    struct error *err)
{
	_cleanup_provider_set_ struct provider_set *set = NULL;
	struct build build = {.policy = policy, .err = err};
	struct request request;
	int r;

	if (set_alloc(&set) < 0)
		return no_memory(err);
	build.set = set;
	build.request = &request;
	r = take_apart(set->arena, text, &request, err);
	if (!r)
		r = add_profile(&build, profile);
	if (r < 0)
		return r;
	qsort(set->credentials, set->n_credentials, sizeof(*set->credentials), credential_compare);
	r = make_environment(set, err);
	if (!r)
		r = check_uninspected(set, policy, err);
	if (!r)
		*ret_set = TAKE_PTR(set);
	return r;
}

static bool asks_for(const char *request, const char *name)
{
	size_t len = strcspn(request, "=:");

	return strlen(name) == len && !strncmp(request, name, len);
}

const char *provider_forgotten(const char *const *requests, size_t requests_len,
			       const COMPILED(CompiledPolicy) * policy, const char **ret_rule)
{
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const char *name = policy->endpoints[i]->credential_provider;
		bool found = !*name;

		for (size_t j = 0; j < requests_len && !found; j++)
			found = asks_for(requests[j], name);
		if (!found) {
			*ret_rule = policy->endpoints[i]->rule;
			return name;
		}
	}
	return NULL;
}

void provider_set_hide(const struct provider_set *set)
{
	for (size_t i = 0; i < set->variables_len; i++) {
		char *value = getenv(set->variables[i]);

		/* What execve() was given stays readable as /proc/PID/environ: not just unset. */
		if (value)
			explicit_bzero(value, strlen(value));
		unsetenv(set->variables[i]);
	}
}

void provider_set_free(struct provider_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n_credentials; i++)
		explicit_bzero(set->credentials[i]->value, strlen(set->credentials[i]->value));
	/* The set itself comes from its arena. */
	arena_free(set->arena);
}
