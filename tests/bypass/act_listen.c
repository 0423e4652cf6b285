/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being reached from outside, and by each other on loopback. A listener makes the file READY when
 * it can be reached.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

static int make_ready(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* listen ADDRESS PORT READY: 0 if somebody connects and says something within a second */
static int do_listen(char **arg)
{
	struct sockaddr_storage at;
	socklen_t len = act_address(arg[0], arg[1], &at);
	int fd = act_socket(at.ss_family, SOCK_STREAM), on = 1, peer, r;
	char c[16];

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 8))
		return -errno;
	r = make_ready(arg[2]);
	if (r)
		return r;
	len = sizeof(at);
	peer = accept(fd, (struct sockaddr *)&at, &len);
	if (peer < 0)
		return -errno;
	if (recv(peer, c, sizeof(c), 0) <= 0)
		return -EPIPE;
	act_say("by=%s", act_address_text(&at));
	return send(peer, "here", 4, MSG_NOSIGNAL) == 4 ? 0 : -errno;
}

/* listen-udp ADDRESS PORT READY */
static int do_listen_udp(char **arg)
{
	struct sockaddr_storage at;
	socklen_t len = act_address(arg[0], arg[1], &at);
	int fd = act_socket(at.ss_family, SOCK_DGRAM), r;
	char c[16];

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&at, len))
		return -errno;
	r = make_ready(arg[2]);
	if (r)
		return r;
	len = sizeof(at);
	if (recvfrom(fd, c, sizeof(c), 0, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	act_say("by=%s", act_address_text(&at));
	return act_result(sendto(fd, "here", 4, 0, (struct sockaddr *)&at, len));
}

/* bind ADDRESS PORT: only that */
static int do_bind(char **arg)
{
	struct sockaddr_storage at;
	socklen_t len = act_address(arg[0], arg[1], &at);
	int fd = act_socket(at.ss_family, SOCK_STREAM);

	return fd < 0 ? fd : act_result(bind(fd, (struct sockaddr *)&at, len));
}

/* bind-udp ADDRESS PORT: with every option that lets ports be shared */
static int do_bind_udp(char **arg)
{
	struct sockaddr_storage at;
	socklen_t len = act_address(arg[0], arg[1], &at);
	int fd = act_socket(at.ss_family, SOCK_DGRAM), on = 1;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	return act_result(bind(fd, (struct sockaddr *)&at, len));
}

/* own-pair ADDRESS: a listener and its client, both of this process */
static int do_own_pair(char **arg)
{
	struct sockaddr_storage at;
	socklen_t len = act_address(arg[0], "0", &at);
	int listener = act_socket(at.ss_family, SOCK_STREAM);
	int client = act_socket(at.ss_family, SOCK_STREAM);

	if (listener < 0 || client < 0)
		return listener < 0 ? listener : client;
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len) ||
	    connect(client, (struct sockaddr *)&at, len))
		return -errno;
	return 0;
}

const struct act acts_listen[] = {
	{"listen", do_listen},	   {"listen-udp", do_listen_udp}, {"bind", do_bind},
	{"bind-udp", do_bind_udp}, {"own-pair", do_own_pair},	  {NULL, NULL},
};
