/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to have a TCP connection. Arguments: ADDRESS PORT unless an act says more.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

/* linux/in6.h, which cannot be had beside netinet/in.h */
#ifndef IPV6_FLOWINFO_SEND
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* After connect(): prove that bytes pass, and tell where they went. */
static int prove(int fd, int r)
{
	if (!r)
		r = act_where(fd);
	if (!r)
		act_say_ends(fd);
	return r;
}

static int connect_to(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	return act_result(connect(fd, (const struct sockaddr *)to, len));
}

static int do_tcp(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM);

	return fd < 0 ? fd : prove(fd, connect_to(fd, &to, len));
}

static int do_nonblocking(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK), error;
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(error);
	int r;

	if (fd < 0)
		return fd;
	r = connect_to(fd, &to, len);
	if (r != -EINPROGRESS)
		return prove(fd, r);
	if (poll(&wait, 1, 2000) != 1)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	if (error)
		return -error;
	fcntl(fd, F_SETFL, 0);
	return prove(fd, 0);
}

static int do_fastopen(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM);
	char where[128];
	ssize_t n;

	if (fd < 0)
		return fd;
	if (sendto(fd, "where", 5, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
		return -errno;
	n = recv(fd, where, sizeof(where) - 1, 0);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	where[n] = '\0';
	act_say("at=%s", where);
	act_say_ends(fd);
	return 0;
}

static int do_fastopen_connect(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM), on = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)))
		return -ENOTTY;
	return prove(fd, connect_to(fd, &to, len));
}

static int do_mptcp(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	return fd < 0 ? -errno : prove(fd, connect_to(fd, &to, len));
}

/* reconnect ADDRESS PORT ADDRESS PORT: the second after dissolving the first with AF_UNSPEC */
static int do_reconnect(char **arg)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[2], arg[3], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM), r;

	if (fd < 0)
		return fd;
	r = connect_to(fd, &to, len);
	if (r || connect(fd, &none, sizeof(none)))
		return -ENOTTY;
	len = act_address(arg[0], arg[1], &to);
	return prove(fd, connect_to(fd, &to, len));
}

/* TCP with sa_family AF_UNSPEC in a filled-in address: dissolves, never connects. */
static int do_unspecified(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM);

	if (fd < 0)
		return fd;
	to.ss_family = AF_UNSPEC;
	return prove(fd, connect_to(fd, &to, len));
}

/* A v6 socket with a v4-mapped address; IPv6 addresses as they are. */
static int do_mapped(char **arg)
{
	char mapped[128];

	snprintf(mapped, sizeof(mapped), strchr(arg[0], ':') ? "%s" : "::ffff:%s", arg[0]);
	return do_tcp((char *[]){mapped, arg[1]});
}

/* An AF_INET address to a v6 socket, or the other way around. */
static int do_crossed(char **arg)
{
	struct sockaddr_storage to;
	int fd;

	act_address(arg[0], arg[1], &to);
	fd = act_socket(to.ss_family == AF_INET ? AF_INET6 : AF_INET, SOCK_STREAM);

	return fd < 0 ? fd : prove(fd, connect_to(fd, &to, sizeof(struct sockaddr_in6)));
}

/* bound ADDRESS PORT SOURCE [PORT]: from a local address of the agent's choice */
static int do_bound(char **arg)
{
	struct sockaddr_storage to, from;
	socklen_t len = act_address(arg[0], arg[1], &to);
	socklen_t from_len = act_address(arg[2], arg[3] ? arg[3] : "0", &from);
	int fd = act_socket(to.ss_family, SOCK_STREAM);

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&from, from_len))
		return -errno;
	return prove(fd, connect_to(fd, &to, len));
}

/* device ADDRESS PORT INTERFACE: SO_BINDTODEVICE past the routing table */
static int do_device(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM);

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, arg[2], (socklen_t)strlen(arg[2])))
		return -errno;
	return prove(fd, connect_to(fd, &to, len));
}

/* flow ADDRESS PORT: with an IPv6 flow label, which is part of the packet's header */
static int do_flow(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_STREAM), on = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, &on, sizeof(on)))
		return -errno;
	((struct sockaddr_in6 *)&to)->sin6_flowinfo = htonl(0x0fe00000); /* traffic class alone */
	return prove(fd, connect_to(fd, &to, len));
}

/*
 * many ADDRESS PORT COUNT: connections at the same time, each answered from the same place; says
 * the place once.
 */
static int do_many(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int count = act_number(arg[2]), fd = -1, r = 0;

	for (int i = 0; i < count && !r; i++) {
		fd = act_socket(to.ss_family, SOCK_STREAM);
		if (fd < 0)
			return fd;
		r = connect_to(fd, &to, len);
	}
	return prove(fd, r);
}

const struct act acts_connect[] = {
	{"tcp", do_tcp},
	{"nonblocking", do_nonblocking},
	{"fastopen", do_fastopen},
	{"fastopen-connect", do_fastopen_connect},
	{"mptcp", do_mptcp},
	{"reconnect", do_reconnect},
	{"unspecified", do_unspecified},
	{"mapped", do_mapped},
	{"crossed", do_crossed},
	{"bound", do_bound},
	{"device", do_device},
	{"flow", do_flow},
	{"many", do_many},
	{NULL, NULL},
};
