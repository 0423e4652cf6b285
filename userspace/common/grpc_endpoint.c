/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_endpoint.h"

#include "common/cleanup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int refuse(const char *text, const char *why, struct error *err)
{
	return error_set(err, -EINVAL,
			 "%.200s is no gateway's address: %s; write https://HOST:PORT, "
			 "http://HOST:PORT or unix:/PATH",
			 text, why);
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long port;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (!port || port > 65535)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT" */
static int parse_host(const char *text, struct grpc_endpoint *e, struct error *err)
{
	const char *from = text, *to = text + strcspn(text, ":"), *port = to;

	if (*text == '[') {
		from = text + 1;
		to = strchr(text, ']');
		if (!to)
			return refuse(e->text, "a bracket is missing", err);
		port = to + 1;
	}
	if (to == from || (size_t)(to - from) >= sizeof(e->host))
		return refuse(e->text, "it has no host", err);
	if (strpbrk(text, "/@?# \t\r\n"))
		return refuse(e->text, "nothing may stand behind the port", err);
	snprintf(e->host, sizeof(e->host), "%.*s", (int)(to - from), from);
	e->port = e->tls ? 443 : 80;
	if (*port == ':' && parse_port(port + 1, &e->port))
		return refuse(e->text, "its port is none", err);
	if (*port && *port != ':')
		return refuse(e->text, "its port is none", err);
	snprintf(e->authority, sizeof(e->authority), "%s", text);
	return 0;
}

int grpc_endpoint_parse(const char *text, struct grpc_endpoint *ret_endpoint, struct error *err)
{
	struct grpc_endpoint e = {};
	char host[GRPC_ENDPOINT_MAX];
	size_t size = strlen(text);
	int r;

	if (size >= sizeof(e.text))
		return refuse(text, "it is too long", err);
	memcpy(e.text, text, size + 1);
	if (!strncmp(text, "unix:", 5)) {
		if (text[5] != '/' || size - 5 >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return refuse(text, "the socket's path is not absolute, or too long", err);
		e.local = true;
		snprintf(e.host, sizeof(e.host), "%.250s", text + 5);
		snprintf(e.authority, sizeof(e.authority), "localhost");
		*ret_endpoint = e;
		return 0;
	}
	if (!strncmp(text, "https://", 8))
		e.tls = true;
	else if (strncmp(text, "http://", 7))
		return refuse(text, "it has another scheme", err);
	snprintf(host, sizeof(host), "%s", text + (e.tls ? 8 : 7));
	size = strlen(host);
	if (size && host[size - 1] == '/')
		host[size - 1] = 0;
	r = parse_host(host, &e, err);
	if (!r)
		*ret_endpoint = e;
	return r;
}

static int start(const struct sockaddr *address, socklen_t size, int *ret_fd)
{
	_cleanup_close_ int fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, address, size) && errno != EINPROGRESS)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Whether it got somewhere in time. */
static int has_connected(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0, n = poll(&p, 1, GRPC_ENDPOINT_TRY_MS);
	socklen_t size = sizeof(error);

	if (n <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

/* The last one may take its time. */
static int try_all(const struct addrinfo *info, int *ret_fd)
{
	int r = -EHOSTUNREACH;

	for (; info; info = info->ai_next) {
		_cleanup_close_ int fd = -1;

		r = start(info->ai_addr, info->ai_addrlen, &fd);
		if (!r && info->ai_next)
			r = has_connected(fd);
		if (!r) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
	return r;
}

static int connect_name(const struct grpc_endpoint *endpoint, int *ret_fd, char *ret_why,
			size_t why_size)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *info;
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%u", endpoint->port);
	r = getaddrinfo(endpoint->host, port, &hints, &info);
	if (r) {
		snprintf(ret_why, why_size, "looking up %.100s: %s", endpoint->host,
			 gai_strerror(r));
		return -EHOSTUNREACH;
	}
	r = try_all(info, ret_fd);
	freeaddrinfo(info);
	if (r)
		snprintf(ret_why, why_size, "connecting to %.100s: %s", endpoint->text,
			 strerror(-r));
	return r;
}

int grpc_endpoint_connect(const struct grpc_endpoint *endpoint, int *ret_fd, char *ret_why,
			  size_t why_size)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int r;

	if (!endpoint->local)
		return connect_name(endpoint, ret_fd, ret_why, why_size);
	memcpy(un.sun_path, endpoint->host, strlen(endpoint->host));
	r = start((struct sockaddr *)&un, sizeof(un), ret_fd);
	if (r)
		snprintf(ret_why, why_size, "connecting to %.100s: %s", endpoint->host,
			 strerror(-r));
	return r;
}
