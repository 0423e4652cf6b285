// SPDX-License-Identifier: Apache-2.0
/*
 * usage: dns ROUNDS [DNSMASQ]
 *
 * A cached name over UDP on loopback, asked of contenders in turn: `worker`, which is
 * worker_main(), confined, with the benchmark as its supervisor; `echo`, which does the same system
 * calls and sends each datagram back, so it is what the kernel leaves to be had; `dnsmasq`, if its
 * path is given. For each, and with one and with 32 queries in flight: `CONTENDER WINDOW WHAT
 * MEDIAN QUARTILES EXTREMES`, where WHAT is `core` (queries per second of the server's processor
 * time), `wall` (queries per second), or, with one in flight, `p50` and `p99` (us from query to
 * answer).
 *
 * Server and client have a processor each if there are two.
 */
#include "figures.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/confine.h"
#include "proxy/worker.h"

#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WINDOW	     32
#define ROUND_MS     400
#define ROUNDS_MAX   200
#define TIMEOUT_MS   2000
#define NAME	     "\7example\3com"
#define LATENCIES    4000
#define DATAGRAM_MAX 512

enum {
	WORKER,
	ECHO,
	DNSMASQ,
	CONTENDERS,
};

enum figure {
	CORE_1,
	WALL_1,
	P50_1,
	P99_1,
	CORE_32,
	WALL_32,
	FIGURES,
};

static const char *const figure_names[FIGURES] = {"1 core", "1 wall",  "1 p50",
						  "1 p99",  "32 core", "32 wall"};

struct contender {
	const char *name;
	pid_t pid;
	uint16_t port;
	double figure[FIGURES][ROUNDS_MAX];
};

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		sched_setaffinity(0, sizeof(set), &set);
}

static int server_socket(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
	    getsockname(fd, (struct sockaddr *)&address, &size))
		fail("dns: socket");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("dns: fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(1);
	}
	return pid;
}

/* The worker; its channel, on which exactly one question will come. */
static int start_worker(struct contender *c)
{
	int pair[2], fd = server_socket(&c->port);
	union worker_message ready;
	pid_t bench = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		fail("dns: socketpair");
	c->pid = start();
	if (c->pid == 0) {
		close(pair[0]);
		/* As the zygote does: its filter is part of each call's price. */
		if (confine_zygote() || confine_child(WORKER_ROLE_WORKER, 61007, bench))
			fail("dns: confining the worker, which needs root");
		_exit(worker_main(pair[1], WORKER_SOCKET_DNS_UDP4, &fd, NULL) ? 1 : 0);
	}
	close(pair[1]);
	close(fd);
	if (worker_message_receive(pair[0], WORKER_FROM_WORKER, &ready, NULL, 0, NULL) != 1)
		fail("dns: the worker does not start");
	return pair[0];
}

static void answer_question(int channel)
{
	struct pollfd p = {.fd = channel, .events = POLLIN};
	union worker_message m;

	if (poll(&p, 1, TIMEOUT_MS) != 1 ||
	    worker_message_receive(channel, WORKER_FROM_WORKER, &m, NULL, 0, NULL) != 1)
		fail("dns: the worker does not ask");
	worker_message_init(&m, WORKER_NAME, m.header.id);
	m.name.ttl = 3600;
	m.name.has = WORKER_NAME_HAS_IPV4;
	memcpy(m.name.ipv4, (uint8_t[]){198, 18, 0, 1}, 4);
	if (worker_message_send(channel, &m, NULL, 0))
		fail("dns: the worker does not listen");
}

__attribute__((noreturn)) static void echo(int fd)
{
	static struct mmsghdr messages[WINDOW];
	static struct iovec iov[WINDOW];
	static uint8_t data[WINDOW][DATAGRAM_MAX];
	static struct sockaddr_in address[WINDOW];
	struct epoll_event event = {.events = EPOLLIN};
	int epoll_fd = epoll_create1(0);

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		fail("dns: epoll");
	for (;;) {
		int n;

		for (int i = 0; i < WINDOW; i++) {
			iov[i] = (struct iovec){.iov_base = data[i], .iov_len = DATAGRAM_MAX};
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &address[i],
				.msg_namelen = sizeof(address[i]),
				.msg_iov = &iov[i],
				.msg_iovlen = 1,
			};
		}
		epoll_wait(epoll_fd, &event, 1, -1);
		n = recvmmsg(fd, messages, WINDOW, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			iov[i].iov_len = messages[i].msg_len;
			data[i][2] |= 0x80;
		}
		if (n > 0)
			sendmmsg(fd, messages, (unsigned int)n, MSG_DONTWAIT);
	}
}

static void start_echo(struct contender *c)
{
	int fd = server_socket(&c->port);

	c->pid = start();
	if (c->pid == 0)
		echo(fd);
	close(fd);
}

static void start_dnsmasq(struct contender *c, const char *path)
{
	char port[32];

	close(server_socket(&c->port));
	snprintf(port, sizeof(port), "--port=%u", c->port);
	c->pid = start();
	if (c->pid == 0) {
		execl(path, path, port, "--keep-in-foreground", "--conf-file=/dev/null",
		      "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
		      "--listen-address=127.0.0.1", "--bind-interfaces",
		      "--address=/example.com/198.18.0.1", NULL);
		_exit(127);
	}
}

/* What asks */

struct client {
	int fd;
	uint16_t next; /* id */
	unsigned int in_flight;
	struct mmsghdr send[WINDOW], receive[WINDOW];
	struct iovec from[WINDOW], to[WINDOW];
	uint8_t query[WINDOW][64], answer[WINDOW][DATAGRAM_MAX];
};

static const uint8_t question[] = "\0\0\1\0\0\1\0\0\0\0\0\0" NAME "\0\0\1\0\1";

static void client_open(struct client *k, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval timeout = {.tv_sec = TIMEOUT_MS / 1000};

	memset(k, 0, sizeof(*k));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	k->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (k->fd < 0 || connect(k->fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		fail("dns: client");
	for (int i = 0; i < WINDOW; i++) {
		memcpy(k->query[i], question, sizeof(question) - 1);
		k->from[i] =
			(struct iovec){.iov_base = k->query[i], .iov_len = sizeof(question) - 1};
		k->send[i].msg_hdr = (struct msghdr){.msg_iov = &k->from[i], .msg_iovlen = 1};
		k->to[i] = (struct iovec){.iov_base = k->answer[i], .iov_len = DATAGRAM_MAX};
		k->receive[i].msg_hdr = (struct msghdr){.msg_iov = &k->to[i], .msg_iovlen = 1};
	}
}

static void client_send(struct client *k, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		k->query[i][0] = (uint8_t)(k->next >> 8);
		k->query[i][1] = (uint8_t)k->next++;
	}
	if (sendmmsg(k->fd, k->send, count, 0) != (int)count)
		fail("dns: send");
	k->in_flight += count;
}

/* At least one; a contender that loses or refuses any is no contender. */
static unsigned int client_receive(struct client *k, bool echoed)
{
	int n = recvmmsg(k->fd, k->receive, WINDOW, MSG_WAITFORONE, NULL);

	if (n <= 0)
		fail("dns: an answer is missing");
	for (int i = 0; i < n; i++) {
		const uint8_t *a = k->answer[i];

		if (!(a[2] & 0x80) || (a[3] & 15) || (!echoed && a[7] != 1)) {
			fprintf(stderr, "dns: that is no answer\n");
			exit(1);
		}
	}
	k->in_flight -= (unsigned int)n;
	return (unsigned int)n;
}

static double cpu_ms(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		fail("dns: a server has gone");
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void measure_latency(struct contender *c, struct client *k, size_t round)
{
	static double us[LATENCIES];
	double start = figures_now_ms(), cpu = cpu_ms(c->pid), wall;

	for (size_t i = 0; i < LATENCIES; i++) {
		double sent = figures_now_ms();

		client_send(k, 1);
		client_receive(k, c->name[0] == 'e');
		us[i] = (figures_now_ms() - sent) * 1e3;
	}
	wall = figures_now_ms() - start;
	figures_sort(us, LATENCIES);
	c->figure[CORE_1][round] = LATENCIES * 1e3 / (cpu_ms(c->pid) - cpu);
	c->figure[WALL_1][round] = LATENCIES * 1e3 / wall;
	c->figure[P50_1][round] = figures_at(us, LATENCIES, 0.5);
	c->figure[P99_1][round] = figures_at(us, LATENCIES, 0.99);
}

static void measure_throughput(struct contender *c, struct client *k, size_t round)
{
	double start = figures_now_ms(), cpu = cpu_ms(c->pid), wall;
	unsigned long answers = 0;

	do {
		client_send(k, WINDOW - k->in_flight);
		answers += client_receive(k, c->name[0] == 'e');
		wall = figures_now_ms() - start;
	} while (wall < ROUND_MS);
	c->figure[CORE_32][round] = (double)answers * 1e3 / (cpu_ms(c->pid) - cpu);
	c->figure[WALL_32][round] = (double)answers * 1e3 / wall;
	while (k->in_flight)
		client_receive(k, c->name[0] == 'e');
}

static void print(struct contender *c, size_t rounds)
{
	for (int i = 0; i < FIGURES; i++) {
		double *v = c->figure[i];

		figures_sort(v, rounds);
		printf("%s %s %.0f %.0f..%.0f %.0f..%.0f\n", c->name, figure_names[i],
		       figures_at(v, rounds, 0.5), figures_at(v, rounds, 0.25),
		       figures_at(v, rounds, 0.75), v[0], v[rounds - 1]);
	}
}

int main(int argc, char **argv)
{
	static struct contender c[CONTENDERS] = {
		{.name = "worker"}, {.name = "echo"}, {.name = "dnsmasq"}};
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int channel, contenders = argc > 2 ? CONTENDERS : DNSMASQ;
	static struct client client[CONTENDERS];

	if (rounds < 1 || rounds > ROUNDS_MAX || argc > 3) {
		fprintf(stderr, "usage: dns ROUNDS [DNSMASQ]\n");
		return 2;
	}
	channel = start_worker(&c[WORKER]);
	start_echo(&c[ECHO]);
	if (contenders > DNSMASQ) {
		start_dnsmasq(&c[DNSMASQ], argv[2]);
		usleep(500000);
	}
	pin(0);
	for (int i = 0; i < contenders; i++) {
		client_open(&client[i], c[i].port);
		client_send(&client[i], 1);
		if (i == WORKER)
			answer_question(channel);
		client_receive(&client[i], i == ECHO);
		measure_throughput(&c[i], &client[i], 0);
	}
	for (size_t round = 0; round < rounds; round++) {
		for (int i = 0; i < contenders; i++)
			measure_latency(&c[i], &client[i], round);
		for (int i = 0; i < contenders; i++)
			measure_throughput(&c[i], &client[i], round);
	}
	for (int i = 0; i < contenders; i++) {
		print(&c[i], rounds);
		kill(c[i].pid, SIGKILL);
		waitpid(c[i].pid, NULL, 0);
	}
	return 0;
}
