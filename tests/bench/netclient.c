// SPDX-License-Identifier: Apache-2.0
/*
 * usage: netclient HOST [PROXY]
 *
 * One contender of the network benchmark, in a sandbox or outside: reads commands from standard
 * input and answers each with one number on a line, or `error TEXT`.
 *
 *	bulk N		MiB/s of N MiB through one connection, acknowledged to the end
 *	echo N		microseconds of one of N requests and answers of 64 bytes, the median
 *	connect N	connections a second, of N made and closed one after another
 *	stream		sends without end to the last-byte port; answers 0 at once
 *
 * With PROXY each connection is asked for by CONNECT there.
 */
#include "figures.h"
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in server, proxy;
static bool proxied;

static int resolve(const char *host, struct sockaddr_in *ret)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int r = getaddrinfo(host, NULL, &hints, &list);

	if (r) {
		printf("error cannot resolve %s: %s\n", host, gai_strerror(r));
		return -1;
	}
	*ret = *(struct sockaddr_in *)list->ai_addr;
	freeaddrinfo(list);
	return 0;
}

static int open_to(uint16_t port)
{
	struct sockaddr_in to = proxied ? proxy : server;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	char text[128];
	size_t want = sizeof(NETWORK_CONNECTED) - 1;

	to.sin_port = htons(proxied ? NETWORK_PORT_PROXY : port);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		goto fail;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (proxied) {
		int n = snprintf(text, sizeof(text), "CONNECT %s:%u HTTP/1.1\r\n\r\n",
				 inet_ntoa(server.sin_addr), port);

		if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n ||
		    recv(fd, text, want, MSG_WAITALL) != (ssize_t)want)
			goto fail;
	}
	return fd;
fail:
	printf("error connect: %s\n", strerror(errno));
	close(fd);
	return -1;
}

static void bulk(size_t mebibytes)
{
	static char chunk[NETWORK_CHUNK];
	size_t chunks = mebibytes * 4, answered = 0;
	int fd = open_to(NETWORK_PORT_BULK);
	char answers[64];
	double start;

	if (fd < 0)
		return;
	start = figures_now_ms();
	for (size_t i = 0; i < chunks; i++) {
		size_t sent = 0;

		while (sent < sizeof(chunk)) {
			ssize_t n = send(fd, chunk + sent, sizeof(chunk) - sent, MSG_NOSIGNAL);

			if (n <= 0)
				goto fail;
			sent += (size_t)n;
		}
		/* Never far ahead of the receiver, or it is the socket buffers that are measured.
		 */
		while (answered + 8 < i) {
			ssize_t n = recv(fd, answers, sizeof(answers), 0);

			if (n <= 0)
				goto fail;
			answered += (size_t)n;
		}
	}
	while (answered < chunks) {
		ssize_t n = recv(fd, answers, sizeof(answers), 0);

		if (n <= 0)
			goto fail;
		answered += (size_t)n;
	}
	printf("%.3f\n", (double)mebibytes * 1e3 / (figures_now_ms() - start));
	close(fd);
	return;
fail:
	printf("error bulk: %s\n", strerror(errno));
	close(fd);
}

static void echo(size_t count)
{
	static double took[FIGURES_MAX];
	char message[NETWORK_MESSAGE] = "";
	int fd = open_to(NETWORK_PORT_ECHO);

	if (fd < 0)
		return;
	count = count > FIGURES_MAX ? FIGURES_MAX : count;
	for (size_t i = 0; i < count; i++) {
		double start = figures_now_ms();

		if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message) ||
		    recv(fd, message, sizeof(message), MSG_WAITALL) != sizeof(message)) {
			printf("error echo: %s\n", strerror(errno));
			close(fd);
			return;
		}
		took[i] = (figures_now_ms() - start) * 1e3;
	}
	close(fd);
	figures_sort(took, count);
	printf("%.3f\n", figures_at(took, count, 0.5));
}

static void many(size_t count)
{
	double start = figures_now_ms();

	for (size_t i = 0; i < count; i++) {
		int fd = open_to(NETWORK_PORT_CLOSE);
		struct linger hard = {1, 0};

		if (fd < 0)
			return;
		/* Reset: a benchmark must not run out of ports in TIME_WAIT. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
	}
	printf("%.1f\n", (double)count * 1e3 / (figures_now_ms() - start));
}

static void *stream(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char data[512] = "";

	while (send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		usleep(100);
	close(fd);
	return NULL;
}

static void start_stream(void)
{
	int fd = open_to(NETWORK_PORT_LAST);
	pthread_t thread;

	if (fd < 0)
		return;
	pthread_create(&thread, NULL, stream, (void *)(intptr_t)fd);
	pthread_detach(thread);
	puts("0");
}

int main(int argc, char **argv)
{
	char line[128], what[16];
	size_t n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || resolve(argv[1], &server) || (argc > 2 && resolve(argv[2], &proxy)))
		return 1;
	proxied = argc > 2;
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %zu", what, &n) != 2)
			return 2;
		if (!strcmp(what, "bulk"))
			bulk(n);
		else if (!strcmp(what, "echo"))
			echo(n);
		else if (!strcmp(what, "connect"))
			many(n);
		else if (!strcmp(what, "stream"))
			start_stream();
		else
			return 2;
	}
	return 0;
}
