/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/http1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define FIELD(name, value)                                                                         \
	(struct http_field)                                                                        \
	{                                                                                          \
		TEXT(name), TEXT(value)                                                            \
	}

static struct http_head request(void)
{
	return (struct http_head){
		.version = 11,
		.keep_alive = true,
		.method = TEXT("GET"),
		.target = TEXT("/a?b"),
		.authority = TEXT("c:1"),
	};
}

static struct http_head response(uint16_t status)
{
	return (struct http_head){.version = 11, .keep_alive = true, .status = status};
}

static ssize_t write_head(const struct http_head *head, uint8_t *buffer, size_t size)
{
	return head->status ? http1_response_write(head, buffer, size)
			    : http1_request_write(head, buffer, size);
}

static void becomes(const struct http_head *head, const char *expected)
{
	size_t size = strlen(expected);
	ssize_t r;

	/* With room for it, and with one byte less. */
	for (size_t room = size; room + 1 >= size && room <= size; room--) {
		_cleanup_free_ uint8_t *buffer = malloc(room);

		r = write_head(head, buffer, room);
		if (room < size) {
			assert_int_equal(r, -ENOBUFS);
		} else if (r != (ssize_t)size || memcmp(buffer, expected, size)) {
			fail_msg("%zd \"%.*s\"", r, r > 0 ? (int)r : 0, buffer);
		}
	}
}

static void is_refused(const struct http_head *head)
{
	uint8_t buffer[1024];

	assert_int_equal(write_head(head, buffer, sizeof(buffer)), -EBADMSG);
}

static void requests_are_written(void **state)
{
	struct http_head head = request();

	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\n\r\n");
	head.field[0] = FIELD("accept", "*/*");
	head.field[1] = FIELD("x-empty", "");
	head.fields = 2;
	head.version = 20;
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\naccept: */*\r\nx-empty: \r\n\r\n");
	head.fields = 0;
	head.keep_alive = false;
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\nconnection: close\r\n\r\n");

	head = request();
	head.method = TEXT("POST");
	becomes(&head, "POST /a?b HTTP/1.1\r\nhost: c:1\r\ncontent-length: 0\r\n\r\n");
	head.body = HTTP_BODY_LENGTH;
	head.length = 9223372036854775807u;
	becomes(&head,
		"POST /a?b HTTP/1.1\r\nhost: c:1\r\ncontent-length: 9223372036854775807\r\n\r\n");
	head.body = HTTP_BODY_CHUNKED;
	head.expect_continue = true;
	becomes(&head, "POST /a?b HTTP/1.1\r\nhost: c:1\r\ntransfer-encoding: chunked\r\n"
		       "expect: 100-continue\r\n\r\n");
	head = request();
	head.method = TEXT("OPTIONS");
	head.target = TEXT("*");
	becomes(&head, "OPTIONS * HTTP/1.1\r\nhost: c:1\r\n\r\n");
}

static void connection_says_what_is_its_own(void **state)
{
	struct http_head head = request();

	head.field[0] = FIELD("te", "trailers");
	head.fields = 1;
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\nte: trailers\r\nconnection: te\r\n\r\n");
	head.upgrade = true;
	head.upgrade_to = TEXT("websocket");
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\nte: trailers\r\n"
		       "connection: upgrade, te\r\nupgrade: websocket\r\n\r\n");
	head.keep_alive = false;
	head.fields = 0;
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\nconnection: close, upgrade\r\n"
		       "upgrade: websocket\r\n\r\n");
	/* Of HTTP/2, where they are allowed or a client says them nevertheless. */
	head = request();
	head.field[0] = FIELD("keep-alive", "timeout=5");
	head.field[1] = FIELD("trailer", "x");
	head.field[2] = FIELD("proxy-connection", "x");
	head.field[3] = FIELD("http2-settings", "x");
	head.fields = 4;
	becomes(&head, "GET /a?b HTTP/1.1\r\nhost: c:1\r\n\r\n");
}

static void responses_are_written(void **state)
{
	struct http_head head = response(200);

	head.body = HTTP_BODY_LENGTH;
	becomes(&head, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
	head.body = HTTP_BODY_CHUNKED;
	head.field[0] = FIELD("set-cookie", "a");
	head.field[1] = FIELD("set-cookie", "b");
	head.fields = 2;
	becomes(&head, "HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\n"
		       "transfer-encoding: chunked\r\n\r\n");
	head.fields = 0;
	head.body = HTTP_BODY_CLOSE;
	becomes(&head, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
	head.version = 10;
	becomes(&head, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
	head.body = HTTP_BODY_LENGTH;
	head.length = 3;
	becomes(&head, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n");
	head.body = HTTP_BODY_CHUNKED;
	is_refused(&head);

	head = response(304);
	becomes(&head, "HTTP/1.1 304 Not Modified\r\n\r\n");
	head.has_length = true;
	head.length = 5;
	becomes(&head, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
	head.status = 204;
	becomes(&head, "HTTP/1.1 204 No Content\r\n\r\n");
	head.status = 103;
	head.keep_alive = false;
	becomes(&head, "HTTP/1.1 103 Early Hints\r\n\r\n");
	head = response(299);
	becomes(&head, "HTTP/1.1 299 \r\n\r\n");
	head = response(101);
	head.upgrade = true;
	head.upgrade_to = TEXT("websocket");
	becomes(&head, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
		       "upgrade: websocket\r\n\r\n");
}

/* Whoever made such a head (a rewritten credential, a peer that speaks HTTP/2) would split it. */
static void heads_that_would_read_otherwise_are_refused(void **state)
{
	const struct http_field fields[] = {
		FIELD("a", "b\r\nc: d"),
		FIELD("a", "b\nc"),
		FIELD("a", "b\rc"),
		FIELD("a", "b\0c"),
		FIELD("a", "\x7f"),
		FIELD("a: b\r\nc", "d"),
		FIELD("", "b"),
		FIELD("a b", "c"),
		FIELD("a:", "b"),
		FIELD("A", "b"),
		FIELD(":path", "b"),
		FIELD("a\0", "b"),
		FIELD("content-length", "5"),
		FIELD("host", "b"),
		FIELD("transfer-encoding", "chunked"),
		FIELD("connection", "close"),
		FIELD("upgrade", "h2c"),
		FIELD("expect", "100-continue"),
		FIELD("te", "gzip"),
		FIELD("\xc3\xa9", "b"),
	};
	struct http_head head = request();

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		head = request();
		head.field[0] = fields[i];
		head.fields = 1;
		is_refused(&head);
		head = response(200);
		head.body = HTTP_BODY_LENGTH;
		head.field[0] = fields[i];
		head.fields = 1;
		is_refused(&head);
	}
	head = request();
	head.method = TEXT("GET /x");
	is_refused(&head);
	head.method = TEXT("");
	is_refused(&head);
	head = request();
	head.target = TEXT("/ HTTP/1.1\r\nx: y\r\n\r\n");
	is_refused(&head);
	head.target = TEXT("");
	is_refused(&head);
	head.target = TEXT("/a b");
	is_refused(&head);
	head.target = TEXT("http://a/");
	is_refused(&head);
	head = request();
	head.authority = TEXT("");
	is_refused(&head);
	head.authority = TEXT("a\r\nb: c");
	is_refused(&head);
	head.authority = TEXT("a b");
	is_refused(&head);
	head = request();
	head.body = HTTP_BODY_CLOSE;
	is_refused(&head);
	head = request();
	head.upgrade = true;
	head.upgrade_to = TEXT("a\r\nb: c");
	is_refused(&head);
	head = request();
	head.fields = HTTP_FIELDS_MAX + 1;
	is_refused(&head);
	head = response(99);
	is_refused(&head);
	head = response(204);
	head.body = HTTP_BODY_LENGTH;
	is_refused(&head);
	head = response(304);
	head.body = HTTP_BODY_CHUNKED;
	is_refused(&head);
	head = response(100);
	head.body = HTTP_BODY_CLOSE;
	is_refused(&head);
	head = response(200);
	head.body = HTTP_BODY_LENGTH;
	head.upgrade = true;
	head.upgrade_to = TEXT("websocket");
	is_refused(&head);
	head = response(200);
	head.field[0] = FIELD("te", "trailers");
	head.fields = 1;
	is_refused(&head);
}

static void trailers_are_written(void **state)
{
	struct http_field field[] = {FIELD("grpc-status", "0"), FIELD("a", "b")};
	const char expected[] = "0\r\ngrpc-status: 0\r\na: b\r\n\r\n";
	uint8_t buffer[64];

	assert_int_equal(http1_trailers_write(field, 2, buffer, sizeof(buffer)),
			 sizeof(expected) - 1);
	assert_memory_equal(buffer, expected, sizeof(expected) - 1);
	assert_int_equal(http1_trailers_write(field, 2, buffer, sizeof(expected) - 2), -ENOBUFS);
	assert_int_equal(http1_trailers_write(NULL, 0, buffer, sizeof(buffer)),
			 strlen(HTTP1_BODY_END));
	assert_memory_equal(buffer, HTTP1_BODY_END, strlen(HTTP1_BODY_END));
	field[1] = FIELD("content-length", "1");
	assert_int_equal(http1_trailers_write(field, 2, buffer, sizeof(buffer)), -EBADMSG);
	field[1] = FIELD("a", "\n");
	assert_int_equal(http1_trailers_write(field, 2, buffer, sizeof(buffer)), -EBADMSG);
	field[1] = FIELD("A", "b");
	assert_int_equal(http1_trailers_write(field, 2, buffer, sizeof(buffer)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_written),
		cmocka_unit_test(connection_says_what_is_its_own),
		cmocka_unit_test(responses_are_written),
		cmocka_unit_test(heads_that_would_read_otherwise_are_refused),
		cmocka_unit_test(trailers_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
