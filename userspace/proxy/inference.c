/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference.h"

#include "common/cleanup.h"
#include "common/policy_host.h"
#include "proxy/inference_internal.h"
#include "proxy/json_view.h"

#include <stdlib.h>

#define WORKER(name) Openshell__Worker__V1__##name
#define API(name)    OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define API_LAST     API(MODELS)
#define DIALECT_LAST OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_VERTEX_OPENAI

#define HEADERS_MAX 32	 /* of a list of a route */
#define VALUE_MAX   8192 /* bytes of a header's value, or of a secret */
#define BASE_MAX    1024 /* bytes of a base path */

struct inference {
	const WORKER(Inference) * told; /* NULL: nothing is configured */
	size_t routes_len;
	struct inference_route routes[];
};

/* Calls */

struct api {
	inference_api api;
	const char *method;
	const char *prefix, *suffix; /* with an id in between; suffix NULL: the whole path */
	bool segments;		     /* the id may have several */
};

static const struct api apis[] = {
	{API(CHAT_COMPLETIONS), "POST", "/v1/chat/completions", NULL, false},
	{API(COMPLETIONS), "POST", "/v1/completions", NULL, false},
	{API(RESPONSES), "POST", "/v1/responses", NULL, false},
	{API(EMBEDDINGS), "POST", "/v1/embeddings", NULL, false},
	{API(MESSAGES), "POST", "/v1/messages", NULL, false},
	{API(BEDROCK_INVOKE), "POST", "/model/", "/invoke", false},
	{API(MODELS), "GET", "/v1/models", NULL, false},
	{API(MODELS), "GET", "/v1/models/", "", true},
};

static bool path_matches(const struct api *api, struct text path, struct text *ret_id)
{
	size_t prefix = strlen(api->prefix), suffix;

	if (!api->suffix) {
		*ret_id = (struct text){};
		return text_is(path, api->prefix);
	}
	suffix = strlen(api->suffix);
	if (path.size <= prefix + suffix || memcmp(path.data, api->prefix, prefix) ||
	    memcmp(path.data + path.size - suffix, api->suffix, suffix))
		return false;
	*ret_id = (struct text){path.data + prefix, (uint32_t)(path.size - prefix - suffix)};
	return api->segments || !memchr(ret_id->data, '/', ret_id->size);
}

int inference_call_parse(struct text method, struct text path, struct inference_call *ret_call)
{
	struct text id;

	for (size_t i = 0; i < ARRAY_LEN(apis); i++) {
		if (!path_matches(&apis[i], path, &id))
			continue;
		if (!text_is(method, apis[i].method))
			return -EPERM;
		*ret_call = (struct inference_call){apis[i].api, id};
		return 0;
	}
	return -ENOENT;
}

const char *inference_api_name(inference_api api)
{
	switch (api) {
	case API(CHAT_COMPLETIONS):
		return "chat_completions";
	case API(COMPLETIONS):
		return "completions";
	case API(RESPONSES):
		return "responses";
	case API(EMBEDDINGS):
		return "embeddings";
	case API(MESSAGES):
		return "messages";
	case API(BEDROCK_INVOKE):
		return "bedrock_invoke";
	case API(MODELS):
		return "models";
	default:
		return "unknown";
	}
}

/* Routes */

static bool is_visible(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return true;
}

/* As a codec hands names on: RFC 9110 section 5.6.2, lower case. */
static bool is_field_name(const char *name)
{
	return *name && strlen(name) <= 256 &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")];
}

/* What an HTTP/1 codec may write as it is. */
static bool is_field_value(const char *value)
{
	size_t size = strlen(value);

	if (size > VALUE_MAX || (size && (*value == ' ' || value[size - 1] == ' ')))
		return false;
	return is_visible(value);
}

static bool is_base_path(const char *path)
{
	size_t size = strlen(path);

	if (!size)
		return true;
	if (*path != '/' || path[size - 1] == '/' || size > BASE_MAX)
		return false;
	for (const char *c = path; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("?#\\\"<>^`{|}", *c))
			return false;
	return true;
}

static bool is_host(const char *host)
{
	char canonical[POLICY_HOST_MAX + 1];
	enum policy_host_kind kind;
	const char *why;

	return !policy_host_parse(host, &kind, canonical, &why) && kind != POLICY_HOST_WILDCARD &&
	       !strcmp(host, canonical);
}

static bool is_name(const char *name, size_t max)
{
	size_t size = strlen(name);

	return size && size <= max && is_visible(name) &&
	       json_view_is_utf8((struct text){name, (uint32_t)size});
}

static const char *unfit_headers(WORKER(InferenceHeader) *const *headers, size_t len)
{
	if (len > HEADERS_MAX)
		return "it has too many headers";
	for (size_t i = 0; i < len; i++) {
		const WORKER(InferenceHeader) *header = headers[i];

		if (!is_field_name(header->name) ||
		    inference_field_frames(
			    (struct text){header->name, (uint32_t)strlen(header->name)}))
			return "a header's name is not one that may be set";
		if (!is_field_value(header->value))
			return "a header's value is not one";
	}
	return NULL;
}

static const char *unfit_signing(const WORKER(InferenceSigning) * signing)
{
	if (!signing)
		return NULL;
	if (!is_field_name(signing->service) ||
	    (*signing->region && !is_field_name(signing->region)))
		return "its service or region for signing is not one";
	if (!*signing->access_key || !*signing->secret_key)
		return "it is to be signed without a key";
	if (!is_field_value(signing->access_key) || !is_field_value(signing->session_token))
		return "its keys for signing are not text";
	return NULL;
}

static const char *unfit_secrets(const WORKER(InferenceRoute) * told)
{
	if (told->n_secrets > INFERENCE_SECRETS_MAX)
		return "it has too many secrets";
	for (size_t i = 0; i < told->n_secrets; i++)
		if (strlen(told->secrets[i]) > VALUE_MAX)
			return "a secret is too long";
	return NULL;
}

/* What is wrong with a route, or NULL. */
static const char *unfit(const WORKER(InferenceRoute) * told)
{
	const char *why;

	if (!is_name(told->name, INFERENCE_NAME_MAX) ||
	    !is_name(told->provider, INFERENCE_NAME_MAX))
		return "it or its provider has no valid name";
	if (!is_name(told->model, INFERENCE_MODEL_MAX))
		return "its model has no valid name";
	if (!is_host(told->host) || !told->port || told->port > UINT16_MAX)
		return "its host or port is not one";
	if (!is_base_path(told->base_path))
		return "its base path is not one";
	if ((unsigned int)told->dialect > DIALECT_LAST)
		return "its dialect is unknown";
	if (told->n_pass > HEADERS_MAX)
		return "it passes too many headers";
	for (size_t i = 0; i < told->n_pass; i++)
		if (!is_field_name(told->pass[i]))
			return "it passes a header that has no name";
	why = unfit_headers(told->headers, told->n_headers);
	if (!why)
		why = unfit_headers(told->defaults, told->n_defaults);
	if (!why)
		why = unfit_signing(told->signing);
	return why ? why : unfit_secrets(told);
}

static const char *take_route(struct inference_route *route, uint64_t revision, uint32_t index,
			      const WORKER(InferenceRoute) * told)
{
	const char *why = unfit(told);

	if (why)
		return why;
	*route = (struct inference_route){.told = told, .revision = revision, .index = index};
	for (size_t i = 0; i < told->n_apis; i++) {
		if (told->apis[i] <= API(UNSPECIFIED) || told->apis[i] > API_LAST)
			return "it serves an unknown API";
		route->apis |= 1u << told->apis[i];
	}
	return route->apis ? NULL : "it serves no API";
}

int inference_new(const WORKER(Inference) * told, struct inference **ret_inference,
		  struct error *err)
{
	size_t len = told ? told->n_routes : 0;
	struct inference *inference;

	if (told && (!told->revision || len > INFERENCE_ROUTES_MAX))
		return error_set(err, -EINVAL, "inference.local has no revision, or %zu routes",
				 len);
	inference = calloc(1, sizeof(*inference) + len * sizeof(inference->routes[0]));
	if (!inference)
		return error_set(err, -ENOMEM, "not enough memory for inference.local's routes");
	inference->told = told;
	inference->routes_len = len;
	for (uint32_t i = 0; i < len; i++) {
		const char *why =
			take_route(&inference->routes[i], told->revision, i, told->routes[i]);

		if (why) {
			inference_free(inference);
			return error_set(err, -EINVAL, "route %u of inference.local is refused: %s",
					 i, why);
		}
	}
	*ret_inference = inference;
	return 0;
}

void inference_free(struct inference *inference)
{
	free(inference);
}

bool inference_is_configured(const struct inference *inference)
{
	return inference->routes_len > 0;
}

const WORKER(InferenceLimits) * inference_limits(const struct inference *inference)
{
	return inference->told ? inference->told->limits : NULL;
}

const struct inference_route *inference_route_at(const struct inference *inference, uint32_t index)
{
	return index < inference->routes_len ? &inference->routes[index] : NULL;
}

/* Choice */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether @asked is @name; in a path, however much of it is escaped. */
static bool names(struct text asked, const char *name, bool in_path)
{
	const char *c = asked.data, *end = c + asked.size;

	if (!in_path)
		return text_is(asked, name);
	for (; c < end; name++) {
		int high = -1, low = -1, byte = (unsigned char)*c;

		if (*c == '%' && end - c >= 3) {
			high = hex_value(c[1]);
			low = hex_value(c[2]);
		}
		if (high >= 0 && low >= 0) {
			byte = high << 4 | low;
			c += 2;
		}
		c++;
		if (byte != (unsigned char)*name || !byte)
			return false;
	}
	return !*name;
}

const struct inference_route *inference_choose(const struct inference *inference, inference_api api,
					       struct text asked, uint32_t tried)
{
	bool in_path = api == API(BEDROCK_INVOKE) || api == API(MODELS);
	const struct inference_route *first = NULL;

	for (size_t i = 0; i < inference->routes_len; i++) {
		const struct inference_route *route = &inference->routes[i];

		if (!(route->apis & 1u << api) || tried & 1u << i)
			continue;
		if (asked.size && (names(asked, route->told->name, in_path) ||
				   names(asked, route->told->model, in_path)))
			return route;
		if (!first)
			first = route;
	}
	return first;
}
