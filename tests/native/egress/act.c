/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of the egress test: does one act with a socket and writes the errno it met (0 = it
 * worked) to descriptor 3, so that grandchildren can report as well. Copies of this program under
 * several names are the policy's binaries.
 */
#include "act.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void report(int error)
{
	if (write(REPORT_FD, &error, sizeof(error)) != sizeof(error))
		_exit(99);
}

_Noreturn void finish(int error)
{
	report(error);
	_exit(0);
}

int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);

	if (end == text || *end)
		finish(EDOM);
	return (int)n;
}

socklen_t parse_address(const char *address, const char *port, struct sockaddr_storage *ret_address)
{
	char host[128];
	char *scope;

	memset(ret_address, 0, sizeof(*ret_address));
	if (!strchr(address, ':')) {
		struct sockaddr_in *in = (void *)ret_address;

		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)number(port));
		if (inet_pton(AF_INET, address, &in->sin_addr) != 1)
			finish(EDOM);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ret_address;

	snprintf(host, sizeof(host), "%s", address);
	scope = strchr(host, '%');
	if (scope) {
		*scope = '\0';
		in6->sin6_scope_id = (uint32_t)number(scope + 1);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)number(port));
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		finish(EDOM);
	return sizeof(*in6);
}

static const char *bound_device, *bound_address; /* what sockets are bound to, or NULL */

static int socket_for(const struct sockaddr_storage *address, int type)
{
	const struct timeval limit = {.tv_sec = 2};
	int fd = socket(address->ss_family, type, 0);
	struct sockaddr_storage from;

	if (fd < 0)
		finish(errno);
	if (bound_device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bound_device,
				       (socklen_t)strlen(bound_device)))
		finish(ENOTTY);
	if (bound_address &&
	    bind(fd, (struct sockaddr *)&from, parse_address(bound_address, "0", &from)))
		finish(ENOTTY);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

/* An answer: from a peer, or from the test's stand-in for a worker. */
static int judge(char c)
{
	return c == 'x' ? 0 : c == 'w' ? EREMCHG : EPROTO;
}

int echo(int fd)
{
	char c = 'x';

	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
		return errno;
	c = 0;
	switch (recv(fd, &c, 1, 0)) {
	case 1:
		return judge(c);
	case 0:
		return EPIPE;
	default:
		return errno;
	}
}

/* Address and port alone: what is reached through a scope is not what is compared here. */
static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port &&
	       !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

static bool is_unspecified(const struct sockaddr_storage *address)
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->ss_family == AF_INET)
		return !((const struct sockaddr_in *)address)->sin_addr.s_addr;
	return IN6_IS_ADDR_UNSPECIFIED(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && !in6->s6_addr32[3]);
}

/*
 * A connected socket says that it is connected to what it was told, or the act ends. (Nowhere is
 * loopback.)
 */
static void expect_peer(int fd, const struct sockaddr_storage *told)
{
	struct sockaddr_storage peer = {};
	socklen_t len = sizeof(peer);

	if (is_unspecified(told))
		return;

	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		finish(errno);
	if (!is_same(&peer, told))
		finish(EXDEV);
}

/* One datagram, which is to come from @from: 0, EREMCHG, EXDEV or what recvfrom() met. */
static int receive_from(int fd, const struct sockaddr_storage *from)
{
	struct sockaddr_storage source = {};
	socklen_t len = sizeof(source);
	char c = 0;

	if (recvfrom(fd, &c, 1, 0, (struct sockaddr *)&source, &len) != 1)
		return errno;
	return is_same(&source, from) ? judge(c) : EXDEV;
}

static void act_connect(char **argv)
{
	bool udp = !strcmp(argv[0], "udp-connected");
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, udp ? SOCK_DGRAM : SOCK_STREAM);

	if (connect(fd, (struct sockaddr *)&to, len))
		finish(errno);
	expect_peer(fd, &to);
	finish(echo(fd));
}

/* udp-probe ADDRESS PORT: only connect, as getaddrinfo() does */
static void act_probe(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_DGRAM);

	finish(connect(fd, (struct sockaddr *)&to, len) ? errno : 0);
}

static int send_and_wait(int fd, const char *address, const char *port, bool unspecified)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(address, port, &to);

	if (unspecified)
		to.ss_family = AF_UNSPEC;
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len) != 1)
		return errno;
	if (unspecified)
		to.ss_family = AF_INET;
	return receive_from(fd, &to);
}

/* udp-sendto ADDRESS PORT [ADDRESS PORT]..: one socket, in turn, twice around */
static void act_sendto(char **argv)
{
	bool unspecified = !strcmp(argv[0], "udp-unspec");
	struct sockaddr_storage to;
	int fd, error;

	parse_address(argv[1], argv[2], &to);
	fd = socket_for(&to, SOCK_DGRAM);
	for (int round = 0; round < 2; round++)
		for (char **a = argv + 1; a[0] && a[1]; a += 2) {
			error = send_and_wait(fd, a[0], a[1], unspecified);
			if (error)
				finish(error);
		}
	finish(0);
}

/* udp-both ADDRESS PORT ADDRESS PORT..: send to each and only then see who answers, three times */
static void act_both(char **argv)
{
	struct sockaddr_storage to[4], source;
	int fd, n = 0, answers[4], r = 0;

	for (char **a = argv + 1; a[0] && a[1] && n < 4; a += 2)
		parse_address(a[0], a[1], &to[n++]);
	fd = socket_for(&to[0], SOCK_DGRAM);
	for (int round = 0; round < 3; round++) {
		memset(answers, 0, sizeof(answers));
		for (int i = 0; i < n; i++) {
			socklen_t len = to[i].ss_family == AF_INET ? sizeof(struct sockaddr_in)
								   : sizeof(struct sockaddr_in6);

			if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to[i], len) != 1)
				finish(errno);
		}
		for (int i = 0; i < n; i++) {
			socklen_t len = sizeof(source);
			char c = 0;

			if (recvfrom(fd, &c, 1, 0, (struct sockaddr *)&source, &len) != 1)
				finish(errno);
			if (judge(c))
				r = judge(c);
			for (int k = 0; k < n; k++)
				answers[k] += is_same(&source, &to[k]);
		}
		for (int i = 0; i < n; i++)
			if (answers[i] != 1)
				finish(EXDEV);
	}
	finish(r);
}

/* udp-back ADDRESS PORT ADDRESS PORT: connect to the first, use the second, then the first again */
static void act_back(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_DGRAM), error;

	if (connect(fd, (struct sockaddr *)&to, len))
		finish(errno);
	error = echo(fd);
	if (error)
		finish(error);
	len = parse_address(argv[3], argv[4], &to);
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len) != 1)
		finish(errno);
	parse_address(argv[1], argv[2], &to);
	expect_peer(fd, &to);
	finish(echo(fd));
}

/* udp-mixed ADDRESS PORT ADDRESS PORT: connect to the first, sendto the second */
static void act_mixed(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_DGRAM), error;

	if (connect(fd, (struct sockaddr *)&to, len))
		finish(errno);
	error = echo(fd);
	if (error)
		finish(error);
	len = parse_address(argv[3], argv[4], &to);
	finish(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len) == 1 ? 0 : errno);
}

static void act_sendmmsg(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_DGRAM);
	char c = 'x';
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	struct mmsghdr messages[2] = {};

	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_name = &to;
		messages[i].msg_hdr.msg_namelen = len;
		messages[i].msg_hdr.msg_iov = &iov;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (sendmmsg(fd, messages, 2, 0) != 2)
		finish(errno);
	finish(receive_from(fd, &to));
}

static void act_fastopen(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_STREAM);
	char c = 'x';

	if (!strcmp(argv[0], "fastopen-connect")) {
		int on = 1;

		if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) ||
		    connect(fd, (struct sockaddr *)&to, len))
			finish(errno);
		finish(echo(fd));
	}
	if (sendto(fd, &c, 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, len) != 1)
		finish(errno);
	if (recv(fd, &c, 1, 0) != 1)
		finish(errno);
	expect_peer(fd, &to);
	finish(judge(c));
}

/* reconnect ADDRESS PORT ADDRESS PORT: the second after dissolving the first */
static void act_reconnect(char **argv)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, !strcmp(argv[0], "udp-reconnect") ? SOCK_DGRAM : SOCK_STREAM);

	if (connect(fd, (struct sockaddr *)&to, len) || connect(fd, &none, sizeof(none)))
		finish(ENOTTY);
	len = parse_address(argv[3], argv[4], &to);
	if (connect(fd, (struct sockaddr *)&to, len))
		finish(errno);
	expect_peer(fd, &to);
	finish(echo(fd));
}

static void act_socket(char **argv)
{
	int fd = socket(number(argv[1]), number(argv[2]), number(argv[3]));

	finish(fd < 0 ? errno : 0);
}

/* setsockopt FAMILY TYPE LEVEL NAME LENGTH [TEXT]: the value is TEXT, or a one */
static void act_setsockopt(char **argv)
{
	static char value[8192] = {1};
	int fd = socket(number(argv[1]), number(argv[2]), 0);

	if (fd < 0)
		finish(ENOTTY);
	if (argv[6])
		snprintf(value, sizeof(value), "%s", argv[6]);
	finish(setsockopt(fd, number(argv[3]), number(argv[4]), value, (socklen_t)number(argv[5]))
		       ? errno
		       : 0);
}

/* source-route ADDRESS PORT: a datagram with header options as ancillary data */
static void act_source_route(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_DGRAM);
	char c = 'x';
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(24)] = {};
	struct msghdr message = {.msg_name = &to,
				 .msg_namelen = len,
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control};
	struct cmsghdr *header = (void *)control;

	if (to.ss_family == AF_INET) {
		/* LSRR through the address itself */
		unsigned char route[8] = {131, 7, 4};

		memcpy(route + 3, &((struct sockaddr_in *)&to)->sin_addr, 4);
		header->cmsg_level = IPPROTO_IP;
		header->cmsg_type = IP_RETOPTS;
		header->cmsg_len = CMSG_LEN(sizeof(route));
		memcpy(CMSG_DATA(header), route, sizeof(route));
		message.msg_controllen = CMSG_SPACE(sizeof(route));
	} else {
		/* destination options: padding alone */
		unsigned char route[8] = {0, 0, 1, 4};

		header->cmsg_level = IPPROTO_IPV6;
		header->cmsg_type = IPV6_DSTOPTS;
		header->cmsg_len = CMSG_LEN(sizeof(route));
		memcpy(CMSG_DATA(header), route, sizeof(route));
		message.msg_controllen = CMSG_SPACE(sizeof(route));
	}
	finish(sendmsg(fd, &message, 0) == 1 ? 0 : errno);
}

/* hold ADDRESS PORT ADDRESS PORT..: connect to each, report, wait for a byte, use each, report */
static void act_hold(char **argv)
{
	int type = !strcmp(argv[0], "hold-udp") ? SOCK_DGRAM : SOCK_STREAM;
	int fd[4], n = 0;
	char c;

	for (char **a = argv + 1; a[0] && a[1] && n < 4; a += 2, n++) {
		struct sockaddr_storage to;
		socklen_t len = parse_address(a[0], a[1], &to);
		int error;

		fd[n] = socket_for(&to, type);
		if (connect(fd[n], (struct sockaddr *)&to, len))
			finish(errno);
		error = echo(fd[n]);
		if (error && error != EREMCHG)
			finish(error);
	}
	report(0);
	if (read(GO_FD, &c, 1) != 1)
		_exit(1);
	for (int i = 0; i < n; i++)
		report(echo(fd[i]));
	_exit(0);
}

/* 64 KiB there and back */
static int echo_bulk(int fd)
{
	static char data[65536];
	size_t got = 0;

	if (send(fd, data, sizeof(data), MSG_NOSIGNAL) != (ssize_t)sizeof(data))
		return errno;
	while (got < sizeof(data)) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n <= 0)
			return n ? errno : EPIPE;
		got += (size_t)n;
	}
	return 0;
}

/*
 * rounds tcp|udp|bulk|sendto|connect ADDRESS PORT MILLISECONDS: report how many there were. Of our
 * own processor time, so that a busy machine disturbs less.
 */
void act_rounds(char **argv)
{
	bool again = !strcmp(argv[1], "connect"), bulk = !strcmp(argv[1], "bulk"),
	     each = !strcmp(argv[1], "sendto"), udp = each || !strcmp(argv[1], "udp");
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[2], argv[3], &to);
	const struct linger none = {.l_onoff = 1}; /* or ports would run out */
	struct timespec now, end;
	int fd = -1, n = 0, error = 0;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	end.tv_nsec += number(argv[4]) * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do {
		if (fd < 0) {
			fd = socket_for(&to, udp ? SOCK_DGRAM : SOCK_STREAM);
			if (!each && connect(fd, (struct sockaddr *)&to, len))
				finish(-errno);
		}
		if (again) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
			close(fd);
			fd = -1;
		} else if (each) {
			error = send_and_wait(fd, argv[2], argv[3], false);
		} else {
			error = bulk ? echo_bulk(fd) : echo(fd);
		}
		if (error)
			finish(-error);
		n++;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	finish(n);
}

/*
 * many ADDRESS PORT MILLISECONDS BYTE: connect again and again, send BYTE, and get it back. Reports
 * how many connections there were, and how many of them went otherwise.
 */
static void act_many(char **argv)
{
	const struct linger none = {.l_onoff = 1}; /* or ports would run out */
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	struct timespec begin, now;
	long ms = number(argv[3]);
	int n = 0, bad = 0;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		int fd = socket_for(&to, SOCK_STREAM);
		char c = 0;

		n++;
		bad += connect(fd, (struct sockaddr *)&to, len) ||
		       send(fd, argv[4], 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1 ||
		       c != argv[4][0];
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(fd);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
	report(n);
	finish(bad);
}

/* leave ADDRESS PORT: say something and go, without waiting for anybody */
static void act_leave(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[1], argv[2], &to);
	int fd = socket_for(&to, SOCK_STREAM);

	if (connect(fd, (struct sockaddr *)&to, len) || send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		finish(errno);
	close(fd);
	finish(0);
}

static void act_open(char **argv)
{
	int fd = open(argv[1], O_RDWR | O_NOCTTY | O_CLOEXEC);

	finish(fd < 0 ? errno : 0);
}

static void act_mknod(char **argv)
{
	dev_t dev = makedev((unsigned int)number(argv[2]), (unsigned int)number(argv[3]));
	int r = mknod(argv[1], S_IFCHR | 0600, dev), error = errno;

	unlink(argv[1]);
	finish(r ? error : 0);
}

static void execute(char **argv)
{
	execv(argv[0], argv);
	finish(ENOEXEC);
}

/* fork-exec PROGRAM ACT.. */
static void act_fork_exec(char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		finish(ENOTTY);
	if (!pid)
		execute(argv + 1);
	waitpid(pid, NULL, 0);
	_exit(0);
}

/* A daemon: the middle process is gone before the grandchild becomes PROGRAM. */
static void act_double_fork(char **argv)
{
	int alive[2];
	char c;

	if (pipe(alive))
		finish(ENOTTY);
	if (fork())
		_exit(0);
	setsid();
	if (fork())
		_exit(0);
	close(alive[1]);
	/* End of file says that both ancestors have ended. */
	if (read(alive[0], &c, 1))
		finish(ENOTTY);
	execute(argv + 1);
}

static void *execute_in_thread(void *argv)
{
	execute(argv);
	return NULL;
}

static void act_thread_exec(char **argv)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, execute_in_thread, argv + 1))
		finish(ENOTTY);
	pause();
}

/* parent-turns PROGRAM ACT..: the child acts after its parent has become PROGRAM */
static void act_parent_turns(char **argv)
{
	int turned[2];
	char c;

	/* Close-on-exec: the child sees the end of file when the parent has executed. */
	if (pipe2(turned, O_CLOEXEC))
		finish(ENOTTY);
	if (!fork()) {
		close(turned[1]);
		if (read(turned[0], &c, 1))
			finish(ENOTTY);
		act_connect(argv + 2);
	}
	argv[2] = "sleep";
	execute(argv + 1);
}

static void act_sleep(char **argv)
{
	sleep(3);
	_exit(0);
}

static void act_exec(char **argv)
{
	execute(argv + 1);
}

/* turn DEVICE ADDRESS PORT: a connection that is bound to DEVICE when it is there */
static void act_turn(char **argv)
{
	const struct linger none = {.l_onoff = 1}; /* it could not say that it ends */
	struct sockaddr_storage to;
	socklen_t len = parse_address(argv[2], argv[3], &to);
	int fd = socket_for(&to, SOCK_STREAM), error;

	if (connect(fd, (struct sockaddr *)&to, len))
		finish(errno);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	error = echo(fd);
	if ((error && error != EREMCHG) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, argv[1], (socklen_t)strlen(argv[1])))
		finish(ENOTTY);
	finish(echo(fd));
}

/* through DEVICE ACT.., from ADDRESS ACT..: the act with its sockets bound to that */
static void act_bound(char **argv);

static const struct act {
	const char *name;
	void (*run)(char **argv);
} acts[] = {
	{"tcp", act_connect},
	{"udp-connected", act_connect},
	{"udp-sendto", act_sendto},
	{"udp-unspec", act_sendto},
	{"udp-both", act_both},
	{"udp-back", act_back},
	{"udp-probe", act_probe},
	{"udp-mixed", act_mixed},
	{"udp-sendmmsg", act_sendmmsg},
	{"fastopen", act_fastopen},
	{"fastopen-connect", act_fastopen},
	{"reconnect", act_reconnect},
	{"udp-reconnect", act_reconnect},
	{"socket", act_socket},
	{"setsockopt", act_setsockopt},
	{"source-route", act_source_route},
	{"hold", act_hold},
	{"hold-udp", act_hold},
	{"open", act_open},
	{"mknod", act_mknod},
	{"exec", act_exec},
	{"fork-exec", act_fork_exec},
	{"double-fork", act_double_fork},
	{"thread-exec", act_thread_exec},
	{"parent-turns", act_parent_turns},
	{"sleep", act_sleep},
	{"own", act_own},
	{"own-udp", act_own_udp},
	{"listen", act_listen},
	{"astray", act_astray},
	{"spoof", act_spoof},
	{"pass", act_pass},
	{"share", act_share},
	{"rounds", act_rounds},
	{"many", act_many},
	{"leave", act_leave},
	{"turn", act_turn},
	{"through", act_bound},
	{"from", act_bound},
};

static _Noreturn void act(char **argv)
{
	for (size_t i = 0; argv[0] && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[0], acts[i].name))
			acts[i].run(argv);
	finish(ENOSYS);
}

static void act_bound(char **argv)
{
	if (!strcmp(argv[0], "through"))
		bound_device = argv[1];
	else
		bound_address = argv[1];
	act(argv + 2);
}

int main(int argc, char **argv)
{
	alarm(20);
	act(argv + 1);
}
