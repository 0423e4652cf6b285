/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets, passed descriptors, and socket families. */
#include "act.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static int reach(int type, const char *path, bool abstract)
{
	_cleanup_close_ int fd = -1;

	return act_unix(type, path, abstract, false, &fd);
}

static int do_connect(char **arg)
{
	return reach(SOCK_STREAM, arg[0], false);
}

static int do_connect_seqpacket(char **arg)
{
	return reach(SOCK_SEQPACKET, arg[0], false);
}

static int do_connect_abstract(char **arg)
{
	return reach(SOCK_STREAM, arg[0], true);
}

static int do_connect_dgram(char **arg)
{
	return reach(SOCK_DGRAM, arg[0], false);
}

static int send_dgram(const char *path, bool abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract +
				    strlen(path) + !abstract);

	if (fd < 0)
		return -errno;
	if (strlen(path) + abstract >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path + abstract, path, strlen(path));
	return act_result(sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, len));
}

static int do_sendto(char **arg)
{
	return send_dgram(arg[0], false);
}

static int do_sendto_abstract(char **arg)
{
	return send_dgram(arg[0], true);
}

static int do_bind(char **arg)
{
	_cleanup_close_ int fd = -1;

	return act_unix(SOCK_STREAM, arg[0], false, true, &fd);
}

/* A server and a client of its own. */
static int do_own_abstract(char **arg)
{
	_cleanup_close_ int server = -1;
	int r = act_unix(SOCK_STREAM, arg[0], true, true, &server);

	return r ? r : reach(SOCK_STREAM, arg[0], true);
}

static int do_own_path(char **arg)
{
	_cleanup_close_ int server = -1;
	int r = act_unix(SOCK_STREAM, arg[0], false, true, &server);

	return r ? r : reach(SOCK_STREAM, arg[0], false);
}

/* Ask the test's server at arg[0] to pass what arg[1] and arg[2] say. */
static int do_receive(char **arg)
{
	_cleanup_close_ int fd = -1, got = -1;
	char line[512];
	int r = act_unix(SOCK_STREAM, arg[0], false, false, &fd);

	if (r)
		return r;
	snprintf(line, sizeof(line), "%s %s", arg[1], arg[2] ? arg[2] : "-");
	if (send(fd, line, strlen(line) + 1, MSG_NOSIGNAL) < 0)
		return -errno;
	return act_receive_fd(fd, &got);
}

/* Pass an open file to ourselves. */
static int do_pass_own(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDWR | O_CLOEXEC), got = -1;
	int pair[2], r;

	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = act_send_fd(pair[0], fd);
	return r ? r : act_receive_fd(pair[1], &got);
}

/* Pass an internet socket of our own to ourselves. */
static int do_pass_own_socket(char **arg)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), got = -1;
	int pair[2], r;

	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = act_send_fd(pair[0], fd);
	return r ? r : act_receive_fd(pair[1], &got);
}

/* Family, type and protocol, in numbers. */
static int do_socket(char **arg)
{
	_cleanup_close_ int fd =
		socket((int)act_number(arg[0]), (int)act_number(arg[1]), (int)act_number(arg[2]));

	return fd < 0 ? -errno : 0;
}

/* The family's upper half is not looked at by the kernel. */
static int do_socket_high_bits(char **arg)
{
	long fd = syscall(SYS_socket, 1L << 32 | act_number(arg[0]), SOCK_RAW | SOCK_CLOEXEC, 0);

	return act_result(fd);
}

static const struct sockaddr_in discard = {
	.sin_family = AF_INET,
	.sin_port = 0x0900,
};

/* Descriptor arg[0] is an internet socket from outside. */
static int do_foreign_connect(char **arg)
{
	struct sockaddr_in to = discard;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return act_result(connect((int)act_number(arg[0]), (struct sockaddr *)&to, sizeof(to)));
}

static int do_foreign_send(char **arg)
{
	struct sockaddr_in to = discard;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return act_result(sendto((int)act_number(arg[0]), "x", 1, MSG_DONTWAIT,
				 (struct sockaddr *)&to, sizeof(to)));
}

/* Type into the terminal that stdin is, or would be. */
static int do_tiocsti(char **arg)
{
	return act_result(ioctl(0, TIOCSTI, "x"));
}

/* Bits above the 32 that the kernel reads. */
static int do_tiocsti_high_bits(char **arg)
{
	return act_result(syscall(SYS_ioctl, 0, 1L << 32 | TIOCSTI, "x"));
}

const struct act acts_socket[] = {
	{"connect", do_connect},
	{"connect_seqpacket", do_connect_seqpacket},
	{"connect_abstract", do_connect_abstract},
	{"connect_dgram", do_connect_dgram},
	{"sendto", do_sendto},
	{"sendto_abstract", do_sendto_abstract},
	{"bind", do_bind},
	{"own_abstract", do_own_abstract},
	{"own_path", do_own_path},
	{"receive", do_receive},
	{"pass_own", do_pass_own},
	{"pass_own_socket", do_pass_own_socket},
	{"socket", do_socket},
	{"socket_high_bits", do_socket_high_bits},
	{"foreign_connect", do_foreign_connect},
	{"foreign_send", do_foreign_send},
	{"tiocsti", do_tiocsti},
	{"tiocsti_high_bits", do_tiocsti_high_bits},
	{NULL, NULL},
};
