/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts between sockets of one sandbox, on loopback, and with sockets of others.
 */
#include "act.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static int bind_to(int fd, const char *address)
{
	struct sockaddr_storage at;
	socklen_t len = parse_address(address, "0", &at);

	return bind(fd, (struct sockaddr *)&at, len) ? errno : 0;
}

static in_port_t bound_port(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len))
		finish(errno);
	return at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
				       : ((struct sockaddr_in6 *)&at)->sin6_port;
}

static socklen_t parse_with_port(const char *address, in_port_t port,
				 struct sockaddr_storage *ret_address)
{
	socklen_t len = parse_address(address, "0", ret_address);

	if (ret_address->ss_family == AF_INET)
		((struct sockaddr_in *)ret_address)->sin_port = port;
	else
		((struct sockaddr_in6 *)ret_address)->sin6_port = port;
	return len;
}

static int socket_of(const char *address, int type)
{
	const struct timeval limit = {.tv_sec = 2};
	int fd = socket(strchr(address, ':') ? AF_INET6 : AF_INET, type, 0);

	if (fd < 0)
		finish(errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

/* A byte each way: 0 or an errno. */
static int exchange(int a, int b)
{
	char c = 'a';

	if (send(a, &c, 1, MSG_NOSIGNAL) != 1 || recv(b, &c, 1, 0) != 1)
		return errno;
	if (send(b, &c, 1, MSG_NOSIGNAL) != 1 || recv(a, &c, 1, 0) != 1)
		return errno;
	return 0;
}

/* own LISTEN-ADDRESS|auto CONNECT-ADDRESS: a listener and its client in one process */
void act_own(char **argv)
{
	bool automatic = !strcmp(argv[1], "auto");
	int listener = socket_of(automatic ? argv[2] : argv[1], SOCK_STREAM);
	int client = socket_of(argv[2], SOCK_STREAM), accepted, error;
	struct sockaddr_storage to;
	socklen_t len;

	error = automatic ? 0 : bind_to(listener, argv[1]);
	if (error || listen(listener, 4))
		finish(ENOTTY);
	len = parse_with_port(argv[2], bound_port(listener), &to);
	if (connect(client, (struct sockaddr *)&to, len))
		finish(errno);
	accepted = accept(listener, NULL, NULL);
	if (accepted < 0)
		finish(errno);
	error = exchange(client, accepted);
	if (error)
		finish(error);
	/* Half closed: what is still under way arrives. */
	close(client);
	finish(send(accepted, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno);
}

/* own-udp ADDRESS ADDRESS: two datagram sockets, unconnected and then connected */
void act_own_udp(char **argv)
{
	int a = socket_of(argv[1], SOCK_DGRAM), b = socket_of(argv[2], SOCK_DGRAM), error;
	struct sockaddr_storage to;
	socklen_t len;
	char c = 'x';

	if (bind_to(a, argv[1]) || bind_to(b, argv[2]))
		finish(ENOTTY);
	len = parse_with_port(argv[2], bound_port(b), &to);
	if (sendto(a, &c, 1, 0, (struct sockaddr *)&to, len) != 1)
		finish(errno);
	len = sizeof(to);
	if (recvfrom(b, &c, 1, 0, (struct sockaddr *)&to, &len) != 1 ||
	    sendto(b, &c, 1, 0, (struct sockaddr *)&to, len) != 1 || recv(a, &c, 1, 0) != 1)
		finish(errno);
	if (connect(b, (struct sockaddr *)&to, len))
		finish(errno);
	len = parse_with_port(argv[2], bound_port(b), &to);
	if (connect(a, (struct sockaddr *)&to, len))
		finish(errno);
	error = exchange(a, b);
	finish(error);
}

/* astray DEVICE: a datagram to a socket of ours, by a device that does not lead there */
void act_astray(char **argv)
{
	int a = socket_of("127.0.0.1", SOCK_DGRAM), b = socket_of("127.0.0.1", SOCK_DGRAM);
	const struct in_pktinfo out = {.ipi_ifindex = (int)if_nametoindex(argv[1])};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(out))] = {};
	struct sockaddr_storage to;
	struct iovec iov = {.iov_base = (char *)"x", .iov_len = 1};
	struct msghdr message = {.msg_name = &to,
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (bind_to(b, "127.0.0.1"))
		finish(ENOTTY);
	message.msg_namelen = parse_with_port("127.0.0.1", bound_port(b), &to);
	header->cmsg_level = IPPROTO_IP;
	header->cmsg_type = IP_PKTINFO;
	header->cmsg_len = CMSG_LEN(sizeof(out));
	memcpy(CMSG_DATA(header), &out, sizeof(out));
	finish(sendmsg(a, &message, 0) == 1 ? 0 : errno);
}

/*
 * listen ADDRESS [PORT]: report the port, then 0 if somebody connects and sends within two seconds,
 * else the errno.
 */
void act_listen(char **argv)
{
	int fd = socket_of(argv[1], SOCK_STREAM), accepted, on = 1;
	struct sockaddr_storage at;
	socklen_t len = parse_address(argv[1], argv[2] ? argv[2] : "0", &at);
	char c;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 4))
		finish(ENOTTY);
	report(ntohs(bound_port(fd)));
	accepted = accept(fd, NULL, NULL);
	if (accepted < 0)
		finish(errno);
	finish(recv(accepted, &c, 1, 0) == 1 ? 0 : errno);
}

/*
 * share ADDRESS PORT: listen beside somebody else's listener with SO_REUSEPORT, connect often, and
 * report how many connections came to this process and how many of the others took a byte. Every
 * second one is from a bound socket.
 */
void act_share(char **argv)
{
	int listener = socket_of(argv[1], SOCK_STREAM), on = 1, own = 0, other = 0;
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);

	if (setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    bind(listener, (struct sockaddr *)&to, len) || listen(listener, 64))
		finish(ENOTTY);
	for (int i = 0; i < 40; i++) {
		const struct timeval limit = {.tv_usec = 50000};
		int client = socket_of(argv[1], SOCK_STREAM), accepted;

		/* A connection that does not come about must not take its whole time. */
		setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		if (i % 2 && bind_to(client, argv[1]))
			finish(ENOTTY);
		if (!connect(client, (struct sockaddr *)&to, len)) {
			accepted = accept(listener, NULL, NULL);
			own += accepted >= 0;
			other += accepted < 0 && send(client, "x", 1, MSG_NOSIGNAL) == 1;
			close(accepted);
		}
		close(client);
	}
	report(own);
	finish(other);
}

/* pass ADDRESS PORT: make sockets and hand a TCP one to the test through descriptor 4 */
void act_pass(char **argv)
{
	int fd = socket_of(argv[1], SOCK_STREAM);
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	finish(sendmsg(GO_FD, &message, 0) == 1 ? 0 : errno);
}
