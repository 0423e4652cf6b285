/* SPDX-License-Identifier: Apache-2.0 */
#include "http2_frames.h"

#include "common/cleanup.h"
#include "proxy/http2_head.h"

static struct wire wire;
static struct frames out;

static int setup(void **state)
{
	wire = (struct wire){};
	wire_open_server(&wire, true);
	frames_begin(&out);
	return 0;
}

static int teardown(void **state)
{
	wire_close(&wire);
	frames_free(&out);
	return 0;
}

#define GOOD ":method: GET\n:scheme: https\n:path: /\n:authority: a.example\n"
#define RST  "rst:1:"

/* What the server's end says to a request of these fields, and what of it reached an exchange. */
static void row(const char *fields, const char *heard, const char *noted)
{
	struct wire w = {};
	struct frames f;
	char said[512];

	wire_open_server(&w, true);
	w.answer = 0;
	frames_begin(&f);
	frames_headers(&f, 1, fields, true, true);
	frames_feed(&f, w.server);
	frames_hear(&f, w.server, said, sizeof(said));
	if (strcmp(said, heard) || w.parties != (noted ? 1 : 0) ||
	    (noted && strcmp(w.party[0]->notes, noted))) {
		print_error("%s\n-> %s (not %s)\n%s\n", fields, said, heard,
			    w.parties ? w.party[0]->notes : "");
		fail();
	}
	frames_free(&f);
	wire_close(&w);
}

static void good_requests_pass(void **state)
{
	row(GOOD, "200:1. ", "GET|a.example/. ");
	row(GOOD "host: A.Example\n", "200:1. ", "GET|a.example/. ");
	row(":method: GET\n:scheme: HTTPS\n:path: /x\nhost: b.example\n", "200:1. ",
	    "GET|b.example/x. ");
	row(":method: OPTIONS\n:scheme: https\n:path: *\n:authority: [::1]:8443\n", "200:1. ",
	    "OPTIONS|[::1]:8443*. ");
	row(GOOD "te: trailers\n", "200:1. ", "GET|a.example/,te=trailers. ");
	row(GOOD "cookie: a=1\nx: y\ncookie: b=2\ncookie: c=3\n", "200:1. ",
	    "GET|a.example/,cookie=a=1; b=2; c=3,x=y. ");
	row(GOOD "content-length: 0\n", "200:1. ", "GET|a.example/(0). ");
	row(GOOD "expect: 100-continue\ntrailer: x\n", "200:1. ", "GET|a.example/(expect). ");
	row(GOOD "x: caf\xc3\xa9\n", "200:1. ", "GET|a.example/,x=caf\xc3\xa9. ");
	row(GOOD "x: a\tb\n", "200:1. ", "GET|a.example/,x=a\tb. ");
	row(GOOD "x:\n", "200:1. ", "GET|a.example/,x=. ");
}

/* Ours alone, since nghttp2's part of it depends on its version. */
static void fields_are_refused(const char *lines, enum http2_refusal refusal)
{
	struct http2_fields *fields;
	const struct http_head *head;
	uint8_t name[64], value[256];

	assert_int_equal(http2_fields_new(&fields), 0);
	http2_fields_begin(fields, HTTP2_REQUEST);
	for (const char *line = lines, *end; *line; line = end + 1) {
		size_t name_size, value_size;

		end = frames_line(line, name, &name_size, value, &value_size);
		assert_int_equal(http2_fields_add(fields, name, name_size, value, value_size), 0);
	}
	if (http2_fields_end(fields, true, true, &head) != refusal)
		fail_msg("%s", lines);
	http2_fields_free(fields);
}

static void malformed_requests_are_reset(void **state)
{
	static const char *const rows[] = {
		/* pseudo-header fields */
		":scheme: https\n:path: /\n:authority: a\n",
		":method: GET\n:path: /\n:authority: a\n",
		":method: GET\n:scheme: https\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /\n",
		GOOD ":method: GET\n",
		GOOD ":scheme: https\n",
		GOOD ":path: /\n",
		GOOD ":authority: a.example\n",
		GOOD ":status: 200\n",
		GOOD ":x: 1\n",
		GOOD ":: 1\n",
		GOOD ":protocol: websocket\n",
		":method: CONNECT\n:scheme: https\n:path: /\n:authority: a\n:protocol: websocket\n",
		":method: CONNECT\n:authority: a:443\n",
		":method: CONNECT\n:scheme: https\n:path: /\n:authority: a\n",
		":method: GET\n:scheme: https\nx: y\n:path: /\n:authority: a\n",
		":method:\n:scheme: https\n:path: /\n:authority: a\n",
		":method: GET\n:scheme:\n:path: /\n:authority: a\n",
		":method: GET\n:scheme: https\n:path:\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /\n:authority:\n",
		":method: G T\n:scheme: https\n:path: /\n:authority: a\n",
		":method: G:T\n:scheme: https\n:path: /\n:authority: a\n",
		":method: ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG\n:scheme: https\n:path: /\n:authority: "
		"a\n",
		":method: GET\n:scheme: http\n:path: /\n:authority: a\n",
		":method: GET\n:scheme: ftp\n:path: /\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: x\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: *\n:authority: a\n",
		":method: OPTIONS\n:scheme: https\n:path: **\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: https://b/\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /a b\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /\x01\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /\x7f\n:authority: a\n",
		":method: GET\n:scheme: https\n:path: /\n:authority: u@a\n",
		":method: GET\n:scheme: https\n:path: /\n:authority: a/b\n",
		":method: GET\n:scheme: https\n:path: /\n:authority: a b\n",
		":method: GET\n:scheme: https\n:path: /\n:authority: a,\x80\n",
		GOOD "host: b.example\n",
		GOOD "host: a.example:443\n",
		GOOD "host:\n",
		GOOD "host: a.example\nhost: a.example\n",
		/* fields of a connection */
		GOOD "connection: close\n",
		GOOD "connection: x\n",
		GOOD "keep-alive: 5\n",
		GOOD "proxy-connection: close\n",
		GOOD "transfer-encoding: chunked\n",
		GOOD "upgrade: websocket\n",
		GOOD "te: gzip\n",
		GOOD "te: trailers, gzip\n",
		GOOD "te:\n",
		/* names and values */
		GOOD "X: y\n",
		GOOD "x-Y: y\n",
		GOOD "x y: z\n",
		GOOD "x\x01: z\n",
		GOOD "x\x80: z\n",
		GOOD "x(: z\n",
		GOOD "\\0: z\n",
		GOOD "\\e: z\n",
		GOOD "x: \x01\n",
		GOOD "x: a\\rb\n",
		GOOD "x: a\\nb\n",
		GOOD "x: a\\0b\n",
		GOOD "x: \x7f\n",
		GOOD "x:  a\n",
		GOOD "x: a \n",
		GOOD "x: \ta\n",
		GOOD "x: a\t\n",
		GOOD "x:  \n",
		/* lengths */
		GOOD "content-length: 1\n",
		GOOD "content-length: 0\ncontent-length: 0\n",
		GOOD "content-length: 0, 0\n",
		GOOD "content-length: -0\n",
		GOOD "content-length: +0\n",
		GOOD "content-length: 0x0\n",
		GOOD "content-length:\n",
		GOOD "content-length: 99999999999999999999\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		row(rows[i], RST "protocol ", NULL);
		fields_are_refused(rows[i], HTTP2_MALFORMED);
	}
	fields_are_refused(GOOD, HTTP2_FINE);
}

/* In plaintext the scheme is the other one. */
static void the_scheme_is_the_connections(void **state)
{
	struct wire w = {};
	char said[512];

	wire_open_server(&w, false);
	frames_headers(&out, 1, GOOD, true, true);
	frames_headers(&out, 3, ":method: GET\n:scheme: http\n:path: /\n:authority: a\n", true,
		       true);
	frames_feed(&out, w.server);
	frames_hear(&out, w.server, said, sizeof(said));
	assert_string_equal(said, "rst:1:protocol 200:3. ");
	wire_close(&w);
}

static void bodies_are_as_long_as_they_say(void **state)
{
	static const struct {
		const char *length;
		size_t size;
		bool good;
	} rows[] = {{"10", 10, true}, {"10", 9, false}, {"10", 11, false}, {"10", 0, false}};
	char fields[256], said[512];
	static const uint8_t body[16];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int32_t id = (int32_t)(2 * i + 1);

		wire.answer = 3;
		snprintf(fields, sizeof(fields), GOOD "content-length: %s\n", rows[i].length);
		frames_headers(&out, id, fields, false, true);
		frames_put(&out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, body, rows[i].size);
		wire.quiet = true;
		frames_feed(&out, wire.server);
		frames_hear(&out, wire.server, said, sizeof(said));
		assert_int_equal(wire.parties, i + 1);
		assert_string_equal(wire.party[i]->notes,
				    rows[i].good ? "GET|a.example/(10) end "
						 : "GET|a.example/(10) closed:protocol ");
		if (rows[i].good)
			assert_string_equal(said, "");
		else
			assert_string_equal(strchr(said + 4, ':'), ":protocol ");
	}
}

static void trailers_are_checked(void **state)
{
	static const struct {
		const char *trailers, *noted;
		bool end;
	} rows[] = {
		{"x: y\n", "trailers,x=y ", true},
		{"trailer: x\nz: 1\n", "trailers,z=1 ", true},
		{"host: a.example\n", "closed:protocol ", true},
		{"content-length: 0\n", "closed:protocol ", true},
		{"x: y\n", "closed:protocol ", false},
		{":path: /\n", "closed:protocol ", true},
		{"connection: close\n", "closed:protocol ", true},
		{"X: y\n", "closed:protocol ", true},
		{"x:  y\n", "closed:protocol ", true},
		{"authorization: a\n", "closed:protocol ", true},
		{"x: y\ncookie: a=b\n", "closed:protocol ", true},
	};
	char said[512];

	wire.quiet = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int32_t id = (int32_t)(2 * i + 1);

		frames_headers(&out, id, GOOD, false, true);
		frames_headers(&out, id, rows[i].trailers, rows[i].end, true);
		frames_feed(&out, wire.server);
		frames_hear(&out, wire.server, said, sizeof(said));
		assert_string_equal(strchr(wire.party[i]->notes, ' ') + 1, rows[i].noted);
	}
	/* Too many. */
	{
		char many[16 * (HTTP_TRAILERS_MAX + 1)] = "";

		for (int i = 0; i <= HTTP_TRAILERS_MAX; i++)
			strcat(many, "x: y\n");
		frames_headers(&out, 101, GOOD, false, true);
		frames_headers(&out, 101, many, true, true);
		frames_feed(&out, wire.server);
		frames_hear(&out, wire.server, said, sizeof(said));
		assert_string_equal(said, "rst:101:protocol ");
	}
}

static void long_heads_are_answered(void **state)
{
	static char fields[80000];
	char said[512];
	size_t at;

	/* As many as may be, and one more. */
	at = (size_t)snprintf(fields, sizeof(fields), GOOD);
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		at += (size_t)snprintf(fields + at, sizeof(fields) - at, "x%d: y\n", i);
	frames_headers(&out, 1, fields, true, true);
	snprintf(fields + at, sizeof(fields) - at, "z: y\n");
	frames_headers(&out, 3, fields, true, true);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "200:1. 431:3. ");
	assert_int_equal(wire.parties, 1);

	/* Bytes, with a body: it is not read, and its stream is over. */
	at = (size_t)snprintf(fields, sizeof(fields), GOOD "x: ");
	memset(fields + at, 'v', HTTP_HEAD_MAX);
	strcpy(fields + at + HTTP_HEAD_MAX, "\n");
	frames_headers(&out, 5, fields, false, true);
	frames_put(&out, NGHTTP2_DATA, 0, 5, (const uint8_t *)"abc", 3);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "431:5. rst:5:none ");

	at = (size_t)snprintf(fields, sizeof(fields),
			      ":method: GET\n:scheme: https\n:authority: a\n:path: /");
	memset(fields + at, 'p', HTTP_TARGET_MAX - 1);
	strcpy(fields + at + HTTP_TARGET_MAX - 1, "\n");
	frames_headers(&out, 7, fields, true, true);
	strcpy(fields + at + HTTP_TARGET_MAX - 1, "p\n");
	frames_headers(&out, 9, fields, true, true);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "200:7. 414:9. ");
	assert_int_equal(wire.parties, 2);

	/* The connection is as it was. */
	frames_headers(&out, 11, GOOD, true, true);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "200:11. ");
}

/* One field that is in the dynamic table decodes to 4 KiB for each byte. */
static void a_header_bomb_ends_the_connection(void **state)
{
	uint8_t block[8192];
	size_t at = 0;
	char said[512];

	/* Literal with indexing: "x", 3000 bytes. */
	block[at++] = 0x40;
	block[at++] = 1;
	block[at++] = 'x';
	block[at++] = 127;
	block[at++] = (uint8_t)((3000 - 127) % 128 | 0x80);
	block[at++] = (uint8_t)((3000 - 127) / 128);
	memset(block + at, 'v', 3000);
	at += 3000;
	while (at < sizeof(block))
		block[at++] = 0x80 | 62;
	frames_put(&out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		   block, sizeof(block));
	assert_int_equal(frames_feed(&out, wire.server), -EPROTO);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "goaway:calm ");
	assert_true(http2_finished(wire.server));
}

static void streams_past_the_limit_are_refused(void **state)
{
	char said[512];

	wire.quiet = true;
	for (int32_t id = 1; id <= 2 * HTTP2_STREAMS_MAX + 1; id += 2)
		frames_headers(&out, id, GOOD, true, true);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "rst:201:refused ");
	assert_int_equal(wire.parties, HTTP2_STREAMS_MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_pass),
		cmocka_unit_test(malformed_requests_are_reset),
		TEST(the_scheme_is_the_connections),
		TEST(bodies_are_as_long_as_they_say),
		TEST(trailers_are_checked),
		TEST(long_heads_are_answered),
		TEST(a_header_bomb_ends_the_connection),
		TEST(streams_past_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
