/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/inference_internal.h"

#include <stdlib.h>
#include <strings.h>

#define DIALECT(name)  OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name
#define BEDROCK_INVOKE OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_BEDROCK_INVOKE

#define PARAMETER_MAX 256 /* bytes of a query parameter that is looked at */

/* One segment of a path, RFC 3986 section 3.3; '@' as in "claude-sonnet-4@20250514" may stand. */
static char *escape(struct arena *arena, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~@";
	char *escaped = arena_alloc(arena, 3 * strlen(text) + 1), *out = escaped;

	for (; escaped && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr(plain, c)) {
			*out++ = *text;
		} else {
			*out++ = '%';
			*out++ = digits[c >> 4];
			*out++ = digits[c & 15];
		}
	}
	return escaped;
}

/* Names under which services take a key in a query. */
static bool is_secret(struct text name)
{
	static const char *const names[] = {
		"key",	 "api_key", "api-key",	     "apikey",	       "x-api-key",
		"token", "auth",    "access_token",  "access_key",     "subscription-key",
		"sig",	 "code",    "client_secret", "x-goog-api-key", "authorization",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (name.size == strlen(names[i]) && !strncasecmp(name.data, names[i], name.size))
			return true;
	return name.size >= 6 && !strncasecmp(name.data, "x-amz-", 6);
}

/* Append the agent's query without what authenticates. What cannot be read is left out too. */
static char *append_query(char *out, struct text query)
{
	const char *at = query.data, *end = at + query.size, *next;
	char buffer[PARAMETER_MAX], mark = '?';

	for (; at < end; at = next + (next < end)) {
		struct text key, value, pair;
		uint32_t place = 0;

		next = memchr(at, '&', (size_t)(end - at));
		next = next ? next : end;
		pair = (struct text){at, (uint32_t)(next - at)};
		if (target_query_next(pair, &place, buffer, sizeof(buffer), &key, &value) != 1 ||
		    is_secret(key))
			continue;
		*out = mark;
		out = mempcpy(out + 1, at, pair.size);
		mark = '&';
	}
	return out;
}

/* The agent's path as one of an OpenAI-compatible base has it. */
static struct text below_v1(struct text path)
{
	if (path.size > 3 && !memcmp(path.data, "/v1/", 4))
		return (struct text){path.data + 3, path.size - 3};
	return path;
}

static char *write_path(const struct inference_route *route, const struct inference_call *call,
			const struct target *target, bool stream, struct arena *arena,
			bool *ret_with_query)
{
	const Openshell__Worker__V1__InferenceRoute *told = route->told;
	struct text path = below_v1(target->path);
	char *model = escape(arena, told->model);

	*ret_with_query = false;
	if (!model)
		return NULL;
	if (told->dialect == DIALECT(BEDROCK) || call->api == BEDROCK_INVOKE)
		return arena_format(arena, "%s/model/%s/invoke", told->base_path, model);
	if (told->dialect == DIALECT(VERTEX_CLAUDE))
		return arena_format(arena, "%s/publishers/anthropic/models/%s:%s", told->base_path,
				    model, stream ? "streamRawPredict" : "rawPredict");
	if (told->dialect == DIALECT(VERTEX_OPENAI))
		return arena_format(arena, "%s/endpoints/openapi%.*s", told->base_path,
				    (int)path.size, path.data);
	*ret_with_query = true;
	return arena_format(arena, "%s%.*s", told->base_path, (int)path.size, path.data);
}

int inference_target_write(const struct inference_route *route, const struct inference_call *call,
			   const struct target *target, bool stream, struct arena *arena,
			   struct text *ret_target)
{
	bool with_query;
	char *path, *text, *out;

	path = write_path(route, call, target, stream, arena, &with_query);
	text = path ? arena_alloc(arena, strlen(path) + target->query.size + 1) : NULL;
	if (!text)
		return -ENOMEM;
	out = mempcpy(text, path, strlen(path));
	if (with_query && target->query.size)
		out = append_query(out, target->query);
	if (out - text > HTTP_TARGET_MAX)
		return -E2BIG;
	*ret_target = (struct text){text, (uint32_t)(out - text)};
	return 0;
}
