/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/http1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct http_head head;
static size_t consumed;
static struct http1_problem problem;
static uint8_t *kept;

static int parse(const char *data, size_t size, bool to_head)
{
	int r;

	free(kept);
	kept = malloc(size ? size : 1);
	memcpy(kept, data, size);
	r = http1_response_parse(kept, size, to_head, &head, &consumed, &problem);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_int_equal(problem.status, 502);
		assert_true(problem.why && problem.why[0]);
	}
	return r;
}

static int parse_row(const char *data, size_t size, bool to_head)
{
	int r = parse(data, size, to_head);

	for (size_t split = 0; split < size; split++) {
		int early = parse(data, split, to_head);

		if (early && early != r)
			fail_msg("%.60s: %d after %zu bytes", data, early, split);
	}
	return parse(data, size, to_head);
}

static int parse_string(const char *data, bool to_head)
{
	return parse_row(data, strlen(data), to_head);
}

static void a_plain_response_is_read(void **state)
{
	assert_int_equal(parse_string("HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 2\r\n"
				      "Set-Cookie: b\r\nSet-Cookie: c\r\n\r\nhi",
				      false),
			 1);
	assert_int_equal(consumed, strlen("HTTP/1.1 200 OK\r\nContent-Type: a\r\n"
					  "Content-Length: 2\r\nSet-Cookie: b\r\n"
					  "Set-Cookie: c\r\n\r\n"));
	assert_int_equal(head.status, 200);
	assert_int_equal(head.version, 11);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 2);
	assert_true(head.keep_alive && !head.upgrade);
	assert_int_equal(head.fields, 3);
	assert_true(text_is(head.field[2].name, "set-cookie"));
	assert_true(text_is(head.field[2].value, "c"));
}

static void status_lines_are_taken_as_they_are(void **state)
{
	static const struct {
		const char *data;
		uint16_t status;
	} rows[] = {
		{"HTTP/1.1 200 \r\n\r\n", 200},
		{"HTTP/1.1 404\r\n\r\n", 404},
		{"HTTP/1.0 599 a b\tc \xc3\xa9\r\n\r\n", 599},
		{"HTTP/1.1 100 Continue\r\n\r\n", 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse_string(rows[i].data, false), 1);
		assert_int_equal(head.status, rows[i].status);
	}
}

static void what_could_be_read_otherwise_is_refused(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 200 OK\n\n",
		"HTTP/1.1 200 OK\r\nA: b\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n\n",
		"HTTP/1.1 200 O\rK\r\n\r\n",
		"HTTP/1.1 200 O\x01K\r\n\r\n",
		"HTTP/1.1 200\tOK\r\n\r\n",
		"HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 +20 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 999 OK\r\n\r\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		" HTTP/1.1 200 OK\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"<html>",
		"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"chunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: set-cookie\r\nSet-Cookie: a\r\n\r\n",
		"HTTP/1.1 101 A\r\n\r\n",
		"HTTP/1.1 101 A\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 101 A\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 A\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.0 101 A\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (parse_string(rows[i], false) != -EBADMSG)
			fail_msg("%s", rows[i]);
	assert_int_equal(parse_row("HTTP/1.1 200 a\0b\r\n\r\n", 20, false), -EBADMSG);
}

static void bodies_end_as_the_rfc_says(void **state)
{
	static const struct {
		const char *data;
		bool to_head, keep, has_length;
		uint8_t body;
		uint64_t length;
	} rows[] = {
		{"HTTP/1.1 200 A\r\n\r\n", false, false, false, HTTP_BODY_CLOSE, 0},
		{"HTTP/1.1 200 A\r\nConnection: keep-alive\r\n\r\n", false, false, false,
		 HTTP_BODY_CLOSE, 0},
		{"HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\n", false, true, false,
		 HTTP_BODY_LENGTH, 0},
		{"HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\n", false, true, false,
		 HTTP_BODY_CHUNKED, 0},
		{"HTTP/1.1 200 A\r\nContent-Length: 7\r\nConnection: close\r\n\r\n", false, false,
		 false, HTTP_BODY_LENGTH, 7},
		{"HTTP/1.0 200 A\r\nContent-Length: 7\r\n\r\n", false, false, false,
		 HTTP_BODY_LENGTH, 7},
		{"HTTP/1.0 200 A\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n", false,
		 true, false, HTTP_BODY_LENGTH, 7},
		{"HTTP/1.1 200 A\r\nContent-Length: 7\r\n\r\n", true, true, true, HTTP_BODY_NONE,
		 7},
		{"HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\n", true, true, true, HTTP_BODY_NONE,
		 0},
		{"HTTP/1.1 200 A\r\n\r\n", true, true, false, HTTP_BODY_NONE, 0},
		{"HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\n", true, true, false,
		 HTTP_BODY_NONE, 0},
		{"HTTP/1.1 304 A\r\nContent-Length: 7\r\n\r\n", false, true, true, HTTP_BODY_NONE,
		 7},
		{"HTTP/1.1 304 A\r\nTransfer-Encoding: chunked\r\n\r\n", false, false, false,
		 HTTP_BODY_NONE, 0},
		{"HTTP/1.1 204 A\r\n\r\n", false, true, false, HTTP_BODY_NONE, 0},
		{"HTTP/1.1 204 A\r\nContent-Length: 0\r\n\r\n", false, true, false, HTTP_BODY_NONE,
		 0},
		{"HTTP/1.1 204 A\r\nContent-Length: 7\r\n\r\n", false, false, false, HTTP_BODY_NONE,
		 0},
		{"HTTP/1.1 204 A\r\nTransfer-Encoding: chunked\r\n\r\n", false, false, false,
		 HTTP_BODY_NONE, 0},
		{"HTTP/1.1 103 A\r\nLink: x\r\n\r\n", false, true, false, HTTP_BODY_NONE, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (parse_string(rows[i].data, rows[i].to_head) != 1)
			fail_msg("%s: %s", rows[i].data, problem.why);
		if (head.body != rows[i].body || head.length != rows[i].length ||
		    head.keep_alive != rows[i].keep || head.has_length != rows[i].has_length)
			fail_msg("%s: body %d length %d keep %d has %d", rows[i].data, head.body,
				 (int)head.length, head.keep_alive, head.has_length);
	}
}

static void an_upgrade_is_in_101_alone(void **state)
{
	assert_int_equal(parse_string("HTTP/1.1 101 A\r\nConnection: Upgrade\r\n"
				      "Upgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n\x81",
				      false),
			 1);
	assert_true(head.upgrade);
	assert_true(text_is(head.upgrade_to, "WebSocket"));
	assert_int_equal(head.body, HTTP_BODY_NONE);
	assert_int_equal(head.fields, 1);
	assert_int_equal(parse_string("HTTP/1.1 200 A\r\nConnection: Upgrade, keep-alive\r\n"
				      "Upgrade: h2,h2c\r\nContent-Length: 0\r\n\r\n",
				      false),
			 1);
	assert_false(head.upgrade);
	assert_int_equal(head.upgrade_to.size, 0);
	assert_int_equal(head.fields, 0);
}

static void long_heads_are_refused(void **state)
{
	static char data[HTTP_HEAD_MAX + 1];
	const char start[] = "HTTP/1.1 200 ";

	memset(data, 'a', sizeof(data));
	memcpy(data, start, sizeof(start) - 1);
	assert_int_equal(parse(data, HTTP_HEAD_MAX - 1, false), 0);
	assert_int_equal(parse(data, HTTP_HEAD_MAX, false), -EBADMSG);
	memcpy(data + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(parse(data, HTTP_HEAD_MAX, false), 1);
	assert_int_equal(consumed, HTTP_HEAD_MAX);
}

static int tear_down(void **state)
{
	free(kept);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_response_is_read),
		cmocka_unit_test(status_lines_are_taken_as_they_are),
		cmocka_unit_test(what_could_be_read_otherwise_is_refused),
		cmocka_unit_test(bodies_end_as_the_rfc_says),
		cmocka_unit_test(an_upgrade_is_in_101_alone),
		cmocka_unit_test(long_heads_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
