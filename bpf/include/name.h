/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names: which addresses stand for one, where a name really is, and which of a worker's ports
 * somebody is sent to instead. Pure functions over plain data, for the kernel programs and the
 * host's tests alike. Fails closed: an address without a name, an entry without addresses or past
 * its time give nothing.
 */
#pragma once

#include "address.h"

#define NAME_DNS_PORT 53

static __always_inline int name_is_synthetic(const struct address *a)
{
	const int shift = 32 - OS_SYNTHETIC_IPV4_PREFIX;

	if (address_is_ipv4(a))
		return ADDRESS_BE32(a->word[3]) >> shift == OS_SYNTHETIC_IPV4 >> shift;
	return a->word[0] == ADDRESS_BE32(OS_SYNTHETIC_IPV6_0) &&
	       a->word[1] == ADDRESS_BE32(OS_SYNTHETIC_IPV6_1);
}

/*
 * The form that os_endpoint has of a synthetic address: v4-mapped, whichever family was asked for.
 * A number that no name can have becomes 0, which none has.
 */
static __always_inline struct address name_canonical(const struct address *a)
{
	__u32 number = ADDRESS_BE32(a->word[3]);

	if (address_is_ipv4(a))
		return *a;
	if (a->word[2] || number > OS_SYNTHETIC_MAX)
		number = 0;
	return address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));
}

static __always_inline int name_is_fresh(const struct os_name *name, __u64 now)
{
	return now < name->expiry;
}

/* True if @real is one of the addresses that were validated for @name. */
static __always_inline int name_has(const struct os_name *name, const struct address *real)
{
	int has = 0;

	for (__u32 i = 0; i < OS_NAME_REAL_MAX; i++)
		has |= i < name->count &&
		       address_equal((const struct address *)name->real[i], real);
	return has;
}

/*
 * Whether a connection that is at @real may stay there, by the limits of its endpoint and where its
 * name is now (NULL = nowhere).
 */
static __always_inline int name_keeps(__u32 limits, const struct os_name *name,
				      const struct address *real)
{
	if (!(limits & OS_ENDPOINT_LISTED) &&
	    !(limits & OS_ENDPOINT_PUBLIC && address_is_private(real)))
		return 1;
	return name && name_has(name, real);
}

/* One of the addresses, by turns; 0 if there is none of the family that was asked for. */
static __always_inline int name_pick(const struct os_name *name, __u32 turn,
				     const struct address *asked, struct address *ret_real)
{
	__u32 count = name->count;

	if (!count || count > OS_NAME_REAL_MAX)
		return 0;
	turn %= count;
	/* Verifiers do not follow a division, and the compiler would drop the mask. */
	asm volatile("" : "+r"(turn));
	__builtin_memcpy(ret_real, name->real[turn & (OS_NAME_REAL_MAX - 1)], sizeof(*ret_real));
	return address_is_ipv4(ret_real) == address_is_ipv4(asked);
}

/* Where a connection to @asked goes that @slot's proxy is to read. */
static __always_inline struct address name_proxy_address(__u32 slot, const struct address *asked)
{
	__u32 number = name_is_synthetic(asked) ? ADDRESS_BE32(asked->word[3]) : 0;

	return address_of_ipv4(ADDRESS_BE32(OS_PROXY_IPV4 +
					    (slot & (OS_SLOTS_MAX - 1)) * OS_PROXY_SPREAD +
					    (number & (OS_PROXY_SPREAD - 1))));
}

/* 127.0.0.1 or ::1: where a worker is, for who asked for an address of that family. */
static __always_inline struct address name_worker_address(int ipv4)
{
	struct address six = {.word = {0, 0, 0, ADDRESS_BE32(1)}};

	return ipv4 ? address_of_ipv4(ADDRESS_BE32(0x7f000001)) : six;
}

/* The worker's port for DNS or (@flags OS_SOCK_ASK, TCP) for a verdict; 0 = there is none. */
static __always_inline __u16 name_worker_port(const struct os_worker *worker, __u32 flags, int ipv4,
					      int tcp)
{
	if (flags & OS_SOCK_ASK)
		return !tcp ? 0 : ipv4 ? worker->ask4 : worker->ask6;
	if (flags & OS_SOCK_DNS)
		return tcp ? (ipv4 ? worker->dns_tcp4 : worker->dns_tcp6)
			   : (ipv4 ? worker->dns_udp4 : worker->dns_udp6);
	return 0;
}
