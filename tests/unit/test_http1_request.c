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
#define OK	       200
#define MORE	       0

static struct http_head head;
static size_t consumed;
static struct http1_problem problem;

/* Texts of the head point into it: kept until the next one. In an allocation of its own size. */
static uint8_t *kept;

static int parse(const char *data, size_t size)
{
	int r;

	free(kept);
	kept = malloc(size ? size : 1);
	memcpy(kept, data, size);
	r = http1_request_parse(kept, size, &head, &consumed, &problem);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_true(problem.why && problem.why[0]);
		return problem.status;
	}
	return r ? OK : MORE;
}

static void is(struct text text, const char *string)
{
	if (!text_is(text, string))
		fail_msg("\"%.*s\" is not \"%s\"", (int)text.size, text.data, string);
}

/* "name: value; name: value" of what is left. */
static void fields_are(const char *expected)
{
	char all[4096];
	size_t at = 0;

	all[0] = '\0';
	for (uint16_t i = 0; i < head.fields; i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%.*s: %.*s", i ? "; " : "",
				       (int)head.field[i].name.size, head.field[i].name.data,
				       (int)head.field[i].value.size, head.field[i].value.data);
	assert_string_equal(all, expected);
}

/* What a head says, as one line. */
static void check_row(const char *id, const char *data, size_t size, int status)
{
	int got = parse(data, size);

	if (got != status)
		fail_msg("%s: %d (%s), not %d", id, got, got > OK ? problem.why : "", status);
	/* However it was split, the same is said of it, and not of less of it than a head. */
	for (size_t split = 0; split < size; split++) {
		int early = parse(data, split);

		if (early != MORE && early != status)
			fail_msg("%s: %d after %zu bytes of %zu", id, early, split, size);
		if (early == OK)
			assert_true(split >= consumed);
	}
	assert_int_equal(parse(data, size), status);
}

#define H "Host: a\r\n"
#define E "\r\n"

static const struct {
	const char *data;
	size_t size;
	int status;
} refused[] = {
	/* line ends */
	{BYTES("GET / HTTP/1.1\nHost: a\n\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "\rX: y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: y\nTransfer-Encoding: chunked\r\n\r\n"), 400},
	{BYTES("\r\n\r\nGET / HTTP/1.1\r\n" H E), 400},
	{BYTES("\nGET / HTTP/1.1\r\n" H E), 400},
	{BYTES("\rGET / HTTP/1.1\r\n" H E), 400},
	{BYTES(" GET / HTTP/1.1\r\n" H E), 400},
	/* request line */
	{BYTES("get / HTTP/1.1\r\n" H E), 400},
	{BYTES("Get / HTTP/1.1\r\n" H E), 400},
	{BYTES("G@T / HTTP/1.1\r\n" H E), 400},
	{BYTES("G\0T / HTTP/1.1\r\n" H E), 400},
	{BYTES("GET\t/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET  / HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /  HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\tHTTP/1.1\r\n" H E), 400},
	{BYTES("GET / HTTP/1.1 \r\n" H E), 400},
	{BYTES("GET / HTTP/1.1\t\r\n" H E), 400},
	{BYTES("GET / a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\r\n"), 400},
	{BYTES("GET\r\n"), 400},
	{BYTES("GET \r\n"), 400},
	{BYTES("GET / \r\n"), 400},
	{BYTES("GET / http/1.1\r\n" H E), 400},
	{BYTES("GET / HTTP/1.10\r\n" H E), 400},
	{BYTES("GET / HTTP/11\r\n" H E), 400},
	{BYTES("GET / HTTP/1,1\r\n" H E), 400},
	{BYTES("GET / HTTP /1.1\r\n" H E), 400},
	{BYTES("GET / HTTP/+1.1\r\n" H E), 400},
	{BYTES("GET / XTTP/1.1\r\n" H E), 400},
	{BYTES("GET / HTTP/1.2\r\n" H E), 505},
	{BYTES("GET / HTTP/2.0\r\n" H E), 505},
	{BYTES("GET / HTTP/0.9\r\n" H E), 505},
	{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
	{BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H E), 501},
	{BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
	/* target */
	{BYTES("GET a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET * HTTP/1.1\r\n" H E), 400},
	{BYTES("OPTIONS *a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /#a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\x7f HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\0 HTTP/1.1\r\n" H E), 400},
	{BYTES("GET /\x01 HTTP/1.1\r\n" H E), 400},
	{BYTES("GET \\ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET ?a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://b/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://A/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://a:80/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://u@a/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://a?b HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://a\\/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http:/a/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http:///a HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http:///abc HTTP/1.0\r\n\r\n"), 400},
	{BYTES("GET HTTP://a/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET ftp://a/ HTTP/1.1\r\n" H E), 400},
	{BYTES("GET file:///etc/passwd HTTP/1.1\r\n" H E), 400},
	{BYTES("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), 400},
	{BYTES("GET http://a/b HTTP/1.0\r\n\r\n"), 400},
	{BYTES("GET a:443 HTTP/1.1\r\n" H E), 400},
	{BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 405},
	{BYTES("CONNECT /a HTTP/1.1\r\n" H E), 405},
	/* names and values */
	{BYTES("GET / HTTP/1.1\r\n" H "X : y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X\t: y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H ": y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X y: z\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X(y): z\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "\xc3\xa9: z\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X\0: z\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H " X: y\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n X: y\r\n" H E), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: y\r\n z\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: y\r\n\tz\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: y\r\n \r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: a\x1b[0m, and more\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: some text a\x7f\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: a\vb\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "X: a\fb\r\n\r\n"), 400},
	/* Host */
	{BYTES("GET / HTTP/1.1\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H H E), 400},
	{BYTES("GET / HTTP/1.0\r\n" H H E), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "hOST: b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: \r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:443:1\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a:80a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a\xc3\xa9\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: [a]\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: [fe80::1%25lo]\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n"), 400},
	/* how long the body is */
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5a\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5e1\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: \"5\"\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 00000000000000000005\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	 400},
	{BYTES("POST / HTTP/1.1\r\n" H
	       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	 400},
	{BYTES("POST / HTTP/1.1\r\n" H
	       "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n"),
	 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \xa0"
	       "chunked\r\n\r\n"),
	 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding\r\n: chunked\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "X: y\r\n Transfer-Encoding: chunked\r\n\r\n"), 400},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), 501},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n"), 501},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"), 501},
	{BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n"), 501},
	{BYTES("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), 400},
	/* Connection */
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: content-length\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: close, Host\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: Transfer-Encoding\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: Authorization\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: cookie\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: close\r\nConnection: sec-fetch-site\r\n\r\n"),
	 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: x-forwarded-for\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: a b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: a;b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H
	       "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
	       "a,a,a,a,a,a,a,a\r\n\r\n"),
	 400},
	/* the others */
	{BYTES("GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n"), 417},
	{BYTES("POST / HTTP/1.1\r\n" H
	       "Content-Length: 1\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n"),
	 417},
	{BYTES("GET / HTTP/1.1\r\n" H "Expect:\r\n\r\n"), 417},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n"),
	 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: a b\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: a/\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade:\r\n\r\n"), 400},
	{BYTES("GET / HTTP/1.1\r\n" H
	       "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n"),
	 400},
};

static void what_could_be_read_otherwise_is_refused(void **state)
{
	struct http_head before;
	size_t consumed_before;

	memset(&head, 0x5a, sizeof(head));
	consumed = consumed_before = 12345;
	before = head;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		char id[64];

		snprintf(id, sizeof(id), "refused[%zu]: %.40s", i, refused[i].data);
		check_row(id, refused[i].data, refused[i].size, refused[i].status);
	}
	/* Outputs are as they were. */
	assert_memory_equal(&head, &before, sizeof(head));
	assert_int_equal(consumed, consumed_before);
}

static void a_plain_request_is_read(void **state)
{
	const char data[] = "GET /a/b?c=d HTTP/1.1\r\nHost: Example.org:8080\r\n"
			    "User-Agent:x \t\r\naccept: */*\r\nX-Empty:\r\nX-Tab: a\tb\r\n"
			    "X-Text: caf\xe9 and \xc3\xa9\r\n\r\nGET /next";

	check_row("plain", BYTES(data), OK);
	assert_int_equal(consumed, sizeof(data) - 1 - strlen("GET /next"));
	is(head.method, "GET");
	is(head.target, "/a/b?c=d");
	is(head.authority, "Example.org:8080");
	assert_int_equal(head.version, 11);
	assert_int_equal(head.body, HTTP_BODY_NONE);
	assert_int_equal(head.status, 0);
	assert_true(head.keep_alive && !head.upgrade && !head.expect_continue);
	fields_are("user-agent: x; accept: */*; x-empty: ; x-tab: a\tb; "
		   "x-text: caf\xe9 and \xc3\xa9");
	assert_ptr_equal(http_field_find(&head, "accept"), &head.field[1]);
	/* Nothing is changed before it is whole. */
	assert_int_equal(parse(data, sizeof(data) - 1 - strlen("\r\nGET /next")), MORE);
	assert_memory_equal(kept, data, sizeof(data) - 1 - strlen("\r\nGET /next"));
}

static void an_empty_line_before_is_skipped(void **state)
{
	check_row("empty line", BYTES("\r\nGET / HTTP/1.1\r\n" H E), OK);
	assert_int_equal(consumed, 29);
	is(head.target, "/");
}

static void bodies_are_what_one_field_says(void **state)
{
	check_row("length", BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 42\r\n\r\n"), OK);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 42);
	fields_are("");
	check_row("zero", BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"), OK);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 0);
	check_row("most",
		  BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n"), OK);
	assert_true(head.length == INT64_MAX);
	check_row("chunked", BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
		  OK);
	assert_int_equal(head.body, HTTP_BODY_CHUNKED);
	fields_are("");
	/* Names of codings have no case (RFC 9112 section 7). */
	check_row("Chunked", BYTES("POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"),
		  OK);
	assert_int_equal(head.body, HTTP_BODY_CHUNKED);
}

static void targets_are_reduced_to_a_path(void **state)
{
	static const struct {
		const char *data;
		const char *target;
	} rows[] = {
		{"GET http://a/b?c HTTP/1.1\r\n" H E, "/b?c"},
		{"GET https://a/ HTTP/1.1\r\n" H E, "/"},
		{"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "/"},
		{"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "*"},
		{"OPTIONS * HTTP/1.1\r\n" H E, "*"},
		{"GET https://a:1//b HTTP/1.1\r\nHost: a:1\r\n\r\n", "//b"},
		{"GET /http://b/ HTTP/1.1\r\n" H E, "/http://b/"},
		{"M-SEARCH_2 / HTTP/1.1\r\n" H E, "/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row(rows[i].data, rows[i].data, strlen(rows[i].data), OK);
		is(head.target, rows[i].target);
	}
}

static void hosts_that_there_are_are_taken(void **state)
{
	static const char *const rows[] = {
		"a",   "a.b.", "a_b", "1.2.3.4", "a:1", "a:65535", "[::1]", "[2001:db8::1]:443",
		"A-B",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char data[256];
		int size =
			snprintf(data, sizeof(data), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i]);

		check_row(rows[i], data, (size_t)size, OK);
		is(head.authority, rows[i]);
	}
	check_row("none in 1.0", BYTES("GET / HTTP/1.0\r\n\r\n"), OK);
	assert_int_equal(head.authority.size, 0);
}

static void connections_are_kept_as_said(void **state)
{
	static const struct {
		const char *data;
		bool keep;
	} rows[] = {
		{"GET / HTTP/1.1\r\n" H E, true},
		{"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: keep-alive, CLOSE\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Proxy-Connection: close\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n" H E, false},
		{"GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n" H "Connection: keep-alive, close\r\n\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check_row(rows[i].data, rows[i].data, strlen(rows[i].data), OK);
		if (head.keep_alive != rows[i].keep)
			fail_msg("%s", rows[i].data);
	}
}

static void what_is_the_connections_is_taken_out(void **state)
{
	check_row("options",
		  BYTES("GET / HTTP/1.1\r\n" H "A: 1\r\nX-Hop: 2\r\nB: 3\r\n"
			"Connection: x-hOP ,, keep-alive, TE,\r\nKeep-Alive: timeout=5\r\n"
			"Proxy-Connection: keep-alive\r\nTE: trailers, deflate;q=0.5\r\n"
			"Trailer: x\r\nx-hop: 4\r\nUpgrade: websocket\r\n"
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
		  OK);
	fields_are("a: 1; b: 3; te: trailers");
	assert_false(head.upgrade);
	check_row("te", BYTES("GET / HTTP/1.1\r\n" H "TE: deflate\r\n\r\n"), OK);
	fields_are("");
	check_row("authorization stays",
		  BYTES("GET / HTTP/1.1\r\n" H "Connection: close\r\nAuthorization: b\r\n\r\n"),
		  OK);
	fields_are("authorization: b");
}

static void expectations_are_told(void **state)
{
	check_row(
		"continue",
		BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"),
		OK);
	assert_true(head.expect_continue);
	fields_are("");
	check_row("without a body", BYTES("GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n"),
		  OK);
	assert_false(head.expect_continue);
	check_row(
		"1.0",
		BYTES("POST / HTTP/1.0\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
		OK);
	assert_false(head.expect_continue);
	fields_are("");
}

static void upgrades_are_told(void **state)
{
	check_row("websocket",
		  BYTES("GET / HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\n"
			"Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"),
		  OK);
	assert_true(head.upgrade && head.keep_alive);
	is(head.upgrade_to, "websocket");
	fields_are("sec-websocket-key: k");
	check_row("h2c",
		  BYTES("POST / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\n"
			"Upgrade: h2c\r\nHTTP2-Settings: A\r\nContent-Length: 3\r\n\r\n"),
		  OK);
	assert_false(head.upgrade);
	assert_int_equal(head.upgrade_to.size, 0);
	fields_are("");
	check_row("h2c among others",
		  BYTES("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: a/1, H2C\r\n\r\n"),
		  OK);
	assert_false(head.upgrade);
	check_row("1.0",
		  BYTES("GET / HTTP/1.0\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
		  OK);
	assert_false(head.upgrade);
}

/* @count times @piece between a begin and an end. */
static int parse_many(const char *begin, const char *piece, size_t count, const char *end)
{
	size_t size = strlen(begin) + count * strlen(piece) + strlen(end);
	_cleanup_free_ char *data = malloc(size);
	char *p = data;

	memcpy(p, begin, strlen(begin));
	p += strlen(begin);
	for (size_t i = 0; i < count; i++, p += strlen(piece))
		memcpy(p, piece, strlen(piece));
	memcpy(p, end, strlen(end));
	return parse(data, size);
}

static void what_is_too_much_is_refused(void **state)
{
	const char get[] = "GET / HTTP/1.1\r\n" H;

	assert_int_equal(parse_many("GET /", "a", HTTP_TARGET_MAX - 1, " HTTP/1.1\r\n" H E), OK);
	assert_int_equal(head.target.size, HTTP_TARGET_MAX);
	assert_int_equal(parse_many("GET /", "a", HTTP_TARGET_MAX, " HTTP/1.1\r\n" H E), 414);
	assert_int_equal(parse_many("GET /", "a", HTTP_TARGET_MAX, ""), 414);
	assert_int_equal(parse_many("GET /", "a", HTTP_TARGET_MAX - 1, ""), MORE);

	assert_int_equal(parse_many(get, "a: b\r\n", HTTP_FIELDS_MAX - 1, "\r\n"), OK);
	assert_int_equal(head.fields, HTTP_FIELDS_MAX - 1);
	assert_int_equal(parse_many(get, "a: b\r\n", HTTP_FIELDS_MAX, "\r\n"), 431);
	assert_int_equal(parse_many(get, "te: trailers\r\n", HTTP_FIELDS_MAX - 1, "\r\n"), OK);
	fields_are("te: trailers");
	assert_int_equal(parse_many(get, "connection: x\r\n", 32, "\r\n"), OK);
	assert_int_equal(parse_many(get, "connection: x\r\n", 33, "\r\n"), 400);

	assert_int_equal(parse_many("GET / HTTP/1.1\r\n" H "X:", "a", HTTP1_VALUE_MAX, "\r\n\r\n"),
			 OK);
	assert_int_equal(
		parse_many("GET / HTTP/1.1\r\n" H "X:", "a", HTTP1_VALUE_MAX + 1, "\r\n\r\n"), 431);
	assert_int_equal(parse_many("GET / HTTP/1.1\r\n" H "X:", " ", HTTP1_VALUE_MAX + 1, ""),
			 431);

	/* The last byte of the head is the last that may be there. */
	assert_int_equal(parse_many("GET / HTTP/1.1\r\n" H "Y: 1\r\nX: ", "a", 16000, "\r\n"),
			 MORE);
	{
		_cleanup_free_ char *data = malloc(HTTP_HEAD_MAX + 1);
		const char start[] = "GET / HTTP/1.1\r\n" H "X: ";

		memset(data, 'a', HTTP_HEAD_MAX + 1);
		memcpy(data, start, sizeof(start) - 1);
		memcpy(data + 16000, "\r\nY: ", 5);
		memcpy(data + HTTP_HEAD_MAX - 512, "\r\nZ: ", 5);
		memcpy(data + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
		assert_int_equal(parse(data, HTTP_HEAD_MAX), OK);
		memcpy(data + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
		data[HTTP_HEAD_MAX - 4] = 'a';
		assert_int_equal(parse(data, HTTP_HEAD_MAX - 1), MORE);
		assert_int_equal(parse(data, HTTP_HEAD_MAX), 431);
		assert_int_equal(parse(data, HTTP_HEAD_MAX + 1), 431);
	}
}

/* Each byte, at each place of a head where it could be overlooked. */
static void every_byte_is_looked_at(void **state)
{
	for (int c = 0; c < 256; c++) {
		char data[] = "GET /a HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdefghijk\r\n\r\n";
		bool value = c == '\t' || (c >= 0x20 && c != 0x7f);
		bool target = c > 0x20 && c < 0x7f && c != '#';

		for (size_t at = 29; at < 50; at++) {
			memcpy(data + 29, "0123456789abcdefghijk", 21);
			data[at] = (char)c;
			assert_int_equal(parse(BYTES(data)) == OK, value);
		}
		memcpy(data + 29, "0123456789abcdefghijk", 21);
		data[5] = (char)c;
		assert_int_equal(parse(BYTES(data)) == OK, target);
	}
}

static int tear_down(void **state)
{
	free(kept);
	kept = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_could_be_read_otherwise_is_refused),
		cmocka_unit_test(a_plain_request_is_read),
		cmocka_unit_test(an_empty_line_before_is_skipped),
		cmocka_unit_test(bodies_are_what_one_field_says),
		cmocka_unit_test(targets_are_reduced_to_a_path),
		cmocka_unit_test(hosts_that_there_are_are_taken),
		cmocka_unit_test(connections_are_kept_as_said),
		cmocka_unit_test(what_is_the_connections_is_taken_out),
		cmocka_unit_test(expectations_are_told),
		cmocka_unit_test(upgrades_are_told),
		cmocka_unit_test(what_is_too_much_is_refused),
		cmocka_unit_test(every_byte_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
