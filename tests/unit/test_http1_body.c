/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proxy/http1_body.h"
#include "proxy/proxy_internal.h"

#include <stdlib.h>

struct fixture {
	struct proxy proxy;
	struct wire wire;
	struct stream stream;
	struct http1_in in;
	int calls;
};

static bool on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct fixture *f = owner;

	f->calls++;
	assert_false(end);
	/* What a codec does when its exchange lets go of the stream. */
	http1_in_end(&f->in);
	return true;
}

static void on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			size_t fields)
{
	fail();
}

static const struct stream_events events = {.on_data = on_data, .on_trailers = on_trailers};

/* The exchange ends with the first piece of the body, and its connection does not. */
static void test_ended_within(void **state)
{
	static const char body[] = "5\r\nhello\r\n0\r\nx: y\r\n\r\n";
	const struct http_head head = {.version = 11, .body = HTTP_BODY_CHUNKED};
	struct fixture *f = calloc(1, sizeof(*f));
	int steps = 0;

	f->wire.proxy = &f->proxy;
	f->wire.in = (struct wire_buffer){
		.data = malloc(WIRE_BUFFER), .end = sizeof(body) - 1, .size = WIRE_BUFFER};
	memcpy(f->wire.in.data, body, sizeof(body) - 1);
	f->stream = (struct stream){.events = &events, .owner = f};
	assert_int_equal(http1_in_begin(&f->in, &head), 0);
	while (!f->calls && steps++ < 4)
		assert_int_equal(http1_in_step(&f->in, &f->wire, &f->stream), 1);
	assert_int_equal(f->calls, 1);
	assert_int_equal(wire_in_size(&f->wire), strlen("\r\n0\r\nx: y\r\n\r\n"));
	free(f->wire.in.data);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ended_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
