/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_host.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* v4-mapped; false for what names no host to others: unspecified, loopback, link-local. */
static bool take_address(const struct sockaddr *from, uint8_t *ret_address)
{
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;
		uint32_t address = ntohl(in->sin_addr.s_addr);

		if (!address || address >> 24 == 127 || address >> 16 == 0xa9fe)
			return false;
		memset(ret_address, 0, 10);
		memset(ret_address + 10, 0xff, 2);
		memcpy(ret_address + 12, &in->sin_addr, 4);
		return true;
	}
	if (from->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)from)->sin6_addr;

		if (IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LOOPBACK(a) ||
		    IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_V4MAPPED(a))
			return false;
		memcpy(ret_address, a, 16);
		return true;
	}
	return false;
}

/* The source that the kernel would choose; connecting a datagram socket sends nothing. */
static bool find_by_route(int family, uint8_t *ret_address)
{
	/* Of the documentation's ranges (RFC 5737, RFC 3849): nobody's, so reached by default. */
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(9),
		.sin6_addr.s6_addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
	};
	struct sockaddr *to = family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && !connect(fd, to, len) && !getsockname(fd, to, &len) &&
	       take_address(to, ret_address);
}

static bool find_by_interface(const struct ifaddrs *list, int family, uint8_t *ret_address)
{
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == family && i->ifa_flags & IFF_UP &&
		    !(i->ifa_flags & IFF_LOOPBACK) && take_address(i->ifa_addr, ret_address))
			return true;
	return false;
}

void worker_host_find(struct worker_found *ret_found)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct worker_found found = {.header = ret_found->header, .ttl = WORKER_HOST_TTL};
	struct ifaddrs *list = NULL;
	bool listed = false;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		uint8_t *address = found.address[found.count];

		if (find_by_route(families[i], address)) {
			found.count++;
			continue;
		}
		if (!listed && getifaddrs(&list) < 0)
			list = NULL;
		listed = true;
		found.count += find_by_interface(list, families[i], address);
	}
	if (list)
		freeifaddrs(list);
	found.status = found.count ? WORKER_NAME_FOUND : WORKER_NAME_NONE;
	*ret_found = found;
}
