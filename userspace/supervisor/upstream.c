/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/upstream.h"

#include "address.h"
#include "common/cleanup.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

int upstream_connect(const uint8_t bytes[16], uint16_t port, int *ret_fd)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	_cleanup_close_ int fd = -1;
	const struct sockaddr *to;
	struct address address;
	int on = 1;
	bool ipv4;

	memcpy(&address, bytes, sizeof(address));
	ipv4 = address_is_ipv4(&address);
	to = ipv4 ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
	memcpy(&four.sin_addr, &address.word[3], sizeof(four.sin_addr));
	memcpy(&six.sin6_addr, bytes, sizeof(six.sin6_addr));
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return -errno;
	if (connect(fd, to, ipv4 ? sizeof(four) : sizeof(six)) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
