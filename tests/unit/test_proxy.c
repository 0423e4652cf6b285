/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_fixture.h"

#include "proxy/question.h"

#define GET  "GET /ok/a HTTP/1.1\r\nHost: api.test\r\n\r\n"
#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

/* A request on @a, answered by @s, which keeps both. */
static void exchange_once(int a, int s)
{
	say(a, GET);
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
}

static void allowed_and_denied(void **state)
{
	int a = agent(), s;
	const char *heard;

	say(a, "DELETE /ok/a HTTP/1.1\r\nHost: api.test\r\n\r\n");
	heard = hear(a, "}\n");
	assert_non_null(strstr(heard, "HTTP/1.1 403 "));
	assert_non_null(strstr(heard, "\"policy_denied\""));
	assert_int_equal(world.upstreams, 0);
	/* The connection goes on. */
	say(a, GET);
	s = served();
	assert_non_null(strstr(hear(s, "\r\n\r\n"), "GET /ok/a HTTP/1.1\r\n"));
	say(s, FINE);
	hear(a, "fine");
	close(a);
	close(s);
}

/* RFC 9112 section 2.2 has servers ignore an empty line; HTTP/1.0 need not say who is asked. */
static void old_clients(void **state)
{
	static const char *const asked[] = {"\r\n" GET, "GET /ok/a HTTP/1.0\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		int a = agent(), s;

		say(a, asked[i]);
		s = served();
		assert_non_null(
			strstr(hear(s, "\r\n\r\n"), "GET /ok/a HTTP/1.1\r\nhost: api.test\r\n"));
		say(s, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine");
		hear(a, "fine");
		close(a);
		close(s);
	}
}

static void pipelined(void **state)
{
	int a = agent(), s;

	say(a, GET GET GET);
	s = served();
	for (int i = 0; i < 3; i++) {
		hear(s, "\r\n\r\n");
		say(s, FINE);
	}
	for (int i = 0; i < 3; i++)
		hear(a, "fine");
	assert_int_equal(world.upstreams, 1);
	assert_int_equal(world.origins, 1);
	close(a);
	close(s);
}

static void chunked_both_ways(void **state)
{
	int a = agent(), s;

	say(a, "POST /ok/a HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "3\r\nabc\r\n");
	s = served();
	assert_non_null(strstr(hear(s, "abc\r\n"), "hunked"));
	say(a, "2\r\nde\r\n0\r\nX-Trailer: x\r\n\r\n");
	hear(s, "de\r\n0\r\n");
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	hear(a, "5\r\nhello\r\n");
	say(s, "0\r\n\r\n");
	hear(a, "0\r\n\r\n");
	exchange_once(a, s);
	close(a);
	close(s);
}

#define LARGE (64u << 20)

static void *pour(void *arg)
{
	static char data[65536];
	int fd = *(int *)arg;

	for (size_t sent = 0; sent < LARGE; sent += sizeof(data))
		if (send(fd, data, sizeof(data), MSG_NOSIGNAL) != sizeof(data))
			return "the server could not send";
	return NULL;
}

static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	fclose(f);
	return pages * 4096;
}

static void slow_reader(void **state)
{
	static char data[65536];
	int a = agent(), s;
	pthread_t pouring;
	size_t before, got = 0;
	char head[128];
	void *why;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", LARGE);
	say(s, head);
	hear(a, "\r\n\r\n");
	before = resident();
	pthread_create(&pouring, NULL, pour, &s);
	sleep(1);
	assert_true(resident() < before + (8u << 20));
	while (got < LARGE) {
		ssize_t n = recv(a, data, sizeof(data), 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	pthread_join(pouring, &why);
	assert_null(why);
	assert_int_equal(got, LARGE);
	exchange_once(a, s);
	close(a);
	close(s);
}

/* The server answers and goes, while the agent has much to say yet. */
static void early_response(void **state)
{
	int a = agent(), s;

	say(a, "POST /ok/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10000000\r\n\r\nabc");
	s = served();
	hear(s, "abc");
	say(s, "HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nmuch");
	close(s);
	hear(a, "much");
	assert_int_equal(ended(a), 0);
	close(a);
}

/*
 * The same with more on its way than the server ever reads, so that it is a reset which follows the
 * answer.
 */
static void early_response_and_reset(void **state)
{
	static char data[65536];

	for (int i = 0; i < 20; i++) {
		int a = agent(), s;

		say(a, "POST /ok/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 10000000\r\n\r\n");
		s = served();
		hear(s, "\r\n\r\n");
		assert_true(send(a, data, sizeof(data), MSG_NOSIGNAL) > 0);
		wait_for(s);
		say(s, "HTTP/1.1 413 No\r\nContent-Length: 4\r\n\r\nmuch");
		close(s);
		/* Into the reset; what the agent says last goes nowhere. */
		send(a, data, sizeof(data), MSG_NOSIGNAL);
		hear(a, "much");
		close(a);
	}
}

/* What a server says between responses belongs to none. */
static void unasked(void **state)
{
	int a = agent(), s, t;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
	hear(a, "fine");
	say(a, GET);
	t = served();
	hear(t, "\r\n\r\n");
	say(t, FINE);
	hear(a, "fine");
	close(a);
	close(s);
	close(t);
}

/* An answer from before the policy changed is asked for again. */
static void late_origin(void **state)
{
	int a, s;

	world.old_answers = 2;
	a = agent();
	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	assert_int_equal(world.origins, 3);
	close(a);
	/* But not for ever. */
	world.old_answers = 100;
	a = agent();
	/* Which may be gone already. */
	send(a, GET, strlen(GET), MSG_NOSIGNAL);
	assert_int_equal(ended(a), 1);
	assert_in_range(world.origins, 4, 20);
	close(a);
	close(s);
}

static void stale_connection(void **state)
{
	int a = agent(), s, t;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	/* It takes the request, and goes without a word. */
	say(a, GET);
	hear(s, "\r\n\r\n");
	close(s);
	t = served();
	hear(t, "\r\n\r\n");
	say(t, FINE);
	hear(a, "fine");
	/* Only once. */
	say(a, GET);
	hear(t, "\r\n\r\n");
	close(t);
	s = served();
	hear(s, "\r\n\r\n");
	close(s);
	hear(a, "HTTP/1.1 502 ");
	close(a);
}

/* A server that goes at each byte of its response; what was cut never looks whole. */
static void cut_responses(void **state)
{
	static const char response[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n";
	size_t head = (size_t)(strstr(response, "\r\n\r\n") + 4 - response);

	for (size_t cut = 0; cut < sizeof(response) - 1; cut++) {
		int a = agent(), s;

		say(a, GET);
		s = served();
		hear(s, "\r\n\r\n");
		if (cut)
			assert_int_equal(send(s, response, cut, 0), cut);
		close(s);
		if (cut < head)
			hear(a, "HTTP/1.1 502 ");
		else
			assert_int_equal(ended(a), 1);
		close(a);
	}
}

static void cut_requests(void **state)
{
	static const char request[] = "POST /ok/a HTTP/1.1\r\nHost: api.test\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n";
	size_t head = (size_t)(strstr(request, "\r\n\r\n") + 4 - request);

	for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
		int a = agent(), s;

		assert_int_equal(send(a, request, cut, 0), cut);
		if (cut >= head) {
			s = served();
			hear(s, "\r\n\r\n");
			close(a);
			ended(s);
			close(s);
			continue;
		}
		shutdown(a, SHUT_WR);
		ended(a);
		close(a);
	}
	assert_int_equal(world.upstreams, sizeof(request) - 1 - head);
}

static void informational_and_head(void **state)
{
	int a = agent(), s;
	const char *heard;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n");
	hear(a, "HTTP/1.1 103 ");
	hear(a, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	say(a, "HEAD /ok/a HTTP/1.1\r\nHost: api.test\r\n\r\n");
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
	heard = hear(a, "\r\n\r\n");
	assert_non_null(strcasestr(heard, "content-length: 1000"));
	exchange_once(a, s);
	close(a);
	close(s);
}

static void websocket(void **state)
{
	int a = agent(), s;

	say(a, "GET /ok/ws HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\n"
	       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	s = served();
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi");
	hear(a, "hi");
	/* Nobody asked for it: that is no answer. */
	close(s);
	assert_int_equal(ended(a), 0);
	close(a);
	a = agent();
	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	hear(a, "HTTP/1.1 502 ");
	close(a);
	close(s);
}

static void policy_switch(void **state)
{
	int a = agent(), s;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	send_policy(2);
	say(a, GET);
	/* What the old policy connected is not used again. */
	assert_int_equal(ended(s), 0);
	close(s);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	assert_int_equal(world.origins, 2);
	world.denies = true;
	send_policy(3);
	say(a, GET);
	assert_int_equal(ended(a), 1);
	assert_int_equal(world.upstreams, 2);
	close(a);
	close(s);
}

/* What the agent says in a WebSocket after a switch goes nowhere: it has to ask again. */
static void policy_switch_with_websocket(void **state)
{
	int a = agent(), s;

	say(a, "GET /ok/ws HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\n"
	       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	s = served();
	hear(s, "\r\n\r\n");
	say(s, "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi");
	hear(a, "hi");
	send_policy(2);
	/* An answer of the proxy's under the new policy has come before what follows. */
	say(s, "\x81\x02ho");
	hear(a, "ho");
	close(agent());
	usleep(100000);
	say(a, "\x81\x82\x01\x02\x03\x04hi");
	assert_false(wait_for(s));
	assert_false(wait_for(a));
	close(a);
	close(s);
}

#define QUERY	"{\"query\":\"query { viewer }\"}"
#define GRAPHQL "POST /graphql HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\n"

/* A body that decides, of which a part comes while it is asked again who sends it. */
static void policy_switch_with_body(void **state)
{
	int a = agent(), s;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	close(s);
	send_policy(2);
	say(a, GRAPHQL "Content-Length: 28\r\n\r\n" QUERY);
	s = served();
	hear(s, QUERY);
	say(s, FINE);
	hear(a, "fine");
	close(a);
	close(s);
}

/* A chunked body longer than may be inspected. */
static void too_long_to_inspect(void **state)
{
	char chunk[1024];
	int a = agent();

	say(a, GRAPHQL "Transfer-Encoding: chunked\r\n\r\n");
	memset(chunk, 'a', sizeof(chunk));
	memcpy(chunk, "3F9\r\n", 5);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	for (int i = 0; i < 80; i++)
		if (send(a, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0)
			break;
	hear(a, "longer than");
	ended(a);
	close(a);
	assert_int_equal(world.upstreams, 0);
}

#define FLOOD 2000
#define MANY  400

/* More questions than may be asked at once, of agents that do not wait for the answers. */
static void question_flood(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	unsigned int before;
	int a = agent(), s, many[MANY];

	say(a, "DELETE / HTTP/1.1\r\nHost: api.test\r\n\r\n");
	hear(a, "}\n");
	before = descriptors();
	close(a);
	world.withholds = true;
	for (int i = 0; i < MANY; i++) {
		many[i] = agent();
		say(many[i], GET);
		setsockopt(many[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	/* As many as may be asked at once; the rest wait for their turn. */
	for (int i = 0; i < PATIENCE && world.upstreams < QUESTION_MAX; i++)
		usleep(1000);
	for (int i = 0; i < MANY; i++)
		close(many[i]);
	assert_true(descriptors_fall_to(before));
	assert_int_equal(world.upstreams, QUESTION_MAX);
	/* Those that were asked are answered; the others were given up. */
	answer_withheld();
	a = agent();
	say(a, GET);
	do {
		s = served();
		if (wait_for(s))
			break;
		close(s);
	} while (true);
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	assert_int_equal(world.upstreams, QUESTION_MAX + 1);
	close(a);
	close(s);
}

static void two_thousand(void **state)
{
	unsigned int before;
	int a = agent(), s;

	say(a, GET);
	s = served();
	hear(s, "\r\n\r\n");
	say(s, FINE);
	hear(a, "fine");
	close(a);
	assert_true(descriptors_fall_to(descriptors()));
	usleep(100000);
	before = descriptors();
	for (int i = 0; i < FLOOD; i++) {
		a = agent();
		if (i % 3 == 0)
			say(a, "GET /no HTTP/1.1\r\nHost: api.test\r\n\r\n");
		if (i % 5 == 0)
			hear(a, i % 3 ? "" : "}\n");
		if (i % 7 == 0)
			exchange_once(a, s);
		close(a);
	}
	assert_true(descriptors_fall_to(before));
	a = agent();
	exchange_once(a, s);
	close(a);
	close(s);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(allowed_and_denied),
		ROW(old_clients),
		ROW(pipelined),
		ROW(chunked_both_ways),
		ROW(slow_reader),
		ROW(early_response),
		ROW(early_response_and_reset),
		ROW(unasked),
		ROW(late_origin),
		ROW(stale_connection),
		ROW(cut_responses),
		ROW(cut_requests),
		ROW(informational_and_head),
		ROW(websocket),
		ROW(policy_switch),
		ROW(policy_switch_with_body),
		ROW(policy_switch_with_websocket),
		ROW(too_long_to_inspect),
		ROW(question_flood),
		ROW(two_thousand),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
