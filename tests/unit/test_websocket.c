/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/websocket.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

struct stream {
	uint8_t data[300000];
	size_t size;
};

static void put(struct stream *stream, uint8_t first, const void *payload, size_t size)
{
	uint8_t *out = stream->data + stream->size;
	size_t head = websocket_write_head(out, (enum websocket_opcode)(first & 0xf), first & 0x80,
					   size, mask);

	assert_true(stream->size + head + size <= sizeof(stream->data));
	out[0] = first;
	memcpy(out + head, payload, size);
	websocket_mask(out + head, size, mask, 0);
	stream->size += head + size;
}

/* All events in one line: "T(hello) B(..)- P(x) C1000(bye)"; an error as "!1002". */
static const char *read_all(struct stream *stream, size_t step, uint64_t max)
{
	static const char letters[] = "?TB?????CPO";
	static char line[65536];
	struct websocket_reader reader;
	size_t size = 0, at = 0;

	websocket_reader_init(&reader, max, max);
	line[0] = '\0';
	while (at < stream->size) {
		size_t part = stream->size - at < step ? stream->size - at : step;
		struct websocket_event event;
		uint16_t code = 0;
		int64_t n = websocket_read(&reader, stream->data + at, part, &event, &code);

		if (n < 0) {
			assert_int_equal(n, -EPROTO);
			snprintf(line + size, sizeof(line) - size, "!%u", code);
			return line;
		}
		assert_true(n > 0 && (size_t)n <= part);
		at += (size_t)n;
		if (!event.opcode)
			continue;
		if (event.first)
			size += (size_t)snprintf(line + size, sizeof(line) - size, "%c",
						 letters[event.opcode]);
		if (event.close_code)
			size += (size_t)snprintf(line + size, sizeof(line) - size, "%u",
						 event.close_code);
		if (event.close_code) {
			event.data += 2;
			event.size -= 2;
		}
		size += (size_t)snprintf(line + size, sizeof(line) - size, "%.*s", (int)event.size,
					 (const char *)event.data);
		if (event.last)
			size += (size_t)snprintf(line + size, sizeof(line) - size, ";");
	}
	return line;
}

static void expect(const struct stream *stream, const char *wanted)
{
	static struct stream copy;
	static const size_t steps[] = {1, 2, 3, 7, 100000};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		copy = *stream;
		assert_string_equal(read_all(&copy, steps[i], 200), wanted);
	}
}

static struct stream s;

static void start(void)
{
	s.size = 0;
}

static void messages(void **state)
{
	/* section 5.7 */
	static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					0x7f, 0x9f, 0x4d, 0x51, 0x58};

	start();
	memcpy(s.data, hello, sizeof(hello));
	s.size = sizeof(hello);
	expect(&s, "THello;");
	put(&s, 0x82, "\1\2", 2);
	put(&s, 0x89, "ping", 4);
	put(&s, 0x8a, "", 0);
	put(&s, 0x81, "", 0);
	put(&s, 0x88, "\3\350bye", 5);
	put(&s, 0x81, "after", 5);
	expect(&s, "THello;B\1\2;Pping;O;T;C1000bye;");
}

static void fragments(void **state)
{
	start();
	put(&s, 0x01, "a\303", 2);
	put(&s, 0x89, "x", 1);
	put(&s, 0x00, "", 0);
	put(&s, 0x00, "\251b", 2);
	put(&s, 0x80, "", 0);
	put(&s, 0x02, "", 0);
	put(&s, 0x80, "c", 1);
	expect(&s, "Ta\303Px;\251b;Bc;");
}

static void lengths(void **state)
{
	char payload[200];

	memset(payload, 'x', sizeof(payload));
	start();
	put(&s, 0x82, payload, 125);
	put(&s, 0x82, payload, 126);
	put(&s, 0x82, payload, 200);
	assert_int_equal(strlen(read_all(&s, 64, 200)), 125 + 126 + 200 + 3 * 2);
	start();
	put(&s, 0x01, payload, 150);
	put(&s, 0x80, payload, 51);
	assert_string_equal(read_all(&s, 1000, 200) + 151, "!1009");
	start();
	put(&s, 0x82, payload, 200);
	assert_string_equal(read_all(&s, 1000, 199), "!1009");
	assert_int_equal(websocket_write_head(s.data, WEBSOCKET_BINARY, true, 65535, mask), 8);
	assert_int_equal(websocket_write_head(s.data, WEBSOCKET_BINARY, true, 65536, mask), 14);
	assert_memory_equal(s.data, "\202\377\0\0\0\0\0\1\0\0", 10);
}

static void broken(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *code;
	} rows[] = {
		{"\301\200mask", 6, "!1002"},			   /* RSV1 */
		{"\221\200mask", 6, "!1002"},			   /* RSV3 */
		{"\201\000mask", 6, "!1002"},			   /* not masked */
		{"\203\200mask", 6, "!1002"},			   /* opcode 3 */
		{"\213\200mask", 6, "!1002"},			   /* opcode 11 */
		{"\200\200mask", 6, "!1002"},			   /* continues nothing */
		{"\011\200mask", 6, "!1002"},			   /* a ping in parts */
		{"\211\376\000\176mask", 8, "!1002"},		   /* a ping of 126 bytes */
		{"\201\376\000\175mask", 8, "!1002"},		   /* 125 as 16 bits */
		{"\201\377\0\0\0\0\0\0\377\377mask", 14, "!1002"}, /* 65535 as 64 bits */
		{"\201\377\200\0\0\0\0\0\0\0mask", 14, "!1002"},   /* the sign bit */
		{"\201\377\177\377\377\377\377\377\377\377mask", 14, "!1009"},
		{"\001\200mask\001\200mask", 12, "T!1002"}, /* a message within a message */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(s.data, rows[i].bytes, rows[i].size);
		s.size = rows[i].size;
		expect(&s, rows[i].code);
	}
}

static void closing(void **state)
{
	static const struct {
		const char *payload;
		size_t size;
		const char *wanted;
	} rows[] = {
		{"", 0, "C;"},
		{"\3", 1, "!1002"},
		{"\3\350", 2, "C1000;"},
		{"\3\354", 2, "!1002"},
		{"\3\355", 2, "!1002"},
		{"\3\356", 2, "!1002"},
		{"\3\347", 2, "!1002"},
		{"\3\366", 2, "C1014;"},
		{"\3\367", 2, "!1002"},
		{"\13\270", 2, "C3000;"},
		{"\23\207", 2, "C4999;"},
		{"\23\210", 2, "!1002"},
		{"\3\350\303\251", 4, "C1000\303\251;"},
		{"\3\350\303", 3, "!1007"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start();
		put(&s, 0x88, rows[i].payload, rows[i].size);
		expect(&s, rows[i].wanted);
	}
}

static void utf8(void **state)
{
	static const char *const bad[] = {"\377",
					  "\300\200",
					  "\340\237\277",
					  "\355\240\200",
					  "\360\217\277\277",
					  "\364\220\200\200",
					  "\303",
					  "\303x",
					  "\342\202"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		static struct stream copy;

		start();
		put(&s, 0x81, bad[i], strlen(bad[i]));
		copy = s;
		assert_non_null(strstr(read_all(&copy, 1, 200), "!1007"));
		assert_string_equal(read_all(&s, 1000, 200), "!1007");
		start();
		put(&s, 0x82, bad[i], strlen(bad[i]));
		assert_null(strchr(read_all(&s, 1000, 200), '!'));
	}
	start();
	put(&s, 0x81, "\364\217\277\277\355\237\277\340\240\200", 10);
	expect(&s, "T\364\217\277\277\355\237\277\340\240\200;");
}

static void server_frames(void **state)
{
	uint8_t payload[WEBSOCKET_CONTROL_MAX], frame[2 + WEBSOCKET_CONTROL_MAX];
	char reason[200];
	size_t size;

	size = websocket_close_payload(payload, WEBSOCKET_POLICY, "no");
	assert_int_equal(websocket_write_control(frame, WEBSOCKET_CLOSE, payload, size), 6);
	assert_memory_equal(frame, "\210\4\3\360no", 6);
	memset(reason, 'a', sizeof(reason));
	memcpy(reason + 122, "\303\251", 3);
	assert_int_equal(websocket_close_payload(payload, WEBSOCKET_POLICY, reason), 2 + 122);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),	 cmocka_unit_test(fragments),
		cmocka_unit_test(lengths),	 cmocka_unit_test(broken),
		cmocka_unit_test(closing),	 cmocka_unit_test(utf8),
		cmocka_unit_test(server_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
