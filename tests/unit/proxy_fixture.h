/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real worker in a thread, with a supervisor in another that says what the test wants, and
 * sockets on loopback for the agent and the server, which are the test itself. What the worker
 * leaves behind is the sanitizer's to find: its thread has returned before the test ends.
 */
#pragma once

#include "abi.h"
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_inference.h"
#include "common/worker_protocol.h"
#include "common/worker_record.h"
#include "proxy/tls_ca.h"
#include "proxy/worker.h"
#include "worker_bundle.pb-c.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

#define PATIENCE 20000 /* ms; the machine may have other things to do */

struct world {
	int channel[2], records[2], listener, server;
	uint16_t port, server_port;
	_Atomic uint32_t generation;
	atomic_bool denies;	 /* who asks for an origin has none */
	atomic_bool withholds;	 /* who asks for a server hears nothing */
	atomic_uint unreachable; /* so many more who ask for one hear that there is none */
	atomic_uint origins, upstreams, told;
	atomic_uint old_answers; /* so many more are of another generation */
	uint32_t withheld[4096];
	size_t withheld_len;
	struct tls_ca_store *store;
	pthread_t worker, supervisor;
	int result;
};

static struct world world;

/* With it connections are to inference.local, and policies are sent with it. */
static Openshell__Worker__V1__Inference *inference;

/* Called by the supervisor's thread. */
static void (*hear_record)(const struct worker_record *record);

static const char policy_text[] = "version: 1\n"
				  "network_policies:\n"
				  "  api:\n"
				  "    endpoints:\n"
				  "      - host: api.test\n"
				  "        port: 80\n"
				  "        path: /graphql\n"
				  "        protocol: graphql\n"
				  "        enforcement: enforce\n"
				  "        graphql_max_body_bytes: 70000\n"
				  "        rules:\n"
				  "          - allow: {operation_type: query}\n"
				  "      - host: api.test\n"
				  "        port: 80\n"
				  "        path: \"/ok/**\"\n"
				  "        protocol: rest\n"
				  "        enforcement: enforce\n"
				  "        rules:\n"
				  "          - allow: {method: GET, path: \"/ok/**\"}\n"
				  "          - allow: {method: POST, path: \"/ok/**\"}\n"
				  "    binaries: [{path: /rig}]\n";

static inline int bound(uint32_t address, uint16_t *ret_port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t size = sizeof(to);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &size), 0);
	*ret_port = ntohs(to.sin_port);
	return fd;
}

static inline void send_policy(uint32_t generation)
{
	Openshell__Worker__V1__WorkerBundle bundle = OPENSHELL__WORKER__V1__WORKER_BUNDLE__INIT;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	union worker_message message;
	struct policy *policy;
	struct error error = {};
	_cleanup_free_ uint8_t *inner = NULL, *packed = NULL;
	_cleanup_close_ int fd = -1;
	size_t size;

	if (policy_load_buffer("test", policy_text, sizeof(policy_text) - 1, &policy, NULL,
			       &error) ||
	    policy_compile(policy, &compiled, &error))
		fail_msg("%s", error.message);
	if (inference) {
		Openshell__Compiled__V1__CompiledPolicy *with;

		assert_int_equal(policy_with_inference(compiled, &with, &error), 0);
		policy_compiled_free(compiled);
		compiled = with;
		bundle.inference = inference;
	}
	bundle.generation = generation;
	bundle.sandbox = (char *)"test";
	bundle.policy.len = openshell__compiled__v1__compiled_policy__get_packed_size(compiled);
	inner = malloc(bundle.policy.len + 1);
	bundle.policy.data = inner;
	openshell__compiled__v1__compiled_policy__pack(compiled, inner);
	size = openshell__worker__v1__worker_bundle__get_packed_size(&bundle);
	packed = malloc(size + 1);
	openshell__worker__v1__worker_bundle__pack(&bundle, packed);
	fd = memfd_create("bundle", MFD_CLOEXEC);
	assert_int_equal(write(fd, packed, size), size);
	worker_message_init(&message, WORKER_POLICY, 0);
	message.policy.generation = generation;
	message.policy.size = (uint32_t)size;
	world.generation = generation;
	assert_int_equal(worker_message_send(world.channel[0], &message, &fd, 1), 0);
	policy_compiled_free(compiled);
	policy_free(policy);
}

static inline void answer_origin(uint32_t id)
{
	union worker_message message;
	struct worker_origin *origin = &message.origin;

	world.origins++;
	worker_message_init(&message, WORKER_ORIGIN, id);
	origin->status = world.denies ? WORKER_FLOW_DENIED : WORKER_FLOW_ALLOWED;
	if (origin->status == WORKER_FLOW_ALLOWED) {
		origin->generation = world.generation + 7 * (world.old_answers != 0);
		world.old_answers -= world.old_answers != 0;
		origin->pid = origin->ns_pid = 1;
		memset(origin->rules, 0xff, sizeof(origin->rules));
		memcpy(origin->asked + 10, "\xff\xff\xc6\x12\x00\x01", 6);
		origin->port = inference ? 443 : 80;
		origin->host_length = inference ? 15 : 8;
		memcpy(origin->host, inference ? "inference.local" : "api.test",
		       origin->host_length);
		origin->binary_length = 4;
		memcpy(origin->binary, "/rig", 4);
	}
	worker_message_send(world.channel[0], &message, NULL, 0);
}

static inline void answer_upstream(uint32_t id)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(world.server_port)};
	union worker_message message;
	int fd;

	if (world.withholds) {
		world.withheld[world.withheld_len++] = id;
		return;
	}
	worker_message_init(&message, WORKER_UPSTREAM, id);
	if (world.unreachable) {
		world.unreachable--;
		message.upstream.status = WORKER_UPSTREAM_FAILED;
		message.upstream.error = -ECONNREFUSED;
		worker_message_send(world.channel[0], &message, NULL, 0);
		return;
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	message.upstream.status = WORKER_UPSTREAM_FOUND;
	message.upstream.port = world.server_port;
	memcpy(message.upstream.real + 10, "\xff\xff\x7f\x00\x00\x01", 6);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	worker_message_send(world.channel[0], &message, &fd, 1);
	close(fd);
}

static inline void answer_withheld(void)
{
	world.withholds = false;
	for (size_t i = 0; i < world.withheld_len; i++)
		answer_upstream(world.withheld[i]);
}

static inline void *supervise(void *arg)
{
	static uint8_t batch[WORKER_RECORDS_BYTES + WORKER_RECORDS_HEAD];

	for (;;) {
		struct pollfd pollfd[2] = {{.fd = world.channel[0], .events = POLLIN},
					   {.fd = world.records[0], .events = POLLIN}};
		union worker_message message;

		poll(pollfd, 2, -1);
		if (pollfd[1].revents & POLLIN) {
			struct worker_records_reader reader;
			struct worker_record record;
			ssize_t n = recv(world.records[0], batch, sizeof(batch), MSG_DONTWAIT);

			if (n > 0 && !worker_records_read(batch, (size_t)n, &reader))
				while (worker_records_next(&reader, &record) > 0) {
					if (hear_record)
						hear_record(&record);
					world.told++;
				}
		}
		if (!pollfd[0].revents)
			continue;
		if (worker_message_receive(world.channel[0], WORKER_FROM_WORKER, &message, NULL, 0,
					   &(size_t){0}) <= 0)
			return NULL;
		if (message.header.kind == WORKER_ASK_ORIGIN)
			answer_origin(message.header.id);
		if (message.header.kind == WORKER_ASK_UPSTREAM ||
		    message.header.kind == WORKER_ASK_ROUTE) {
			answer_upstream(message.header.id);
			world.upstreams++;
		}
	}
}

static inline void *work(void *arg)
{
	int fds[2] = {world.listener, world.records[1]};

	world.result = worker_main(world.channel[1], WORKER_SOCKET_PROXY | WORKER_SOCKET_RECORDS,
				   fds, world.store);
	return NULL;
}

static inline int world_begin(void **state)
{
	memset(&world, 0, sizeof(world));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, world.channel), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, world.records), 0);
	fcntl(world.records[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(tls_ca_store_new(&world.store), 0);
	world.listener = bound(OS_PROXY_IPV4 + 1, &world.port);
	world.server = bound(INADDR_LOOPBACK, &world.server_port);
	assert_int_equal(pthread_create(&world.worker, NULL, work, NULL), 0);
	assert_int_equal(pthread_create(&world.supervisor, NULL, supervise, NULL), 0);
	send_policy(1);
	return 0;
}

/* The supervisor goes, and so does the worker. */
static inline int world_end(void **state)
{
	shutdown(world.channel[0], SHUT_RDWR);
	pthread_join(world.worker, NULL);
	pthread_join(world.supervisor, NULL);
	close(world.channel[0]);
	close(world.records[0]);
	close(world.server);
	return world.result;
}

static inline void be_patient(int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE / 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static inline int agent(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(world.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(OS_PROXY_IPV4 + 1);
	be_patient(fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* The next connection to the server. */
static inline int served(void)
{
	struct pollfd pollfd = {.fd = world.server, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&pollfd, 1, PATIENCE), 1);
	fd = accept4(world.server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	be_patient(fd);
	return fd;
}

/* True: something comes; false: it ends. */
static inline bool wait_for(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 1;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes, until @end has come; returns it, NUL-terminated, in a static buffer. */
static inline const char *hear(int fd, const char *end)
{
	static char heard[1 << 18];
	size_t at = 0;

	heard[0] = '\0';
	while (!strstr(heard, end)) {
		ssize_t n = recv(fd, heard + at, 1, 0);

		if (n <= 0)
			fail_msg("\"%s\" did not come, but \"%s\"", end, heard);
		at += (size_t)n;
		heard[at] = '\0';
		assert_true(at < sizeof(heard) - 1);
	}
	return heard;
}

/* 0: it ended; 1: it was reset. What came before is thrown away. */
static inline int ended(int fd)
{
	char heard[4096];
	ssize_t n;

	do
		n = recv(fd, heard, sizeof(heard), 0);
	while (n > 0);
	if (n < 0 && errno != ECONNRESET)
		fail_msg("the connection stays open");
	return n < 0;
}

static inline unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Until there are at most @most; false: it took too long. */
static inline bool descriptors_fall_to(unsigned int most)
{
	for (int i = 0; i < PATIENCE / 10; i++) {
		if (descriptors() <= most)
			return true;
		usleep(10000);
	}
	return false;
}
