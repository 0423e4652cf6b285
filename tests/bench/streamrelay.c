// SPDX-License-Identifier: Apache-2.0
/*
 * usage: streamrelay PORT HOST SERVER-PORT
 *
 * Passes bytes on between 127.0.0.1:PORT and a server, and does nothing else: what streams lose
 * where a process that is woken for each event sits between, whatever it does then. One thread.
 * Prints `ready`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES_MAX 16384

static int other[FILES_MAX]; /* by descriptor, 0 = none */
static struct addrinfo *server;
static int loop, listener;

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void take(void)
{
	int agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC), up;

	if (agent < 0)
		return;
	up = socket(server->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (up < 0 || agent >= FILES_MAX || up >= FILES_MAX ||
	    connect(up, server->ai_addr, server->ai_addrlen)) {
		perror("streamrelay");
		exit(1);
	}
	other[agent] = up;
	other[up] = agent;
	watch(agent);
	watch(up);
}

static void pass(int from)
{
	static char data[65536];
	int to = other[from];
	ssize_t n;

	if (!to)
		return; /* the other side has ended in the same turn */
	n = recv(from, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	/* What is passed is small, and its reader keeps up: sending waits for it. */
	if (n > 0 && send(to, data, (size_t)n, MSG_NOSIGNAL) == n)
		return;
	other[from] = other[to] = 0;
	close(from);
	close(to);
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event[64];
	int one = 1;

	if (argc != 4) {
		fprintf(stderr, "usage: streamrelay PORT HOST SERVER-PORT\n");
		return 2;
	}
	if (getaddrinfo(argv[2], argv[3], &hints, &server)) {
		fprintf(stderr, "streamrelay: cannot resolve %s\n", argv[2]);
		return 1;
	}
	here.sin_port = htons((uint16_t)atoi(argv[1]));
	loop = epoll_create1(EPOLL_CLOEXEC);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1024)) {
		perror("streamrelay");
		return 1;
	}
	watch(listener);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(loop, event, 64, -1);

		for (int i = 0; i < n; i++) {
			if (event[i].data.fd == listener)
				take();
			else
				pass(event[i].data.fd);
		}
	}
}
