/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker is given of inference.local and may ask for it, by a worker that is hostile: only
 * where a route leads it is connected to, by name as the host has it, never to a cloud's metadata;
 * other routes come under the same generation; a route is tried over a socket of its own. In
 * network and mount namespaces of its own. Needs root.
 */
#include "tap.h"
#include "worker_roles/names.h"
#include "worker_roles/stage.h"

#include "common/cleanup.h"
#include "supervisor/worker_bundle.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define PB(name) Openshell__Worker__V1__##name
#define MANY	 8

static struct routes {
	PB(Inference) inference;
	PB(InferenceRoute) route[MANY], *routes[MANY];
} told;

static uint16_t port; /* of the server, on 127.0.0.1 and 10.9.8.7 */
static int server;

static void no_routes(void)
{
	openshell__worker__v1__inference__init(&told.inference);
	told.inference.routes = told.routes;
}

static void add_route(const char *host, uint32_t to)
{
	size_t i = told.inference.n_routes++;

	openshell__worker__v1__inference_route__init(&told.route[i]);
	told.routes[i] = &told.route[i];
	told.route[i].host = (char *)host;
	told.route[i].port = to;
}

static void one_route(const char *host)
{
	no_routes();
	add_route(host, port);
	worker_set_routes(worker, &told.inference);
}

/* What becomes of a question for the server's port of @host; "server": it arrives there. */
static const char *route_at(const char *host, unsigned int at)
{
	static char answer[512];
	char command[300], place[64], hello[8];

	snprintf(command, sizeof(command), "route %s %u", host, at);
	snprintf(answer, sizeof(answer), "%s", say(command));
	snprintf(place, sizeof(place), ":%u connected", port);
	if (strstr(answer, place)) {
		_cleanup_close_ int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);

		if (recv(accepted, hello, 5, 0) == 5 && !memcmp(hello, "hello", 5))
			return "server";
	}
	return answer;
}

static bool arrives(const char *host)
{
	return !strcmp(route_at(host, port), "server");
}

static bool is_denied(const char *host, unsigned int at)
{
	return !strcmp(route_at(host, at), "1 0 0.0.0.0:0");
}

static bool is_forbidden(const char *host)
{
	return !strncmp(route_at(host, port), "2 0 ", 4);
}

static void test_addresses(void)
{
	static const char *const never[] = {
		"169.254.169.254", "0.0.0.0",	 "224.0.0.1",	    "fe80::1",
		"127.64.0.1",	   "198.18.0.7", "100.100.100.200", "::ffff:169.254.169.254",
	};

	fresh(hostile);
	ok(is_denied("127.0.0.1", port), "without a route nothing is connected to");
	no_routes();
	add_route("127.0.0.1", port);
	add_route("10.9.8.7", port);
	worker_set_routes(worker, &told.inference);
	ok(arrives("127.0.0.1"), "where a route leads it is, the host's loopback too");
	ok(arrives("10.9.8.7"), "and a private address");
	ok(is_denied("127.0.0.1", port + 1), "at no other port");
	ok(is_denied("127.0.0.2", port), "nor another address");
	ok(is_denied("localhost", port), "nor by another name for it");
	kernel.policy[SLOT].mode = OS_MODE_DENY;
	ok(is_denied("127.0.0.1", port), "and nothing without a policy");
	kernel.policy[SLOT].mode = OS_MODE_ENFORCE;
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		one_route(never[i]);
		ok(is_forbidden(never[i]), "%s is refused, whoever says so", never[i]);
	}
	ok(!problems, "nothing was wrong%s%s", problems ? ": " : "", problems ? problem : "");
}

static void test_names(void)
{
	unsigned int asked;

	fresh(hostile);
	fake_forget();
	one_route("model.test");
	ok(arrives("model.test"), "a name is where the host's own file says");
	ok(!fake_found("model.test"), "of which the sandbox's names learn nothing");
	ok(said("ask model.test", "1 0 0 0 0"), "so that an agent is told of no such name");
	ok(is_denied("listed.example", port), "a name that no route has is denied");
	one_route("localhost");
	ok(arrives("localhost"), "localhost is the host's");
	one_route("metadata.test");
	ok(is_forbidden("metadata.test"), "a name at a cloud's metadata is refused");
	one_route("good.example");
	asked = dns_queries();
	ok(!strncmp(route_at("good.example", port), "0 0 203.0.113.", 14),
	   "another one is looked up at the host's servers");
	ok(dns_queries() > asked, "which are asked");
	asked = dns_queries();
	ok(!strncmp(route_at("good.example", port), "0 0 203.0.113.", 14) && dns_queries() == asked,
	   "once");
	one_route("none.example");
	ok(!strcmp(route_at("none.example", port), "3 -2 0.0.0.0:0"),
	   "one that does not exist is said to be that");
	one_route("failed.example");
	ok(!strcmp(route_at("failed.example", port), "3 -11 0.0.0.0:0"),
	   "and one of which nobody can say");
	ok(!problems, "nothing was wrong%s%s", problems ? ": " : "", problems ? problem : "");
}

static bool give(uint32_t generation, uint64_t revision, char wanted[64])
{
	static const struct trust trust = {.host = (char *)"PEM\n", .extra = (char *)""};
	Openshell__Compiled__V1__CompiledPolicy policy;
	const struct worker_bundle bundle = {
		.generation = generation,
		.policy = &policy,
		.trust = &trust,
		.sandbox = "test",
		.inference = &told.inference,
	};
	struct error err = {};
	uint32_t size;
	int fd;

	told.inference.revision = revision;
	openshell__compiled__v1__compiled_policy__init(&policy);
	if (worker_bundle_seal(&bundle, &fd, &size, &err))
		die(err.message);
	worker_set_routes(worker, &told.inference);
	worker_set_policy(worker, generation, fd, size);
	snprintf(wanted, 64, "%u %u %u", generation, size, size);
	return said("policy", wanted);
}

static void test_refresh(void)
{
	char first[64], second[64], back[64];

	fresh(hostile);
	one_route("127.0.0.1");
	ok(give(3, 1, first), "routes come with a policy");
	ok(arrives("127.0.0.1"), "and lead somewhere");
	no_routes();
	add_route("10.9.8.7", port);
	add_route("model.test", port);
	ok(give(3, 2, second) && strcmp(first, second), "others come under the same generation");
	ok(is_denied("127.0.0.1", port), "then the old one leads nowhere");
	ok(arrives("10.9.8.7") && arrives("model.test"), "and the new ones do");
	no_routes();
	add_route("127.0.0.1", port);
	ok(give(3, 3, back) && arrives("127.0.0.1") && is_denied("10.9.8.7", port),
	   "and back again");
	tell("exit");
	pump_until_problem(0, 3000);
	pump(500);
	ok(said("policy", back) && arrives("127.0.0.1"), "the next worker has the last");
}

/* What the worker says on the socket by which it is to try @route. */
static const char *probe(uint32_t route)
{
	static char text[64];
	_cleanup_close_ int fd = -1;
	double end = now_ms() + 5000;
	ssize_t n = -1;
	int r;

	while ((r = worker_probe(worker, route, &fd)) == -EAGAIN && now_ms() < end)
		pump(20);
	if (r)
		return strerror(-r);
	for (; n < 0 && now_ms() < end; pump(20))
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_probe(void)
{
	char wanted[64];

	fresh(hostile);
	no_routes();
	add_route("127.0.0.1", port);
	give(3, 1, wanted);
	ok(!strcmp(probe(0), "route 0"), "a worker is told to try a route");
	ok(!strcmp(probe(31), "route 31"), "the last that there can be");
	tell("exit");
	pump_until_problem(0, 3000);
	ok(!strcmp(probe(1), "route 1"), "the next one as soon as it is there");
}

static void open_server(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};

	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 8) < 0)
		die("server");
	port = port_of(server);
}

int main(void)
{
	pid_t pids[PROCESSES];
	size_t n;

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 77;
	}
	/* Whatever a test leaves falls to it, not to whom runs it. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	set_up();
	open_server();
	proxied = true;
	test_addresses();
	test_names();
	test_refresh();
	test_probe();
	n = processes(pids);
	worker_free(worker);
	ok(all_gone(pids, n, 1000), "no process is left");
	dns_end();
	return tap_end();
}
