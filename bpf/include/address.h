/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which addresses no sandbox may reach, whatever its policy says. An address is 16 bytes in network
 * order, IPv4 as ::ffff:a.b.c.d. An IPv6 address that carries an IPv4 one, for a translator or a
 * tunnel to unpack, is judged by what it carries too.
 *
 * Pure functions over plain data: the kernel programs, the policy compiler, the host's unit tests
 * and the fuzzer run this code.
 */
#pragma once

#include "abi.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ADDRESS_BE32(x) __builtin_bswap32(x)
#define ADDRESS_BE16(x) __builtin_bswap16(x)
#else
#define ADDRESS_BE32(x) (x)
#define ADDRESS_BE16(x) (x)
#endif

struct address {
	__u32 word[4]; /* network order */
};

_Static_assert(sizeof(struct address) == 16, "an address is copied to and from keys whole");

static __always_inline struct address address_of_ipv4(__u32 network_order)
{
	struct address a = {.word = {0, 0, ADDRESS_BE32(0xffff), network_order}};

	return a;
}

static __always_inline int address_equal(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline int address_is_ipv4(const struct address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == ADDRESS_BE32(0xffff);
}

/* 127.0.0.0/8 and ::1, in the forms that a socket reaches them by. */
static __always_inline int address_is_loopback(const struct address *a)
{
	if (address_is_ipv4(a))
		return ADDRESS_BE32(a->word[3]) >> 24 == 127;
	return !a->word[0] && !a->word[1] && !a->word[2] && a->word[3] == ADDRESS_BE32(1);
}

/* @v4 in host order: loopback included. */
static __always_inline int address_ipv4_is_never(__u32 v4)
{
	return v4 >> 24 == 0 ||	     /* "this network", unspecified: RFC 1122 3.2.1.3 */
	       v4 >> 24 == 127 ||    /* loopback */
	       v4 >> 16 == 0xa9fe || /* 169.254.0.0/16, link-local: metadata of most clouds */
	       v4 >> 28 == 0xe ||    /* 224.0.0.0/4, multicast */
	       v4 == 0xffffffff ||   /* limited broadcast */
	       v4 == 0xc00000c0 ||   /* 192.0.0.192, Oracle metadata */
	       v4 == 0x646464c8 ||   /* 100.100.100.200, Alibaba metadata */
	       v4 == 0xa83f8110;     /* 168.63.129.16, Azure host */
}

/*
 * True if @a carries an IPv4 address, in host order in *ret_v4: mapped and translated (RFC 4291,
 * RFC 2765), compatible (RFC 4291, `::` and `::1` included), NAT64 (RFC 6052, and RFC 8215's with
 * a /96), 6to4 (RFC 3056).
 */
static __always_inline int address_carries_ipv4(const struct address *a, __u32 *ret_v4)
{
	__u32 w0 = ADDRESS_BE32(a->word[0]), w1 = ADDRESS_BE32(a->word[1]),
	      w2 = ADDRESS_BE32(a->word[2]), w3 = ADDRESS_BE32(a->word[3]);

	if (!w0 && !w1 && (w2 == 0 || w2 == 0xffff || w2 == 0xffff0000)) {
		*ret_v4 = w3;
		return 1;
	}
	if (w0 == 0x0064ff9b && ((!w1 && !w2) || w1 >> 16 == 1)) {
		*ret_v4 = w3;
		return 1;
	}
	if (w0 >> 16 == 0x2002) {
		*ret_v4 = w0 << 16 | w1 >> 16;
		return 1;
	}
	return 0;
}

/* RFC 1918, RFC 6598. @v4 in host order. */
static __always_inline int address_ipv4_is_private(__u32 v4)
{
	return v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 || v4 >> 22 == 0x6440 >> 6;
}

/* Private or unique-local (RFC 4193), in every form that carries such an IPv4 address. */
static __always_inline int address_is_private(const struct address *a)
{
	__u32 v4;

	if (address_carries_ipv4(a, &v4) && address_ipv4_is_private(v4))
		return 1;
	return ADDRESS_BE32(a->word[0]) >> 25 == 0xfc >> 1;
}

/* Loopback is among them: a caller that lets a sandbox reach itself asks address_is_loopback(). */
static __always_inline int address_is_never(const struct address *a)
{
	__u32 w0 = ADDRESS_BE32(a->word[0]), w1 = ADDRESS_BE32(a->word[1]),
	      w2 = ADDRESS_BE32(a->word[2]), w3 = ADDRESS_BE32(a->word[3]), v4;

	if (address_carries_ipv4(a, &v4) && address_ipv4_is_never(v4))
		return 1;
	if (w0 >> 22 == 0xfe80 >> 6 || /* fe80::/10, link-local */
	    w0 >> 24 == 0xff)	       /* ff00::/8, multicast */
		return 1;
	if (w0 == 0xfd000ec2 && !w1 && !w2 && w3 == 0x254) /* fd00:ec2::254, AWS metadata */
		return 1;
	return w0 == 0xfd2000ce && !w1 && !w2 && w3 == 0x254; /* fd20:ce::254, GCP metadata */
}
