/* SPDX-License-Identifier: Apache-2.0 */
#include "http2_frames.h"

#include "common/cleanup.h"
#include "common/http2_flood.h"

static struct wire wire;
static struct frames out;
static char said[NOTES_MAX];

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

/* Whether so many frames, made by @put, end the connection. */
static bool ends(void (*put)(int at), int count)
{
	bool ended;

	setup(NULL);
	wire.quiet = true;
	for (int i = 0; i < count; i++) {
		put(i);
		/* Who reads what we say does not fill our queue. */
		if (out.size > 2000) {
			if (frames_feed(&out, wire.server))
				break;
			frames_hear(&out, wire.server, said, sizeof(said));
			wire_forget(&wire);
			if (http2_finished(wire.server))
				break;
		}
	}
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	ended = http2_finished(wire.server);
	/* The last words, if there are any. */
	assert_true(!ended || strstr(said, "goaway:calm ") || !*said);
	teardown(NULL);
	return ended;
}

static void put_ping(int at)
{
	frames_put(&out, NGHTTP2_PING, 0, 0, (const uint8_t *)"12345678", 8);
}

static void put_settings(int at)
{
	frames_put(&out, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static void put_priority(int at)
{
	frames_put(&out, NGHTTP2_PRIORITY, 0, 2 * at + 1, (const uint8_t *)"\0\0\0\0\20", 5);
}

static void put_unknown(int at)
{
	frames_put(&out, 0xfa, 0, 0, NULL, 0);
}

static void put_window_update(int at)
{
	frames_put(&out, NGHTTP2_WINDOW_UPDATE, 0, 0, (const uint8_t *)"\0\0\0\1", 4);
}

static void put_empty_data(int at)
{
	if (!at)
		frames_headers(&out, 1, GOOD, false, true);
	frames_put(&out, NGHTTP2_DATA, 0, 1, NULL, 0);
}

static void put_padding(int at)
{
	if (!at)
		frames_headers(&out, 1, GOOD, false, true);
	frames_put(&out, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, (const uint8_t *)"\3\0\0\0", 4);
}

static void frames_that_carry_nothing_are_counted(void **state)
{
	static void (*const puts[])(int at) = {
		put_ping,	   put_settings,   put_priority, put_unknown,
		put_window_update, put_empty_data, put_padding,
	};

	for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
		assert_false(ends(puts[i], HTTP2_NOISE_MAX / 2));
		assert_true(ends(puts[i], HTTP2_NOISE_MAX + 10));
	}
}

static void put_small_data(int at)
{
	if (!at)
		frames_headers(&out, 1, GOOD, false, true);
	frames_put(&out, NGHTTP2_DATA, 0, 1, (const uint8_t *)"x", 1);
	put_ping(at);
}

static void frames_that_carry_something_are_not(void **state)
{
	assert_false(ends(put_small_data, 2 * HTTP2_NOISE_MAX));
}

static void put_rapid_reset(int at)
{
	frames_headers(&out, 2 * at + 1, GOOD, true, true);
	frames_put(&out, NGHTTP2_RST_STREAM, 0, 2 * at + 1, (const uint8_t *)"\0\0\0\10", 4);
}

/* CVE-2025-8671: frames that make us reset the stream. */
static void put_made_reset(int at)
{
	frames_headers(&out, 2 * at + 1, GOOD, true, true);
	frames_put(&out, NGHTTP2_WINDOW_UPDATE, 0, 2 * at + 1, (const uint8_t *)"\x7f\xff\xff\xff",
		   4);
}

static void put_malformed(int at)
{
	frames_headers(&out, 2 * at + 1, GOOD ":x: y\n", true, true);
}

static void put_head_long(int at)
{
	static char many[sizeof(GOOD) + 6 * (HTTP_FIELDS_MAX + 1)];

	if (!*many) {
		strcpy(many, GOOD);
		for (int i = 0; i <= HTTP_FIELDS_MAX; i++)
			strcat(many, "x: y\n");
	}
	frames_headers(&out, 2 * at + 1, many, true, true);
}

static void resets_are_counted(void **state)
{
	static void (*const puts[])(int at) = {
		put_rapid_reset,
		put_made_reset,
		put_malformed,
		put_head_long,
	};

	for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
		assert_false(ends(puts[i], HTTP2_RESETS_MAX / 4));
		assert_true(ends(puts[i], HTTP2_RESETS_MAX + 10));
	}
}

static void continuations_are_counted(void **state)
{
	static const uint8_t field[] = {0, 1, 'x', 1, 'y'};

	for (int extra = 0; extra < 2; extra++) {
		for (int ignored = 0; ignored < 2; ignored++) {
			setup(NULL);
			wire.quiet = true;
			/* Blocks of streams that are over are not looked at, but decoded. */
			if (ignored) {
				frames_headers(&out, 1, GOOD ":x: y\n", true, true);
				frames_feed(&out, wire.server);
				frames_hear(&out, wire.server, said, sizeof(said));
			}
			frames_headers(&out, 1, GOOD, true, false);
			for (int i = 0; i < HTTP2_CONTINUATIONS_MAX + extra; i++)
				frames_put(&out, NGHTTP2_CONTINUATION,
					   i == HTTP2_CONTINUATIONS_MAX - 1 + extra
						   ? NGHTTP2_FLAG_END_HEADERS
						   : 0,
					   1, field, sizeof(field));
			/* A byte at a time, which is no more frames. */
			for (size_t i = 0; i < out.size; i++)
				if (http2_feed(wire.server, out.data + i, 1))
					break;
			out.size = 0;
			frames_hear(&out, wire.server, said, sizeof(said));
			assert_string_equal(said, extra ? "goaway:calm " : "");
			assert_int_equal(wire.parties, !extra && !ignored);
			teardown(NULL);
		}
	}
}

/* Who makes us say much and reads nothing of it. */
static void what_is_not_read_is_bounded(void **state)
{
	int r = 0;

	for (int i = 0; i < HTTP2_NOISE_MAX / 2 && r == 0; i++) {
		put_ping(i);
		r = frames_feed(&out, wire.server);
	}
	assert_int_equal(r, -EPROTO);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "goaway:calm ");
	assert_true(http2_finished(wire.server));
}

static void broken_frames_end_the_connection(void **state)
{
	static const struct {
		const char *what;
		uint8_t type, flags;
		int32_t id;
		const char *payload;
		size_t size;
		const char *said;
	} rows[] = {
		{"DATA of no stream", NGHTTP2_DATA, 0, 1, "x", 1, "goaway:protocol "},
		{"DATA of stream 0", NGHTTP2_DATA, 0, 0, "x", 1, "goaway:protocol "},
		{"PING of 7 bytes", NGHTTP2_PING, 0, 0, "1234567", 7, "goaway:size "},
		{"CONTINUATION alone", NGHTTP2_CONTINUATION, 4, 1, "", 0, "goaway:protocol "},
		{"a server's stream", NGHTTP2_HEADERS, 5, 2, "", 0, "goaway:protocol "},
		{"PUSH_PROMISE", NGHTTP2_PUSH_PROMISE, 4, 1, "\0\0\0\2", 4, "goaway:protocol "},
		{"an index that is not", NGHTTP2_HEADERS, 5, 1, "\xff\xff", 2,
		 "goaway:compression "},
		{"a window past 2^31", NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4,
		 "goaway:flow "},
		{"padding longer than the frame", NGHTTP2_DATA, 8, 1, "\7x", 2, "goaway:protocol "},
		{"CONNECT's setting turned off", NGHTTP2_SETTINGS, 0, 0, "\0\10\0\0\0\2", 6,
		 "goaway:protocol "},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setup(NULL);
		frames_put(&out, rows[i].type, rows[i].flags, rows[i].id,
			   (const uint8_t *)rows[i].payload, rows[i].size);
		/* Nothing after it is read. */
		frames_headers(&out, 3, GOOD, true, true);
		frames_feed(&out, wire.server);
		frames_hear(&out, wire.server, said, sizeof(said));
		if (strcmp(said, rows[i].said))
			fail_msg("%s: %s", rows[i].what, said);
		assert_true(http2_finished(wire.server));
		assert_int_equal(wire.parties, 0);
		teardown(NULL);
	}
}

static void what_is_no_http2_ends_at_once(void **state)
{
	out.size = 0;
	frames_add(&out, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	assert_int_equal(frames_feed(&out, wire.server), -EPROTO);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(said, "goaway:protocol ");
	assert_true(http2_finished(wire.server));
}

/* An open stream's owner hears of it, and nothing more comes. */
static void a_broken_connection_is_over_for_its_streams(void **state)
{
	wire.quiet = true;
	frames_headers(&out, 1, GOOD, false, true);
	frames_put(&out, NGHTTP2_PING, 0, 0, (const uint8_t *)"1234567", 7);
	frames_put(&out, NGHTTP2_DATA, 1, 1, (const uint8_t *)"x", 1);
	frames_feed(&out, wire.server);
	frames_hear(&out, wire.server, said, sizeof(said));
	assert_string_equal(wire.party[0]->notes, "GET|a.example/ closed:connect ");
	assert_true(http2_finished(wire.server));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_that_carry_nothing_are_counted),
		cmocka_unit_test(frames_that_carry_something_are_not),
		cmocka_unit_test(resets_are_counted),
		cmocka_unit_test(continuations_are_counted),
		TEST(what_is_not_read_is_bounded),
		cmocka_unit_test(broken_frames_end_the_connection),
		TEST(what_is_no_http2_ends_at_once),
		TEST(a_broken_connection_is_over_for_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
