/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_request.h"

#include "common/cleanup.h"
#include "inference_fixture.h"

#include <jansson.h>

/* Bodies */

/* Reads a copy, so that nothing is read beyond it. */
static int read_body(struct arena *arena, const char *json, struct inference_body *ret_body,
		     const char **ret_why)
{
	size_t size = strlen(json);
	_cleanup_free_ uint8_t *scratch = malloc(2 * size + 64), *copy = malloc(size ? size : 1);
	uint8_t *kept = arena_alloc(arena, size);

	memcpy(copy, json, size);
	memcpy(kept, copy, size);
	return inference_body_read(kept, size, scratch, 2 * size + 64, arena, ret_body, ret_why);
}

static void reads(void **state)
{
	static const struct {
		const char *json, *model;
		bool stream;
	} rows[] = {
		{"{}", "", false},
		{" {\"messages\":[]} \n", "", false},
		{"{\"model\":\"gpt-4\"}", "gpt-4", false},
		{"{\"model\":\"\",\"stream\":true}", "", true},
		{"{\"stream\" : false, \"model\" : \"a/b:c\"}", "a/b:c", false},
		{"{\"stream\":null,\"mod\\u0065l\":\"g\\u0070t\"}", "gpt", false},
		{"{\"x\":{\"model\":\"inner\",\"stream\":true}}", "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
		struct inference_body body;
		const char *why = NULL;

		if (read_body(arena, rows[i].json, &body, &why) ||
		    !text_is(body.model, rows[i].model) || body.stream != rows[i].stream ||
		    !text_is(body.json, rows[i].json))
			fail_msg("%s: %s", rows[i].json, why ? why : "");
	}
}

static void refuses(void **state)
{
	static const char *const rows[] = {
		"",
		"[]",
		"\"model\"",
		"null",
		"{",
		"{}{}",
		"{\"model\":1}",
		"{\"model\":null}",
		"{\"model\":[\"a\"]}",
		"{\"model\":\"a\",\"model\":\"b\"}",
		"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}",
		"{\"Model\":\"a\"}",
		"{\"model\":\"a\",\"MODEL\":\"b\"}",
		"{\"Stream\":true}",
		"{\"stream\":\"true\"}",
		"{\"stream\":1}",
		"{\"Anthropic_Version\":\"x\"}",
		"{\"model\":\"a\",\"models\":[\"b\"]}",
		"{\"fallbacks\":[{\"model\":\"b\"}],\"model\":\"a\"}",
		"{\"Models\":[]}",
		"{\"a\":{\"b\":1,\"b\":2}}",
		"\xef\xbb\xbf{}",
		"{\"a\":\"\xff\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
		struct inference_body body = {.model = TEXT("untouched")};
		const char *why = NULL;

		if (read_body(arena, rows[i], &body, &why) != -EBADMSG || !why ||
		    !text_is(body.model, "untouched"))
			fail_msg("taken: %s", rows[i]);
	}
}

static void long_models(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
	struct inference_body body;
	const char *why = NULL;
	char json[4096], *out = json;

	out += snprintf(json, sizeof(json), "{\"model\":\"");
	for (int i = 0; i < INFERENCE_MODEL_MAX; i++)
		out += snprintf(out, 16, "\\u0061");
	memcpy(out, "\"}", 3);
	assert_int_equal(read_body(arena, json, &body, &why), 0);
	assert_int_equal(body.model.size, INFERENCE_MODEL_MAX);
	memcpy(out, "b\"}", 4);
	assert_int_equal(read_body(arena, json, &body, &why), -E2BIG);
	memset(json + 10, 'a', INFERENCE_MODEL_MAX + 1);
	memcpy(json + 10 + INFERENCE_MODEL_MAX + 1, "\"}", 3);
	assert_int_equal(read_body(arena, json, &body, &why), -E2BIG);
	memcpy(json + 10 + INFERENCE_MODEL_MAX, "\"}", 3);
	assert_int_equal(read_body(arena, json, &body, &why), 0);
	assert_int_equal(body.model.size, INFERENCE_MODEL_MAX);
}

#define O DIALECT(OPENAI)
#define B DIALECT(BEDROCK)
#define C DIALECT(VERTEX_CLAUDE)
#define G DIALECT(VERTEX_OPENAI)
#define V "\"anthropic_version\":\"vertex-2023-10-16\""

static const struct {
	OPENSHELL(InferenceDialect) dialect;
	const char *from, *to;
} writings[] = {
	{O, "{\"model\":\"x\"}", "{\"model\":\"m\\\"\\\\m\"}"},
	{O, "{}", "{\"model\":\"m\\\"\\\\m\"}"},
	{O, " { } ", " {\"model\":\"m\\\"\\\\m\" } "},
	{O, "{ \"a\" : 1.0 }", "{\"model\":\"m\\\"\\\\m\", \"a\" : 1.0 }"},
	{O, "{\"a\":1, \"model\" :\t\"x\" ,\"b\":2}",
	 "{\"a\":1, \"model\" :\t\"m\\\"\\\\m\" ,\"b\":2}"},
	{O, "{\"mod\\u0065l\":\"\\\"\"}", "{\"mod\\u0065l\":\"m\\\"\\\\m\"}"},
	{O, "{\"anthropic_version\":\"a\"}",
	 "{\"model\":\"m\\\"\\\\m\",\"anthropic_version\":\"a\"}"},
	{G, "{\"model\":\"x\",\"stream\":true}", "{\"model\":\"m\\\"\\\\m\",\"stream\":true}"},
	{B, "{}", "{}"},
	{B, "{\"a\":[1,2]}", "{\"a\":[1,2]}"},
	{B, "{\"model\":\"x\"}", "{}"},
	{B, "{ \"model\" : \"x\" }", "{}"},
	{B, "{\"model\":\"x\",\"a\":1}", "{\"a\":1}"},
	{B, "{\"a\":1 , \"model\":\"x\"}", "{\"a\":1 }"},
	{B, "{\"a\":1,\"model\" : \"x\" , \"b\":2}", "{\"a\":1, \"b\":2}"},
	{B, "{\"a\":\"\\\"\",\"mode\\u006c\":\"x\"}", "{\"a\":\"\\\"\"}"},
	{C, "{}", "{" V "}"},
	{C, "{\"a\":1}", "{" V ",\"a\":1}"},
	{C, "{\"model\":\"x\"}", "{" V "}"},
	{C, "{ \"model\":\"x\" }", "{" V "}"},
	{C, "{\"model\":\"x\",\"a\":1}", "{" V ",\"a\":1}"},
	{C, "{\"a\":1,\"model\":\"x\"}", "{" V ",\"a\":1}"},
	{C, "{\"model\":\"x\"," V "}", "{" V "}"},
	{C, "{\"anthropic_version\":2,\"model\":\"x\"}", "{" V "}"},
	{C, "{\"model\":\"x\",\"b\":{},\"anthropic_version\":null}", "{\"b\":{}," V "}"},
	{C, "{\"anthropic_version\":{\"model\":1},\"b\":2,\"model\":\"x\"}", "{" V ",\"b\":2}"},
};

static void writes(void **state)
{
	struct fixture f;

	fixture_init(&f, 1);
	for (size_t i = 0; i < ARRAY_LEN(writings); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
		struct inference_route route = {.told = &f.routes[0]};
		struct inference_body body;
		const char *why = NULL;
		struct text text;
		json_t *json;

		f.routes[0].model = "m\"\\m";
		f.routes[0].dialect = writings[i].dialect;
		assert_int_equal(read_body(arena, writings[i].from, &body, &why), 0);
		assert_int_equal(inference_body_write(&route, &body, arena, &text), 0);
		if (!text_is(text, writings[i].to))
			fail_msg("%s: %.*s", writings[i].from, (int)text.size, text.data);
		json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(json);
		json_decref(json);
	}
}

/* Targets */

static const struct {
	OPENSHELL(InferenceDialect) dialect;
	const char *base, *model, *method, *path, *query;
	bool stream;
	const char *to;
} targets[] = {
	{O, "/v1", "m", "POST", "/v1/chat/completions", "", false, "/v1/chat/completions"},
	{O, "/openai", "m", "POST", "/v1/embeddings", "", false, "/openai/embeddings"},
	{O, "", "m", "POST", "/v1/messages", "beta=true", true, "/messages?beta=true"},
	{O, "/v1", "m", "GET", "/v1/models", "limit=2&after=a%20b", false,
	 "/v1/models?limit=2&after=a%20b"},
	{O, "/v1", "m", "GET", "/v1/models/a/b", "", false, "/v1/models/a/b"},
	{O, "/v1", "m", "POST", "/v1/responses", "key=AIza&a=1&API_KEY=x&&b&%6Bey=2&c=%zz", false,
	 "/v1/responses?a=1&b"},
	{O, "/v1", "m", "POST", "/v1/responses", "x-amz-signature=1", false, "/v1/responses"},
	{O, "/x", "a:b", "POST", "/model/other/invoke", "", false, "/x/model/a%3Ab/invoke"},
	{B, "", "anthropic.claude-v2:1", "POST", "/model/x%3A1/invoke", "a=b", false,
	 "/model/anthropic.claude-v2%3A1/invoke"},
	{B, "/bridge", "arn:aws:bedrock:eu:1:p/x", "POST", "/v1/messages", "", false,
	 "/bridge/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ap%2Fx/invoke"},
	{C, "/v1/projects/p", "claude-4@2025", "POST", "/v1/messages", "beta=true", false,
	 "/v1/projects/p/publishers/anthropic/models/claude-4@2025:rawPredict"},
	{C, "", "c", "POST", "/v1/messages", "", true,
	 "/publishers/anthropic/models/c:streamRawPredict"},
	{G, "/v1/projects/p", "g", "POST", "/v1/chat/completions", "", true,
	 "/v1/projects/p/endpoints/openapi/chat/completions"},
};

static void writes_targets(void **state)
{
	struct http_head agent = {.version = 20}, head;
	struct fixture f;

	fixture_init(&f, 1);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
		struct inference_route route = {.told = &f.routes[0]};
		struct target target = {text_of(targets[i].path), text_of(targets[i].query),
					targets[i].query[0] != '\0'};
		const struct text body = TEXT("{}");
		struct inference_call call;
		bool get = targets[i].method[0] == 'G';

		f.routes[0].dialect = targets[i].dialect;
		f.routes[0].base_path = (char *)targets[i].base;
		f.routes[0].model = (char *)targets[i].model;
		agent.method = text_of(targets[i].method);
		assert_int_equal(inference_call_parse(agent.method, target.path, &call), 0);
		assert_int_equal(inference_head_write(&route, &call, &target, &agent,
						      get ? NULL : &body, targets[i].stream, 0,
						      arena, &head),
				 0);
		if (!text_is(head.target, targets[i].to))
			fail_msg("%s: %.*s", targets[i].to, (int)head.target.size,
				 head.target.data);
		assert_true(text_equal(head.method, agent.method));
		assert_int_equal(head.body, get ? HTTP_BODY_NONE : HTTP_BODY_LENGTH);
		assert_int_equal(head.length, get ? 0 : 2);
	}
}

/* Heads */

struct sending {
	struct fixture f;
	struct http_head agent, head;
	struct arena *arena;
	struct text body;
};

static void sending_init(struct sending *s)
{
	memset(s, 0, sizeof(*s));
	fixture_init(&s->f, 1);
	s->agent = (struct http_head){.version = 11, .method = TEXT("POST")};
	s->agent.target = TEXT("/v1/chat/completions");
	s->agent.authority = TEXT("inference.local");
	s->agent.expect_continue = true;
	s->body = TEXT("{\"model\":\"m\"}");
	s->arena = arena_new(4 << 20);
}

static void sent(struct sending *s, const char *name, const char *value)
{
	s->agent.field[s->agent.fields++] = (struct http_field){text_of(name), text_of(value)};
}

static int send_head(struct sending *s)
{
	const struct inference_route route = {.told = &s->f.routes[0]};
	const struct inference_call call = {API(CHAT_COMPLETIONS), {}};
	const struct target target = {.path = s->agent.target};

	return inference_head_write(&route, &call, &target, &s->agent, &s->body, false, 1440938160,
				    s->arena, &s->head);
}

/* All fields as lines, sorted as they are. */
static void expect_fields(struct sending *s, const char *wanted)
{
	char text[4096] = "", *out = text;

	if (send_head(s))
		fail_msg("not written");
	for (uint16_t i = 0; i < s->head.fields; i++)
		out += snprintf(out, 512, "%.*s: %.*s\n", (int)s->head.field[i].name.size,
				s->head.field[i].name.data, (int)s->head.field[i].value.size,
				s->head.field[i].value.data);
	assert_string_equal(text, wanted);
}

static void heads(void **state)
{
	OPENSHELL(InferenceHeader) key = OPENSHELL_INIT(INFERENCE_HEADER), version = key;
	OPENSHELL(InferenceHeader) * headers[] = {&key}, *defaults[] = {&version};
	/* Whoever wrote the list, credentials are not on it. */
	char *pass[] = {"anthropic-version", "openai-beta", "cookie", "authorization",	"x-api-key",
			"x-amz-date",	     "host",	    "te",     "x-forwarded-for"};
	struct sending s;

	key.name = "authorization";
	key.value = "Bearer real";
	version.name = "anthropic-version";
	version.value = "2023-06-01";
	sending_init(&s);
	s.f.routes[0].headers = headers;
	s.f.routes[0].n_headers = 1;
	s.f.routes[0].defaults = defaults;
	s.f.routes[0].n_defaults = 1;
	expect_fields(&s, "content-type: application/json\nauthorization: Bearer real\n"
			  "anthropic-version: 2023-06-01\n");
	assert_true(text_is(s.head.authority, "api.example.org"));
	assert_false(s.head.expect_continue);
	assert_int_equal(s.head.length, s.body.size);

	sent(&s, "authorization", "Bearer fake");
	sent(&s, "x-api-key", "fake");
	sent(&s, "cookie", "a=b");
	sent(&s, "x-amz-date", "now");
	sent(&s, "x-forwarded-for", "1.2.3.4");
	sent(&s, "te", "trailers");
	sent(&s, "host", "evil.example.org");
	sent(&s, "content-encoding", "gzip");
	sent(&s, "x-stainless-os", "Linux");
	sent(&s, "openai-beta", "a");
	sent(&s, "user-agent", "agent/1");
	sent(&s, "anthropic-version", "mine");
	sent(&s, "accept", "text/event-stream");
	s.f.routes[0].pass = pass;
	s.f.routes[0].n_pass = ARRAY_LEN(pass);
	expect_fields(&s, "content-type: application/json\nopenai-beta: a\nuser-agent: agent/1\n"
			  "anthropic-version: mine\naccept: text/event-stream\n"
			  "authorization: Bearer real\n");

	/* What a route sets stands, whatever it passes. */
	version.name = "openai-beta";
	key.name = "openai-beta";
	expect_fields(&s, "content-type: application/json\nuser-agent: agent/1\n"
			  "anthropic-version: mine\naccept: text/event-stream\n"
			  "openai-beta: Bearer real\n");
	arena_free(s.arena);
}

static void types(void **state)
{
	static const char *const rows[][2] = {
		{"application/json", "application/json"},
		{"Application/JSON; charset=utf-8", "Application/JSON; charset=utf-8"},
		{"application/vnd.api+json", "application/vnd.api+json"},
		{"application/json; charset=utf-16", "application/json"},
		{"application/x-www-form-urlencoded", "application/json"},
		{"multipart/form-data; boundary=+json", "application/json"},
		{"text/plain", "application/json"},
		{"", "application/json"},
		{"application/jsonp", "application/json"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sending s;

		sending_init(&s);
		sent(&s, "content-type", rows[i][0]);
		assert_int_equal(send_head(&s), 0);
		if (!text_is(http_field_find(&s.head, "content-type")->value, rows[i][1]))
			fail_msg("%s", rows[i][0]);
		arena_free(s.arena);
	}
}

static void encodings(void **state)
{
	static const char *const rows[][2] = {
		{"gzip, deflate, br, zstd", "gzip,deflate"},
		{"br", "identity"},
		{"", "identity"},
		{"*", "identity"},
		{"GZIP;q=0.5 , x-gzip, identity; q=0.1", "GZIP;q=0.5,x-gzip,identity; q=0.1"},
		{"gzip;q=0, deflate; q=0.00, identity;q=0.01", "identity;q=0.01"},
		{"gzipped, xgzip, ,;,=,br;q=1", "identity"},
	};
	struct sending s;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sending_init(&s);
		sent(&s, "accept-encoding", rows[i][0]);
		assert_int_equal(send_head(&s), 0);
		if (!text_is(http_field_find(&s.head, "accept-encoding")->value, rows[i][1]))
			fail_msg("%s", rows[i][0]);
		arena_free(s.arena);
	}
	sending_init(&s);
	sent(&s, "accept-encoding", "br, gzip");
	sent(&s, "accept-encoding", "deflate");
	assert_int_equal(send_head(&s), 0);
	assert_true(text_is(http_field_find(&s.head, "accept-encoding")->value, "gzip,deflate"));
	arena_free(s.arena);
}

static void authorities(void **state)
{
	static const struct {
		const char *host;
		uint32_t port;
		bool tls;
		const char *to;
	} rows[] = {
		{"a.example.org", 443, true, "a.example.org"},
		{"a.example.org", 80, true, "a.example.org:80"},
		{"a.example.org", 80, false, "a.example.org"},
		{"127.0.0.1", 11434, false, "127.0.0.1:11434"},
		{"::1", 443, true, "[::1]"},
		{"::1", 8000, false, "[::1]:8000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sending s;

		sending_init(&s);
		s.f.routes[0].host = (char *)rows[i].host;
		s.f.routes[0].port = rows[i].port;
		s.f.routes[0].tls = rows[i].tls;
		assert_int_equal(send_head(&s), 0);
		assert_true(text_is(s.head.authority, rows[i].to));
		arena_free(s.arena);
	}
}

static void signs(void **state)
{
	OPENSHELL(InferenceSigning) with = OPENSHELL_INIT(INFERENCE_SIGNING);
	const struct http_field *field;
	struct sending s;
	struct text first;

	with.service = "bedrock";
	with.region = "eu-west-1";
	with.access_key = "AKIDEXAMPLE";
	with.secret_key = "secret";
	with.session_token = "token";
	sending_init(&s);
	s.f.routes[0].signing = &with;
	sent(&s, "authorization", "AWS4-HMAC-SHA256 Credential=fake");
	sent(&s, "x-amz-security-token", "fake");
	assert_int_equal(send_head(&s), 0);
	field = http_field_find(&s.head, "authorization");
	assert_non_null(field);
	assert_memory_equal(field->value.data,
			    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/bedrock/",
			    67);
	assert_true(text_is(http_field_find(&s.head, "x-amz-security-token")->value, "token"));
	assert_true(text_is(http_field_find(&s.head, "x-amz-date")->value, "20150830T123600Z"));
	/* It is of the body too. */
	first = field->value;
	s.body = TEXT("{\"model\":\"n\"}");
	assert_int_equal(send_head(&s), 0);
	assert_false(text_equal(http_field_find(&s.head, "authorization")->value, first));
	arena_free(s.arena);
}

static void too_much(void **state)
{
	char *pass[] = {"x-many"}, path[HTTP_TARGET_MAX + 16];
	struct sending s;

	sending_init(&s);
	s.f.routes[0].pass = pass;
	s.f.routes[0].n_pass = 1;
	while (s.agent.fields < HTTP_FIELDS_MAX - 1)
		sent(&s, "x-many", "1");
	assert_int_equal(send_head(&s), 0);
	assert_int_equal(s.head.fields, HTTP_FIELDS_MAX);
	sent(&s, "x-many", "1");
	assert_int_equal(send_head(&s), -E2BIG);

	s.agent.fields = 0;
	memset(path, 'a', sizeof(path));
	memcpy(path, "/v1/", 4);
	s.agent.target = (struct text){path, HTTP_TARGET_MAX};
	assert_int_equal(send_head(&s), 0);
	s.agent.target.size++;
	assert_int_equal(send_head(&s), -E2BIG);
	arena_free(s.arena);

	sending_init(&s);
	arena_free(s.arena);
	s.arena = arena_new(64);
	assert_int_equal(send_head(&s), -ENOMEM);
	arena_free(s.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),	  cmocka_unit_test(refuses),
		cmocka_unit_test(long_models),	  cmocka_unit_test(writes),
		cmocka_unit_test(writes_targets), cmocka_unit_test(heads),
		cmocka_unit_test(types),	  cmocka_unit_test(encodings),
		cmocka_unit_test(authorities),	  cmocka_unit_test(signs),
		cmocka_unit_test(too_much),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
