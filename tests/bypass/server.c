/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define DNS_PORT    53
#define CLIENTS_MAX 200

enum kind { LISTENER, DATAGRAM, CLIENT };

struct end {
	enum kind kind;
	bool dns;
};

static struct pollfd fds[CLIENTS_MAX + 64];
static struct end ends[CLIENTS_MAX + 64];
static size_t used;

static void add(int fd, enum kind kind, bool dns)
{
	if (used == sizeof(fds) / sizeof(fds[0])) {
		close(fd);
		return;
	}
	fds[used] = (struct pollfd){.fd = fd, .events = POLLIN};
	ends[used++] = (struct end){kind, dns};
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	_exit(1);
}

static void open_port(uint16_t port, bool dns)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int on = 1, tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(tcp >= 0 && udp >= 0, "socket");
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(!setsockopt(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)), "IPV6_RECVPKTINFO");
	/* Addresses that a route alone makes ours may be answered from. */
	setsockopt(udp, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	must(!bind(tcp, (struct sockaddr *)&at, sizeof(at)) && !listen(tcp, 64), "bind");
	must(!bind(udp, (struct sockaddr *)&at, sizeof(at)), "bind");
	add(tcp, LISTENER, dns);
	add(udp, DATAGRAM, dns);
}

static int describe(const struct in6_addr *address, unsigned int port, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(address)) {
		inet_ntop(AF_INET, address->s6_addr + 12, host, sizeof(host));
		return snprintf(text, size, "%s:%u", host, port);
	}
	inet_ntop(AF_INET6, address, host, sizeof(host));
	return snprintf(text, size, "[%s]:%u", host, port);
}

/* DNS */

static void remember(struct server_seen *seen, const char *name)
{
	unsigned int n = atomic_load(&seen->queries);

	snprintf(seen->query[n % SERVER_QUERIES], sizeof(seen->query[0]), "%s", name);
	atomic_store(&seen->queries, n + 1);
}

static bool is_below(const char *name, const char *pattern)
{
	size_t n = strlen(name), suffix = strlen(pattern);

	if (pattern[0] != '*')
		return !strcmp(name, pattern);
	return n > suffix - 1 && !strcmp(name + n - (suffix - 1), pattern + 1);
}

static size_t put_address(unsigned char *at, unsigned int type, unsigned int ttl, const char *text)
{
	const unsigned char head[] = {0xc0, 12, 0, (unsigned char)type, 0, 1,
				      0,    0,	0, (unsigned char)ttl};
	size_t size = type == 1 ? 4 : 16;

	memcpy(at, head, sizeof(head));
	at[10] = 0;
	at[11] = (unsigned char)size;
	must(inet_pton(type == 1 ? AF_INET : AF_INET6, text, at + 12) == 1, text);
	return 12 + size;
}

/* The answer to @data in place; 0 if it is no query. */
static size_t answer_query(const struct server_spec *spec, unsigned char *data, size_t len)
{
	const struct server_name *found = NULL;
	size_t at = 12, end, n = 0;
	char name[256] = "";
	unsigned int type, count = 0;

	if (len < 17 || data[2] & 0x80)
		return 0;
	while (at < len && data[at]) {
		unsigned int label = data[at++];

		if (label > 63 || at + label >= len || n + label + 2 > sizeof(name))
			return 0;
		if (n)
			name[n++] = '.';
		for (; label; label--)
			name[n++] = (char)tolower(data[at++]);
		name[n] = '\0';
	}
	if (at + 5 > len)
		return 0;
	type = data[at + 2];
	end = at + 5;
	remember(spec->seen, name);
	/* As far away as a real one may be. */
	if (is_below(name, "*.slow.test"))
		usleep(100000);
	for (size_t i = 0; i < spec->names_len && !found; i++)
		if (is_below(name, spec->names[i].name))
			found = &spec->names[i];
	memset(data + 6, 0, 6);
	data[2] = 0x85;
	data[3] = found ? 0x80 : 0x83; /* NXDOMAIN */
	if (found && type == 1 && found->later && atomic_load(&spec->seen->phase)) {
		end += put_address(data + end, 1, found->ttl, found->later);
		count = 1;
	} else if (found && (type == 1 || type == 28)) {
		const char *const *list = type == 1 ? found->ipv4 : found->ipv6;

		for (; count < 4 && list[count]; count++)
			end += put_address(data + end, type, found->ttl, list[count]);
	}
	data[7] = (unsigned char)count;
	return end;
}

/* Everything else */

/* Answer from the address that was asked: the control message goes back as it came. */
static void serve_datagram(const struct server_spec *spec, int fd, bool dns)
{
	struct sockaddr_in6 from, own;
	socklen_t own_len = sizeof(own);
	unsigned char data[16384];
	_Alignas(struct cmsghdr) char control[256];
	struct iovec iov = {data, sizeof(data) / 2};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, 0);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int from_fd = fd;

	if (n < 0 || !header || getsockname(fd, (struct sockaddr *)&own, &own_len))
		return;
	if (dns) {
		iov.iov_len = answer_query(spec, data, (size_t)n);
	} else {
		struct in6_pktinfo info;

		atomic_fetch_add(&spec->seen->datagrams, 1);
		memcpy(&info, CMSG_DATA(header), sizeof(info));
		/* From a port that nobody asked. */
		if (n >= 5 && !memcmp(data, "other", 5))
			from_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		iov.iov_len = (size_t)describe(&info.ipi6_addr, ntohs(own.sin6_port), (char *)data,
					       sizeof(data));
	}
	message.msg_flags = 0;
	if (iov.iov_len && sendmsg(from_fd, &message, 0) < 0)
		perror("# server: sendmsg");
	if (from_fd != fd)
		close(from_fd);
}

static void serve_dns_client(const struct server_spec *spec, int fd)
{
	unsigned char data[4096];
	ssize_t n = recv(fd, data, sizeof(data) / 2, MSG_DONTWAIT);
	size_t len;

	if (n < 2)
		return;
	len = answer_query(spec, data + 2, (size_t)n - 2);
	data[0] = (unsigned char)(len >> 8);
	data[1] = (unsigned char)len;
	if (len)
		send(fd, data, len + 2, MSG_NOSIGNAL);
}

/* True if the client is still there. */
static bool serve_client(const struct server_spec *spec, int fd, bool dns)
{
	struct sockaddr_in6 own;
	socklen_t len = sizeof(own);
	char data[256];
	ssize_t n;
	int size;

	if (dns) {
		serve_dns_client(spec, fd);
		return false;
	}
	n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0 || getsockname(fd, (struct sockaddr *)&own, &len))
		return false;
	size = describe(&own.sin6_addr, ntohs(own.sin6_port), data, sizeof(data));
	return send(fd, data, (size_t)size, MSG_NOSIGNAL) > 0;
}

static void serve_end(const struct server_spec *spec, size_t i)
{
	int fd;

	switch (ends[i].kind) {
	case LISTENER:
		fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (!ends[i].dns)
			atomic_fetch_add(&spec->seen->connections, 1);
		add(fd, CLIENT, ends[i].dns);
		return;
	case DATAGRAM:
		serve_datagram(spec, fds[i].fd, ends[i].dns);
		return;
	case CLIENT:
		if (serve_client(spec, fds[i].fd, ends[i].dns))
			return;
		close(fds[i].fd);
		fds[i].fd = -1;
	}
}

void server_run(const struct server_spec *spec)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < spec->ports_len; i++)
		open_port(spec->ports[i], false);
	if (spec->names)
		open_port(DNS_PORT, true);
	must(write(spec->ready, "", 1) == 1, "ready");
	for (;;) {
		must(poll(fds, used, -1) >= 0, "poll");
		for (size_t i = 0; i < used; i++)
			if (fds[i].revents)
				serve_end(spec, i);
		for (size_t i = 0; i < used; i++)
			if (fds[i].fd < 0) {
				fds[i] = fds[--used];
				ends[i--] = ends[used];
			}
	}
}

unsigned int server_asked(const struct server_seen *seen, const char *name)
{
	unsigned int n = atomic_load(&seen->queries), count = 0;
	unsigned int first = n > SERVER_QUERIES ? n - SERVER_QUERIES : 0;
	size_t len = strlen(name);

	for (unsigned int i = first; i < n; i++) {
		const char *query = seen->query[i % SERVER_QUERIES];
		size_t size = strlen(query);

		if (name[0] == '.' ? size >= len && !strcmp(query + size - len, name)
				   : !strcmp(query, name))
			count++;
	}
	return count;
}
