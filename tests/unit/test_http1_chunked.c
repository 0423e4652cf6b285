/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/http1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1

static struct http1_chunks chunks;
static uint8_t trailer[HTTP1_TRAILERS_SIZE];
static char body[65536];
static size_t body_size;

/* Decode in pieces of @step bytes. How much was used up, or -EBADMSG. */
static ssize_t decode(const char *data, size_t size, size_t step, bool lend)
{
	size_t at = 0;

	chunks = (struct http1_chunks){.trailer = lend ? trailer : NULL};
	body_size = 0;
	while (at < size && !chunks.done) {
		size_t n = size - at < step ? size - at : step, used = 0;
		/* Where one byte too far is seen. */
		_cleanup_free_ uint8_t *piece = malloc(n);

		memcpy(piece, data + at, n);
		while (used < n && !chunks.done) {
			struct text got;
			ssize_t r = http1_chunks_read(&chunks, piece + used, n - used, &got);

			if (r < 0)
				return r;
			assert_true(r > 0 && (size_t)r <= n - used);
			assert_true(body_size + got.size <= sizeof(body));
			memcpy(body + body_size, got.data, got.size);
			body_size += got.size;
			used += (size_t)r;
		}
		at += used;
	}
	return (ssize_t)at;
}

static void check(const char *data, size_t size, ssize_t used, bool done, const char *expected)
{
	for (size_t step = size; step; step = step > 3 ? step / 2 : step - 1) {
		ssize_t r = decode(data, size, step, true);

		if (r != used)
			fail_msg("%.40s in steps of %zu: %zd, not %zd", data, step, r, used);
		if (r < 0)
			continue;
		assert_int_equal(chunks.done, done);
		assert_int_equal(body_size, strlen(expected));
		assert_memory_equal(body, expected, body_size);
	}
}

static void chunks_are_put_together(void **state)
{
	check(BYTES("0\r\n\r\n"), 5, true, "");
	check(BYTES("0\r\n\r\nGET /"), 5, true, "");
	check(BYTES("5\r\nhello\r\n0\r\n\r\n"), 15, true, "hello");
	check(BYTES("1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\n"), 28, true, "a0123456789");
	check(BYTES("0000000000000005\r\nhello\r\n0\r\n\r\n"), 30, true, "hello");
	check(BYTES("aB\r\n"), 4, false, "");
	check(BYTES("5\r\nhel"), 6, false, "hel");
	check(BYTES("7fffffffffffffff\r\nhello"), 23, false, "hello");
	/* What looks like a chunk's end inside of one. */
	check(BYTES("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), 17, true, "\r\n0\r\n\r\n");
}

static void extensions_are_read_and_forgotten(void **state)
{
	check(BYTES("1;a\r\nx\r\n0;b=c\r\n\r\n"), 17, true, "x");
	check(BYTES("1;a=b;c=\"d e;\\\"\\\\\t\xe9\";f\r\nx\r\n0\r\n\r\n"), 32, true, "x");
	check(BYTES("1;a=\"\"\r\nx\r\n0\r\n\r\n"), 16, true, "x");
	check(BYTES("1; a\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1 ;a\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;;\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;=a\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a b\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\"b\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\"b\nc\"\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\"b\\\rc\"\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\"b\"c\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a=\"\0\"\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a\0\r\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a\nx\r\n"), -EBADMSG, false, "");
	check(BYTES("1;a\xe9\r\nx\r\n"), -EBADMSG, false, "");
}

static void what_is_no_chunk_is_refused(void **state)
{
	check(BYTES("\r\n"), -EBADMSG, false, "");
	check(BYTES(";a\r\n"), -EBADMSG, false, "");
	check(BYTES(" 5\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5 \r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5\t\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("+5\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("-5\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("0x5\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5h\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5,\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5_0\r\n"), -EBADMSG, false, "");
	check(BYTES("8000000000000000\r\n"), -EBADMSG, false, "");
	check(BYTES("ffffffffffffffff\r\n"), -EBADMSG, false, "");
	check(BYTES("00000000000000005\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("10000000000000005\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5\nhello\n0\n\n"), -EBADMSG, false, "");
	check(BYTES("5\rhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5\r\r\nhello\r\n"), -EBADMSG, false, "");
	check(BYTES("5\r\nhello\n0\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("5\r\nhello\r0\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("5\r\nhello0\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("5\r\nhello!\r\n0\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\n\n"), -EBADMSG, false, "");
	check(BYTES("0\r\n\r0\r\n"), -EBADMSG, false, "");
	check(BYTES("0\n\r\n"), -EBADMSG, false, "");
	check(BYTES("\0"
		    "5\r\n"),
	      -EBADMSG, false, "");
}

static void chunk_lines_are_bounded(void **state)
{
	char data[HTTP1_CHUNK_LINE_MAX + 8];

	memset(data, 'a', sizeof(data));
	memcpy(data, "1;", 2);
	memcpy(data + HTTP1_CHUNK_LINE_MAX - 2, "\r\nx\r\n", 5);
	assert_int_equal(decode(data, HTTP1_CHUNK_LINE_MAX + 3, 1000, true),
			 HTTP1_CHUNK_LINE_MAX + 3);
	data[HTTP1_CHUNK_LINE_MAX - 2] = 'a';
	memcpy(data + HTTP1_CHUNK_LINE_MAX - 1, "\r\nx\r\n", 5);
	assert_int_equal(decode(data, HTTP1_CHUNK_LINE_MAX + 4, 1000, true), -EBADMSG);
	/* Each chunk anew. */
	assert_int_equal(decode(BYTES("1;aaaaaaaa\r\nx\r\n1;aaaaaaaa\r\nx\r\n"), 1000, true), 30);
	assert_int_equal(chunks.line, 0);
}

static void trailers_are_collected(void **state)
{
	struct http_field field[HTTP_TRAILERS_MAX];

	check(BYTES("0\r\nA: b\r\n\r\nGET"), 11, true, "");
	assert_int_equal(http1_chunks_trailers(&chunks, field), 1);
	check(BYTES("1\r\nx\r\n0;e\r\nGrpc-Status: 0\r\nX-Sum:  a \t\r\nb:\r\n\r\n"), 46, true,
	      "x");
	assert_int_equal(http1_chunks_trailers(&chunks, field), 3);
	assert_true(text_is(field[0].name, "grpc-status") && text_is(field[0].value, "0"));
	assert_true(text_is(field[1].name, "x-sum") && text_is(field[1].value, "a"));
	assert_true(text_is(field[2].name, "b") && text_is(field[2].value, ""));
	check(BYTES("0\r\n\r\n"), 5, true, "");
	assert_int_equal(http1_chunks_trailers(&chunks, field), 0);
	check(BYTES("0\r\nA: b\r\n"), 9, false, "");
	assert_int_equal(http1_chunks_trailers(&chunks, field), 0);

	/* Without a buffer, none may come. */
	assert_int_equal(decode(BYTES("0\r\n\r\n"), 1, false), 5);
	assert_true(chunks.done);
	assert_int_equal(decode(BYTES("0\r\nA: b\r\n\r\n"), 1000, false), -EBADMSG);
}

static void what_is_no_trailer_is_refused(void **state)
{
	static const char *const names[] = {
		"Content-Length: 5",
		"transfer-encoding: chunked",
		"Host: a",
		"Connection: close",
		"Authorization: a",
		"Cookie: a",
		"Set-Cookie: a",
		"TE: trailers",
		"Trailer: a",
		"Upgrade: a",
		"Content-Type: a",
		"Content-Encoding: a",
		"Expect: 100-continue",
		"If-Match: a",
		"Proxy-Authorization: a",
		"Keep-Alive: a",
		"Range: a",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char data[128];
		int size = snprintf(data, sizeof(data), "0\r\n%s\r\n\r\n", names[i]);

		check(data, (size_t)size, -EBADMSG, false, "");
	}
	check(BYTES("0\r\nA : b\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\n: b\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\n A: b\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: b\r\n c\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: b\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: b\r\n\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: b\r\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: b\r\n\rx\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nA: \0\r\n\r\n"), -EBADMSG, false, "");
	check(BYTES("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -EBADMSG, false, "");
}

static ssize_t decode_trailers(const char *line, size_t count)
{
	static char data[2 * HTTP1_TRAILERS_SIZE];
	size_t at = 3;

	memcpy(data, "0\r\n", 3);
	for (size_t i = 0; i < count; i++, at += strlen(line))
		memcpy(data + at, line, strlen(line));
	memcpy(data + at, "\r\n", 2);
	return decode(data, at + 2, 1000, true);
}

static void trailers_are_bounded(void **state)
{
	static char line[HTTP1_TRAILERS_SIZE + 1];

	assert_true(decode_trailers("a: b\r\n", HTTP_TRAILERS_MAX) > 0 && chunks.done);
	assert_int_equal(decode_trailers("a: b\r\n", HTTP_TRAILERS_MAX + 1), -EBADMSG);
	/* Many more than a head has. */
	assert_int_equal(decode_trailers("a: b\r\n", 1000), -EBADMSG);
	memset(line, 'a', sizeof(line) - 1);
	line[1] = ':';
	memcpy(line + HTTP1_TRAILERS_SIZE - 4, "\r\n", 3);
	assert_true(decode_trailers(line, 1) > 0 && chunks.done);
	memcpy(line + HTTP1_TRAILERS_SIZE - 4, "a\r\n", 4);
	assert_int_equal(decode_trailers(line, 1), -EBADMSG);
}

static void chunks_are_framed(void **state)
{
	static const size_t sizes[] = {1, 15, 16, 4096, 65536, 0x1a2b, SIZE_MAX >> 1, SIZE_MAX};
	uint8_t buffer[HTTP1_CHUNK_BEGIN_MAX];
	char expected[32];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = http1_chunk_begin(buffer, sizes[i]);

		assert_int_equal(snprintf(expected, sizeof(expected), "%zx\r\n", sizes[i]), n);
		assert_memory_equal(buffer, expected, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_put_together),
		cmocka_unit_test(extensions_are_read_and_forgotten),
		cmocka_unit_test(what_is_no_chunk_is_refused),
		cmocka_unit_test(chunk_lines_are_bounded),
		cmocka_unit_test(trailers_are_collected),
		cmocka_unit_test(what_is_no_trailer_is_refused),
		cmocka_unit_test(trailers_are_bounded),
		cmocka_unit_test(chunks_are_framed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
