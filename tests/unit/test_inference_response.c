/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_response.h"

#include "common/cleanup.h"
#include "inference_fixture.h"

#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#define OUT_MAX (5u << 20)

#define KEY  "sk-test-0123456789abcdef"
#define KEY2 "ab/cd\"ef/ghijk+="

static char passed_on[OUT_MAX];
static char *keys[] = {KEY, KEY2, "short"};

/* A response that goes through, and what became of it. */
struct passing {
	struct fixture f;
	struct inference_route route;
	struct http_head head;
	struct inference_tap *tap;
	char *out;
	size_t size;
	int r;
};

static void respond(struct passing *p, const char *name, const char *value)
{
	p->head.field[p->head.fields++] = (struct http_field){text_of(name), text_of(value)};
}

static void passing_init(struct passing *p, inference_api api, const char *type,
			 const char *encoding)
{
	memset(p, 0, sizeof(*p));
	fixture_init(&p->f, 1);
	p->f.routes[0].secrets = keys;
	p->f.routes[0].n_secrets = ARRAY_LEN(keys);
	p->route = (struct inference_route){.told = &p->f.routes[0]};
	p->head.status = 200;
	respond(p, "content-type", type);
	if (encoding)
		respond(p, "content-encoding", encoding);
	assert_int_equal(inference_tap_new(&p->route, api, &p->head, &p->tap), 0);
	p->out = passed_on;
}

static void passing_end(struct passing *p)
{
	inference_tap_free(p->tap);
}

/* Gives a copy of exactly these bytes, and adds what may be passed on. */
static void give(struct passing *p, const void *data, size_t size, bool end)
{
	_cleanup_free_ uint8_t *copy = malloc(size ? size : 1);
	struct text out[2];

	memcpy(copy, data, size);
	p->r = inference_tap_data(p->tap, copy, size, end, out);
	for (int i = 0; i < 2; i++) {
		if (out[i].size)
			memcpy(p->out + p->size, out[i].data, out[i].size);
		p->size += out[i].size;
	}
}

/* In pieces of @step bytes, until it is refused. */
static int give_steps(struct passing *p, const void *data, size_t size, size_t step)
{
	const char *at = data, *end = at + size;

	do {
		size_t n = (size_t)(end - at) < step ? (size_t)(end - at) : step;

		give(p, at, n, at + n == end);
		at += n;
	} while (at < end && !p->r);
	return p->r;
}

static size_t compress_with(int bits, const void *data, size_t size, void *out, size_t room)
{
	z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)size, .next_out = out};

	stream.avail_out = (uInt)room;
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return room - stream.avail_out;
}

/* Heads */

static void heads(void **state)
{
	OPENSHELL(InferenceSigning) signing = OPENSHELL_INIT(INFERENCE_SIGNING);
	struct passing p;

	passing_init(&p, API(RESPONSES), "application/json", NULL);
	signing.secret_key = "aws-secret-key";
	p.f.routes[0].signing = &signing;
	respond(&p, "set-cookie", "a=b");
	respond(&p, "www-authenticate", "Bearer");
	respond(&p, "alt-svc", "h3");
	respond(&p, "x-request-id", "1");
	respond(&p, "x-echo", "Bearer " KEY);
	respond(&p, KEY, "1");
	respond(&p, "x-aws", "aws-secret-key");
	respond(&p, "x-short", "short");
	inference_response_head(&p.route, &p.head);
	assert_int_equal(p.head.fields, 3);
	assert_non_null(http_field_find(&p.head, "content-type"));
	assert_non_null(http_field_find(&p.head, "x-request-id"));
	assert_non_null(http_field_find(&p.head, "x-short"));
	passing_end(&p);
}

static void streams(void **state)
{
	static const struct {
		const char *type;
		bool is;
	} rows[] = {
		{"text/event-stream", true},
		{"Text/Event-Stream; charset=utf-8", true},
		{"text/event-stream ;x", true},
		{"text/event-streams", false},
		{"application/json", false},
		{"application/vnd.amazon.eventstream", true},
		{"", false},
	};
	struct http_head head = {.status = 200};

	assert_false(inference_response_is_stream(&head));
	head.fields = 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		head.field[0] = (struct http_field){TEXT("content-type"), text_of(rows[i].type)};
		assert_int_equal(inference_response_is_stream(&head), rows[i].is);
	}
}

/* Secrets */

/* What has none goes through, as it came and at once but for the likeness of a key. */
static void nothing_is_lost(void **state)
{
	static const char text[] = "sk-t sk-test-0123456789abcde sk-tesk-test-sk-sk-test-012345678"
				   "9abcde ab/cd\"ef/ghijk+ ab\\/cd\\\"ef ab/cd\"ef/ghijk short s";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct passing p;

		passing_init(&p, API(MESSAGES), "text/plain", NULL);
		assert_int_equal(give_steps(&p, text, sizeof(text) - 1, step), 0);
		assert_int_equal(p.size, sizeof(text) - 1);
		assert_memory_equal(p.out, text, p.size);
		passing_end(&p);
	}
}

static void at_once(void **state)
{
	static const char event[] = "data: {\"a\":\"sk-\"}\n\n";
	struct passing p;

	passing_init(&p, API(MESSAGES), "text/event-stream", NULL);
	give(&p, event, sizeof(event) - 1, false);
	assert_int_equal(p.size, sizeof(event) - 1);
	give(&p, "x sk-", 5, false);
	assert_int_equal(p.size, sizeof(event) - 1 + 5);
	/* Three bytes have gone on; the fourth waits. */
	give(&p, "t", 1, false);
	assert_int_equal(p.size, sizeof(event) - 1 + 5);
	give(&p, "est", 3, false);
	assert_int_equal(p.size, sizeof(event) - 1 + 5);
	give(&p, "!", 1, false);
	assert_int_equal(p.size, sizeof(event) - 1 + 10);
	assert_memory_equal(p.out + sizeof(event) - 1, "x sk-test!", 10);
	passing_end(&p);
}

static const char *const leaks[] = {
	KEY,
	"{\"error\":\"the key " KEY " is wrong\"}",
	"sk-test-sk-test-0123456789abcdef",
	"sk-test-0123456789abcdesk-test-0123456789abcdef and more",
	"xx " KEY2 " yy",
	"{\"echo\":\"ab/cd\\\"ef/ghijk+=\"}",
	"{\"echo\":\"ab\\/cd\\\"ef\\/ghijk+=\"}",
};

static void secrets(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(leaks); i++)
		for (size_t step = 1; step <= strlen(leaks[i]); step++) {
			struct passing p;

			passing_init(&p, API(MESSAGES), "application/json", NULL);
			if (give_steps(&p, leaks[i], strlen(leaks[i]), step) != -EACCES)
				fail_msg("passed on in steps of %zu: %s", step, leaks[i]);
			assert_memory_equal(p.out, leaks[i], p.size);
			assert_null(memmem(p.out, p.size, "sk-test-0123456789abcdef", 24));
			assert_null(memmem(p.out, p.size, "ijk+=", 5));
			/* And nothing after it. */
			give(&p, "more", 4, true);
			assert_int_equal(p.r, -EACCES);
			assert_memory_equal(p.out, leaks[i], p.size);
			passing_end(&p);
		}
}

/* What is before it goes on. */
static void before_it(void **state)
{
	struct passing p;

	passing_init(&p, API(MESSAGES), "application/json", NULL);
	give(&p, "before sk-te", 12, false);
	assert_int_equal(p.size, 7);
	give(&p, "st-0123456789abcdef after", 25, false);
	assert_int_equal(p.r, -EACCES);
	assert_int_equal(p.size, 7);
	passing_end(&p);
}

/* Encodings */

static const struct {
	const char *name;
	int bits;
} codings[] = {{"gzip", 15 + 16},
	       {"x-gzip", 15 + 16},
	       {"GZip", 15 + 16},
	       {"deflate", 15},
	       {"deflate", -15}};

#define USAGE "{\"id\":1,\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34}}"

static void compressed(void **state)
{
	uint8_t packed[4096];

	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		size_t size = compress_with(codings[i].bits, USAGE, sizeof(USAGE) - 1, packed,
					    sizeof(packed));

		for (size_t step = 1; step <= size; step++) {
			struct passing p;
			struct inference_usage usage;

			passing_init(&p, API(MESSAGES), "application/json", codings[i].name);
			assert_int_equal(give_steps(&p, packed, size, step), 0);
			assert_int_equal(p.size, size);
			assert_memory_equal(p.out, packed, size);
			usage = inference_tap_usage(p.tap, 0);
			assert_true(usage.known && usage.input == 12 && usage.output == 34);
			passing_end(&p);
		}
	}
}

/* What an agent could make of what went on holds no secret, and is of what was sent. */
static void expect_no_secret(const struct passing *p, int bits, const char *sent)
{
	z_stream stream = {.next_in = (Bytef *)p->out, .avail_in = (uInt)p->size};
	char text[8192];
	size_t size;

	stream.next_out = (Bytef *)text;
	stream.avail_out = sizeof(text);
	assert_int_equal(inflateInit2(&stream, bits), Z_OK);
	inflate(&stream, Z_SYNC_FLUSH);
	inflateEnd(&stream);
	size = sizeof(text) - stream.avail_out;
	assert_memory_equal(text, sent, size);
	assert_null(memmem(text, size, KEY, strlen(KEY)));
	assert_null(memmem(text, size, "sk-test-0", 9));
}

static void compressed_secrets(void **state)
{
	static const char text[] = "{\"a\":\"something before it, of some length, 0123456789\","
				   "\"error\":\"" KEY "\",\"b\":\"and something after\"}";
	uint8_t packed[4096];

	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		size_t size = compress_with(codings[i].bits, text, sizeof(text) - 1, packed,
					    sizeof(packed));

		for (size_t step = 1; step <= size; step++) {
			struct passing p;

			passing_init(&p, API(MESSAGES), "application/json", codings[i].name);
			assert_int_equal(give_steps(&p, packed, size, step), -EACCES);
			expect_no_secret(&p, codings[i].bits, text);
			passing_end(&p);
		}
	}
}

/* A second member is read too: decoders do. */
static void members(void **state)
{
	uint8_t packed[4096];
	size_t size = compress_with(15 + 16, "{\"a\":1", 6, packed, sizeof(packed));

	size += compress_with(15 + 16, "\"" KEY "\"}", strlen(KEY) + 3, packed + size,
			      sizeof(packed) - size);
	for (size_t step = 1; step <= size; step++) {
		struct passing p;

		passing_init(&p, API(MESSAGES), "application/json", "gzip");
		assert_int_equal(give_steps(&p, packed, size, step), -EACCES);
		passing_end(&p);
	}
}

/* What came out before a mistake has been looked at. */
static void broken(void **state)
{
	uint8_t packed[4096];
	size_t size =
		compress_with(15 + 16, "\"" KEY "\"", strlen(KEY) + 2, packed, sizeof(packed));

	packed[size - 8] ^= 1; /* the checksum */
	for (size_t step = 1; step <= size; step++) {
		struct passing p;

		passing_init(&p, API(MESSAGES), "application/json", "gzip");
		assert_int_equal(give_steps(&p, packed, size, step), -EACCES);
		passing_end(&p);
	}
}

/* What cannot be read is passed on as it is, and estimated. */
static void unreadable(void **state)
{
	static const char *const encodings[] = {"br", "gzip", "deflate", "gzip, gzip", "identity"};
	char noise[5000];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 7919 >> 3);
	memcpy(noise, "\x1f\x8b\x08", 3);
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
		for (size_t step = 1; step < 3000; step += 313) {
			struct passing p;
			struct inference_usage usage;

			passing_init(&p, API(CHAT_COMPLETIONS), "application/json", encodings[i]);
			assert_int_equal(give_steps(&p, noise, sizeof(noise), step), 0);
			assert_int_equal(p.size, sizeof(noise));
			assert_memory_equal(p.out, noise, sizeof(noise));
			usage = inference_tap_usage(p.tap, 400);
			assert_false(usage.known);
			assert_int_equal(usage.input, 100);
			passing_end(&p);
		}
}

static void bomb(void **state)
{
	size_t plain = 64u << 20, room = 1u << 20, size;
	_cleanup_free_ char *zeros = calloc(1, plain), *packed = malloc(room);
	struct passing p;

	size = compress_with(15 + 16, zeros, plain, packed, room);
	passing_init(&p, API(CHAT_COMPLETIONS), "application/octet-stream", "gzip");
	for (int i = 0; i < 20; i++) {
		give(&p, packed, size, i == 19);
		assert_int_equal(p.r, 0);
	}
	assert_int_equal(p.size, 20 * size);
	passing_end(&p);
}

/* An empty block says nothing, so that what was begun could be kept back for ever. */
static void kept_for_ever(void **state)
{
	static const uint8_t empty[] = {0, 0, 0, 0xff, 0xff};
	uint8_t packed[4096];
	z_stream stream = {.next_in = (Bytef *)"sk-test-", .avail_in = 8, .next_out = packed};
	struct passing p;
	size_t rounds = 0;

	stream.avail_out = sizeof(packed);
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, 0), Z_OK);
	assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
	deflateEnd(&stream);
	passing_init(&p, API(CHAT_COMPLETIONS), "text/event-stream", "deflate");
	give(&p, packed, sizeof(packed) - stream.avail_out, false);
	while (!p.r && rounds++ < 100000)
		give(&p, empty, sizeof(empty), false);
	assert_int_equal(p.r, -EACCES);
	assert_int_equal(p.size, 0);
	passing_end(&p);
}

/* Usage */

#define DATA(json) "data: " json "\n\n"

static const struct {
	inference_api api;
	const char *type, *text;
	uint32_t input, output;
	bool known;
} usages[] = {
	{API(CHAT_COMPLETIONS), "application/json", USAGE, 12, 34, true},
	{API(CHAT_COMPLETIONS), "application/json; charset=utf-8",
	 "{ \"usage\" : { \"prompt_tokens\" : 5 , \"total_tokens\" : 9 } }", 5, 4, true},
	{API(EMBEDDINGS), "application/json",
	 "{\"data\":[{\"usage\":{\"prompt_tokens\":99}}],\"usage\":{\"prompt_tokens\":8,"
	 "\"total_tokens\":8}}",
	 8, 0, true},
	{API(RESPONSES), "application/json",
	 "{\"output\":\"\\\"usage\\\":{\",\"usage\":{\"input_tokens\":3,"
	 "\"input_tokens_details\":{\"cached_tokens\":2},\"output_tokens\":4}}",
	 3, 4, true},
	{API(MESSAGES), "application/json",
	 "{\"usage\":{\"input_tokens\":1,\"cache_creation_input_tokens\":10,"
	 "\"cache_read_input_tokens\":100,\"output_tokens\":7}}",
	 111, 7, true},
	/* A proxy that has counted what was cached already. */
	{API(CHAT_COMPLETIONS), "application/json",
	 "{\"usage\":{\"prompt_tokens\":111,\"cache_read_input_tokens\":100,"
	 "\"completion_tokens\":7}}",
	 111, 7, true},
	{API(BEDROCK_INVOKE), "application/json",
	 "{\"inputTextTokenCount\":6,\"results\":[{\"tokenCount\":4,\"outputText\":\"x\"},"
	 "{\"tokenCount\":5}]}",
	 6, 9, true},
	{API(BEDROCK_INVOKE), "application/json",
	 "{\"generation\":\"x\",\"prompt_token_count\":6,\"generation_token_count\":9}", 6, 9,
	 true},
	{API(CHAT_COMPLETIONS), "text/event-stream",
	 DATA("{\"x\":1,\"usage\":null}") DATA("{\"choices\":[],\"usage\":{\"prompt_tokens\":2,"
					       "\"completion_tokens\":3}}") DATA("[DONE]"),
	 2, 3, true},
	{API(RESPONSES), "text/event-stream",
	 "event: response.completed\r\n" DATA("{\"type\":\"response.completed\",\"response\":{"
					      "\"usage\":{\"input_tokens\":2,"
					      "\"output_tokens\":3}}}"),
	 2, 3, true},
	{API(MESSAGES), "text/event-stream",
	 "event: message_start\n" DATA(
		 "{\"message\":{\"usage\":{\"input_tokens\":20,"
		 "\"output_tokens\":1}}}") "event: message_delta\n" DATA("{\"usage\":{\"output_"
									 "tokens\":40}}"),
	 20, 40, true},
	/* Broken off: what it began with is not all of it. */
	{API(MESSAGES), "text/event-stream",
	 DATA("{\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}") DATA("{}")
		 DATA("{}"),
	 20, 3, false},
	{API(CHAT_COMPLETIONS), "text/event-stream", DATA("{}") DATA("{}") DATA("{}"), 100, 3,
	 false},
	/* A last line without its end. */
	{API(CHAT_COMPLETIONS), "text/event-stream",
	 "data:{\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":3}}", 2, 3, true},
	{API(CHAT_COMPLETIONS), "application/json", "{\"choices\":[\"0123456789\"]}", 100, 6,
	 false},
	{API(EMBEDDINGS), "application/json", "{\"data\":[]}", 100, 0, false},
	{API(MODELS), "application/json", "{\"data\":[{\"id\":\"a\"}]}", 0, 0, false},
	/* Nonsense is no number. */
	{API(CHAT_COMPLETIONS), "application/json",
	 "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":\"5\"}}", 100, 13, false},
	{API(CHAT_COMPLETIONS), "application/json",
	 "{\"usage\":{\"prompt_tokens\":99999999999999999999999,\"completion_tokens\":1}}",
	 UINT32_MAX, 1, true},
	{API(CHAT_COMPLETIONS), "application/json",
	 "{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":2,\"completion_tokens\":1}}", 100, 17,
	 false},
	{API(CHAT_COMPLETIONS), "application/json", "[{\"usage\":{\"prompt_tokens\":1}}]", 100, 7,
	 false},
	{API(CHAT_COMPLETIONS), "application/json", "}}}]]\"\"{{", 100, 2, false},
};

static void usage(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(usages); i++)
		for (size_t step = 1; step <= strlen(usages[i].text); step++) {
			struct inference_usage found;
			struct passing p;

			passing_init(&p, usages[i].api, usages[i].type, NULL);
			assert_int_equal(
				give_steps(&p, usages[i].text, strlen(usages[i].text), step), 0);
			found = inference_tap_usage(p.tap, 400);
			if (found.known != usages[i].known || found.input != usages[i].input ||
			    found.output != usages[i].output)
				fail_msg("%s in steps of %zu: %u %u", usages[i].text, step,
					 found.input, found.output);
			passing_end(&p);
		}
}

static void usage_of_heads(void **state)
{
	struct inference_usage found;
	struct passing p;

	passing_init(&p, API(BEDROCK_INVOKE), "application/json", NULL);
	inference_tap_free(p.tap);
	respond(&p, "x-amzn-bedrock-input-token-count", "17");
	respond(&p, "x-amzn-bedrock-output-token-count", "4");
	assert_int_equal(inference_tap_new(&p.route, API(BEDROCK_INVOKE), &p.head, &p.tap), 0);
	give(&p, "{}", 2, true);
	found = inference_tap_usage(p.tap, 400);
	assert_true(found.known && found.input == 17 && found.output == 4);
	passing_end(&p);
}

/* An error costs nothing. */
static void usage_of_errors(void **state)
{
	struct inference_usage found;
	struct passing p;

	passing_init(&p, API(MESSAGES), "application/json", NULL);
	inference_tap_free(p.tap);
	p.head.status = 429;
	assert_int_equal(inference_tap_new(&p.route, API(MESSAGES), &p.head, &p.tap), 0);
	give(&p, "{\"error\":{\"message\":\"too many\"}}", 32, true);
	found = inference_tap_usage(p.tap, 400);
	assert_true(!found.known && !found.input && !found.output);
	passing_end(&p);
}

/* Whatever the size of what is around it. */
static void usage_of_large(void **state)
{
	size_t room = 4u << 20, size;
	_cleanup_free_ char *text = malloc(room);
	struct inference_usage found;
	struct passing p;

	size = (size_t)snprintf(text, room, "{\"data\":[");
	while (size < room - 200)
		size += (size_t)snprintf(text + size, room - size, "-0.0123456789,");
	size += (size_t)snprintf(text + size, room - size,
				 "0],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
	passing_init(&p, API(EMBEDDINGS), "application/json", NULL);
	assert_int_equal(give_steps(&p, text, size, 65536), 0);
	assert_int_equal(p.size, size);
	found = inference_tap_usage(p.tap, 400);
	assert_true(found.known && found.input == 8 && found.output == 0);
	passing_end(&p);
}

/* A line that never ends is passed over, and the next one read. */
static void long_lines(void **state)
{
	size_t room = 1u << 20, size;
	_cleanup_free_ char *text = malloc(room);
	struct inference_usage found;
	struct passing p;

	memset(text, 'a', room);
	memcpy(text, "data: \"usage\":", 14);
	size = room - 200;
	size += (size_t)snprintf(text + size, 200,
				 "\n" DATA("{\"usage\":{\"input_tokens\":2,"
					   "\"output_tokens\":3}}"));
	for (size_t step = 1000; step <= room; step *= 4) {
		passing_init(&p, API(MESSAGES), "text/event-stream", NULL);
		assert_int_equal(give_steps(&p, text, size, step), 0);
		found = inference_tap_usage(p.tap, 400);
		assert_true(found.known && found.input == 2 && found.output == 3);
		passing_end(&p);
	}
}

static void in_line(void **state)
{
	struct passing p;

	passing_init(&p, API(MESSAGES), "text/event-stream", NULL);
	assert_false(inference_tap_in_line(p.tap));
	give(&p, "data: a", 7, false);
	assert_true(inference_tap_in_line(p.tap));
	give(&p, "", 0, false);
	assert_true(inference_tap_in_line(p.tap));
	give(&p, "\n", 1, false);
	assert_false(inference_tap_in_line(p.tap));
	give(&p, "\n\nsk-test-", 10, false);
	assert_false(inference_tap_in_line(p.tap));
	give(&p, "\r", 1, false);
	assert_true(inference_tap_in_line(p.tap));
	give(&p, "\n", 1, false);
	assert_false(inference_tap_in_line(p.tap));
	/* What is before a key has gone on. */
	give(&p, "data: " KEY "\n", 7 + strlen(KEY), false);
	assert_int_equal(p.r, -EACCES);
	assert_true(inference_tap_in_line(p.tap));
	passing_end(&p);
	passing_init(&p, API(MESSAGES), "application/json", NULL);
	give(&p, "{", 1, false);
	assert_false(inference_tap_in_line(p.tap));
	passing_end(&p);
}

/* Free of a tap in whatever state. */
static void abandoned(void **state)
{
	struct passing p;

	inference_tap_free(NULL);
	passing_init(&p, API(MESSAGES), "text/event-stream", NULL);
	give(&p, "data: {\"usage\":", 15, false);
	passing_end(&p);
	passing_init(&p, API(MESSAGES), "application/json", "gzip");
	give(&p, "\x1f", 1, false);
	passing_end(&p);
	passing_init(&p, API(MESSAGES), "application/json", NULL);
	give(&p, "{\"usage\":{\"a", 12, false);
	passing_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),	   cmocka_unit_test(streams),
		cmocka_unit_test(nothing_is_lost), cmocka_unit_test(at_once),
		cmocka_unit_test(secrets),	   cmocka_unit_test(before_it),
		cmocka_unit_test(compressed),	   cmocka_unit_test(compressed_secrets),
		cmocka_unit_test(members),	   cmocka_unit_test(broken),
		cmocka_unit_test(unreadable),	   cmocka_unit_test(bomb),
		cmocka_unit_test(kept_for_ever),   cmocka_unit_test(usage),
		cmocka_unit_test(usage_of_heads),  cmocka_unit_test(usage_of_errors),
		cmocka_unit_test(usage_of_large),  cmocka_unit_test(long_lines),
		cmocka_unit_test(in_line),	   cmocka_unit_test(abandoned),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
