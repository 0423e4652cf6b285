// SPDX-License-Identifier: Apache-2.0
/*
 * usage: netserver
 *
 * What the network benchmark talks to. TCP on every address: port 7001 swallows what it is sent,
 * and answers the first byte of each quarter of a mebibyte so that the sender knows how far it is;
 * 7002 sends back each 64 bytes; 7003 accepts and closes; 7004 swallows and tells standard output
 * when (CLOCK_MONOTONIC, ns) the last byte of a connection came, once nothing came for 50 ms or
 * it ended; 7005 is a plain CONNECT proxy (one thread for each connection, as userspace proxies
 * copy). Prints `ready`. One thread per connection; ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "network.h"

static char sink[NETWORK_CHUNK];

static void *swallow(void *arg)
{
	int fd = (int)(intptr_t)arg;
	size_t got = 0;
	ssize_t n;
	/* Each thread may scribble here: nobody reads it. */
	while ((n = recv(fd, sink, sizeof(sink), 0)) > 0) {
		got += (size_t)n;
		while (got >= NETWORK_CHUNK) {
			got -= NETWORK_CHUNK;
			if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
				goto out;
		}
	}
out:
	close(fd);
	return NULL;
}

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg, one = 1;
	char message[NETWORK_MESSAGE];

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (recv(fd, message, sizeof(message), MSG_WAITALL) == sizeof(message))
		if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
			break;
	close(fd);
	return NULL;
}

static void *last_byte(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec ts = {};
	bool any = false;
	char data[4096];

	for (;;) {
		if (poll(&p, 1, any ? 50 : -1) == 0)
			break;
		if (recv(fd, data, sizeof(data), 0) <= 0)
			break;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		any = true;
	}
	printf("%" PRIu64 "\n", (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	fflush(stdout);
	close(fd);
	return NULL;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void copy(int from, int to)
{
	static __thread char data[65536];
	ssize_t n = recv(from, data, sizeof(data), 0);

	if (n <= 0 || send_all(to, data, (size_t)n)) {
		shutdown(from, SHUT_RDWR);
		shutdown(to, SHUT_RDWR);
	}
}

/* "CONNECT a.b.c.d:port HTTP/1.1\r\n\r\n", then bytes both ways. */
static void *proxy(void *arg)
{
	int fd = (int)(intptr_t)arg, up = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in to = {.sin_family = AF_INET};
	char line[256] = "", host[64];
	size_t len = 0;
	unsigned int port;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (len < sizeof(line) - 1 && !strstr(line, "\r\n\r\n")) {
		ssize_t n = recv(fd, line + len, sizeof(line) - 1 - len, 0);

		if (n <= 0)
			goto out;
		len += (size_t)n;
	}
	if (sscanf(line, "CONNECT %63[^:]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &to.sin_addr) != 1)
		goto out;
	to.sin_port = htons((uint16_t)port);
	if (connect(up, (struct sockaddr *)&to, sizeof(to)) ||
	    send_all(fd, NETWORK_CONNECTED, sizeof(NETWORK_CONNECTED) - 1))
		goto out;
	setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (;;) {
		struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = up, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 || (p[0].revents | p[1].revents) & (POLLERR | POLLHUP))
			break;
		if (p[0].revents)
			copy(fd, up);
		if (p[1].revents)
			copy(up, fd);
	}
out:
	close(up);
	close(fd);
	return NULL;
}

struct service {
	uint16_t port;
	void *(*run)(void *arg);
};

static void *serve(void *arg)
{
	const struct service *service = arg;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(service->port)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, zero = 0;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 1024)) {
		perror("netserver");
		exit(1);
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		if (!service->run ||
		    pthread_create(&thread, NULL, service->run, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(thread);
	}
	return NULL;
}

int main(void)
{
	static const struct service services[] = {
		{NETWORK_PORT_BULK, swallow}, {NETWORK_PORT_ECHO, echo},
		{NETWORK_PORT_CLOSE, NULL},   {NETWORK_PORT_LAST, last_byte},
		{NETWORK_PORT_PROXY, proxy},
	};
	pthread_t thread;
	char c;

	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
		if (pthread_create(&thread, NULL, serve, (void *)&services[i]))
			return 1;
	usleep(200000);
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
