/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end and a server that does what it likes. */
#include "http2_frames.h"

#include "common/cleanup.h"

static struct wire wire;
static struct frames in;
static char said[NOTES_MAX];

static void wire_on_capacity_only(void *arg)
{
	((struct wire *)arg)->capacity_events++;
}

static void begin(void)
{
	const struct http2_options options = {
		.tls = true,
		.on_capacity = wire_on_capacity_only,
		.arg = &wire,
	};

	wire = (struct wire){};
	assert_int_equal(http2_upstream_new(&options, &wire.client), 0);
	frames_begin(&in);
	/* A server has no preface but its SETTINGS. */
	memmove(in.data, in.data + NGHTTP2_CLIENT_MAGIC_LEN, in.size - NGHTTP2_CLIENT_MAGIC_LEN);
	in.size -= NGHTTP2_CLIENT_MAGIC_LEN;
}

static int setup(void **state)
{
	begin();
	return 0;
}

static int teardown(void **state)
{
	wire_close(&wire);
	frames_free(&in);
	return 0;
}

static void say(void)
{
	frames_feed(&in, wire.client);
	frames_hear(&in, wire.client, said, sizeof(said));
}

/* A request that has gone out. */
static struct party *ask(const char *method, size_t size)
{
	struct party *party = wire_request(&wire, method, size, false);

	frames_hear(&in, wire.client, said, sizeof(said));
	assert_string_equal(said, "");
	return party;
}

/* What a request's owner hears after these responses, one after the other. */
static void row(const char *method, const char *const *heads, size_t count, bool end,
		const char *noted)
{
	struct party *party;

	begin();
	party = ask(method, 0);
	for (size_t i = 0; i < count; i++)
		frames_headers(&in, 1, heads[i], end && i + 1 == count, true);
	say();
	if (strcmp(party->notes, noted))
		fail_msg("%s: %s (not %s)", heads[0], party->notes, noted);
	if (strstr(noted, "protocol"))
		assert_string_equal(said, "rst:1:protocol ");
	if (party->stream)
		party_release(party, STREAM_CANCEL);
	free(party);
	teardown(NULL);
}

#define ROW(method, end, noted, ...)                                                               \
	row(method, (const char *const[]){__VA_ARGS__},                                            \
	    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), end, noted)

static void responses_are_read(void **state)
{
	ROW("GET", true, "200. ", ":status: 200\n");
	ROW("GET", true, "200(0). ", ":status: 200\ncontent-length: 0\n");
	ROW("GET", false, "200(7),x=y ", ":status: 200\ncontent-length: 7\nx: y\n");
	ROW("GET", false, "200 ", ":status: 200\n");
	ROW("HEAD", true, "200(7). ", ":status: 200\ncontent-length: 7\n");
	ROW("GET", true, "304(7). ", ":status: 304\ncontent-length: 7\n");
	ROW("GET", true, "204. ", ":status: 204\n");
	ROW("GET", true, "100 103,link=x 200. ", ":status: 100\n", ":status: 103\nlink: x\n",
	    ":status: 200\n");
	ROW("GET", true, "200 trailers,x=y ", ":status: 200\n", "x: y\n");
	ROW("GET", true, "200,set-cookie=a,set-cookie=b. ",
	    ":status: 200\nset-cookie: a\nset-cookie: b\n");
}

static void malformed_responses_are_reset(void **state)
{
	static const char *const rows[] = {
		"x: y\n",
		":status: 200\n:status: 200\n",
		":status: 20\n",
		":status: 2000\n",
		":status: 2x0\n",
		":status: 099\n",
		":status: 101\n",
		":status:\n",
		"x: y\n:status: 200\n",
		":status: 200\n:path: /\n",
		":status: 200\nX: y\n",
		":status: 200\nx: a\\rb\n",
		":status: 200\nx: a\\nb\n",
		":status: 200\nx: a\\0b\n",
		":status: 200\nx:  y\n",
		":status: 200\nx y: z\n",
		":status: 200\nconnection: close\n",
		":status: 200\nkeep-alive: 5\n",
		":status: 200\nproxy-connection: x\n",
		":status: 200\ntransfer-encoding: chunked\n",
		":status: 200\nupgrade: x\n",
		":status: 200\ncontent-length: 7\n",
		":status: 200\ncontent-length: x\n",
		":status: 200\ncontent-length: 0\ncontent-length: 0\n",
		":status: 204\ncontent-length: 7\n",
		":status: 100\n",
		":status: 100\ncontent-length: 0\n",
	};
	static char many[16 * (HTTP_FIELDS_MAX + 2)] = ":status: 200\n";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row("GET", &rows[i], 1, true, "closed:protocol ");
	for (int i = 0; i <= HTTP_FIELDS_MAX; i++)
		strcat(many, "x: y\n");
	ROW("GET", true, "closed:protocol ", many);
}

static void informational_responses_are_counted(void **state)
{
	struct party *party = ask("GET", 0);

	for (int i = 0; i < 16; i++)
		frames_headers(&in, 1, ":status: 100\n", false, true);
	say();
	assert_string_equal(said, "");
	frames_headers(&in, 1, ":status: 100\n", false, true);
	say();
	assert_string_equal(said, "rst:1:protocol ");
	assert_non_null(strstr(party->notes, "100 closed:protocol "));
	free(party);
}

static void bodies_are_as_long_as_they_say(void **state)
{
	for (size_t size = 9; size <= 11; size++) {
		struct party *party;

		begin();
		party = ask("GET", 0);
		frames_headers(&in, 1, ":status: 200\ncontent-length: 10\n", false, true);
		frames_put(&in, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1,
			   (const uint8_t *)"0123456789a", size);
		say();
		assert_string_equal(party->notes,
				    size == 10 ? "200(10) end " : "200(10) closed:protocol ");
		free(party);
		teardown(NULL);
	}
}

static void put_u32(uint8_t type, int32_t id, uint32_t value, uint32_t more, size_t size)
{
	const uint8_t payload[8] = {
		(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
		(uint8_t)value,		(uint8_t)(more >> 24),	(uint8_t)(more >> 16),
		(uint8_t)(more >> 8),	(uint8_t)more,
	};

	frames_put(&in, type, 0, id, payload, size);
}

static void resets_say_why(void **state)
{
	static const struct {
		uint32_t code;
		const char *heard;
	} rows[] = {
		{NGHTTP2_NO_ERROR, "cancel"},
		{NGHTTP2_PROTOCOL_ERROR, "protocol"},
		{NGHTTP2_INTERNAL_ERROR, "internal"},
		{NGHTTP2_FLOW_CONTROL_ERROR, "protocol"},
		{NGHTTP2_SETTINGS_TIMEOUT, "internal"},
		{NGHTTP2_STREAM_CLOSED, "protocol"},
		{NGHTTP2_FRAME_SIZE_ERROR, "protocol"},
		{NGHTTP2_REFUSED_STREAM, "refused"},
		{NGHTTP2_CANCEL, "cancel"},
		{NGHTTP2_COMPRESSION_ERROR, "protocol"},
		{NGHTTP2_CONNECT_ERROR, "connect"},
		{NGHTTP2_ENHANCE_YOUR_CALM, "cancel"},
		{NGHTTP2_INADEQUATE_SECURITY, "internal"},
		{NGHTTP2_HTTP_1_1_REQUIRED, "internal"},
		{1000, "internal"},
	};
	char heard[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct party *party = ask("GET", 0);

		put_u32(NGHTTP2_RST_STREAM, (int32_t)(2 * i + 1), rows[i].code, 0, 4);
		say();
		snprintf(heard, sizeof(heard), "closed:%s ", rows[i].heard);
		assert_string_equal(party->notes, heard);
		free(party);
	}
	assert_true(http2_idle(wire.client));
}

/* A server that has answered resets what is left of the request. */
static void a_reset_after_the_answer_is_none(void **state)
{
	struct party *party = ask("POST", 1000000);

	assert_true(party->sending);
	frames_headers(&in, 1, ":status: 413\n", true, true);
	put_u32(NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL, 0, 4);
	say();
	assert_string_equal(party->notes, "413. ");
	/* What was still to be sent was taken, and went nowhere. */
	assert_false(party->sending);
	assert_null(party->stream);
	assert_true(http2_idle(wire.client));
	free(party);
}

static void going_away_refuses_what_is_above(void **state)
{
	struct party *party[4];

	for (int i = 0; i < 4; i++)
		party[i] = ask("GET", 0);
	wire.capacity_events = 0;
	put_u32(NGHTTP2_GOAWAY, 0, 3, NGHTTP2_NO_ERROR, 8);
	say();
	assert_int_equal(http2_capacity(wire.client), 0);
	assert_true(wire.capacity_events > 0);
	assert_string_equal(party[0]->notes, "");
	assert_string_equal(party[1]->notes, "");
	assert_string_equal(party[2]->notes, "closed:refused ");
	assert_string_equal(party[3]->notes, "closed:refused ");
	assert_false(http2_finished(wire.client));
	frames_headers(&in, 1, ":status: 200\n", true, true);
	frames_headers(&in, 3, ":status: 200\n", true, true);
	say();
	assert_string_equal(party[0]->notes, "200. ");
	assert_string_equal(party[1]->notes, "200. ");
	assert_true(http2_finished(wire.client));
	for (int i = 0; i < 4; i++)
		free(party[i]);
}

static void settings_decide_how_many(void **state)
{
	const uint8_t settings[] = {0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, 0, 2};
	struct party *party[3];
	struct stream *stream;

	assert_int_equal(http2_capacity(wire.client), HTTP2_STREAMS_MAX);
	say();
	frames_put(&in, NGHTTP2_SETTINGS, 0, 0, settings, sizeof(settings));
	wire.capacity_events = 0;
	say();
	assert_int_equal(wire.capacity_events, 1);
	assert_int_equal(http2_capacity(wire.client), 2);
	for (int i = 0; i < 2; i++)
		party[i] = ask("GET", 0);
	assert_int_equal(http2_open(wire.client, &wire, &party_events, &stream), -EAGAIN);
	say();
	wire.capacity_events = 0;
	frames_headers(&in, 3, ":status: 200\n", true, true);
	say();
	assert_int_equal(wire.capacity_events, 1);
	assert_int_equal(http2_capacity(wire.client), 1);
	party[2] = ask("GET", 0);
	say();
	frames_headers(&in, 5, ":status: 200\n", true, true);
	frames_headers(&in, 1, ":status: 200\n", true, true);
	say();
	for (int i = 0; i < 3; i++) {
		assert_string_equal(party[i]->notes, "200. ");
		free(party[i]);
	}
}

static void a_server_may_not_push(void **state)
{
	struct party *party = ask("GET", 0);

	/* It has acknowledged SETTINGS that say so. */
	frames_put(&in, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
	say();
	put_u32(NGHTTP2_PUSH_PROMISE, 1, 2, 0, 4);
	say();
	assert_string_equal(said, "goaway:protocol ");
	assert_string_equal(party->notes, "closed:connect ");
	assert_true(http2_finished(wire.client));
	assert_int_equal(http2_capacity(wire.client), 0);
	free(party);
}

static void floods_of_a_server_end_the_connection(void **state)
{
	struct party *party = ask("GET", 0);

	for (int i = 0; i <= 4096; i++)
		frames_put(&in, NGHTTP2_PRIORITY, 0, 1, (const uint8_t *)"\0\0\0\0\20", 5);
	say();
	assert_string_equal(said, "goaway:calm ");
	assert_string_equal(party->notes, "closed:connect ");
	free(party);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_read),
		cmocka_unit_test(malformed_responses_are_reset),
		TEST(informational_responses_are_counted),
		cmocka_unit_test(bodies_are_as_long_as_they_say),
		TEST(resets_say_why),
		TEST(a_reset_after_the_answer_is_none),
		TEST(going_away_refuses_what_is_above),
		TEST(settings_decide_how_many),
		TEST(a_server_may_not_push),
		TEST(floods_of_a_server_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
