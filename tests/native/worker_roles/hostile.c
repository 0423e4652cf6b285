/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that does whatever the datagram says that reaches its DNS socket, honest or not, and
 * answers with what came of it. Linked into openshell-proxy in the place of the real one, so that
 * it is as confined as that.
 */
#include "proxy/worker.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "common/worker_record.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

static int channel_fd, udp_fd, ask_fd, proxy_fd, records_fd;
static struct worker_policy policy; /* that it was given last */
static size_t policy_read;
static struct worker_records records;
static uint32_t next_id = 100;
static struct sockaddr_in peer;
static uint16_t udp_port;

static void reply(const char *text)
{
	sendto(udp_fd, text, strlen(text), 0, (struct sockaddr *)&peer, sizeof(peer));
}

static void fill_peer(struct worker_peer *ret_peer)
{
	memset(ret_peer->address + 10, 0xff, 2);
	memcpy(ret_peer->address + 12, &peer.sin_addr, 4);
	ret_peer->port = ntohs(peer.sin_port);
	ret_peer->protocol = IPPROTO_UDP;
}

static void ask(uint32_t id, const char *name)
{
	union worker_message m;

	worker_message_init(&m, WORKER_ASK_NAME, id);
	fill_peer(&m.ask_name.peer);
	m.ask_name.type = 1;
	m.ask_name.length = (uint8_t)strlen(name);
	memcpy(m.ask_name.name, name, strlen(name));
	worker_message_send(channel_fd, &m, NULL, 0);
}

/* Whether the connection that waits at the ask listener may go on; @lie: it came elsewhere. */
static void ask_flow(bool lie)
{
	struct sockaddr_in from, at;
	socklen_t len = sizeof(from), at_len = sizeof(at);
	union worker_message m;
	int fd = accept4(ask_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &at_len) < 0)
		return;
	worker_message_init(&m, WORKER_ASK_FLOW, 1);
	fill_peer(&m.ask_flow.peer);
	m.ask_flow.local = m.ask_flow.peer;
	m.ask_flow.peer.port = ntohs(from.sin_port);
	m.ask_flow.local.port = lie ? udp_port : ntohs(at.sin_port);
	m.ask_flow.peer.protocol = m.ask_flow.local.protocol = IPPROTO_TCP;
	worker_message_send(channel_fd, &m, NULL, 0);
	close(fd);
}

/* Who opened the connection that waits at the proxy's listener. */
static void ask_origin(void)
{
	struct sockaddr_in from, at;
	socklen_t len = sizeof(from), at_len = sizeof(at);
	union worker_message m;
	int fd = accept4(proxy_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &at_len) < 0) {
		reply("nobody");
		return;
	}
	worker_message_init(&m, WORKER_ASK_ORIGIN, next_id++);
	fill_peer(&m.ask_origin.peer);
	m.ask_origin.local = m.ask_origin.peer;
	memcpy(m.ask_origin.peer.address + 12, &from.sin_addr, 4);
	memcpy(m.ask_origin.local.address + 12, &at.sin_addr, 4);
	m.ask_origin.peer.port = ntohs(from.sin_port);
	m.ask_origin.local.port = ntohs(at.sin_port);
	m.ask_origin.peer.protocol = m.ask_origin.local.protocol = IPPROTO_TCP;
	worker_message_send(channel_fd, &m, NULL, 0);
	close(fd);
}

/* "ADDRESS PORT GENERATION" */
static void ask_upstream(const char *where)
{
	union worker_message m;
	unsigned int port, generation;
	char address[64];

	worker_message_init(&m, WORKER_ASK_UPSTREAM, next_id++);
	if (sscanf(where, "%63s %u %u", address, &port, &generation) != 3 ||
	    inet_pton(AF_INET, address, m.ask_upstream.asked + 12) != 1)
		return;
	memset(m.ask_upstream.asked + 10, 0xff, 2);
	m.ask_upstream.port = (uint16_t)port;
	m.ask_upstream.generation = generation;
	worker_message_send(channel_fd, &m, NULL, 0);
}

/* "HOST PORT" */
static void ask_route(const char *where)
{
	union worker_message m;
	unsigned int port;
	char host[256];

	worker_message_init(&m, WORKER_ASK_ROUTE, next_id++);
	if (sscanf(where, "%255s %u", host, &port) != 2)
		return;
	m.ask_route.port = (uint16_t)port;
	m.ask_route.length = (uint16_t)strlen(host);
	memcpy(m.ask_route.host, host, strlen(host));
	worker_message_send(channel_fd, &m, NULL, 0);
}

/* Say on the socket which route it is for; what was asked there is told to nobody. */
static void answer_probe(uint32_t route, int fd)
{
	char text[32];

	snprintf(text, sizeof(text), "route %u", route);
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static struct worker_record_string string(const char *text)
{
	return (struct worker_record_string){text, strlen(text)};
}

static void wait_for_room(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	poll(&room, 1, -1);
}

/* So many equal requests, and one that is denied. */
static void tell_requests(unsigned long n)
{
	struct worker_record record = {
		.time = 1,
		.down = 10,
		.status = 200,
		.port = 443,
		.kind = WORKER_RECORD_REQUEST,
		.verdict = WORKER_RECORD_ALLOWED,
		.scheme = WORKER_RECORD_HTTPS,
	};

	record.text[WORKER_RECORD_METHOD] = string("GET");
	record.text[WORKER_RECORD_HOST] = string("good.example");
	record.text[WORKER_RECORD_PATH] = string("/a?secret");
	for (unsigned long i = 0; i < n; i++)
		worker_records_tell(&records, records_fd, &record);
	/* What finds no room is lost, and counted; the last one shall find some. */
	wait_for_room(records_fd);
	worker_records_flush(&records, records_fd);
	wait_for_room(records_fd);
	record.verdict = WORKER_RECORD_DENIED;
	record.text[WORKER_RECORD_REASON] = string("it is not admitted");
	worker_records_tell(&records, records_fd, &record);
	while (worker_records_flush(&records, records_fd) == -EAGAIN)
		;
	reply("told");
}

static void fork_and_end(void)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
		_exit(0);
}

/* Each of these would end it; "survived" says that it did not. */
static void attack(const char *what)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	char *const argv[] = {(char *)"true", NULL};
	struct iovec iov = {.iov_base = &to, .iov_len = 1};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!strcmp(what, "open"))
		open("/etc/passwd", O_RDONLY);
	else if (!strcmp(what, "socket"))
		socket(AF_INET, SOCK_STREAM, 0);
	else if (!strcmp(what, "unix"))
		socket(AF_UNIX, SOCK_STREAM, 0);
	else if (!strcmp(what, "connect"))
		connect(udp_fd, (struct sockaddr *)&to, sizeof(to));
	else if (!strcmp(what, "bind"))
		bind(udp_fd, (struct sockaddr *)&to, sizeof(to));
	else if (!strcmp(what, "fastopen"))
		sendmsg(ask_fd, &msg, MSG_FASTOPEN);
	else if (!strcmp(what, "exec"))
		execv("/bin/true", argv);
	else if (!strcmp(what, "fork"))
		fork_and_end();
	else if (!strcmp(what, "ptrace"))
		ptrace(PTRACE_TRACEME, 0, 0, 0);
	else if (!strcmp(what, "kill"))
		syscall(SYS_kill, 1, 0);
	else if (!strcmp(what, "setuid"))
		syscall(SYS_setresuid, 0, 0, 0);
	else if (!strcmp(what, "prctl"))
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	else if (!strcmp(what, "code"))
		mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (!strcmp(what, "option"))
		setsockopt(udp_fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	else if (!strcmp(what, "unknown"))
		syscall(1 << 20);
	else if (!strcmp(what, "x32"))
		syscall(0x40000000 | SYS_read, -1, NULL, 0);
	reply("survived");
}

/* One CA as long as the zygote lives, as the real one has it. */
static pid_t zygote;

__attribute__((constructor)) static void remember_zygote(void)
{
	zygote = getpid();
}

static void send_ca(void)
{
	union worker_message m;

	worker_message_init(&m, WORKER_CA, 0);
	m.ca.length = 6;
	m.ca.der[0] = 0x30;
	m.ca.der[1] = 4;
	memcpy(m.ca.der + 2, &zygote, 4);
	worker_message_send(channel_fd, &m, NULL, 0);
}

static void misbehave(const char *how)
{
	union worker_message m;
	uint8_t garbage[400];
	int fds[] = {0};

	memset(garbage, 0xa5, sizeof(garbage));
	worker_message_init(&m, WORKER_READY, 0);
	if (!strcmp(how, "garbage"))
		send(channel_fd, garbage, 100, 0);
	else if (!strcmp(how, "long"))
		send(channel_fd, garbage, sizeof(garbage), 0);
	else if (!strcmp(how, "empty"))
		send(channel_fd, garbage, 0, 0);
	else if (!strcmp(how, "ready"))
		worker_message_send(channel_fd, &m, NULL, 0);
	else if (!strcmp(how, "found")) {
		worker_message_init(&m, WORKER_FOUND, 1);
		m.found.status = WORKER_NAME_NONE;
		worker_message_send(channel_fd, &m, NULL, 0);
	} else if (!strcmp(how, "fork")) {
		worker_message_init(&m, WORKER_FORK, 1);
		m.fork.role = WORKER_ROLE_RESOLVER;
		m.fork.uid = 1;
		worker_message_send(channel_fd, &m, NULL, 0);
	} else if (!strcmp(how, "descriptor")) {
		worker_message_init(&m, WORKER_ASK_NAME, 1);
		fill_peer(&m.ask_name.peer);
		m.ask_name.length = 1;
		m.ask_name.name[0] = 'a';
		worker_message_send(channel_fd, &m, fds, 1);
	} else if (!strcmp(how, "upper")) {
		ask(1, "GOOD.example");
	} else if (!strcmp(how, "twice")) {
		ask(7, "slow.example");
		ask(7, "slow.example");
	} else if (!strcmp(how, "ca")) {
		send_ca();
	} else if (!strcmp(how, "batch")) {
		send(records_fd, garbage, sizeof(garbage), 0);
	} else if (!strcmp(how, "future")) {
		ask_upstream("198.18.0.7 443 99");
	} else if (!strcmp(how, "lie")) {
		ask_flow(true);
	} else if (!strcmp(how, "many")) {
		/* Without hearing an answer; the supervisor's queue is its own trouble. */
		for (uint32_t id = 0; id < 4 * WORKER_OUTSTANDING_MAX; id++) {
			struct pollfd pollfd = {.fd = channel_fd, .events = POLLOUT};

			if (poll(&pollfd, 1, 2000) <= 0)
				break;
			ask(id, "slow.example");
		}
	}
}

/* Names that nobody admits, as fast as they are answered, for some seconds. */
static void flood(void)
{
	struct timespec begin, now;
	union worker_message m;
	char name[32];

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		struct pollfd wait = {.fd = channel_fd, .events = POLLIN};

		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "n%u.flood", next_id);
			ask(next_id++, name);
		}
		for (int i = 0; i < 100 && poll(&wait, 1, 1000) == 1; i++)
			worker_message_receive(channel_fd, WORKER_TO_WORKER, &m, NULL, 0, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 8);
	snprintf(name, sizeof(name), "%u", next_id);
	reply(name);
}

/* A datagram to that port of the loopback address. */
static void send_to(unsigned long port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char text[64];

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (sendto(udp_fd, "a datagram", 10, 0, (struct sockaddr *)&to, sizeof(to)) == 10)
		return;
	snprintf(text, sizeof(text), "refused: %s", strerror(errno));
	reply(text);
}

static void report_policy(void)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %u %zu", policy.generation, policy.size, policy_read);
	reply(text);
}

static void obey(const char *command)
{
	if (!strncmp(command, "ask ", 4))
		ask(next_id++, command + 4);
	else if (!strcmp(command, "flow"))
		ask_flow(false);
	else if (!strncmp(command, "attack ", 7))
		attack(command + 7);
	else if (!strncmp(command, "say ", 4))
		misbehave(command + 4);
	else if (!strncmp(command, "send ", 5))
		send_to(strtoul(command + 5, NULL, 10));
	else if (!strcmp(command, "origin"))
		ask_origin();
	else if (!strncmp(command, "upstream ", 9))
		ask_upstream(command + 9);
	else if (!strncmp(command, "route ", 6))
		ask_route(command + 6);
	else if (!strncmp(command, "requests ", 9))
		tell_requests(strtoul(command + 9, NULL, 10));
	else if (!strcmp(command, "policy"))
		report_policy();
	else if (!strcmp(command, "flood"))
		flood();
	else if (!strcmp(command, "exit"))
		_exit(0);
	else if (!strcmp(command, "ping"))
		reply("pong");
}

static bool is_connected(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};

	return poll(&wait, 1, 2000) == 1 && send(fd, "hello", 5, MSG_NOSIGNAL) == 5;
}

/* "STATUS HAS TTL LAST-BYTE", or what a flow's socket says. */
static void report(const union worker_message *m, const int *fds, size_t len)
{
	char text[512] = "denied", address[64];
	ssize_t n;

	switch (m->header.kind) {
	case WORKER_NAME:
		snprintf(text, sizeof(text), "%u %u %u %u %u", m->name.status, m->name.has,
			 m->name.ttl, m->name.ipv4[3], m->name.ipv6[15]);
		break;
	case WORKER_ORIGIN:
		if (m->origin.status == WORKER_FLOW_ALLOWED)
			snprintf(text, sizeof(text), "%u %u %u %s %u %.*s", m->origin.generation,
				 m->origin.pid, m->origin.ns_pid, m->origin.host, m->origin.port,
				 m->origin.binary_length, m->origin.binary);
		break;
	case WORKER_UPSTREAM:
		inet_ntop(AF_INET, m->upstream.real + 12, address, sizeof(address));
		snprintf(text, sizeof(text), "%u %d %s:%u%s", m->upstream.status, m->upstream.error,
			 address, m->upstream.port,
			 len && is_connected(fds[0]) ? " connected" : "");
		break;
	case WORKER_POLICY:
		policy = m->policy;
		policy_read = 0;
		while (len && (n = read(fds[0], text, sizeof(text))) > 0)
			policy_read += (size_t)n;
		close(len ? fds[0] : -1);
		return;
	case WORKER_PROBE:
		if (len)
			answer_probe(m->probe.route, fds[0]);
		close(len ? fds[0] : -1);
		return;
	case WORKER_FLUSH:
		snprintf(text, sizeof(text), "flush");
		break;
	case WORKER_FLOW:
		if (m->flow.status == WORKER_FLOW_ALLOWED) {
			memset(text, 0, sizeof(text));
			if (len != 1 || read(fds[0], text, sizeof(text) - 1) < 0)
				memcpy(text, "unreadable", 11);
		}
		break;
	}
	for (size_t i = 0; i < len; i++)
		close(fds[i]);
	reply(text);
}

int worker_main(int channel, uint32_t sockets, const int fds[], struct tls_ca_store *store)
{
	struct sockaddr_in at;
	socklen_t at_len = sizeof(at);
	union worker_message m;

	channel_fd = channel;
	udp_fd = fds[0];
	ask_fd = fds[__builtin_popcount(sockets & (WORKER_SOCKET_ASK4 - 1))];
	if (getsockname(udp_fd, (struct sockaddr *)&at, &at_len) == 0)
		udp_port = ntohs(at.sin_port);
	proxy_fd = fds[__builtin_popcount(sockets & (WORKER_SOCKET_PROXY - 1))];
	records_fd = fds[__builtin_popcount(sockets & (WORKER_SOCKET_RECORDS - 1))];
	send_ca();
	worker_message_init(&m, WORKER_READY, 0);
	worker_message_send(channel, &m, NULL, 0);
	for (;;) {
		struct pollfd wait[] = {{.fd = channel, .events = POLLIN},
					{.fd = udp_fd, .events = POLLIN}};
		char command[300];
		int got[1], r;
		size_t len = 0;

		if (poll(wait, 2, -1) < 0)
			return 0;
		if (wait[0].revents) {
			r = worker_message_receive(channel, WORKER_TO_WORKER, &m, got, 1, &len);
			if (r <= 0 && r != -EAGAIN)
				return r;
			if (r == 1)
				report(&m, got, len);
		}
		if (wait[1].revents) {
			socklen_t peer_len = sizeof(peer);
			ssize_t n = recvfrom(udp_fd, command, sizeof(command) - 1, 0,
					     (struct sockaddr *)&peer, &peer_len);

			if (n > 0) {
				command[n] = '\0';
				obey(command);
			}
		}
	}
}
