/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *text, const char *option, struct error *err)
{
	return error_set(err, -EINVAL,
			 "%s: '%.100s' is no address: write 127.0.0.1:PORT or [::1]:PORT", option,
			 text);
}

static void set_v4(struct listen_address *a, struct in_addr ip, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = ip};

	memcpy(&a->address, &in, sizeof(in));
	a->size = sizeof(in);
	a->loopback = ntohl(ip.s_addr) >> 24 == 127;
}

static void set_v6(struct listen_address *a, struct in6_addr ip, uint16_t port)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = ip};

	memcpy(&a->address, &in6, sizeof(in6));
	a->size = sizeof(in6);
	a->loopback = IN6_IS_ADDR_LOOPBACK(&ip);
}

int listen_address_parse(const char *text, const char *option, struct listen_address *ret_address,
			 struct error *err)
{
	const char *colon = strrchr(text, ':');
	struct listen_address a = {};
	struct in6_addr v6;
	struct in_addr v4 = {};
	char host[64];
	unsigned long port;
	int n;

	if (!colon || strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1] ||
	    strlen(colon) > 6)
		return refuse(text, option, err);
	port = strtoul(colon + 1, NULL, 10);
	n = snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (port > 65535 || n >= (int)sizeof(host))
		return refuse(text, option, err);
	if (!n || inet_pton(AF_INET, host, &v4) == 1) {
		set_v4(&a, v4, (uint16_t)port);
	} else if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		if (inet_pton(AF_INET6, host + 1, &v6) != 1)
			return refuse(text, option, err);
		set_v6(&a, v6, (uint16_t)port);
	} else {
		return refuse(text, option, err);
	}
	*ret_address = a;
	return 0;
}
