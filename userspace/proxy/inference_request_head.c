/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/inference_internal.h"
#include "proxy/inference_request.h"
#include "proxy/sigv4.h"

#include <stdlib.h>
#include <strings.h>

#define WORKER(name) Openshell__Worker__V1__##name
#define SIGNED_BODY  OPENSHELL__COMPILED__V1__SIGNING__SIGNING_SIGV4_BODY

#define CODING_MAX 64 /* bytes of an element of Accept-Encoding that is looked at */

static int add(struct http_head *head, struct text name, struct text value)
{
	if (head->fields == HTTP_FIELDS_MAX)
		return -E2BIG;
	head->field[head->fields++] = (struct http_field){name, value};
	return 0;
}

static struct text as_text(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

/* Fields of the agent's */

/*
 * True for what no route can have passed on: credentials, cookies, where a request came from, and
 * what would say something else about the body.
 */
static bool is_barred(struct text name)
{
	static const char *const names[] = {
		"authorization",
		"x-api-key",
		"api-key",
		"x-goog-api-key",
		"cookie",
		"cookie2",
		"forwarded",
		"content-encoding",
		"content-range",
		"range",
		"x-goog-iam-authorization-token",
		"x-auth-token",
		"x-real-ip",
	};
	static const char *const beginnings[] = {"proxy-", "x-amz-", "x-forwarded-"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text_is(name, names[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
		size_t size = strlen(beginnings[i]);

		if (name.size >= size && !memcmp(name.data, beginnings[i], size))
			return true;
	}
	return inference_field_frames(name);
}

static bool sets(WORKER(InferenceHeader) *const *headers, size_t len, struct text name)
{
	for (size_t i = 0; i < len; i++)
		if (text_is(name, headers[i]->name))
			return true;
	return false;
}

static bool passes(const WORKER(InferenceRoute) * told, struct text name)
{
	if (is_barred(name) || sets(told->headers, told->n_headers, name))
		return false;
	if (text_is(name, "accept") || text_is(name, "user-agent"))
		return true;
	for (size_t i = 0; i < told->n_pass; i++)
		if (text_is(name, told->pass[i]))
			return true;
	return false;
}

/* Those that are made from the agent's rather than passed on. */
static bool is_remade(struct text name)
{
	return text_is(name, "content-type") || text_is(name, "accept-encoding");
}

static int add_passed(const WORKER(InferenceRoute) * told, const struct http_head *agent,
		      struct http_head *head)
{
	int r = 0;

	for (uint16_t i = 0; i < agent->fields && !r; i++) {
		const struct http_field *field = &agent->field[i];

		if (!is_remade(field->name) && passes(told, field->name))
			r = add(head, field->name, field->value);
	}
	return r;
}

/* application/json or application/..+json, with what parameters it has but another charset. */
static bool is_json(struct text type)
{
	const char *semicolon = memchr(type.data ? type.data : "", ';', type.size);
	size_t size = semicolon ? (size_t)(semicolon - type.data) : type.size;

	for (size_t i = size; i + 7 < type.size; i++)
		if (!strncasecmp(type.data + i, "charset", 7) &&
		    !memmem(type.data + i, type.size - i, "utf-8", 5) &&
		    !memmem(type.data + i, type.size - i, "UTF-8", 5))
			return false;
	while (size && (type.data[size - 1] == ' ' || type.data[size - 1] == '\t'))
		size--;
	if (size < 16 || strncasecmp(type.data, "application/", 12))
		return false;
	return (size == 16 && !strncasecmp(type.data + 12, "json", 4)) ||
	       (size > 17 && !strncasecmp(type.data + size - 5, "+json", 5));
}

/* The body was read as JSON, and so must the provider read it: as a form it may say another thing.
 */
static int add_type(const WORKER(InferenceRoute) * told, const struct http_head *agent,
		    struct http_head *head)
{
	const struct http_field *type = http_field_find(agent, "content-type");

	if (sets(told->headers, told->n_headers, TEXT("content-type")))
		return 0;
	return add(head, TEXT("content-type"),
		   type && is_json(type->value) ? type->value : TEXT("application/json"));
}

/* Encodings */

static struct text trim(struct text text)
{
	while (text.size && (*text.data == ' ' || *text.data == '\t')) {
		text.data++;
		text.size--;
	}
	while (text.size && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

/* Whether an element's weight is 0, of whatever form: RFC 9110 section 12.4.2. */
static bool is_refused(struct text parameters)
{
	const char *equals = memchr(parameters.data, '=', parameters.size);

	if (!equals)
		return false;
	for (const char *c = equals + 1; c < parameters.data + parameters.size; c++)
		if (*c != '0' && *c != '.' && *c != ' ' && *c != '\t')
			return false;
	return true;
}

/* Whether what is sent in that encoding can be looked into. */
static bool is_readable(struct text element)
{
	static const char *const codings[] = {"gzip", "x-gzip", "deflate", "identity"};
	const char *semicolon = memchr(element.data, ';', element.size);
	struct text coding = element;

	if (element.size > CODING_MAX)
		return false;
	if (semicolon) {
		coding.size = (uint32_t)(semicolon - element.data);
		if (is_refused((struct text){semicolon, element.size - coding.size}))
			return false;
	}
	coding = trim(coding);
	for (size_t i = 0; i < ARRAY_LEN(codings); i++)
		if (coding.size == strlen(codings[i]) &&
		    !strncasecmp(coding.data, codings[i], coding.size))
			return true;
	return false;
}

static char *append_readable(char *out, const char *begin, struct text value)
{
	const char *at = value.data, *end = at + value.size, *next;

	for (; at < end; at = next + (next < end)) {
		struct text element;

		next = memchr(at, ',', (size_t)(end - at));
		next = next ? next : end;
		element = trim((struct text){at, (uint32_t)(next - at)});
		if (!element.size || !is_readable(element))
			continue;
		if (out > begin)
			*out++ = ',';
		out = mempcpy(out, element.data, element.size);
	}
	return out;
}

static int add_encodings(const WORKER(InferenceRoute) * told, const struct http_head *agent,
			 struct arena *arena, struct http_head *head)
{
	const struct text name = TEXT("accept-encoding");
	char *text, *out;
	size_t size = 0;

	for (uint16_t i = 0; i < agent->fields; i++)
		if (text_equal(agent->field[i].name, name))
			size += agent->field[i].value.size + 1u;
	if (!size || sets(told->headers, told->n_headers, name))
		return 0;
	out = text = arena_alloc(arena, size);
	if (!text)
		return -ENOMEM;
	for (uint16_t i = 0; i < agent->fields; i++)
		if (text_equal(agent->field[i].name, name))
			out = append_readable(out, text, agent->field[i].value);
	return add(head, name,
		   out > text ? (struct text){text, (uint32_t)(out - text)} : TEXT("identity"));
}

/* Fields of the route's */

static int add_own(const WORKER(InferenceRoute) * told, struct http_head *head)
{
	int r = 0;

	for (size_t i = 0; i < told->n_headers && !r; i++)
		r = add(head, as_text(told->headers[i]->name), as_text(told->headers[i]->value));
	for (size_t i = 0; i < told->n_defaults && !r; i++)
		if (!http_field_find(head, told->defaults[i]->name))
			r = add(head, as_text(told->defaults[i]->name),
				as_text(told->defaults[i]->value));
	return r;
}

static int write_authority(const WORKER(InferenceRoute) * told, struct arena *arena,
			   struct text *ret_authority)
{
	bool literal = strchr(told->host, ':');
	char *text;

	if (told->port == (told->tls ? 443u : 80u))
		text = arena_format(arena, literal ? "[%s]" : "%s", told->host);
	else
		text = arena_format(arena, literal ? "[%s]:%u" : "%s:%u", told->host, told->port);
	if (!text)
		return -ENOMEM;
	*ret_authority = as_text(text);
	return 0;
}

static int sign(const WORKER(InferenceRoute) * told, const struct text *body, int64_t now,
		struct arena *arena, struct http_head *head)
{
	const WORKER(InferenceSigning) *with = told->signing;
	struct sigv4 signing;

	if (!with)
		return 0;
	signing = (struct sigv4){
		.keys = {as_text(with->access_key), as_text(with->secret_key),
			 as_text(with->session_token)},
		.mode = SIGNED_BODY,
		.service = with->service,
		.region = with->region,
		.host = told->host,
		.now = now,
		.body = body ? (const uint8_t *)body->data : NULL,
		.body_size = body ? body->size : 0,
	};
	return sigv4_sign(&signing, head, arena);
}

int inference_head_write(const struct inference_route *route, const struct inference_call *call,
			 const struct target *target, const struct http_head *agent,
			 const struct text *body, bool stream, int64_t now, struct arena *arena,
			 struct http_head *ret_head)
{
	const WORKER(InferenceRoute) *told = route->told;
	struct http_head *head = arena_alloc(arena, sizeof(*head));
	int r;

	if (!head)
		return -ENOMEM;
	head->version = 11;
	head->keep_alive = true;
	head->method = agent->method;
	if (body) {
		head->body = HTTP_BODY_LENGTH;
		head->has_length = true;
		head->length = body->size;
	}
	r = inference_target_write(route, call, target, stream, arena, &head->target);
	if (!r)
		r = write_authority(told, arena, &head->authority);
	if (!r && body)
		r = add_type(told, agent, head);
	if (!r)
		r = add_encodings(told, agent, arena, head);
	if (!r)
		r = add_passed(told, agent, head);
	if (!r)
		r = add_own(told, head);
	if (!r)
		r = sign(told, body, now, arena, head);
	if (!r)
		http_head_copy(ret_head, head);
	return r;
}
