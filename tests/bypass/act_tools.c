/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all acts use.
 */
#include "act.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

int act_result(long r)
{
	return r < 0 ? -errno : 0;
}

int act_number(const char *text)
{
	char *end;
	long n = strtol(text ? text : "", &end, 0);

	if (!text || end == text || *end) {
		printf("%d '%s' is not a number\n", EDOM, text ? text : "");
		fflush(stdout);
		_exit(1);
	}
	return (int)n;
}

socklen_t act_address(const char *address, const char *port, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *in = (void *)ret_address;
	struct sockaddr_in6 *in6 = (void *)ret_address;
	char host[128];
	char *scope;
	int ok;

	memset(ret_address, 0, sizeof(*ret_address));
	snprintf(host, sizeof(host), "%s", address);
	scope = strchr(host, '%');
	if (scope)
		*scope++ = '\0';
	if (strchr(host, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)act_number(port));
		in6->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
		ok = inet_pton(AF_INET6, host, &in6->sin6_addr);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)act_number(port));
		ok = inet_pton(AF_INET, host, &in->sin_addr);
	}
	if (ok != 1) {
		printf("%d '%s' is not an address\n", EDOM, address);
		fflush(stdout);
		_exit(1);
	}
	return ret_address->ss_family == AF_INET ? sizeof(*in) : sizeof(*in6);
}

const char *act_address_text(const struct sockaddr_storage *address)
{
	static char ret[80];
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret, sizeof(ret), "%s:%u", host, ntohs(in->sin_port));
	} else if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(ret, sizeof(ret), "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		snprintf(ret, sizeof(ret), "family-%u", address->ss_family);
	}
	return ret;
}

int act_socket(int family, int type)
{
	const struct timeval limit = {.tv_sec = 1};
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

int act_where(int fd)
{
	char where[128];
	ssize_t n;

	if (send(fd, "where", 5, MSG_NOSIGNAL) < 0)
		return -errno;
	do
		n = recv(fd, where, sizeof(where) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	where[n] = '\0';
	act_say("at=%s", where);
	return 0;
}

void act_say_ends(int fd)
{
	struct sockaddr_storage end;
	socklen_t len = sizeof(end);

	if (getpeername(fd, (struct sockaddr *)&end, &len))
		act_say("peer=%s", strerrorname_np(errno));
	else
		act_say("peer=%s", act_address_text(&end));
	len = sizeof(end);
	if (!getsockname(fd, (struct sockaddr *)&end, &len))
		act_say("self=%s", act_address_text(&end));
}

int act_send_fd(int socket, int fd)
{
	char c = 'x';
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return act_result(sendmsg(socket, &message, MSG_NOSIGNAL));
}

int act_receive_fd(int socket, int *ret_fd)
{
	char c;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return n ? -errno : -EPIPE;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -ENODATA;
	memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	return 0;
}

int act_unix(const char *path, bool serve, int *ret_fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = act_socket(AF_UNIX, SOCK_STREAM);

	if (fd < 0)
		return fd;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (serve) {
		unlink(path);
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
			return -errno;
		*ret_fd = fd;
		return 0;
	}
	for (int i = 0; connect(fd, (struct sockaddr *)&at, sizeof(at)); i++) {
		if ((errno != ENOENT && errno != ECONNREFUSED) || i == 100)
			return -errno;
		usleep(20000);
	}
	*ret_fd = fd;
	return 0;
}
