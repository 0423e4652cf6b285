/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker in a child, on sockets of its own and confined as the zygote confines it, with the test
 * in the supervisor's place: it hears every question and answers when and what it likes.
 */
#pragma once

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/confine.h"
#include "proxy/worker.h"
#include "tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 3000 /* for what must come */
#define QUIET_MS    60	 /* for what must not */
#define DRAIN_MS    500	 /* after the last of many */
#define WORKER_UID  61007
#define SPARE_MAX   8

struct worker_child {
	pid_t pid;
	int channel;
	uint32_t sockets; /* WORKER_SOCKET_* that there are */
	int socket[WORKER_SOCKETS];
	uint16_t port[WORKER_SOCKETS]; /* host order */
	unsigned int spare;	       /* descriptors that it may have beyond these; 0 = many,
					* SPARE_MAX at most */
};

enum {
	UDP4,
	TCP4,
	UDP6,
	TCP6,
	ASK4,
	ASK6,
};

__attribute__((noreturn)) static inline void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline bool readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static inline socklen_t loopback(bool ipv6, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (ipv6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*in);
}

/* Of a socket, host order; both families have it in the same place. */
static inline uint16_t port_of(int fd)
{
	struct sockaddr_storage address = {};
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size))
		bail("getsockname");
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* On loopback, an unused port; -1 if there is no such family. */
static inline int bound_socket(bool ipv6, int type, int backlog)
{
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_storage address;

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, loopback(ipv6, 0, &address)) ||
	    (backlog >= 0 && listen(fd, backlog)))
		return safe_close(fd);
	return fd;
}

/* Connected to a port of loopback. */
static inline int client_socket(bool ipv6, int type, uint16_t port)
{
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_storage address;
	socklen_t size = loopback(ipv6, port, &address);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, size))
		bail("connect");
	return fd;
}

static inline void worker_child_sockets(struct worker_child *w)
{
	int size = 8 << 20;

	for (int i = 0; i <= ASK6; i++) {
		bool udp = i == UDP4 || i == UDP6;

		w->socket[i] = bound_socket(i == UDP6 || i == TCP6 || i == ASK6,
					    udp ? SOCK_DGRAM : SOCK_STREAM, udp ? -1 : 64);
		if (w->socket[i] < 0)
			continue;
		/* Nothing is to be lost because the machine is busy. */
		setsockopt(w->socket[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
		w->sockets |= 1u << i;
		w->port[i] = port_of(w->socket[i]);
	}
}

static inline bool hear(struct worker_child *w, int timeout_ms, union worker_message *ret_message)
{
	return readable(w->channel, timeout_ms) &&
	       worker_message_receive(w->channel, WORKER_FROM_WORKER, ret_message, NULL, 0, NULL) ==
		       1;
}

/* Those and one for epoll are the lowest that are free now. */
static inline void limit_descriptors(unsigned int spare)
{
	int fd[1 + SPARE_MAX];
	struct rlimit limit;

	for (unsigned int i = 0; i <= spare; i++)
		fd[i] = dup(0);
	limit.rlim_cur = limit.rlim_max = (rlim_t)fd[spare] + 1;
	for (unsigned int i = 0; i <= spare; i++)
		close(fd[i]);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(125);
}

/* Start one on the sockets that there are, and wait until it says that it is ready. */
static inline void worker_child_start(struct worker_child *w)
{
	int pair[2], fds[WORKER_SOCKETS], count = 0;
	union worker_message message;
	pid_t self = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		bail("socketpair");
	for (int i = 0; i < WORKER_SOCKETS; i++)
		if (w->sockets & 1u << i)
			fds[count++] = w->socket[i];
	w->pid = fork();
	if (w->pid == 0) {
		close(pair[0]);
		if (w->spare)
			limit_descriptors(w->spare);
		/* A call that its filter has not is its end: everything here runs within it. */
		if (geteuid() == 0 &&
		    (confine_zygote() || confine_child(WORKER_ROLE_WORKER, WORKER_UID, self)))
			_exit(126);
		_exit(worker_main(pair[1], w->sockets, fds, NULL) ? 1 : 0);
	}
	close(pair[1]);
	w->channel = pair[0];
	if (w->pid < 0 || !hear(w, PATIENCE_MS, &message) || message.header.kind != WORKER_READY)
		bail("the worker does not start");
}

/* The exit status within PATIENCE_MS, -1 if it ended otherwise, or not. */
static inline int worker_child_ended(struct worker_child *w)
{
	int status;

	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end; usleep(5000)) {
		if (waitpid(w->pid, &status, WNOHANG) == w->pid) {
			w->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
	}
	return -1;
}

/* Close the channel, and see whether it ends with @status by that. */
static inline int worker_child_stop(struct worker_child *w)
{
	int status;

	w->channel = safe_close(w->channel);
	status = worker_child_ended(w);
	if (w->pid) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	return status;
}

/* A number of /proc/PID/FILE, after LABEL; -1 without one. */
static inline long worker_child_number(const struct worker_child *w, const char *file,
				       const char *label)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];
	long number = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", w->pid, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, label, strlen(label)))
			number = strtol(line + strlen(label), NULL, 10);
	return number;
}

/* Processor time that it has used, in ms. */
static inline uint64_t worker_child_cpu_ms(const struct worker_child *w)
{
	struct timespec ts = {};
	clockid_t clock;

	if (clock_getcpuclockid(w->pid, &clock) || clock_gettime(clock, &ts))
		bail("clock_getcpuclockid");
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
