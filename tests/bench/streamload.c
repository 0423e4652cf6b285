// SPDX-License-Identifier: Apache-2.0
/*
 * usage: streamload HOST PORT NAME CA
 *
 * The client of the inference benchmark, in a sandbox or outside: asks streamserver for streams by
 * TLS and HTTP/1.1, and sees how late each event comes. CA: a file, or `env`: what SSL_CERT_FILE
 *says. Reads commands from standard input and answers each with a line of figures, or `error TEXT`:
 *
 *	streams N CHUNKS GAP MS	N streams at once of CHUNKS events, GAP microseconds apart, one
 *				after another on each of N connections, for MS after a second to
 *				warm up. From a request to its first event, p50 and p99, and from
 *				an event's sending to its receipt, p50 and p99, all in us; events
 *	hold N			N streams that do not end, until the next command
 *	drop			the answer is 0
 *
 * One thread.
 */
#include "figures.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define SAMPLES_MAX	(1u << 21)
#define LINE_MAX_SIZE	2048
#define WARM_UP_MS	1000

/* Where in an answer the next byte is. */
enum place { HEAD, SIZE, DATA, AFTER, END };

struct connection {
	int fd;
	SSL *ssl;
	bool shaken;
	enum place place;
	char line[LINE_MAX_SIZE];  /* of the head, or of a chunk's size */
	char event[LINE_MAX_SIZE]; /* of the body */
	size_t line_len, event_len, left;
	bool first; /* no event of this answer came yet */
	double start;
};

static struct connection connection[CONNECTIONS_MAX];
static size_t connections;
static struct sockaddr_storage address;
static socklen_t address_len;
static const char *name;
static SSL_CTX *tls;
static int loop;
static char request[1024], why[256];
static bool measuring, again; /* whether another follows an answer that has ended */
static double first[SAMPLES_MAX], delay[SAMPLES_MAX];
static size_t firsts, delays;

static double now_us(void)
{
	return figures_now_ms() * 1000;
}

static void fail(const char *what)
{
	unsigned long error = ERR_get_error();

	if (!why[0])
		snprintf(why, sizeof(why), "%s: %s", what,
			 error ? ERR_reason_error_string(error) : strerror(errno));
	ERR_clear_error();
}

static void ask(struct connection *c)
{
	c->place = HEAD;
	c->line_len = c->event_len = 0;
	c->first = true;
	c->start = now_us();
	if (SSL_write(c->ssl, request, (int)strlen(request)) != (int)strlen(request))
		fail("send");
}

/* A line of the body is whole. */
static void take_event(struct connection *c)
{
	const double now = now_us();
	const char *sent = strstr(c->event, "\"t\":");

	if (!strncmp(c->event, "data: {\"error\"", 14) || !strncmp(c->event, "event: error", 12)) {
		snprintf(why, sizeof(why), "a stream broke: %.150s", c->event);
		return;
	}
	if (!sent)
		return;
	if (measuring && c->first && firsts < SAMPLES_MAX)
		first[firsts++] = now - c->start;
	if (measuring && delays < SAMPLES_MAX)
		delay[delays++] = now - (double)strtoull(sent + 4, NULL, 10) / 1000;
	c->first = false;
}

static void take_data(struct connection *c, char byte)
{
	if (byte == '\n') {
		c->event[c->event_len] = '\0';
		take_event(c);
		c->event_len = 0;
	} else if (c->event_len < sizeof(c->event) - 1) {
		c->event[c->event_len++] = byte;
	}
	if (!--c->left)
		c->place = AFTER;
}

static void take_line(struct connection *c)
{
	c->line[c->line_len] = '\0';
	switch (c->place) {
	case HEAD:
		if (c->line_len > 12 && !strncmp(c->line, "HTTP/1.1 ", 9) &&
		    strncmp(c->line + 9, "200", 3))
			snprintf(why, sizeof(why), "answered %.100s", c->line);
		if (!c->line_len)
			c->place = SIZE;
		break;
	case SIZE:
		c->left = strtoul(c->line, NULL, 16);
		c->place = c->left ? DATA : END;
		break;
	case AFTER:
		c->place = SIZE;
		break;
	case DATA:
		break;
	case END:
		if (again)
			ask(c);
		break;
	}
	c->line_len = 0;
}

static void take(struct connection *c, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (c->place == DATA) {
			take_data(c, data[i]);
		} else if (data[i] == '\n') {
			take_line(c);
			c->line_len = 0;
		} else if (data[i] != '\r' && c->line_len < sizeof(c->line) - 1) {
			c->line[c->line_len++] = data[i];
		}
	}
}

static void hear(struct connection *c)
{
	char data[16384];
	int n, error;

	if (!c->shaken) {
		n = SSL_connect(c->ssl);
		if (n != 1) {
			error = SSL_get_error(c->ssl, n);
			if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
				fail("handshake");
			return;
		}
		c->shaken = true;
		ask(c);
	}
	while ((n = SSL_read(c->ssl, data, sizeof(data))) > 0)
		take(c, data, (size_t)n);
	if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
		fail("receive");
}

static void drop_all(void)
{
	while (connections) {
		struct connection *c = &connection[--connections];

		SSL_free(c->ssl);
		close(c->fd);
	}
}

static bool open_one(void)
{
	struct connection *c = &connection[connections];
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
	int one = 1;

	*c = (struct connection){.fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	connections++;
	c->ssl = SSL_new(tls);
	/* Waits: connecting is no figure here. */
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, address_len)) {
		fail("connect");
		return false;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set1_host(c->ssl, name) ||
	    !SSL_set_tlsext_host_name(c->ssl, name) || SSL_connect(c->ssl) != 1) {
		fail("handshake");
		return false;
	}
	c->shaken = true;
	if (fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK) ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event)) {
		fail("epoll");
		return false;
	}
	ask(c);
	return true;
}

static void turn_until(double end)
{
	struct epoll_event event[256];

	while (figures_now_ms() < end && !why[0]) {
		int n = epoll_wait(loop, event, 256, 10);

		for (int i = 0; i < n; i++)
			hear(event[i].data.ptr);
	}
}

/* Spread over the time of one gap, as streams of people are. */
static bool open_all(unsigned long n, unsigned long gap)
{
	while (connections < n) {
		if (!open_one())
			return false;
		turn_until(figures_now_ms() + (double)gap / 1000 / (double)n);
	}
	return !why[0];
}

static void set_request(unsigned long chunks, unsigned long gap)
{
	char body[256];
	int size = snprintf(body, sizeof(body),
			    "{\"model\":\"bench\",\"stream\":true,\"messages\":[],\"chunks\":%lu,"
			    "\"gap\":%lu}",
			    chunks, gap);

	snprintf(request, sizeof(request),
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n"
		 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		 name, size, body);
}

/* An error is told instead of figures. */
static void end_command(double a, double b, double c, double d, size_t n)
{
	if (why[0])
		printf("error %s\n", why);
	else
		printf("%.1f %.1f %.1f %.1f %zu\n", a, b, c, d, n);
	why[0] = '\0';
	fflush(stdout);
}

static void streams(unsigned long n, unsigned long chunks, unsigned long gap, double ms)
{
	drop_all();
	set_request(chunks, gap);
	measuring = false;
	again = true;
	firsts = delays = 0;
	if (open_all(n, gap)) {
		turn_until(figures_now_ms() + WARM_UP_MS);
		measuring = true;
		turn_until(figures_now_ms() + ms);
		measuring = false;
	}
	if (!why[0] && (!firsts || !delays))
		snprintf(why, sizeof(why), "no event came");
	drop_all();
	figures_sort(first, firsts);
	figures_sort(delay, delays);
	if (why[0])
		firsts = delays = 1;
	end_command(figures_at(first, firsts, 0.5), figures_at(first, firsts, 0.99),
		    figures_at(delay, delays, 0.5), figures_at(delay, delays, 0.99), delays);
}

static void hold(unsigned long n, unsigned long gap)
{
	drop_all();
	set_request(1000000, gap);
	again = measuring = false;
	if (open_all(n, gap))
		turn_until(figures_now_ms() + WARM_UP_MS);
	end_command(0, 0, 0, 0, connections);
}

static void command(const char *line)
{
	unsigned long n, chunks, gap, ms;

	if (sscanf(line, "streams %lu %lu %lu %lu", &n, &chunks, &gap, &ms) == 4 &&
	    n <= CONNECTIONS_MAX) {
		streams(n, chunks, gap, (double)ms);
	} else if (sscanf(line, "hold %lu", &n) == 1 && n <= CONNECTIONS_MAX) {
		hold(n, 10000);
	} else {
		drop_all();
		printf("0\n");
		fflush(stdout);
	}
}

static int set_up(const char *host, const char *port, const char *ca)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int r = getaddrinfo(host, port, &hints, &list);

	if (r) {
		printf("error cannot resolve %s: %s\n", host, gai_strerror(r));
		return 1;
	}
	memcpy(&address, list->ai_addr, list->ai_addrlen);
	address_len = list->ai_addrlen;
	freeaddrinfo(list);
	loop = epoll_create1(EPOLL_CLOEXEC);
	tls = SSL_CTX_new(TLS_client_method());
	if (!strcmp(ca, "env"))
		ca = getenv("SSL_CERT_FILE");
	if (!tls || !ca || SSL_CTX_load_verify_file(tls, ca) != 1) {
		printf("error cannot read the CA\n");
		return 1;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x08http/1.1", 9);
	return 0;
}

int main(int argc, char **argv)
{
	char line[512];

	if (argc != 5) {
		fprintf(stderr, "usage: streamload HOST PORT NAME CA\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	name = argv[3];
	if (set_up(argv[1], argv[2], argv[4]))
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		command(line);
	drop_all();
	return 0;
}
