/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_address.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4(a, b, c, d, bits)                                                                       \
	{                                                                                          \
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, 96 + (bits)                \
	}

struct never_range {
	struct policy_cidr cidr;
	enum policy_never never;
	bool exact_only;
};

static const struct never_range never_ranges[] = {
	{V4(0, 0, 0, 0, 8), POLICY_NEVER_UNSPECIFIED, false},
	{V4(127, 0, 0, 0, 8), POLICY_NEVER_LOOPBACK, false},
	{V4(169, 254, 169, 254, 32), POLICY_NEVER_METADATA, false},
	{V4(169, 254, 0, 0, 16), POLICY_NEVER_LINK_LOCAL, false},
	{V4(224, 0, 0, 0, 4), POLICY_NEVER_MULTICAST, false},
	{V4(255, 255, 255, 255, 32), POLICY_NEVER_BROADCAST, false},
	{{{0}, 128}, POLICY_NEVER_UNSPECIFIED, false},
	{{{[15] = 1}, 128}, POLICY_NEVER_LOOPBACK, false},
	{{{0xfe, 0x80}, 10}, POLICY_NEVER_LINK_LOCAL, false},
	{{{0xff}, 8}, POLICY_NEVER_MULTICAST, false},
	/* Clouds' metadata and wire services outside the link-local ranges. */
	{{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128}, POLICY_NEVER_METADATA, true},
	{{{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128}, POLICY_NEVER_METADATA, true},
	{V4(100, 100, 100, 200, 32), POLICY_NEVER_METADATA, true},
	{V4(168, 63, 129, 16, 32), POLICY_NEVER_METADATA, true},
	{V4(192, 0, 0, 192, 32), POLICY_NEVER_METADATA, true},
};

/* Where an IPv4 address hides in an IPv6 one: the kernel's list is bpf/include/address.h. */
static const struct carrier {
	struct policy_cidr cidr;
	unsigned int offset; /* of the IPv4 address, in bytes */
	bool inside_only;    /* a network around all of it is no way to reach what it hides */
} carriers[] = {
	{{{0x00, 0x64, 0xff, 0x9b}, 96}, 12, false},		 /* NAT64, RFC 6052 */
	{{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}, 12, false}, /* RFC 8215, with a /96 */
	{{{[8] = 0xff, 0xff}, 96}, 12, false},			 /* translated, RFC 2765 */
	{{{0}, 96}, 12, false},					 /* compatible, RFC 4291 */
	{{{0x20, 0x02}, 16}, 2, true},				 /* 6to4, RFC 3056 */
};

static void mask(struct policy_cidr *cidr)
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int bits = cidr->prefix > i * 8 ? cidr->prefix - i * 8 : 0;

		if (bits < 8)
			cidr->address[i] &= (uint8_t)(0xff00 >> bits);
	}
}

int policy_address_parse(const char *text, struct policy_cidr *ret_cidr)
{
	struct policy_cidr cidr = V4(0, 0, 0, 0, 32);

	if (inet_pton(AF_INET, text, cidr.address + 12) != 1 &&
	    inet_pton(AF_INET6, text, cidr.address) != 1)
		return -EINVAL;
	*ret_cidr = cidr;
	return 0;
}

int policy_cidr_parse(const char *text, struct policy_cidr *ret_cidr)
{
	const char *slash = strchr(text, '/');
	struct policy_cidr cidr, network;
	char address[INET6_ADDRSTRLEN];
	unsigned int base, prefix = 0;

	if (!slash)
		return policy_address_parse(text, ret_cidr);
	if ((size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (policy_address_parse(address, &cidr) < 0)
		return -EINVAL;
	base = strchr(address, ':') ? 0 : 96;
	if (!slash[1] || strlen(slash + 1) > 3 || (slash[1] == '0' && slash[2]))
		return -EINVAL;
	for (const char *c = slash + 1; *c; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
		prefix = prefix * 10 + (unsigned int)(*c - '0');
	}
	if (prefix > 128 - base)
		return -ERANGE;
	cidr.prefix = base + prefix;
	network = cidr;
	mask(&network);
	*ret_cidr = network;
	return memcmp(&network, &cidr, sizeof(cidr)) ? -EDOM : 0;
}

static bool is_mapped(const struct policy_cidr *cidr)
{
	static const struct policy_cidr mapped = V4(0, 0, 0, 0, 0);

	return cidr->prefix >= 96 && !memcmp(cidr->address, mapped.address, 12);
}

const char *policy_cidr_format(const struct policy_cidr *cidr, bool is_host,
			       char buf[POLICY_CIDR_TEXT_MAX])
{
	bool v4 = is_mapped(cidr);
	char address[INET6_ADDRSTRLEN];

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, cidr->address + (v4 ? 12 : 0), address,
		       sizeof(address)))
		address[0] = '\0';
	if (is_host && cidr->prefix == 128)
		snprintf(buf, POLICY_CIDR_TEXT_MAX, "%s", address);
	else
		snprintf(buf, POLICY_CIDR_TEXT_MAX, "%s/%u", address, cidr->prefix - (v4 ? 96 : 0));
	return buf;
}

bool policy_cidr_overlaps(const struct policy_cidr *a, const struct policy_cidr *b)
{
	struct policy_cidr x = *a, y = *b;

	x.prefix = y.prefix = a->prefix < b->prefix ? a->prefix : b->prefix;
	mask(&x);
	mask(&y);
	return !memcmp(x.address, y.address, sizeof(x.address));
}

static enum policy_never never_direct(const struct policy_cidr *cidr)
{
	for (size_t i = 0; i < ARRAY_LEN(never_ranges); i++) {
		const struct never_range *range = &never_ranges[i];

		if ((!range->exact_only || cidr->prefix == range->cidr.prefix) &&
		    policy_cidr_overlaps(cidr, &range->cidr))
			return range->never;
	}
	return POLICY_NEVER_NO;
}

enum policy_never policy_cidr_never(const struct policy_cidr *cidr)
{
	enum policy_never never = never_direct(cidr);

	for (size_t i = 0; i < ARRAY_LEN(carriers) && !never; i++) {
		const struct carrier *carrier = &carriers[i];
		unsigned int before = carrier->offset * 8;
		struct policy_cidr inner = V4(0, 0, 0, 0, 0);

		if (!policy_cidr_overlaps(cidr, &carrier->cidr) ||
		    (carrier->inside_only && cidr->prefix < carrier->cidr.prefix))
			continue;
		if (cidr->prefix > before) {
			memcpy(inner.address + 12, cidr->address + carrier->offset, 4);
			inner.prefix =
				cidr->prefix - before < 32 ? 96 + cidr->prefix - before : 128;
		}
		never = never_direct(&inner);
	}
	return never;
}

const char *policy_never_name(enum policy_never never)
{
	static const char *const names[] = {
		[POLICY_NEVER_NO] = "nothing",
		[POLICY_NEVER_UNSPECIFIED] = "an unspecified address",
		[POLICY_NEVER_LOOPBACK] = "a loopback address",
		[POLICY_NEVER_LINK_LOCAL] = "a link-local address",
		[POLICY_NEVER_METADATA] = "a cloud metadata address",
		[POLICY_NEVER_MULTICAST] = "a multicast address",
		[POLICY_NEVER_BROADCAST] = "the broadcast address",
	};

	return names[never];
}

bool policy_cidr_is_private(const struct policy_cidr *cidr)
{
	static const struct policy_cidr ranges[] = {
		V4(10, 0, 0, 0, 8),    V4(172, 16, 0, 0, 12), V4(192, 168, 0, 0, 16),
		V4(100, 64, 0, 0, 10), {{0xfc}, 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (cidr->prefix >= ranges[i].prefix && policy_cidr_overlaps(cidr, &ranges[i]))
			return true;
	return false;
}

bool policy_port_is_control(int64_t port)
{
	static const int64_t ports[] = {2379, 2380, 6443, 10250, 10255};

	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (ports[i] == port)
			return true;
	return false;
}
