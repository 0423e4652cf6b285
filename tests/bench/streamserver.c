// SPDX-License-Identifier: Apache-2.0
/*
 * usage: streamserver ADDRESS PORT CERTIFICATE KEY
 *
 * A model provider for the inference benchmark, over TLS and HTTP/1.1: answers every POST with
 * server-sent events, the first at once, each in a chunk, a packet and a TLS record of its own,
 * with the time it was sent (CLOCK_MONOTONIC, ns). How many and how far apart the body says:
 * "chunks":N, "gap":MICROSECONDS. One thread. Prints `ready`.
 */
#include "figures.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define REQUEST_MAX	16384

struct connection {
	int fd;
	SSL *ssl;
	bool shaken, broken;
	char request[REQUEST_MAX];
	size_t request_len;
	unsigned long left; /* events to be sent */
	uint64_t gap, next; /* ns */
};

static struct connection *connection[CONNECTIONS_MAX];
static size_t connections;
static SSL_CTX *tls;
static int loop, timer, listener;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void say(struct connection *c, const char *text, size_t size)
{
	/* Small, and the reader keeps up: what does not fit into the socket ends the stream. */
	if (SSL_write(c->ssl, text, (int)size) != (int)size)
		c->broken = true;
}

static void send_event(struct connection *c)
{
	char event[512], chunk[640];
	int size;

	c->left--;
	size = snprintf(event, sizeof(event),
			"data: {\"t\":%llu,\"id\":\"chatcmpl-0123456789\",\"object\":"
			"\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
			"\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},"
			"\"finish_reason\":null}]}\n\n%s",
			(unsigned long long)now_ns(), c->left ? "" : "data: [DONE]\n\n");
	size = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n%s", (unsigned)size, event,
			c->left ? "" : "0\r\n\r\n");
	say(c, chunk, (size_t)size);
}

static unsigned long number_after(const char *text, const char *name, unsigned long without)
{
	const char *at = strcasestr(text, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : without;
}

/* A whole request is answered by a head and the first event. */
static void answer(struct connection *c)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	char *body;

	c->request[c->request_len] = '\0';
	body = strstr(c->request, "\r\n\r\n");
	if (!body || c->request_len < (size_t)(body + 4 - c->request) +
					      number_after(c->request, "\r\nContent-Length:", 0))
		return;
	c->left = number_after(body, "\"chunks\":", 100);
	c->gap = number_after(body, "\"gap\":", 10000) * 1000ull;
	c->next = now_ns() + c->gap;
	c->request_len = 0;
	say(c, head, sizeof(head) - 1);
	if (c->left)
		send_event(c);
}

static void hear(struct connection *c)
{
	int n, error;

	if (!c->shaken) {
		n = SSL_accept(c->ssl);
		error = SSL_get_error(c->ssl, n);
		c->shaken = n == 1;
		c->broken = n != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
		ERR_clear_error();
		if (!c->shaken)
			return;
	}
	for (;;) {
		n = SSL_read(c->ssl, c->request + c->request_len,
			     (int)(sizeof(c->request) - 1 - c->request_len));
		if (n <= 0) {
			error = SSL_get_error(c->ssl, n);
			c->broken = error != SSL_ERROR_WANT_READ;
			ERR_clear_error();
			return;
		}
		c->request_len += (size_t)n;
		answer(c);
	}
}

static void take(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct connection *c;
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c || connections == CONNECTIONS_MAX)
		exit(1);
	c->fd = fd;
	c->ssl = SSL_new(tls);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event.data.ptr = c;
	if (!c->ssl || !SSL_set_fd(c->ssl, fd) || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event))
		exit(1);
	connection[connections++] = c;
}

/* Send what is due, drop what is broken, and set the clock for the next. */
static void tick(void)
{
	struct itimerspec when = {0};
	uint64_t now = now_ns(), next = UINT64_MAX;

	for (size_t i = 0; i < connections;) {
		struct connection *c = connection[i];

		if (c->left && c->next <= now && !c->broken) {
			send_event(c);
			c->next += c->gap;
		}
		if (c->broken) {
			SSL_free(c->ssl);
			close(c->fd);
			free(c);
			connection[i] = connection[--connections];
			continue;
		}
		if (c->left && c->next < next)
			next = c->next;
		i++;
	}
	if (next != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(next / 1000000000);
		when.it_value.tv_nsec = (long)(next % 1000000000);
	}
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void serve(void)
{
	struct epoll_event event[256];

	for (;;) {
		int n = epoll_wait(loop, event, 256, -1);

		for (int i = 0; i < n; i++) {
			uint64_t ignored;

			if (event[i].data.ptr == &listener)
				take();
			else if (event[i].data.ptr == &timer)
				(void)!read(timer, &ignored, sizeof(ignored));
			else
				hear(event[i].data.ptr);
		}
		tick();
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct sockaddr_in address = {.sin_family = AF_INET};
	int one = 1;

	if (argc != 5) {
		fprintf(stderr, "usage: streamserver ADDRESS PORT CERTIFICATE KEY\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	tls = SSL_CTX_new(TLS_server_method());
	if (!tls || SSL_CTX_use_certificate_chain_file(tls, argv[3]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, argv[4], SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "streamserver: cannot read %s and %s\n", argv[3], argv[4]);
		return 1;
	}
	inet_pton(AF_INET, argv[1], &address.sin_addr);
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1024)) {
		fprintf(stderr, "streamserver: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	loop = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	event.data.ptr = &listener;
	epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
	event.data.ptr = &timer;
	epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event);
	printf("ready\n");
	fflush(stdout);
	serve();
	return 0;
}
