/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body from an agent: what is taken is what another parser takes, and what is sent has the
 * configured model, as that one reads it, and all else as it was. The same bytes as a query and as
 * fields: no key of the agent's goes on, and no encoding that cannot be looked into.
 */
#include "common/cleanup.h"
#include "proxy/inference_request.h"

#include <jansson.h>
#include <strings.h>

#define DIALECT(name) OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name
#define MODEL	      "the \"configured\\model"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static json_t *load(const char *data, size_t size)
{
	return json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

static void compare_read(const struct inference_body *body, const json_t *json)
{
	const json_t *model = json_object_get(json, "model");

	expect(json_is_object(json));
	expect(!model || json_is_string(model));
	expect(body->stream == json_is_true(json_object_get(json, "stream")));
	if (model)
		expect(json_string_length(model) == body->model.size &&
		       !memcmp(json_string_value(model), body->model.data, body->model.size));
	else
		expect(!body->model.size && !body->model_value.size);
}

/* What @json has to become for a dialect. */
static void change(json_t *json, Openshell__Worker__V1__InferenceDialect dialect)
{
	if (dialect == DIALECT(BEDROCK) || dialect == DIALECT(VERTEX_CLAUDE))
		json_object_del(json, "model");
	else
		json_object_set_new(json, "model", json_string(MODEL));
	if (dialect == DIALECT(VERTEX_CLAUDE))
		json_object_set_new(json, "anthropic_version", json_string("vertex-2023-10-16"));
}

static void write_all(const struct inference_body *body, const json_t *json, struct arena *arena)
{
	Openshell__Worker__V1__InferenceRoute told = OPENSHELL__WORKER__V1__INFERENCE_ROUTE__INIT;
	const struct inference_route route = {.told = &told};

	told.model = MODEL;
	for (int i = DIALECT(OPENAI); i <= DIALECT(VERTEX_OPENAI); i++) {
		json_t *wanted = json_deep_copy(json), *found;
		struct text text;

		told.dialect = (Openshell__Worker__V1__InferenceDialect)i;
		expect(!inference_body_write(&route, body, arena, &text));
		change(wanted, told.dialect);
		found = load(text.data, text.size);
		expect(found && json_equal(found, wanted));
		json_decref(found);
		json_decref(wanted);
	}
}

/* Fields */

static bool is_key(struct text name)
{
	return (name.size == 3 && !strncasecmp(name.data, "key", 3)) ||
	       (name.size >= 6 && !strncasecmp(name.data, "x-amz-", 6));
}

static void check_target(struct text target, struct text query)
{
	const char *mark = memchr(target.data, '?', target.size);
	struct text sent, key, value;
	uint32_t place = 0;
	char buffer[512];

	expect(target.size >= 20 && !memcmp(target.data, "/v1/chat/completions", 20));
	expect(target.size <= 20 + 1 + query.size);
	if (!mark)
		return;
	sent = (struct text){mark + 1, (uint32_t)(target.data + target.size - mark - 1)};
	while (target_query_next(sent, &place, buffer, sizeof(buffer), &key, &value) == 1)
		expect(!is_key(key));
}

/* Of what is left, each element begins with an encoding that is known. */
static void check_encodings(struct text sent)
{
	static const char *const known[] = {"gzip", "x-gzip", "deflate", "identity"};
	const char *at = sent.data, *end = at + sent.size;

	expect(sent.size > 0);
	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		bool found = false;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			found |= (size_t)(end - at) >= strlen(known[i]) &&
				 !strncasecmp(at, known[i], strlen(known[i]));
		expect(found);
		at = comma ? comma + 1 : end;
	}
}

static void write_head(const uint8_t *data, size_t size, struct arena *arena)
{
	Openshell__Worker__V1__InferenceRoute told = OPENSHELL__WORKER__V1__INFERENCE_ROUTE__INIT;
	const struct inference_route route = {.told = &told};
	const struct text text = {(const char *)data, (uint32_t)size}, body = TEXT("{}");
	const struct target target = {TEXT("/v1/chat/completions"), text, true};
	const struct inference_call call = {
		OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_CHAT_COMPLETIONS, {}};
	struct http_head agent = {.method = TEXT("POST"), .fields = 4}, head;

	told.host = "a.example.org";
	told.port = 443;
	told.tls = true;
	told.base_path = "/v1";
	told.model = MODEL;
	agent.field[0] = (struct http_field){TEXT("accept-encoding"), text};
	agent.field[1] = (struct http_field){TEXT("content-type"), text};
	agent.field[2] = (struct http_field){text, TEXT("secret")};
	agent.field[3] = (struct http_field){TEXT("accept-encoding"), TEXT("br, gzip")};
	if (inference_head_write(&route, &call, &target, &agent, &body, false, 0, arena, &head))
		return;
	check_target(head.target, text);
	for (uint16_t i = 0; i < head.fields; i++) {
		const struct http_field *field = &head.field[i];

		if (text_is(field->name, "accept-encoding"))
			check_encodings(field->value);
		else
			expect(text_is(field->name, "content-type") ||
			       text_is(field->name, "accept") ||
			       text_is(field->name, "user-agent"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena *arena = arena_new(64u << 20);
	size_t scratch_size = 2 * size + 64;
	_cleanup_free_ uint8_t *scratch = malloc(scratch_size);
	struct inference_body body;
	const char *why = NULL;
	json_error_t error;
	json_t *json;
	int r;

	if (!arena || !scratch)
		return 0;
	write_head(data, size, arena);
	r = inference_body_read(data, size, scratch, scratch_size, arena, &body, &why);
	expect(!r || why);
	if (r)
		return 0;
	json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
			  &error);
	/* That one has a limit of its own for numbers. */
	expect(json || json_error_code(&error) == json_error_numeric_overflow);
	if (!json)
		return 0;
	compare_read(&body, json);
	write_all(&body, json, arena);
	json_decref(json);
	return 0;
}
