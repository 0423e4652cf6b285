/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that somebody else made: inherited, or passed through a unix socket.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#define FOREIGN_FD 9 /* of an actor that was given one */

static int use(int fd, char **arg)
{
	struct sockaddr_storage to;
	socklen_t len;
	int r = 0;

	if (arg[0]) {
		len = act_address(arg[0], arg[1], &to);
		r = act_result(connect(fd, (struct sockaddr *)&to, len));
	}
	if (!r)
		r = act_where(fd);
	if (!r)
		act_say_ends(fd);
	return r;
}

/* give PATH tcp|udp|connected|connected-udp [ADDRESS PORT]: to whoever comes first, for 5 s */
static int do_give(char **arg)
{
	bool connected = !strncmp(arg[1], "connected", 9), udp = strstr(arg[1], "udp");
	struct sockaddr_storage to = {.ss_family = AF_INET};
	socklen_t len = 0;
	int listener, peer, fd, r;
	char c;

	if (arg[2])
		len = act_address(arg[2], arg[3], &to);
	fd = act_socket(to.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM);
	if (fd < 0)
		return fd;
	if (connected && connect(fd, (struct sockaddr *)&to, len))
		return -errno;
	r = act_unix(arg[0], true, &listener);
	if (r)
		return r;
	if (chmod(arg[0], 0777))
		return -errno;
	peer = accept(listener, NULL, NULL);
	if (peer < 0)
		return -errno;
	r = act_send_fd(peer, fd);
	/* It stays ours as well until the other side is done. */
	if (!r && recv(peer, &c, 1, 0) < 0)
		r = -errno;
	return r;
}

/*
 * relay PATH PATH: take what is given at the first, and have a process that stays give it at the
 * second
 */
static int do_relay(char **arg)
{
	int peer, fd, listener, r = act_unix(arg[0], false, &peer);

	if (!r)
		r = act_receive_fd(peer, &fd);
	close(peer);
	if (!r)
		r = act_unix(arg[1], true, &listener);
	if (r)
		return r;
	if (chmod(arg[1], 0777))
		return -errno;
	/* Not of the group that ends with the act. */
	if (fork())
		return 0;
	setsid();
	close(STDOUT_FILENO);
	alarm(20);
	fcntl(listener, F_SETFL, 0);
	for (;;) {
		peer = accept(listener, NULL, NULL);
		if (peer >= 0)
			_exit(act_send_fd(peer, fd) ? 1 : (sleep(2), 0));
	}
}

/* take PATH [ADDRESS PORT]: connect what is given, or use it as it is */
static int do_take(char **arg)
{
	int peer, fd, r = act_unix(arg[0], false, &peer);

	if (r)
		return r;
	r = act_receive_fd(peer, &fd);
	return r ? r : use(fd, arg + 1);
}

/* take-sendto PATH ADDRESS PORT */
static int do_take_sendto(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[1], arg[2], &to);
	int peer, fd, r = act_unix(arg[0], false, &peer);
	char where[128];
	ssize_t n;

	if (!r)
		r = act_receive_fd(peer, &fd);
	if (r)
		return r;
	if (sendto(fd, "where", 5, 0, (struct sockaddr *)&to, len) < 0)
		return -errno;
	n = recv(fd, where, sizeof(where) - 1, 0);
	if (n < 0)
		return -errno;
	act_say("at=%.*s", (int)n, where);
	return 0;
}

/* foreign ADDRESS PORT: with a socket from outside that this process was started with */
static int do_foreign(char **arg)
{
	return use(FOREIGN_FD, arg);
}

/* inherited: which descriptors are internet sockets */
static int do_inherited(char **arg)
{
	unsigned int found = 0;

	for (int fd = 0; fd < 1024; fd++) {
		int family;
		socklen_t len = sizeof(family);

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len))
			continue;
		if (family == AF_INET || family == AF_INET6) {
			act_say("fd=%d", fd);
			found++;
		}
	}
	return found ? 0 : -ENOENT;
}

const struct act acts_pass[] = {
	{"give", do_give},
	{"relay", do_relay},
	{"take", do_take},
	{"take-sendto", do_take_sendto},
	{"foreign", do_foreign},
	{"inherited", do_inherited},
	{NULL, NULL},
};
