/* SPDX-License-Identifier: Apache-2.0 */
/* The network is one of our own here: it answers as each row says. */
#include "common/cleanup.h"
#include "supervisor/inference_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define PB(name) Openshell__Worker__V1__##name
#define MANY	 4

static struct {
	int fd, theirs[MANY], polled, refused;
	const char *answer[MANY]; /* NULL: none, and the connection stays; "": it ends */
	int busy;		  /* times that a trial cannot begin */
} world;

int network_fd(const struct network *network)
{
	return world.fd;
}

/* Once a request has come it is answered. */
void network_poll(struct network *network)
{
	world.polled++;
	for (int i = 0; i < MANY; i++) {
		char request[4096];

		if (world.theirs[i] < 0 || !world.answer[i] ||
		    recv(world.theirs[i], request, sizeof(request), MSG_DONTWAIT) <= 0)
			continue;
		assert_memory_equal(request, "POST /v1/chat/completions HTTP/1.1\r\n", 36);
		assert_true(write(world.theirs[i], world.answer[i], strlen(world.answer[i])) >= 0);
		world.theirs[i] = safe_close(world.theirs[i]);
	}
}

int network_probe(struct network *network, uint32_t route, int *ret_fd)
{
	int pair[2];

	if (world.busy) {
		world.busy--;
		return -EAGAIN;
	}
	assert_true(route < MANY);
	assert_int_equal(world.theirs[route], -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	*ret_fd = pair[0];
	world.theirs[route] = pair[1];
	return 0;
}

struct fixture {
	PB(Inference) inference;
	PB(InferenceRoute) route[MANY], *routes[MANY];
	PB(InferenceApi) api;
	struct sentences findings;
	struct error err;
};

static const char *const names[MANY] = {"one", "two", "three", "four"};

static void begin(struct fixture *f, size_t len)
{
	*f = (struct fixture){
		.api = OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_CHAT_COMPLETIONS};
	openshell__worker__v1__inference__init(&f->inference);
	f->inference.routes = f->routes;
	f->inference.n_routes = len;
	for (size_t i = 0; i < MANY; i++) {
		openshell__worker__v1__inference_route__init(&f->route[i]);
		f->routes[i] = &f->route[i];
		f->route[i].name = (char *)names[i];
		f->route[i].host = (char *)"127.0.0.1";
		f->route[i].port = 8000 + (uint32_t)i;
		f->route[i].apis = &f->api;
		f->route[i].n_apis = 1;
		world.theirs[i] = -1;
		world.answer[i] = NULL;
	}
	world.fd = eventfd(1, EFD_CLOEXEC);
	world.busy = 0;
}

static int probe(struct fixture *f)
{
	return inference_probe(NULL, &f->inference, &f->findings, &f->err);
}

static void end(struct fixture *f)
{
	for (size_t i = 0; i < MANY; i++)
		world.theirs[i] = safe_close(world.theirs[i]);
	world.fd = safe_close(world.fd);
	sentences_free(&f->findings);
}

static void all_are_fine(void **state)
{
	struct fixture f;

	begin(&f, 3);
	for (int i = 0; i < 3; i++)
		world.answer[i] = "HTTP/1.1 200 OK\r\n\r\n{}";
	world.busy = 2;
	assert_int_equal(probe(&f), 0);
	assert_int_equal(f.findings.len, 0);
	end(&f);
}

static void one_that_fails_is_enough(void **state)
{
	struct fixture f;

	begin(&f, 4);
	world.answer[0] = "HTTP/1.1 200 OK\r\n\r\n{}";
	world.answer[1] = "HTTP/1.1 401 No\r\n\r\n{\"error\":{\"message\":\"wrong\\u001b key\"}}";
	world.answer[2] = "HTTP/1.1 400 No\r\n\r\n{}";
	world.answer[3] = "";
	assert_int_equal(probe(&f), -ECONNREFUSED);
	assert_string_equal(
		f.err.message,
		"route two (http://127.0.0.1:8001) answers 401 to a trial request: "
		"wrong\\x1b key; route four (http://127.0.0.1:8003) gives no answer to a "
		"trial request; --no-verify starts all the same");
	assert_int_equal(f.findings.len, 1);
	assert_string_equal(
		f.findings.item[0],
		"route three (http://127.0.0.1:8002): the provider answers 400 to a trial "
		"request: its key is accepted, whether it has the model is not known");
	end(&f);
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	struct timespec before, after;
	struct fixture f;

	begin(&f, 2);
	world.answer[0] = "HTTP/1.1 200 OK\r\n\r\n{}";
	f.route[1].timeout_ms = 100;
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(probe(&f), -ECONNREFUSED);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 10);
	assert_non_null(strstr(f.err.message, "route two"));
	assert_non_null(strstr(f.err.message, "in time"));
	assert_null(strstr(f.err.message, "route one"));
	end(&f);
}

static void a_worker_that_never_listens(void **state)
{
	struct fixture f;

	begin(&f, 1);
	f.route[0].timeout_ms = 100;
	world.busy = 1 << 30;
	assert_int_equal(probe(&f), -ECONNREFUSED);
	assert_non_null(strstr(f.err.message, "in time"));
	end(&f);
}

/* More than is looked at, and no end. */
static void a_flood(void **state)
{
	static char flood[200000];
	struct fixture f;

	begin(&f, 1);
	memset(flood, ' ', sizeof(flood) - 1);
	memcpy(flood, "HTTP/1.1 500 ", 13);
	world.answer[0] = flood;
	assert_int_equal(probe(&f), -ECONNREFUSED);
	assert_non_null(
		strstr(f.err.message, "answers 500 to a trial request: it does not say why"));
	end(&f);
}

static void nothing_that_can_be_tried(void **state)
{
	struct fixture f;

	begin(&f, 1);
	f.route[0].n_apis = 0;
	assert_int_equal(probe(&f), 0);
	assert_int_equal(f.findings.len, 1);
	assert_non_null(strstr(f.findings.item[0], "serves nothing that can be tried"));
	end(&f);
	begin(&f, 0);
	assert_int_equal(probe(&f), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_fine),
		cmocka_unit_test(one_that_fails_is_enough),
		cmocka_unit_test(who_does_not_answer_is_not_waited_for),
		cmocka_unit_test(a_worker_that_never_listens),
		cmocka_unit_test(a_flood),
		cmocka_unit_test(nothing_that_can_be_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
