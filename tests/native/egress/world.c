/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char here[] = "link set lo up\n"
			   "addr add 10.77.0.1/24 dev v0\n"
			   "addr add fd77::1/64 dev v0 nodad\n"
			   "addr add fe80::78/64 dev v0 nodad\n"
			   "link set v0 up\n"
			   "route add default via 10.77.0.2\n"
			   "route add ::/0 via fd77::2\n";

static const char there[] = "link set lo up\n"
			    "addr add 10.77.0.2/24 dev v1\n"
			    "addr add 10.77.0.3/24 dev v1\n"
			    "addr add 10.77.1.2/32 dev v1\n"
			    "addr add 169.254.169.254/32 dev v1\n"
			    "addr add 100.100.100.200/32 dev v1\n"
			    "addr add fd77::2/64 dev v1 nodad\n"
			    "addr add fd77:1::2/128 dev v1 nodad\n"
			    "addr add fd00:ec2::254/128 dev v1 nodad\n"
			    "addr add 64:ff9b::a9fe:a9fe/128 dev v1 nodad\n"
			    "addr add 64:ff9b::a4d:2/128 dev v1 nodad\n"
			    "addr add 2002:7f00:1::1/128 dev v1 nodad\n"
			    "addr add fe80::77/64 dev v1 nodad\n"
			    /* names' synthetic addresses, for who is outside a sandbox */
			    "route add local 198.18.0.0/15 dev lo\n"
			    "route add local fd6f:7065:6e73:6865::/64 dev lo\n"
			    "addr add fd6f:7065:6e73:6865::1/128 dev v1 nodad\n"
			    "addr add fd6f:7065:6e73:6865::2/128 dev v1 nodad\n"
			    "addr add fd6f:7065:6e73:6865::7/128 dev v1 nodad\n"
			    "link set v1 up\n";

static pid_t servers[2];

_Noreturn void die(const char *what)
{
	int error = errno;

	world_close();
	printf("Bail out! %s: %s\n", what, strerror(error));
	exit(1);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* True if `ip` carried all of @commands out. */
static bool ip_batch(const char *commands)
{
	int pipe_fd[2], status;
	pid_t pid;

	if (pipe(pipe_fd))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		dup2(pipe_fd[0], 0);
		close(pipe_fd[1]);
		execlp("ip", "ip", "-batch", "-", NULL);
		_exit(127);
	}
	close(pipe_fd[0]);
	if (write(pipe_fd[1], commands, strlen(commands)) < 0)
		die("ip");
	close(pipe_fd[1]);
	return waitpid(pid, &status, 0) == pid && !status;
}

static void must_ip(const char *commands)
{
	if (ip_batch(commands))
		return;
	errno = EIO;
	die("ip -batch");
}

/* @text with every @from replaced by @to of the same length. */
static void must_ip_on(const char *text, const char *from, const char *to)
{
	char commands[2048];

	snprintf(commands, sizeof(commands), "%s", text);
	for (char *c = commands; (c = strstr(c, from)); c += strlen(to))
		memcpy(c, to, strlen(to));
	must_ip(commands);
}

static int serve_on(int type, int port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 64))
		die("listen");
	if (type == SOCK_DGRAM && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)))
		die("IPV6_RECVPKTINFO");
	return fd;
}

/* Answer from the address that was asked: the control message goes back as it came. */
static void echo_datagram(int fd, bool worker)
{
	struct sockaddr_in6 from;
	char data[2048];
	_Alignas(struct cmsghdr) char control[256];
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, 0);

	if (n < 0)
		return;
	if (worker)
		data[0] = 'w';
	iov.iov_len = (size_t)n;
	message.msg_flags = 0;
	if (sendmsg(fd, &message, 0) < 0)
		return;
}

_Noreturn static void serve(const int *ports, size_t n, int ready)
{
	struct pollfd fds[256];
	bool worker[256]; /* an accepted one of the stand-in for a worker */
	size_t used = 0, fixed;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text("/proc/sys/net/ipv4/tcp_fastopen", "3");
	for (size_t i = 0; i < n; i++) {
		fds[used++] = (struct pollfd){.fd = serve_on(SOCK_STREAM, ports[i])};
		fds[used++] = (struct pollfd){.fd = serve_on(SOCK_DGRAM, ports[i])};
	}
	fixed = used;
	for (size_t i = 0; i < used; i++)
		fds[i].events = POLLIN;
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;) {
		if (poll(fds, used, -1) < 0)
			_exit(1);
		for (size_t i = 0; i < used; i++) {
			static char data[65536];
			ssize_t got;

			if (!fds[i].revents)
				continue;
			if (i < fixed && i % 2 == 0) {
				int fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);

				if (fd >= 0 && used < sizeof(fds) / sizeof(fds[0])) {
					worker[used] = ports[i / 2] >= WORKER_PORT;
					fds[used++] = (struct pollfd){.fd = fd, .events = POLLIN};
				} else if (fd >= 0)
					close(fd);
			} else if (i < fixed) {
				echo_datagram(fds[i].fd, ports[i / 2] >= WORKER_PORT);
			} else {
				got = recv(fds[i].fd, data, sizeof(data), MSG_DONTWAIT);
				if (worker[i])
					data[0] = 'w';
				if (got > 0 && send(fds[i].fd, data, (size_t)got, MSG_NOSIGNAL) > 0)
					continue;
				close(fds[i].fd);
				fds[i] = fds[--used];
				worker[i--] = worker[used];
			}
		}
	}
}

static void wait_ready(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1) {
		errno = EIO;
		die("server");
	}
}

static pid_t start_server(const int *ports, size_t n, int ready_write, int ready_read)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		serve(ports, n, ready_write);
	wait_ready(ready_read);
	return pid;
}

int world_open(void)
{
	static const int peer_ports[] = PEER_PORTS, host_ports[] = HOST_PORTS;
	const size_t peers = sizeof(peer_ports) / sizeof(peer_ports[0]);
	int ready[2], go[2];
	char command[128];
	bool veth;

	if (unshare(CLONE_NEWNET) || pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		die("unshare");
	write_text("/proc/sys/net/ipv4/tcp_fastopen", "3");
	write_text("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	servers[0] = fork();
	if (servers[0] < 0)
		die("fork");
	if (!servers[0]) {
		char c;

		if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(1);
		must_ip(there);
		serve(peer_ports, peers, ready[1]);
	}
	wait_ready(ready[0]);
	snprintf(command, sizeof(command), "link add v0 type veth peer name v1 netns %d\n",
		 servers[0]);
	veth = ip_batch(command);
	if (veth) {
		if (write(go[1], "", 1) != 1)
			die("go");
		wait_ready(ready[0]);
		must_ip(here);
	} else {
		/* A kernel without veth: the peer lives here, on addresses of the loopback device.
		 */
		printf("# no veth: the peer's addresses are on lo\n");
		kill(servers[0], SIGKILL);
		waitpid(servers[0], NULL, 0);
		must_ip_on(there, "v1", "lo");
		must_ip("addr add 10.77.0.1/24 dev lo\nroute add 224.0.0.0/4 dev lo\n");
		servers[0] = start_server(peer_ports, peers, ready[1], ready[0]);
	}
	servers[1] = start_server(host_ports, sizeof(host_ports) / sizeof(host_ports[0]), ready[1],
				  ready[0]);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	return (int)if_nametoindex(veth ? "v0" : "lo");
}

void world_close(void)
{
	for (size_t i = 0; i < 2; i++) {
		if (servers[i] > 0) {
			kill(servers[i], SIGKILL);
			waitpid(servers[i], NULL, 0);
		}
		servers[i] = 0;
	}
}
