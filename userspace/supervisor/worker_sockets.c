/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_sockets.h"

#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BACKLOG	      256
#define BACKLOG_PROXY 4096	/* net.core.somaxconn may say less */
#define RECEIVE_BYTES (1 << 20) /* a burst of some thousand queries while a worker starts again */
#define RECORDS_BYTES (4 << 20) /* what the supervisor may lag behind before records are lost */
#define RECORDS	      WORKER_SOCKETS_INET /* its bit's number */

#define NO_PORT SIZE_MAX /* whoever needs the socket finds it in a map */

/* In the order of the bits. */
static const struct {
	int family, type;
	uint32_t address; /* of IPv4, host order */
	int backlog;
	size_t port; /* in struct os_worker */
} kinds[WORKER_SOCKETS_INET] = {
	{AF_INET, SOCK_DGRAM, INADDR_LOOPBACK, 0, offsetof(struct os_worker, dns_udp4)},
	{AF_INET, SOCK_STREAM, INADDR_LOOPBACK, BACKLOG, offsetof(struct os_worker, dns_tcp4)},
	{AF_INET6, SOCK_DGRAM, 0, 0, offsetof(struct os_worker, dns_udp6)},
	{AF_INET6, SOCK_STREAM, 0, BACKLOG, offsetof(struct os_worker, dns_tcp6)},
	{AF_INET, SOCK_STREAM, INADDR_LOOPBACK, BACKLOG, offsetof(struct os_worker, ask4)},
	{AF_INET6, SOCK_STREAM, 0, BACKLOG, offsetof(struct os_worker, ask6)},
	{AF_INET, SOCK_STREAM, OS_PROXY_LISTENER, BACKLOG_PROXY, NO_PORT},
};

_Static_assert(WORKER_SOCKET_PROXY == 1u << (WORKER_SOCKETS_INET - 1) &&
		       WORKER_SOCKET_RECORDS == 1u << RECORDS && RECORDS == WORKER_SOCKETS - 1,
	       "the table has all of the internet's, and records are the one after");

static const uint8_t loopback4[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
static const uint8_t loopback6[16] = {[15] = 1};

static uint16_t *port_of(struct os_worker *address, size_t kind)
{
	return (uint16_t *)((char *)address + kinds[kind].port);
}

/* The child in the cgroup, which shares our descriptors: makes the sockets, and says their numbers.
 */
static _Noreturn void make_sockets(int report)
{
	int fd[WORKER_SOCKETS_INET];

	for (size_t i = 0; i < WORKER_SOCKETS_INET; i++) {
		fd[i] = socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd[i] < 0)
			fd[i] = -errno;
	}
	_exit(write(report, fd, sizeof(fd)) == sizeof(fd) ? 0 : 1);
}

/* Descriptors or negative errnos into @ret_fds. A socket belongs to the cgroup of who makes it. */
static int sockets_in(int cgroup, int ret_fds[WORKER_SOCKETS_INET])
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_FILES | CLONE_PIDFD,
		.cgroup = (uint64_t)cgroup,
	};
	_cleanup_close_ int in = -1, out = -1, pidfd = -1;
	int pipe_fd[2], process = -1;
	sigset_t all, saved;
	siginfo_t info;
	ssize_t n;
	long pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	in = pipe_fd[0];
	out = pipe_fd[1];
	args.pidfd = (uintptr_t)&process;
	/* The caller's handlers shall not run in the copy. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		make_sockets(out);
	n = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (n < 0)
		return (int)n;
	pidfd = process;
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	out = safe_close(out);
	n = read(in, ret_fds, WORKER_SOCKETS_INET * sizeof(*ret_fds));
	return n == WORKER_SOCKETS_INET * sizeof(*ret_fds) ? 0 : -EIO;
}

/* In a cgroup that is there for this alone, and gone on return. */
static int filtered_sockets(const struct kernel *kernel, int ret_fds[WORKER_SOCKETS_INET])
{
	_cleanup_close_ int root = -1, cgroup = -1;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "openshell-worker-%d", getpid());
	root = open(kernel->tree.mounts.v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || (mkdirat(root, name, 0755) < 0 && errno != EEXIST))
		return -errno;
	cgroup = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = cgroup < 0 ? -errno : 0;
	if (!r)
		r = bpf_prog_attach(kernel->worker_filter_fd, cgroup, BPF_CGROUP_INET_EGRESS,
				    BPF_F_ALLOW_MULTI);
	if (!r)
		r = sockets_in(cgroup, ret_fds);
	unlinkat(root, name, AT_REMOVEDIR);
	return r;
}

/* Bind @fd to the loopback address, at a port that the kernel chooses. */
static int set_up_socket(int fd, size_t kind, struct os_worker *ret_address)
{
	int family = kinds[kind].family, size = RECEIVE_BYTES, on = 1;
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(kinds[kind].address)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *address =
		family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);

	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, address, len) < 0)
		return -errno;
	if (kinds[kind].backlog && listen(fd, kinds[kind].backlog) < 0)
		return -errno;
	/* As large as the host lets it be. */
	if (kinds[kind].type == SOCK_DGRAM &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (kinds[kind].port == NO_PORT)
		return 0;
	if (getsockname(fd, address, &len) < 0)
		return -errno;
	*port_of(ret_address, kind) = ntohs(family == AF_INET ? in.sin_port : in6.sin6_port);
	return 0;
}

/* The worker writes, we read; both ends are kept, so that the next worker finds the same. */
static int open_records(struct worker_sockets *sockets)
{
	int ends[2], size = RECORDS_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	sockets->fd[RECORDS] = ends[0];
	sockets->records = ends[1];
	sockets->have |= WORKER_SOCKET_RECORDS;
	if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* One way: a worker that wanted to hear something here would wait in vain. */
	return shutdown(ends[1], SHUT_WR) < 0 ? -errno : 0;
}

int worker_sockets_open(const struct kernel *kernel, struct worker_sockets *ret_sockets,
			struct error *err)
{
	struct worker_sockets sockets = WORKER_SOCKETS_EMPTY;
	int r = filtered_sockets(kernel, sockets.fd);

	if (!r)
		r = open_records(&sockets);
	if (r) {
		worker_sockets_close(&sockets);
		return error_set(err, r, "cannot make sockets for the sandbox's worker: %s",
				 strerror(-r));
	}
	for (size_t i = 0; i < WORKER_SOCKETS_INET; i++) {
		int fd = sockets.fd[i];

		r = fd < 0 ? fd : 0;
		if (!r)
			r = set_up_socket(fd, i, &sockets.address);
		if (!r) {
			sockets.have |= 1u << i;
			continue;
		}
		sockets.fd[i] = safe_close(fd);
		if (kinds[i].family == AF_INET6 && (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL))
			continue;
		worker_sockets_close(&sockets);
		return error_set(err, r, "cannot listen on %s for the sandbox's worker: %s",
				 kinds[i].family == AF_INET ? "127.0.0.1" : "::1", strerror(-r));
	}
	*ret_sockets = sockets;
	return 0;
}

void worker_sockets_close(struct worker_sockets *sockets)
{
	for (size_t i = 0; i < WORKER_SOCKETS; i++)
		sockets->fd[i] = safe_close(sockets->fd[i]);
	sockets->records = safe_close(sockets->records);
	sockets->have = 0;
}

int worker_sockets_proxy(const struct worker_sockets *sockets)
{
	return sockets->fd[WORKER_SOCKETS_INET - 1];
}

size_t worker_sockets_list(const struct worker_sockets *sockets, uint32_t wanted,
			   int ret_fds[WORKER_SOCKETS])
{
	size_t n = 0;

	for (size_t i = 0; i < WORKER_SOCKETS; i++)
		if (sockets->have & wanted & 1u << i)
			ret_fds[n++] = sockets->fd[i];
	return n;
}

static bool is_ipv4(const uint8_t *address)
{
	return !memcmp(address, loopback4, 12);
}

static uint16_t ask_port(const struct worker_sockets *sockets, bool ipv4)
{
	return ipv4 ? sockets->address.ask4 : sockets->address.ask6;
}

bool worker_sockets_is_ask(const struct worker_sockets *sockets, const struct worker_peer *local)
{
	bool ipv4 = is_ipv4(local->address);

	return !memcmp(local->address, ipv4 ? loopback4 : loopback6, 16) &&
	       local->port == ask_port(sockets, ipv4);
}

int worker_sockets_flow(const struct worker_sockets *sockets, const struct kernel *kernel,
			uint32_t slot, const struct worker_peer *peer,
			const struct worker_peer *local, struct os_flow *ret_flow)
{
	const struct os_worker *at = &sockets->address;
	bool ipv4 = is_ipv4(peer->address), udp = peer->protocol == IPPROTO_UDP;
	struct os_flow_key key = {.local_port = peer->port, .protocol = peer->protocol};
	struct os_flow flow;

	memcpy(key.local, peer->address, sizeof(key.local));
	memcpy(key.remote,
	       local  ? local->address
	       : ipv4 ? loopback4
		      : loopback6,
	       sizeof(key.remote));
	if (local)
		key.remote_port = local->port;
	else if (ipv4)
		key.remote_port = udp ? at->dns_udp4 : at->dns_tcp4;
	else
		key.remote_port = udp ? at->dns_udp6 : at->dns_tcp6;
	if (kernel_find_flow(kernel, &key, &flow) || flow.slot != slot)
		return -ENOENT;
	*ret_flow = flow;
	return 0;
}
