/* SPDX-License-Identifier: Apache-2.0 */
#include "http2_fixture.h"

#include "common/cleanup.h"

static struct wire wire;

static int setup(void **state)
{
	wire = (struct wire){};
	wire_open(&wire);
	wire_pump(&wire);
	return 0;
}

static int teardown(void **state)
{
	wire_close(&wire);
	return 0;
}

static void nothing_is_left(void)
{
	assert_true(http2_idle(wire.client));
	assert_true(http2_idle(wire.server));
	assert_false(http2_finished(wire.client));
	assert_int_equal(http2_capacity(wire.client), HTTP2_STREAMS_MAX);
}

#define REQUEST "|example.org/path?q=1"

static void messages_of_each_size_arrive(void **state)
{
	static const size_t sizes[] = {0, 1, 16384, 65536, 65537, 1024 * 1024};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int trailers = 0; trailers < 4; trailers++) {
			struct party *client, *server;

			wire.answer = sizes[ARRAY_LEN(sizes) - 1 - i];
			wire.answer_trailers = trailers & 1;
			client = wire_request(&wire, "POST", sizes[i], trailers & 2);
			wire_pump(&wire);
			server = wire.party[wire.parties - 1];

			assert_null(client->stream);
			assert_null(server->stream);
			assert_int_equal(server->body, sizes[i]);
			assert_int_equal(server->sum, pattern_sum(sizes[i]));
			assert_int_equal(client->body, wire.answer);
			assert_int_equal(client->sum, pattern_sum(wire.answer));
			assert_string_equal(
				server->notes,
				trailers & 2 ? "POST" REQUEST
					       ",te=trailers trailers,grpc-status=0,grpc-message= "
				: sizes[i] ? "POST" REQUEST ",te=trailers end "
					   : "POST" REQUEST ",te=trailers. ");
			assert_string_equal(
				client->notes,
				trailers & 1
					? "200,server=toy trailers,grpc-status=0,grpc-message= "
				: wire.answer ? "200,server=toy end "
					      : "200,server=toy. ");
			free(client);
			nothing_is_left();
		}
	}
}

static void heads_go_through_whole(void **state)
{
	struct party *client = party_new(&wire, false);
	struct http_head head = {
		.method = TEXT("PUT"),
		.target = TEXT("/p"),
		.authority = TEXT("h:8443"),
		.body = HTTP_BODY_LENGTH,
		.length = 12345,
		.expect_continue = true,
	};
	struct http_head informational = {.status = 103}, final = {
								  .status = 304,
								  .body = HTTP_BODY_LENGTH,
								  .length = 99,
							  };
	struct party *server;

	wire.quiet = true;
	head.field[head.fields++] = (struct http_field){TEXT("x-empty"), TEXT("")};
	head.field[head.fields++] = (struct http_field){TEXT("cookie"), TEXT("a=1; b=2")};
	/* Not in HTTP/2. */
	head.field[head.fields++] = (struct http_field){TEXT("te"), TEXT("gzip")};
	head.field[head.fields++] = (struct http_field){TEXT("upgrade"), TEXT("x")};
	head.field[head.fields++] = (struct http_field){TEXT("keep-alive"), TEXT("x")};
	head.field[head.fields++] = (struct http_field){TEXT("proxy-connection"), TEXT("x")};
	head.field[head.fields++] = (struct http_field){TEXT("transfer-encoding"), TEXT("x")};
	assert_int_equal(http2_open(wire.client, client, &party_events, &client->stream), 0);
	assert_int_equal(client->stream->ops->head(client->stream, &head, false), 0);
	wire_pump(&wire);
	server = wire.party[0];
	assert_string_equal(server->notes, "PUT|h:8443/p(12345)(expect),x-empty=,cookie=a=1; b=2 ");

	informational.field[informational.fields++] =
		(struct http_field){TEXT("link"), TEXT("</x>")};
	for (int i = 0; i < 2; i++)
		assert_int_equal(server->stream->ops->head(server->stream, &informational, false),
				 0);
	assert_int_equal(server->stream->ops->head(server->stream, &informational, true), -EINVAL);
	assert_int_equal(server->stream->ops->head(server->stream, &final, true), 0);
	assert_int_equal(server->stream->ops->head(server->stream, &final, true), -EINVAL);
	wire_pump(&wire);
	assert_string_equal(client->notes, "103,link=</x> 103,link=</x> 304(99). ");

	/* The client let go without a word of its body. */
	assert_null(client->stream);
	assert_string_equal(strchr(server->notes, ' ') + 1, "b=2 closed:cancel ");
	free(client);
	nothing_is_left();
}

static void what_http2_has_not_is_not_sent(void **state)
{
	struct party *client = wire_request(&wire, "GET", 0, false);
	struct http_head head = {.status = 101};
	static char value[HTTP2_SEND_MAX];
	struct party *server;

	wire.quiet = true;
	wire_pump(&wire);
	server = wire.party[0];
	assert_int_equal(server->stream->ops->head(server->stream, &head, false), -EINVAL);
	head.status = 99;
	assert_int_equal(server->stream->ops->head(server->stream, &head, false), -EINVAL);
	head.status = 200;
	memset(value, 'v', sizeof(value));
	head.field[head.fields++] = (struct http_field){TEXT("x"), {value, sizeof(value)}};
	assert_int_equal(server->stream->ops->head(server->stream, &head, false), -E2BIG);
	assert_int_equal(server->stream->ops->data(server->stream, NULL, 0, true), -EINVAL);
	assert_int_equal(server->stream->ops->trailers(server->stream, head.field, 1), -EINVAL);
	party_release(server, STREAM_INTERNAL);
	wire_pump(&wire);
	assert_string_equal(client->notes, "closed:internal ");
	free(client);
	nothing_is_left();
}

static void resets_arrive_at_every_stage(void **state)
{
	enum stage { OPENED, HEAD_SENT, HEAD_THERE, HALF_SENT, ANSWERED, STAGES };
	static const struct {
		enum stream_error said;
		const char *heard;
	} errors[] = {
		{STREAM_NO_ERROR, "closed:cancel "},   {STREAM_CANCEL, "closed:cancel "},
		{STREAM_REFUSED, "closed:refused "},   {STREAM_PROTOCOL, "closed:protocol "},
		{STREAM_INTERNAL, "closed:internal "}, {STREAM_CONNECT, "closed:internal "},
	};

	wire.quiet = true;
	for (int by_server = 0; by_server < 2; by_server++) {
		for (enum stage stage = OPENED; stage < STAGES; stage++) {
			for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
				struct party *client, *server = NULL, *victim;
				size_t before = wire.parties;

				if (by_server && stage < HEAD_THERE)
					continue;
				if (stage == OPENED) {
					client = party_new(&wire, false);
					assert_int_equal(http2_open(wire.client, client,
								    &party_events, &client->stream),
							 0);
				} else {
					client = wire_request(&wire, "POST", 500000, false);
				}
				if (stage >= HEAD_THERE) {
					/* The server's end takes nothing: the body is under way. */
					wire.stubborn = stage == HALF_SENT;
					wire_pump(&wire);
					assert_int_equal(wire.parties, before + 1);
					server = wire.party[before];
				}
				if (stage == ANSWERED) {
					party_respond(server, 100, true);
					wire_pump(&wire);
					assert_string_equal(client->notes,
							    "200,server=toy trailers,"
							    "grpc-status=0,grpc-message= ");
					assert_null(client->stream);
				}
				if (by_server) {
					party_release(server, errors[i].said);
					victim = client;
				} else {
					if (client->stream)
						party_release(client, errors[i].said);
					victim = server;
				}
				wire_pump(&wire);
				if (stage >= HEAD_THERE && stage < ANSWERED)
					assert_non_null(strstr(victim->notes, errors[i].heard));
				if (stage < HEAD_THERE)
					assert_int_equal(wire.parties, before);
				if (server && server->stream)
					party_release(server, STREAM_NO_ERROR);
				wire_pump(&wire);
				free(client);
				for (size_t p = 0; p < wire.parties; p++)
					free(wire.party[p]);
				wire.parties = 0;
				nothing_is_left();
			}
		}
	}
}

/* RFC 9113 section 8.1: answered, and the rest of the request is not wanted. */
static void an_early_answer_is_an_answer(void **state)
{
	struct party *client = wire_request(&wire, "POST", 1000000, false), *server;

	wire.quiet = wire.stubborn = true;
	wire_pump(&wire);
	server = wire.party[0];
	party_respond(server, HTTP2_SEND_MAX, false);
	assert_true(client->sending);
	party_release(server, STREAM_NO_ERROR);
	wire_pump(&wire);
	assert_string_equal(client->notes, "200,server=toy end ");
	assert_int_equal(client->body, HTTP2_SEND_MAX);
	assert_null(client->stream);
	free(client);
	nothing_is_left();
}

static void who_takes_nothing_bounds_memory(void **state)
{
	struct party *client = wire_request(&wire, "POST", BODY_MAX, false), *server;

	wire.stubborn = wire.quiet = true;
	wire_pump(&wire);
	server = wire.party[0];
	/* One frame was given, a window is kept, as much waits to be sent. */
	assert_in_range(server->body, 1, 16384);
	assert_in_range(client->sent, HTTP2_STREAM_WINDOW, HTTP2_STREAM_WINDOW + HTTP2_SEND_MAX);
	wire_pump(&wire);
	assert_in_range(server->body, 1, 16384);

	/* Each time that it is through with a part it is given another, of bounded size. */
	for (size_t before = 0; server->body < BODY_MAX;) {
		assert_true(server->body - before <= STREAM_CHUNK_MAX);
		before = server->body;
		server->stream->ops->resume(server->stream);
		/* Not from within ops. */
		assert_int_equal(server->body, before);
		wire_pump(&wire);
		assert_true(server->body > before);
	}
	assert_int_equal(server->sum, pattern_sum(BODY_MAX));
	assert_string_equal(server->notes, "POST" REQUEST ",te=trailers end ");

	/* The other way. */
	client->stubborn = true;
	server->quiet = false;
	party_respond(server, BODY_MAX, true);
	wire_pump(&wire);
	assert_in_range(client->body, 1, 16384);
	assert_in_range(server->sent, HTTP2_STREAM_WINDOW, HTTP2_STREAM_WINDOW + HTTP2_SEND_MAX);
	while (!client->ended) {
		client->stream->ops->resume(client->stream);
		wire_pump(&wire);
	}
	assert_int_equal(client->sum, pattern_sum(BODY_MAX));
	assert_string_equal(client->notes, "200,server=toy trailers,grpc-status=0,grpc-message= ");
	assert_null(client->stream);
	free(client);
	nothing_is_left();
}

/* Windows of what nobody takes any more are opened: the connection's does not leak away. */
static void a_connection_outlives_abandoned_bodies(void **state)
{
	wire.quiet = wire.stubborn = true;
	for (int i = 0; i < 3 * HTTP2_CONNECTION_WINDOW / HTTP2_STREAM_WINDOW; i++) {
		struct party *client = wire_request(&wire, "POST", BODY_MAX, false);

		wire_pump(&wire);
		assert_true(client->sent >= HTTP2_STREAM_WINDOW);
		if (i % 3 == 0)
			party_release(client, STREAM_CANCEL);
		else if (i % 3 == 1)
			party_release(wire.party[0], STREAM_CANCEL);
		else
			party_respond(wire.party[0], 0, false);
		wire_pump(&wire);
		if (client->stream)
			party_release(client, STREAM_CANCEL);
		if (wire.party[0]->stream)
			party_release(wire.party[0], STREAM_NO_ERROR);
		wire_pump(&wire);
		free(client);
		free(wire.party[0]);
		wire.parties = 0;
		nothing_is_left();
	}
}

static void streams_do_not_wait_for_each_other(void **state)
{
	struct party *client[HTTP2_STREAMS_MAX], *stuck;
	struct stream *stream;
	size_t sum = 0;

	wire.stubborn = wire.quiet = true;
	stuck = wire_request(&wire, "POST", BODY_MAX, false);
	wire_pump(&wire);
	wire.stubborn = wire.quiet = false;
	wire.answer = 5000;
	for (size_t i = 1; i < HTTP2_STREAMS_MAX; i++)
		client[i] = wire_request(&wire, "POST", 20000 + i, i % 2);
	assert_int_equal(http2_capacity(wire.client), 0);
	assert_int_equal(http2_open(wire.client, stuck, &party_events, &stream), -EAGAIN);
	wire.capacity_events = 0;
	wire_pump(&wire);
	assert_int_equal(http2_capacity(wire.client), HTTP2_STREAMS_MAX - 1);
	assert_true(wire.capacity_events > 0);
	for (size_t i = 1; i < HTTP2_STREAMS_MAX; i++) {
		assert_null(client[i]->stream);
		assert_int_equal(client[i]->body, 5000);
		sum += wire.party[i]->body;
		free(client[i]);
	}
	assert_int_equal(sum, 99 * 20000 + 99 * 100 / 2);
	party_release(stuck, STREAM_CANCEL);
	wire_pump(&wire);
	free(stuck);
	nothing_is_left();
}

static void a_refused_request_may_be_tried_again(void **state)
{
	struct party *client = wire_request(&wire, "GET", 0, false);

	wire.refuse = true;
	wire_pump(&wire);
	assert_string_equal(client->notes, "closed:refused ");
	assert_int_equal(wire.parties, 0);
	free(client);
	nothing_is_left();
}

static void shutting_down_lets_open_streams_end(void **state)
{
	struct party *client = wire_request(&wire, "POST", 1000, false), *late, *later;

	wire.quiet = true;
	wire_pump(&wire);
	http2_shutdown(wire.server);
	http2_shutdown(wire.server);
	/* Under way when GOAWAY comes, and opened but not yet sent. */
	late = wire_request(&wire, "GET", 0, false);
	wire_carry(wire.client, wire.server);
	later = wire_request(&wire, "GET", 0, false);
	wire.capacity_events = 0;
	wire_pump(&wire);
	assert_string_equal(late->notes, "closed:refused ");
	assert_string_equal(later->notes, "closed:refused ");
	assert_int_equal(wire.parties, 1);
	assert_int_equal(http2_capacity(wire.client), 0);
	assert_true(wire.capacity_events > 0);
	assert_int_equal(http2_open(wire.client, late, &party_events, &late->stream), -EAGAIN);
	assert_false(http2_finished(wire.server));
	assert_false(http2_finished(wire.client));

	wire.party[0]->quiet = false;
	party_respond(wire.party[0], 3000, true);
	party_settle(wire.party[0]);
	wire_pump(&wire);
	assert_int_equal(client->body, 3000);
	assert_null(client->stream);
	assert_true(http2_finished(wire.server));
	assert_true(http2_finished(wire.client));
	free(client);
	free(late);
	free(later);
}

static void a_broken_connection_closes_its_streams(void **state)
{
	struct party *whole, *half, *unsent;

	wire.answer = 100000;
	whole = wire_request(&wire, "GET", 0, false);
	whole->stubborn = true;
	wire_pump(&wire);
	assert_int_equal(whole->body, 16384);
	wire.quiet = true;
	half = wire_request(&wire, "POST", 10, false);
	wire_pump(&wire);
	unsent = wire_request(&wire, "POST", 10, false);

	http2_disconnect(wire.client);
	assert_string_equal(half->notes, "closed:connect ");
	assert_string_equal(unsent->notes, "closed:refused ");
	assert_int_equal(http2_capacity(wire.client), 0);
	assert_int_equal(http2_feed(wire.client, (const uint8_t *)"", 1), -EPROTO);
	/* All of this response had come. */
	assert_false(http2_finished(wire.client));
	while (whole->stream) {
		const uint8_t *data;

		whole->stream->ops->resume(whole->stream);
		assert_int_equal(http2_drain(wire.client, &data), 0);
	}
	assert_string_equal(whole->notes, "200,server=toy end ");
	assert_int_equal(whole->sum, pattern_sum(100000));
	assert_true(http2_finished(wire.client));

	http2_free(wire.server);
	wire.server = NULL;
	assert_string_equal(wire.party[1]->notes,
			    "POST|example.org/path?q=1,te=trailers end closed:connect ");
	free(whole);
	free(half);
	free(unsent);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(messages_of_each_size_arrive),
		TEST(heads_go_through_whole),
		TEST(what_http2_has_not_is_not_sent),
		TEST(resets_arrive_at_every_stage),
		TEST(an_early_answer_is_an_answer),
		TEST(who_takes_nothing_bounds_memory),
		TEST(a_connection_outlives_abandoned_bodies),
		TEST(streams_do_not_wait_for_each_other),
		TEST(a_refused_request_may_be_tried_again),
		TEST(shutting_down_lets_open_streams_end),
		TEST(a_broken_connection_closes_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
