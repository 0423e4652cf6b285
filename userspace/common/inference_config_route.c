/* SPDX-License-Identifier: Apache-2.0 */
#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/inference_config_internal.h"

#include <string.h>

#define API(name)     OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define DIALECT(name) OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name
#define BIT(name)     (1u << API(name))

#define SECRETS_MAX 2 /* the signing key, and a session's token */

/* One route on its way. */
struct route {
	const struct inference_build *build;
	const struct inference_wish *wish;
	const struct provider_profile *profile;
	const char *type;
	const char *region, *project; /* "" = none */
	struct inference_url url;
	bool own_url; /* and not the profile's */
	WORKER(InferenceRoute) * told;
};

static bool mentions(const struct profile_inference *inference, const char *what)
{
	return (inference->base_url.value && strstr(inference->base_url.value, what)) ||
	       (inference->base_path.value && strstr(inference->base_path.value, what));
}

static const char *from_environment(const struct policy_strings *names, const char **ret_name)
{
	for (size_t i = 0; i < names->count; i++) {
		const char *value = caller_variable(names->items[i].value);

		if (value && *value) {
			*ret_name = names->items[i].value;
			return value;
		}
	}
	return NULL;
}

/* The region or project: of the wish, which was checked, or of the environment. "" = none. */
static int find_place(struct route *route, const char *what, const struct policy_string *wished,
		      const struct policy_strings *names, const char *letters, bool is_of_use,
		      const char **ret_value)
{
	const struct inference_report *report = route->build->report;
	const char *name, *value = wished->value;

	if (value && !is_of_use)
		return inference_refuse(report, wished->at, -EINVAL,
					"'%s' is of no use for provider '%s'", what,
					route->wish->provider.value);
	if (!value && is_of_use) {
		value = from_environment(names, &name);
		if (value && (strlen(value) > 64 || value[strspn(value, letters)] ||
			      value[0] == '.' || value[0] == '-'))
			return inference_refuse(report, route->wish->provider.at, -EINVAL,
						"%s in the environment is no %s", name, what);
	}
	*ret_value = value ? value : "";
	return 0;
}

static int find_places(struct route *route)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-.:";
	const struct profile_inference *inference = &route->profile->inference;
	bool signs = inference->dialect.value == PROFILE_DIALECT_BEDROCK;
	int r = find_place(route, "region", &route->wish->region, &inference->region_env, letters,
			   signs || mentions(inference, "{region}"), &route->region);

	if (!r)
		r = find_place(route, "project", &route->wish->project, &inference->project_env,
			       letters, mentions(inference, "{project}"), &route->project);
	return r;
}

/* @template with region and project in their places, which have to be known. */
static int fill(struct route *route, const char *template, char *ret_text)
{
	const struct inference_report *report = route->build->report;
	const struct profile_inference *inference = &route->profile->inference;
	const struct policy_strings *names = NULL;

	if (strstr(template, "{region}") && !*route->region)
		names = &inference->region_env;
	else if (strstr(template, "{project}") && !*route->project)
		names = &inference->project_env;
	if (names)
		return inference_refuse(report, route->wish->provider.at, -EINVAL,
					"provider '%s' needs a %s: give the route one%s%s",
					route->wish->provider.value,
					names == &inference->region_env ? "region" : "project",
					names->count ? ", or set " : "",
					names->count ? names->items[0].value : "");
	if (inference_url_fill(template, route->region, route->project, ret_text) < 0)
		return inference_refuse(report, route->wish->provider.at, -EINVAL,
					"the base URL of provider '%s' is longer than %d bytes",
					route->wish->provider.value, INFERENCE_URL_MAX);
	return 0;
}

/* What clients put behind a base URL differs from one service to the other. */
static int add_base_path(struct route *route)
{
	const struct profile_inference *inference = &route->profile->inference;
	char path[INFERENCE_URL_MAX + 1], *base = route->url.path;
	size_t len = strlen(base), more;
	int r;

	if (!inference->base_path.value || (len && !inference->base_path_always.value))
		return 0;
	r = fill(route, inference->base_path.value, path);
	if (r < 0)
		return r;
	more = strlen(path);
	if (len >= more && !strcmp(base + len - more, path))
		return 0;
	if (len + more > INFERENCE_URL_MAX)
		return inference_refuse(route->build->report, route->wish->base_url.at, -EINVAL,
					"the base URL is longer than %d bytes", INFERENCE_URL_MAX);
	memcpy(base + len, path, more + 1);
	return 0;
}

static int find_url(struct route *route)
{
	const struct profile_inference *inference = &route->profile->inference;
	const struct inference_report *report = route->build->report;
	const char *text = route->wish->base_url.value, *name = NULL, *why;
	char own[INFERENCE_URL_MAX + 1];
	int r;

	if (!text)
		text = from_environment(&inference->base_url_env, &name);
	route->own_url = text != NULL;
	if (!text && !inference->base_url.value)
		return inference_refuse(report, route->wish->provider.at, -EINVAL,
					"provider '%s' needs a base URL, such as "
					"http://127.0.0.1:8000/v1",
					route->wish->provider.value);
	if (!text) {
		r = fill(route, inference->base_url.value, own);
		if (r < 0)
			return r;
		text = own;
	}
	/* Without the text, which of the environment may have a password. */
	if (inference_url_parse(text, &route->url, &why) < 0)
		return inference_refuse(report, route->wish->provider.at, -EINVAL,
					"the base URL of provider '%s'%s%s is refused: %s",
					route->wish->provider.value, name ? ", from " : "",
					name ? name : "", why);
	return add_base_path(route);
}

/* Dialects and APIs */

static unsigned int apis_of(int dialect)
{
	switch (dialect) {
	case DIALECT(BEDROCK):
		return BIT(BEDROCK_INVOKE);
	case DIALECT(VERTEX_CLAUDE):
		return BIT(MESSAGES);
	case DIALECT(VERTEX_OPENAI):
		return BIT(CHAT_COMPLETIONS) | BIT(EMBEDDINGS);
	default:
		return BIT(CHAT_COMPLETIONS) | BIT(COMPLETIONS) | BIT(RESPONSES) | BIT(EMBEDDINGS) |
		       BIT(MESSAGES) | BIT(MODELS);
	}
}

static int choose_dialect(const struct route *route)
{
	switch (route->profile->inference.dialect.value) {
	case PROFILE_DIALECT_BEDROCK:
		return DIALECT(BEDROCK);
	case PROFILE_DIALECT_VERTEX:
		return strncmp(route->wish->model.value, "claude", 6) ? DIALECT(VERTEX_OPENAI)
								      : DIALECT(VERTEX_CLAUDE);
	default:
		return DIALECT(OPENAI);
	}
}

static int choose_apis(struct route *route)
{
	const struct policy_strings *wished = &route->wish->apis;
	bool is_wish = wished->count > 0;
	const struct policy_strings *words = is_wish ? wished : &route->profile->inference.apis;
	WORKER(InferenceRoute) *told = route->told;
	unsigned int able, taken = 0;

	told->dialect = choose_dialect(route);
	able = apis_of(told->dialect);
	told->apis =
		arena_alloc_array(route->build->config->arena, API(MODELS), sizeof(*told->apis));
	if (!told->apis)
		return inference_no_memory(route->build->report);
	for (size_t i = 0; i < words->count; i++) {
		int api = profile_api(&words->items[i], route->build->report->diag);

		if (is_wish && !(able & 1u << api))
			return inference_refuse(route->build->report, words->items[i].at, -EINVAL,
						"model '%s' at provider '%s' is not asked by '%s'",
						route->wish->model.value,
						route->wish->provider.value, words->items[i].value);
		if (!(able & 1u << api) || taken & 1u << api)
			continue;
		taken |= 1u << api;
		told->apis[told->n_apis++] = (WORKER(InferenceApi))api;
	}
	return 0;
}

/* Headers */

static int add_headers(struct route *route, const struct policy_list *from,
		       WORKER(InferenceHeader) * **list, size_t *count)
{
	const struct profile_header *headers = from->items;
	int r = 0;

	for (size_t i = 0; !r && i < from->count; i++)
		r = inference_header_add(route->build->config, headers[i].name.value,
					 headers[i].value.value, list, count);
	return r ? inference_no_memory(route->build->report) : 0;
}

static int add_pass(struct route *route)
{
	const struct policy_strings *pass = &route->profile->inference.pass;
	WORKER(InferenceRoute) *told = route->told;

	for (size_t i = 0; i < pass->count; i++) {
		const char *name = pass->items[i].value;

		told->pass[i] = arena_copy(route->build->config->arena, name, strlen(name));
		if (!told->pass[i])
			return inference_no_memory(route->build->report);
		told->n_pass++;
	}
	return 0;
}

/* The key first: whether there is one decides what is asked of the URL. */
static int add_identity(struct route *route)
{
	WORKER(InferenceRoute) *told = route->told;
	int r = inference_identity_make(route->build, route->wish, route->profile, &route->url,
					route->own_url, route->region, told);

	if (r < 0)
		return r;
	if ((told->n_headers || told->signing) && !route->url.tls && !route->url.loopback &&
	    !route->wish->plaintext.value)
		return inference_refuse(route->build->report, route->wish->base_url.at, -EINVAL,
					"the key would go to %s in the clear: use https, or allow "
					"it with 'plaintext'",
					route->url.host);
	return 0;
}

static int told_alloc(struct route *route)
{
	struct arena *arena = route->build->config->arena;
	const struct inference_wish *wish = route->wish;
	const char *name = wish->name.value ? wish->name.value : wish->model.value;
	WORKER(InferenceRoute) *told = arena_alloc(arena, sizeof(*told));

	if (!told)
		return inference_no_memory(route->build->report);
	*told = (WORKER(InferenceRoute))WORKER_INIT(INFERENCE_ROUTE);
	told->name = arena_copy(arena, name, strlen(name));
	told->provider = arena_copy(arena, wish->provider.value, strlen(wish->provider.value));
	told->type = arena_copy(arena, route->type, strlen(route->type));
	told->model = arena_copy(arena, wish->model.value, strlen(wish->model.value));
	told->headers = arena_alloc_array(arena, PROFILE_HEADERS_MAX + 1, sizeof(*told->headers));
	told->defaults = arena_alloc_array(arena, PROFILE_HEADERS_MAX, sizeof(*told->defaults));
	told->pass = arena_alloc_array(arena, PROFILE_HEADERS_MAX, sizeof(*told->pass));
	told->secrets = arena_alloc_array(arena, SECRETS_MAX, sizeof(*told->secrets));
	told->timeout_ms =
		wish->timeout.value ? (uint32_t)wish->timeout.value * 1000 : INFERENCE_TIMEOUT_MS;
	if (!told->name || !told->provider || !told->type || !told->model || !told->headers ||
	    !told->defaults || !told->pass || !told->secrets)
		return inference_no_memory(route->build->report);
	route->told = told;
	return 0;
}

static int tell_url(struct route *route)
{
	struct arena *arena = route->build->config->arena;
	WORKER(InferenceRoute) *told = route->told;

	told->host = arena_copy(arena, route->url.host, strlen(route->url.host));
	told->base_path = arena_copy(arena, route->url.path, strlen(route->url.path));
	told->port = route->url.port;
	told->tls = route->url.tls;
	return told->host && told->base_path ? 0 : inference_no_memory(route->build->report);
}

static int find_profile(struct route *route, struct provider_profile **ret_profile)
{
	const struct inference_report *report = route->build->report;
	struct error why = {};
	int r;

	route->type = inference_provider_type(route->build, route->wish->provider.value);
	if (!route->type)
		return inference_no_memory(report);
	r = provider_profile_find(route->build->source->directory, route->type, ret_profile, &why);
	/* A profile that is wrong is not the place's fault: what is said of it has its own. */
	if (r == -EBADMSG) {
		if (report->err)
			*report->err = why;
		return r;
	}
	if (r < 0)
		return inference_refuse(report, route->wish->provider.at,
					r == -ENOENT ? -EINVAL : r, "%s", why.message);
	route->profile = *ret_profile;
	if (policy_given(route->profile->inference.head))
		return 0;
	return inference_refuse(report, route->wish->provider.at, -EINVAL,
				"type '%s' has no model to ask (no 'inference' in its profile); a "
				"server of your own is openai-compatible, with a base URL",
				route->type);
}

int inference_route_make(const struct inference_build *build, const struct inference_wish *wish,
			 WORKER(InferenceRoute) * *ret_route)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	struct route route = {.build = build, .wish = wish};
	WORKER(InferenceRoute) * told;
	int r = find_profile(&route, &profile);

	if (!r)
		r = told_alloc(&route);
	if (!r)
		r = find_places(&route);
	if (!r)
		r = find_url(&route);
	if (!r)
		r = tell_url(&route);
	if (!r)
		r = choose_apis(&route);
	if (!r)
		r = add_identity(&route);
	if (r < 0)
		return r;
	told = route.told;
	r = add_headers(&route, &profile->inference.headers, &told->headers, &told->n_headers);
	if (!r)
		r = add_headers(&route, &profile->inference.defaults, &told->defaults,
				&told->n_defaults);
	if (!r)
		r = add_pass(&route);
	if (!r)
		*ret_route = told;
	return r;
}
