// SPDX-License-Identifier: Apache-2.0
/*
 * usage: proxyload HOST PORT NAME [CA [tunnel]]
 *
 * The client of the proxy benchmark, in a sandbox or outside: connects to HOST for server NAME,
 *with TLS if there is a CA (a file, or `env`: what SSL_CERT_FILE says), with `tunnel` through
 *CONNECT. Reads commands from standard input and answers each with a line of figures, or `error
 *TEXT`:
 *
 *	requests N MS PATH	requests/s on N connections, each sending the next when it has its
 *				answer; p50 and p99 of an answer in microseconds
 *	connects MS PATH	connections/s, 8 at once, each with full handshake and one request
 *	download MS PATH	MiB/s of one answer, of as much of it as comes in that time
 *	hold N PATH		N connections that have had an answer; they stay until `drop`
 *	drop			the answer is 0
 *
 * Our own and no well-known one because none of those asks a proxy by CONNECT, and because all
 * contenders have to have the same client. One thread.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16384
#define HEAD_MAX	4096
#define SAMPLES_MAX	(1u << 20)
#define AT_ONCE		8
#define PATIENCE_MS	20000

enum state { CONNECTING, TUNNELLING, HANDSHAKING, SENDING, RECEIVING, IDLE, BROKEN };

struct connection {
	int fd;
	enum state state;
	SSL *ssl;
	char head[HEAD_MAX];
	size_t head_len, sent;
	bool body; /* the head is read */
	unsigned long long left;
	double start;
};

static struct connection *connection[CONNECTIONS_MAX];
static size_t connections;
static struct sockaddr_storage address;
static socklen_t address_len;
static const char *name;
static bool tunnel;
static SSL_CTX *tls;
static int loop = -1;
static char request[1024], ask[512], why[256];
static size_t request_len;
static uint8_t scratch[65536];

/* Of the running command. */
static bool measuring, going;
static unsigned long long answers, bytes;
static double until; /* the receiver comes back, 0 = when there is no more */
static double sample[SAMPLES_MAX];
static size_t samples;

static void fail(struct connection *c, const char *what)
{
	unsigned long error = ERR_get_error();

	if (!why[0])
		snprintf(why, sizeof(why), "%s: %s", what,
			 error ? ERR_reason_error_string(error) : strerror(errno));
	ERR_clear_error();
	c->state = BROKEN;
}

static void drop(struct connection *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static struct connection *open_one(void)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int one = 1;

	if (!c)
		exit(1);
	c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		fail(c, "socket");
		return c;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event.data.ptr = c;
	if (connect(c->fd, (struct sockaddr *)&address, address_len) && errno != EINPROGRESS)
		fail(c, "connect");
	else if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event))
		fail(c, "epoll");
	c->start = figures_now_ms();
	return c;
}

/* As send() and recv(): -1 and EAGAIN when it would block. */
static ssize_t put(struct connection *c, const void *data, size_t size)
{
	int n, error;

	if (!c->ssl)
		return send(c->fd, data, size, MSG_NOSIGNAL);
	n = SSL_write(c->ssl, data, (int)size);
	if (n > 0)
		return n;
	error = SSL_get_error(c->ssl, n);
	errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
	return -1;
}

static ssize_t get(struct connection *c, void *data, size_t size)
{
	int n, error;

	if (!c->ssl)
		return recv(c->fd, data, size, 0);
	n = SSL_read(c->ssl, data, (int)size);
	if (n > 0)
		return n;
	error = SSL_get_error(c->ssl, n);
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
	return -1;
}

/* True once all of @text is sent. */
static bool put_all(struct connection *c, const char *text, size_t size)
{
	while (c->sent < size) {
		ssize_t n = put(c, text + c->sent, size - c->sent);

		if (n < 0) {
			if (errno != EAGAIN)
				fail(c, "send");
			return false;
		}
		c->sent += (size_t)n;
	}
	return true;
}

/* Status and length of the head that is there; the answers that are asked for have both. */
static bool read_head(struct connection *c)
{
	char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
	const char *length;
	size_t more;

	if (!end) {
		if (c->head_len == sizeof(c->head) - 1)
			fail(c, "a long head");
		return false;
	}
	*end = '\0';
	if (strncmp(c->head, "HTTP/1.", 7) || strncmp(c->head + 8, " 200", 4)) {
		snprintf(why, sizeof(why), "answered %.100s", c->head);
		c->state = BROKEN;
		return false;
	}
	length = strcasestr(c->head, "\r\nContent-Length:");
	if (!length && c->state != TUNNELLING) {
		fail(c, "no length");
		return false;
	}
	c->left = length ? strtoull(length + 17, NULL, 10) : 0;
	more = c->head_len - (size_t)(end + 4 - c->head);
	c->left -= more < c->left ? more : c->left;
	if (measuring)
		bytes += more;
	c->body = true;
	return true;
}

/* True once an answer is whole. */
static bool take(struct connection *c)
{
	for (;;) {
		char *to = c->body ? (char *)scratch : c->head + c->head_len;
		size_t size = c->body ? sizeof(scratch) : sizeof(c->head) - 1 - c->head_len;
		ssize_t n;

		if (until > 0 && figures_now_ms() > until)
			return false;
		n = get(c, to, size);
		if (n <= 0) {
			if (n == 0 || errno != EAGAIN)
				fail(c, n ? "receive" : "closed");
			return false;
		}
		if (c->body) {
			c->left -= (size_t)n < c->left ? (size_t)n : c->left;
			if (measuring)
				bytes += (unsigned long long)n;
		} else {
			c->head_len += (size_t)n;
			c->head[c->head_len] = '\0';
			read_head(c);
		}
		if (c->body && !c->left)
			return true;
		if (c->state == BROKEN)
			return false;
	}
}

static void start_request(struct connection *c)
{
	c->state = SENDING;
	c->sent = c->head_len = 0;
	c->body = false;
	c->start = figures_now_ms();
}

static void handshake(struct connection *c)
{
	int r = SSL_connect(c->ssl), error;

	if (r == 1) {
		start_request(c);
		return;
	}
	error = SSL_get_error(c->ssl, r);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		fail(c, "handshake");
}

static void connected(struct connection *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		errno = error;
		fail(c, "connect");
	} else if (tunnel && c->state == CONNECTING) {
		c->state = TUNNELLING;
	} else if (tls) {
		c->ssl = SSL_new(tls);
		if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set1_host(c->ssl, name) ||
		    !SSL_set_tlsext_host_name(c->ssl, name))
			exit(1);
		c->state = HANDSHAKING;
	} else {
		start_request(c);
	}
}

static void answered(struct connection *c)
{
	if (measuring) {
		answers++;
		if (samples < SAMPLES_MAX)
			sample[samples++] = (figures_now_ms() - c->start) * 1000;
	}
	if (going)
		start_request(c);
	else
		c->state = IDLE;
}

/* As far as it goes without waiting. */
static void advance(struct connection *c, bool once)
{
	enum state before;

	do {
		before = c->state;
		switch (c->state) {
		case CONNECTING:
			connected(c);
			break;
		case TUNNELLING:
			if (put_all(c, ask, strlen(ask)) && take(c)) {
				connected(c);
				c->sent = c->head_len = 0;
				c->body = false;
			}
			break;
		case HANDSHAKING:
			handshake(c);
			break;
		case SENDING:
			if (!put_all(c, request, request_len))
				break;
			c->state = RECEIVING;
			break;
		case RECEIVING:
			if (take(c)) {
				if (once) {
					c->state = IDLE;
					return;
				}
				answered(c);
			}
			break;
		case IDLE:
		case BROKEN:
			return;
		}
	} while (c->state != before && c->state != IDLE);
}

/* One round of the loop; calls @each for every connection that went on. */
static void turn(int ms, bool once)
{
	struct epoll_event event[256];
	int n = epoll_wait(loop, event, 256, ms);

	for (int i = 0; i < n; i++) {
		struct connection *c = event[i].data.ptr;

		if (c->state == CONNECTING && !(event[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			continue;
		advance(c, once);
	}
}

static size_t count(enum state state)
{
	size_t n = 0;

	for (size_t i = 0; i < connections; i++)
		n += connection[i]->state == state;
	return n;
}

static void drop_all(void)
{
	while (connections)
		drop(connection[--connections]);
}

/* @n connections that have had an answer, few at once. */
static bool fill(size_t n)
{
	double end = figures_now_ms() + PATIENCE_MS;
	size_t before = 0;

	going = measuring = false;
	for (;;) {
		size_t ready = count(IDLE);

		if (ready == n)
			return true;
		if (count(BROKEN) || figures_now_ms() > end)
			return false;
		if (ready > before)
			end = figures_now_ms() + PATIENCE_MS;
		before = ready;
		while (connections < n && connections - ready < 64)
			connection[connections++] = open_one();
		turn(100, true);
	}
}

static void set_request(const char *path)
{
	request_len = (size_t)snprintf(request, sizeof(request),
				       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n"
				       "Accept: */*\r\n\r\n",
				       path, name);
}

static void error_line(void)
{
	printf("error %s\n", why[0] ? why : "no answer");
	why[0] = '\0';
	drop_all();
}

/* Everything that is there, for @ms, of which the first fifth does not count. */
static double measure(double ms)
{
	double start = figures_now_ms(), from, now;

	going = true;
	measuring = false;
	answers = bytes = samples = 0;
	for (size_t i = 0; i < connections; i++) {
		start_request(connection[i]);
		advance(connection[i], false);
	}
	while (figures_now_ms() < start + ms / 5)
		turn(10, false);
	from = figures_now_ms();
	measuring = true;
	while (figures_now_ms() < start + ms * 1.2)
		turn(10, false);
	now = figures_now_ms();
	measuring = going = false;
	return (now - from) / 1000;
}

static void requests(size_t n, double ms)
{
	double seconds, end;

	if (connections > n)
		drop_all();
	if (!fill(n)) {
		error_line();
		return;
	}
	seconds = measure(ms);
	/* What is under way is waited for: the connections are used again. */
	end = figures_now_ms() + PATIENCE_MS;
	while (count(IDLE) < n && !count(BROKEN) && figures_now_ms() < end)
		turn(100, false);
	if (count(IDLE) < n || !samples) {
		error_line();
		return;
	}
	figures_sort(sample, samples);
	printf("%.1f %.1f %.1f\n", (double)answers / seconds, figures_at(sample, samples, 0.5),
	       figures_at(sample, samples, 0.99));
}

static void connects(double ms)
{
	double start = figures_now_ms(), end = start + ms;
	unsigned long long done = 0;

	drop_all();
	going = measuring = false;
	while (figures_now_ms() < end) {
		while (connections < AT_ONCE)
			connection[connections++] = open_one();
		turn(10, true);
		for (size_t i = 0; i < connections; i++) {
			if (connection[i]->state == BROKEN) {
				error_line();
				return;
			}
			if (connection[i]->state == IDLE) {
				done++;
				drop(connection[i]);
				connection[i] = open_one();
			}
		}
	}
	printf("%.1f\n", (double)done * 1000 / (figures_now_ms() - start));
	drop_all();
}

static void pull(double ms)
{
	until = figures_now_ms() + ms;
	while (figures_now_ms() < until && connection[0]->state != BROKEN) {
		advance(connection[0], false);
		turn(10, false);
	}
	until = 0;
}

static void download(double ms)
{
	double seconds;

	drop_all();
	/* With no answer wanted first: it never ends. */
	connection[connections++] = open_one();
	going = true;
	while (connection[0]->state < SENDING)
		turn(100, false);
	if (connection[0]->state == BROKEN) {
		error_line();
		return;
	}
	bytes = 0;
	pull(ms / 5);
	measuring = true;
	seconds = figures_now_ms();
	pull(ms);
	seconds = (figures_now_ms() - seconds) / 1000;
	measuring = going = false;
	if (connection[0]->state == BROKEN || !bytes)
		error_line();
	else
		printf("%.1f\n", (double)bytes / (1 << 20) / seconds);
	drop_all();
}

static void command(const char *line)
{
	char verb[32] = "", path[256] = "/";
	unsigned long n = 0, ms = 0;

	if (sscanf(line, "requests %lu %lu %255s", &n, &ms, path) == 3 && n <= CONNECTIONS_MAX) {
		set_request(path);
		requests(n, (double)ms);
	} else if (sscanf(line, "hold %lu %255s", &n, path) == 2 && n <= CONNECTIONS_MAX) {
		set_request(path);
		drop_all();
		if (fill(n))
			printf("%lu\n", n);
		else
			error_line();
	} else if (sscanf(line, "%31s %lu %255s", verb, &ms, path) == 3) {
		set_request(path);
		if (!strcmp(verb, "connects"))
			connects((double)ms);
		else
			download((double)ms);
	} else {
		drop_all();
		printf("0\n");
	}
	fflush(stdout);
}

static int set_up(const char *host, const char *port, const char *ca)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct rlimit files;
	struct addrinfo *list;
	int r = getaddrinfo(host, port, &hints, &list);

	if (r) {
		printf("error cannot resolve %s: %s\n", host, gai_strerror(r));
		return 1;
	}
	memcpy(&address, list->ai_addr, list->ai_addrlen);
	address_len = list->ai_addrlen;
	freeaddrinfo(list);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (!ca)
		return 0;
	tls = SSL_CTX_new(TLS_client_method());
	if (!strcmp(ca, "env"))
		ca = getenv("SSL_CERT_FILE");
	if (!tls || !ca || SSL_CTX_load_verify_file(tls, ca) != 1) {
		printf("error cannot read the CA\n");
		return 1;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x08http/1.1", 9);
	return 0;
}

int main(int argc, char **argv)
{
	char line[512];

	if (argc < 4) {
		fprintf(stderr, "usage: proxyload HOST PORT NAME [CA [tunnel]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	name = argv[3];
	tunnel = argc > 5;
	snprintf(ask, sizeof(ask), "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", name, name);
	if (set_up(argv[1], argv[2], argc > 4 ? argv[4] : NULL))
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		command(line);
	drop_all();
	return 0;
}
