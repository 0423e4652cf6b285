/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to inference.local through a real worker: tests/unit/proxy_fixture.h. */
#include "proxy_fixture.h"

#include "proxy/question.h"

#include <openssl/ssl.h>
#include <signal.h>

#define PB(name)   Openshell__Worker__V1__##name
#define API(name)  OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define KEY	   "sk-the-key-of-the-provider"
#define ROUTES_MAX 2

/* What is configured. */

static PB(InferenceHeader) headers[2];
static PB(InferenceHeader) * header_list[2];
static PB(InferenceRoute) routes[ROUTES_MAX];
static PB(InferenceRoute) * route_list[ROUTES_MAX];
static PB(InferenceLimits) limits;
static PB(Inference) configured;
static PB(InferenceApi) openai[] = {API(CHAT_COMPLETIONS), API(MODELS)};
static PB(InferenceApi) anthropic[] = {API(MESSAGES)};
static char *secrets[] = {(char *)KEY};

static void set_route(size_t i, const char *name, const char *model)
{
	PB(InferenceRoute) *route = &routes[i];

	openshell__worker__v1__inference_route__init(route);
	route->name = (char *)name;
	route->provider = route->type = (char *)"openai";
	route->host = (char *)"provider.test";
	route->port = 8000;
	route->base_path = (char *)"/v1";
	route->model = (char *)model;
	route->apis = i ? anthropic : openai;
	route->n_apis = i ? ARRAY_LEN(anthropic) : ARRAY_LEN(openai);
	route->headers = header_list;
	route->n_headers = 1;
	route->secrets = secrets;
	route->n_secrets = 1;
	route->timeout_ms = 60000;
	route_list[i] = route;
}

static int inference_begin(void **state)
{
	openshell__worker__v1__inference_header__init(&headers[0]);
	headers[0].name = (char *)"authorization";
	headers[0].value = (char *)"Bearer " KEY;
	header_list[0] = &headers[0];
	openshell__worker__v1__inference_limits__init(&limits);
	openshell__worker__v1__inference__init(&configured);
	set_route(0, "fast", "small-1");
	set_route(1, "clever", "large-1");
	configured.revision = 1;
	configured.routes = route_list;
	configured.n_routes = 2;
	inference = &configured;
	return world_begin(state);
}

static int inference_end(void **state)
{
	return world_end(state);
}

/* Other routes, for requests from now on; the policy is the same. */
static void refresh(void)
{
	configured.revision++;
	send_policy(world.generation);
}

/* What was told last. */

static struct {
	pthread_mutex_t lock;
	unsigned int count;
	struct worker_record record;
	char text[WORKER_RECORD_TEXT_COUNT][1025];
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_record(const struct worker_record *record)
{
	pthread_mutex_lock(&told.lock);
	told.record = *record;
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		snprintf(told.text[i], sizeof(told.text[i]), "%.*s", (int)record->text[i].size,
			 record->text[i].data ? record->text[i].data : "");
	told.count++;
	pthread_mutex_unlock(&told.lock);
}

static void wait_for_record(unsigned int count)
{
	for (int i = 0; i < PATIENCE / 10 && world.told < count; i++)
		usleep(10000);
	assert_int_equal(world.told, count);
}

/* An agent that speaks TLS: what is said to the one end of a pair goes through it. */

struct bridge {
	int plain, fd;
	SSL_CTX *context;
	SSL *ssl;
};

static bool from_agent(struct bridge *b)
{
	static _Thread_local char data[65536];
	ssize_t n = recv(b->plain, data, sizeof(data), 0);

	if (n <= 0)
		return false;
	for (ssize_t at = 0; at < n;) {
		int sent = SSL_write(b->ssl, data + at, (int)(n - at));

		if (sent <= 0)
			return false;
		at += sent;
	}
	return true;
}

static bool to_agent(struct bridge *b)
{
	char data[16384];

	do {
		int n = SSL_read(b->ssl, data, sizeof(data));

		if (n <= 0)
			return SSL_get_error(b->ssl, n) == SSL_ERROR_WANT_READ;
		if (send(b->plain, data, (size_t)n, MSG_NOSIGNAL) != n)
			return false;
	} while (SSL_pending(b->ssl));
	return true;
}

static void *carry(void *arg)
{
	struct bridge *b = arg;
	bool going = SSL_connect(b->ssl) == 1;

	while (going) {
		struct pollfd ends[2] = {{.fd = b->plain, .events = POLLIN},
					 {.fd = b->fd, .events = POLLIN}};

		poll(ends, 2, -1);
		if (ends[1].revents)
			going = to_agent(b);
		else if (ends[0].revents)
			going = from_agent(b);
	}
	SSL_free(b->ssl);
	SSL_CTX_free(b->context);
	close(b->fd);
	close(b->plain);
	free(b);
	return NULL;
}

static int secure_agent(void)
{
	struct bridge *b = calloc(1, sizeof(*b));
	pthread_t thread;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	be_patient(pair[0]);
	b->plain = pair[1];
	b->fd = agent();
	b->context = SSL_CTX_new(TLS_client_method());
	b->ssl = SSL_new(b->context);
	/* A ticket is no reason to wait for what comes behind it. */
	SSL_clear_mode(b->ssl, SSL_MODE_AUTO_RETRY);
	SSL_set_tlsext_host_name(b->ssl, "inference.local");
	SSL_set_fd(b->ssl, b->fd);
	assert_int_equal(pthread_create(&thread, NULL, carry, b), 0);
	pthread_detach(thread);
	return pair[0];
}

static void post(int fd, const char *path, const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text),
		 "POST %s HTTP/1.1\r\nHost: inference.local\r\nAuthorization: Bearer mine\r\n"
		 "X-Api-Key: mine\r\nCookie: mine\r\nX-Mine: mine\r\nContent-Type: "
		 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 path, strlen(body), body);
	say(fd, text);
}

#define CHAT   "/v1/chat/completions"
#define ASK    "{\"model\":\"gpt\",\"messages\":[]}"
#define STREAM "{\"model\":\"gpt\",\"stream\":true,\"messages\":[]}"
#define EVENTS                                                                                     \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "                \
	"chunked\r\n\r\n"

static void say_json(int s, const char *status, const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text),
		 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 status, strlen(body), body);
	say(s, text);
}

static void say_chunk(int s, const char *data)
{
	char text[1024];

	snprintf(text, sizeof(text), "%zx\r\n%s\r\n", strlen(data), data);
	say(s, text);
}

/* One exchange over @a and @s, which stay. */
static void ask_once(int a, int s, const char *model)
{
	const char *heard;
	char wanted[64];

	post(a, CHAT, ASK);
	heard = hear(s, "[]}");
	snprintf(wanted, sizeof(wanted), "{\"model\":\"%s\",", model);
	assert_non_null(strstr(heard, wanted));
	say_json(s, "200 OK", "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}");
	hear(a, "3}}");
}

static void right_key_model_and_headers(void **state)
{
	int a = secure_agent(), s;
	const char *heard;

	post(a, CHAT, ASK);
	s = served();
	heard = hear(s, "[]}");
	assert_ptr_equal(strstr(heard, "POST /v1/chat/completions HTTP/1.1\r\n"), heard);
	assert_non_null(strstr(heard, "host: provider.test:8000\r\n"));
	assert_non_null(strstr(heard, "authorization: Bearer " KEY "\r\n"));
	assert_non_null(strstr(heard, "\r\n\r\n{\"model\":\"small-1\",\"messages\":[]}"));
	assert_null(strstr(heard, "mine"));
	say_json(s, "200 OK", "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}");
	assert_non_null(strstr(hear(a, "3}}"), "HTTP/1.1 200 "));
	wait_for_record(1);
	assert_int_equal(told.record.kind, WORKER_RECORD_INFERENCE);
	assert_int_equal(told.record.verdict, WORKER_RECORD_ALLOWED);
	assert_int_equal(told.record.tokens_in, 12);
	assert_int_equal(told.record.tokens_out, 3);
	assert_int_equal(told.record.flags, WORKER_RECORD_TOKENS);
	assert_string_equal(told.text[WORKER_RECORD_ROUTE], "fast");
	assert_string_equal(told.text[WORKER_RECORD_MODEL], "small-1");
	assert_string_equal(told.text[WORKER_RECORD_ASKED], "gpt");
	assert_string_equal(told.text[WORKER_RECORD_PROTOCOL], "chat_completions");
	assert_true(told.record.first_byte > 0);
	/* Both connections go on. */
	ask_once(a, s, "small-1");
	close(a);
	close(s);
}

static void wrong_requests(void **state)
{
	static const struct {
		const char *request, *status, *code;
	} rows[] = {
		{"POST /v1/other HTTP/1.1\r\nHost: inference.local\r\nContent-Length: 0\r\n\r\n",
		 "403", "unknown_path"},
		{"GET /v1/chat/completions HTTP/1.1\r\nHost: inference.local\r\n\r\n", "405",
		 "method_not_allowed"},
		{"POST /v1/embeddings HTTP/1.1\r\nHost: inference.local\r\n"
		 "Content-Length: 2\r\n\r\n{}",
		 "400", "no_compatible_route"},
		{"POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\n\r\n", "400", "invalid_body"},
		{"POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\nContent-Length: 2\r\n\r\n[]",
		 "400", "invalid_body"},
		{"POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\n"
		 "Content-Length: 23\r\n\r\n{\"model\":1,\"model\":\"a\"}",
		 "400", "invalid_body"},
		{"POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\nContent-Encoding: gzip\r\n"
		 "Content-Length: 2\r\n\r\n{}",
		 "400", "invalid_body"},
		{"POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\n"
		 "Content-Length: 10485761\r\n\r\n",
		 "413", "body_too_large"},
		{"POST " CHAT " HTTP/1.1\r\nHost: other.test\r\nContent-Length: 2\r\n\r\n{}", "403",
		 "request_authority_mismatch"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int a = secure_agent();
		const char *heard;
		char status[32];

		say(a, rows[i].request);
		heard = hear(a, "}\n");
		snprintf(status, sizeof(status), "HTTP/1.1 %s ", rows[i].status);
		if (!strstr(heard, status) || !strstr(heard, rows[i].code))
			fail_msg("%s: %s", rows[i].request, heard);
		wait_for_record((unsigned int)i + 1);
		assert_int_equal(told.record.verdict, WORKER_RECORD_DENIED);
		close(a);
	}
	assert_int_equal(world.upstreams, 0);
}

static void plaintext(void **state)
{
	int a = agent();

	say(a, "POST " CHAT " HTTP/1.1\r\nHost: inference.local:443\r\n"
	       "Content-Length: 2\r\n\r\n{}");
	assert_non_null(strstr(hear(a, "}\n"), "tls_required"));
	assert_int_equal(world.upstreams, 0);
	close(a);
}

static void nothing_configured(void **state)
{
	int a;

	configured.n_routes = 0;
	refresh();
	a = secure_agent();
	post(a, CHAT, ASK);
	assert_non_null(strstr(hear(a, "}\n"), "HTTP/1.1 503 "));
	configured.n_routes = 2;
	refresh();
	/* Running programs need not be told. */
	post(a, CHAT, ASK);
	close(served());
	assert_non_null(strstr(hear(a, "}\n"), "HTTP/1.1 502 "));
	close(a);
}

/* 10 MiB are allowed and not a byte more, however it comes. */
static void large_bodies(void **state)
{
	static char piece[1 << 20];
	int a = secure_agent();
	const char *heard;

	memset(piece, ' ', sizeof(piece));
	say(a, "POST " CHAT " HTTP/1.1\r\nHost: inference.local\r\n"
	       "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 10; i++) {
		say(a, "100000\r\n");
		assert_int_equal(send(a, piece, sizeof(piece), MSG_NOSIGNAL), sizeof(piece));
		say(a, "\r\n");
	}
	say(a, "1\r\n \r\n");
	heard = hear(a, "}\n");
	assert_non_null(strstr(heard, "HTTP/1.1 413 "));
	close(a);
}

/* The first route's provider is not there; the second one's API is another. */
static void fail_over(void **state)
{
	int a = secure_agent(), s;

	set_route(1, "other", "small-2");
	routes[1].apis = openai;
	routes[1].n_apis = ARRAY_LEN(openai);
	refresh();
	world.unreachable = 1;
	post(a, CHAT, ASK);
	s = served();
	assert_non_null(strstr(hear(s, "[]}"), "{\"model\":\"small-2\","));
	say_json(s, "200 OK", "{}");
	hear(a, "{}");
	wait_for_record(1);
	assert_true(told.record.flags & WORKER_RECORD_FAILOVER);
	assert_string_equal(told.text[WORKER_RECORD_ROUTE], "other");
	world.unreachable = 2;
	/* What is in the pool need not be made. */
	close(s);
	usleep(50000);
	post(a, CHAT, ASK);
	assert_non_null(strstr(hear(a, "}\n"), "HTTP/1.1 503 "));
	/* Whoever asks for it by name gets it first. */
	post(a, CHAT, "{\"model\":\"other\",\"messages\":[]}");
	s = served();
	assert_non_null(strstr(hear(s, "[]}"), "{\"model\":\"small-2\","));
	close(a);
	close(s);
}

static void broken_streams(void **state)
{
	static const struct {
		const char *path, *chunk, *wanted;
	} rows[] = {
		{CHAT, "data: {\"a\":1}\n\n", "data: {\"a\":1}\n\ndata: {\"error\""},
		{CHAT, "data: {\"a\":", "data: {\"a\":\n\ndata: {\"error\""},
		{"/v1/messages", "event: ping\ndata: {}\n\n", "{}\n\nevent: error\ndata: {"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int a = secure_agent(), s;
		const char *heard;

		post(a, rows[i].path, STREAM);
		s = served();
		hear(s, "[]}");
		say(s, EVENTS);
		say_chunk(s, rows[i].chunk);
		hear(a, rows[i].chunk);
		close(s);
		heard = hear(a, "0\r\n\r\n");
		assert_non_null(strstr(heard, "stream_truncated"));
		wait_for_record((unsigned int)i + 1);
		assert_string_equal(told.text[WORKER_RECORD_ERROR], "stream_truncated");
		assert_true(told.record.flags & WORKER_RECORD_STREAM);
		close(a);
	}
}

static void silent_providers(void **state)
{
	int a = secure_agent(), s;

	routes[0].timeout_ms = 600;
	routes[0].idle_ms = 600;
	refresh();
	/* Nothing at all, whether a stream is asked for or not. */
	for (int i = 0; i < 2; i++) {
		post(a, CHAT, i ? STREAM : ASK);
		s = served();
		hear(s, "[]}");
		assert_non_null(strstr(hear(a, "}\n"), "HTTP/1.1 503 "));
		wait_for_record((unsigned int)i + 1);
		assert_string_equal(told.text[WORKER_RECORD_ERROR], "provider_timeout");
		close(s);
	}
	/* One that speaks on is no matter of time. */
	post(a, CHAT, STREAM);
	s = served();
	hear(s, "[]}");
	say(s, EVENTS);
	for (int i = 0; i < 6; i++) {
		say_chunk(s, "data: {}\n\n");
		hear(a, "data: {}\n\n");
		usleep(250000);
	}
	assert_non_null(strstr(hear(a, "0\r\n\r\n"), "provider_timeout"));
	close(a);
	close(s);
}

static void key_in_response(void **state)
{
	int a = secure_agent(), s;
	const char *heard;

	post(a, CHAT, STREAM);
	s = served();
	hear(s, "[]}");
	say(s, EVENTS);
	say_chunk(s, "data: before\n\n");
	hear(a, "before\n\n");
	say_chunk(s, "data: you sent sk-the-key-of");
	usleep(100000);
	say_chunk(s, "-the-provider\n\n");
	heard = hear(a, "0\r\n\r\n");
	assert_null(strstr(heard, "sk-the-key-of"));
	assert_non_null(strstr(heard, "provider_failed"));
	close(a);
	close(s);
}

static void refused_key(void **state)
{
	int a = secure_agent(), s;
	const char *heard;

	post(a, CHAT, ASK);
	s = served();
	hear(s, "[]}");
	say_json(s, "401 Unauthorized", "{\"error\":\"not " KEY "\"}");
	heard = hear(a, "}\n");
	assert_non_null(strstr(heard, "HTTP/1.1 401 "));
	assert_non_null(strstr(heard, "provider_refused_key"));
	assert_null(strstr(heard, "sk-"));
	close(a);
	close(s);
}

static void no_http(void **state)
{
	int a = secure_agent(), s;

	post(a, CHAT, ASK);
	s = served();
	hear(s, "[]}");
	say(s, "SSH-2.0-other\r\n\r\n");
	assert_non_null(strstr(hear(a, "}\n"), "HTTP/1.1 502 "));
	close(a);
	close(s);
}

/* A stream goes on by the route that it began with. */
static void other_routes(void **state)
{
	int a = secure_agent(), b = secure_agent(), s, t;

	post(a, CHAT, STREAM);
	s = served();
	hear(s, "[]}");
	say(s, EVENTS);
	say_chunk(s, "data: 1\n\n");
	hear(a, "data: 1\n\n");
	set_route(0, "new", "small-9");
	refresh();
	post(b, CHAT, ASK);
	t = served();
	assert_non_null(strstr(hear(t, "[]}"), "{\"model\":\"small-9\","));
	say_json(t, "200 OK", "{}");
	hear(b, "{}");
	say_chunk(s, "data: 2\n\n");
	hear(a, "data: 2\n\n");
	say(s, "0\r\n\r\n");
	hear(a, "0\r\n\r\n");
	/* And its connection is not used again for the new one. */
	ask_once(a, t, "small-9");
	close(a);
	close(b);
	close(s);
	close(t);
}

/* A connection that its provider closed while nothing was asked. */
static void closed_meanwhile(void **state)
{
	int a = secure_agent(), s;

	post(a, CHAT, ASK);
	s = served();
	hear(s, "[]}");
	say_json(s, "200 OK", "{}");
	hear(a, "{}");
	post(a, CHAT, ASK);
	hear(s, "\r\n\r\n");
	close(s);
	s = served();
	hear(s, "[]}");
	say_json(s, "200 OK", "{}");
	hear(a, "{}");
	close(a);
	close(s);
}

static void agent_leaves(void **state)
{
	int a = secure_agent(), s;

	post(a, CHAT, STREAM);
	s = served();
	hear(s, "[]}");
	say(s, EVENTS);
	say_chunk(s, "data: 1\n\n");
	hear(a, "data: 1\n\n");
	close(a);
	ended(s);
	close(s);
}

static void limited(void **state)
{
	int a = secure_agent(), b = secure_agent(), s;

	limits.concurrent = 1;
	configured.limits = &limits;
	refresh();
	post(a, CHAT, ASK);
	s = served();
	hear(s, "[]}");
	post(b, CHAT, ASK);
	assert_non_null(strstr(hear(b, "}\n"), "retry-after: 1\r\n"));
	wait_for_record(1);
	assert_int_equal(told.record.verdict, WORKER_RECORD_DENIED);
	assert_string_equal(told.text[WORKER_RECORD_ERROR], "rate_limited");
	say_json(s, "200 OK", "{}");
	hear(a, "{}");
	ask_once(b, s, "small-1");
	close(a);
	close(b);
	close(s);
}

/* As the supervisor tries a route. */
static void probe(void **state)
{
	union worker_message message;
	int pair[2], s;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	be_patient(pair[0]);
	worker_message_init(&message, WORKER_PROBE, 0);
	message.probe.route = 1;
	assert_int_equal(worker_message_send(world.channel[0], &message, &pair[1], 1), 0);
	close(pair[1]);
	say(pair[0], "POST /v1/messages HTTP/1.1\r\nHost: inference.local:443\r\n"
		     "Connection: close\r\nContent-Length: 15\r\n\r\n{\"messages\":[]}");
	s = served();
	assert_non_null(strstr(hear(s, "[]}"), "\"model\":\"large-1\""));
	say_json(s, "200 OK", "{}");
	assert_non_null(strstr(hear(pair[0], "{}"), "HTTP/1.1 200 "));
	ended(pair[0]);
	close(pair[0]);
	close(s);
	assert_int_equal(world.told, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, inference_begin, inference_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(right_key_model_and_headers),
		ROW(wrong_requests),
		ROW(plaintext),
		ROW(nothing_configured),
		ROW(large_bodies),
		ROW(fail_over),
		ROW(broken_streams),
		ROW(silent_providers),
		ROW(key_in_response),
		ROW(refused_key),
		ROW(no_http),
		ROW(other_routes),
		ROW(closed_meanwhile),
		ROW(agent_leaves),
		ROW(limited),
		ROW(probe),
	};

	hear_record = keep_record;
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("proxy_inference", tests, NULL, NULL);
}
