/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and CIDRs of a policy, and the list of those that no policy can allow. IPv4 is kept in
 * its v4-mapped form, so that 10.0.0.1 and ::ffff:10.0.0.1 are one address. Pure functions; any
 * thread. Fails closed: what cannot be parsed is no address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_CIDR_TEXT_MAX 64

struct policy_cidr {
	uint8_t address[16]; /* network order; IPv4 as ::ffff:a.b.c.d; host bits are zero */
	unsigned int prefix; /* 0..128; IPv4's own prefix is this minus 96 */
};

enum policy_never {
	POLICY_NEVER_NO,
	POLICY_NEVER_UNSPECIFIED,
	POLICY_NEVER_LOOPBACK,
	POLICY_NEVER_LINK_LOCAL,
	POLICY_NEVER_METADATA,
	POLICY_NEVER_MULTICAST,
	POLICY_NEVER_BROADCAST,
};

/* An address without a prefix. -EINVAL. */
int policy_address_parse(const char *text, struct policy_cidr *ret_cidr);

/*
 * An address or a CIDR. -EINVAL; -ERANGE for a prefix that is too long; -EDOM when bits after the
 * prefix are set, with @ret_cidr holding the network that was probably meant.
 */
int policy_cidr_parse(const char *text, struct policy_cidr *ret_cidr);

/* Canonical text; @is_host leaves the prefix of a single address out. Returns @buf. */
const char *policy_cidr_format(const struct policy_cidr *cidr, bool is_host,
			       char buf[POLICY_CIDR_TEXT_MAX]);

bool policy_cidr_overlaps(const struct policy_cidr *a, const struct policy_cidr *b);

/*
 * Which part of the never-list @cidr touches, in every form that carries an IPv4 address. Metadata
 * addresses that lie in public or unique-local space count only when @cidr is exactly that
 * address: a network around one is admitted and the address in it still refused at connect().
 */
enum policy_never policy_cidr_never(const struct policy_cidr *cidr);

/* The sentence's noun for it: "a loopback address". */
const char *policy_never_name(enum policy_never never);

/* A port of clusters' control planes (policy.md, "Addresses"). */
bool policy_port_is_control(int64_t port);

/* RFC 1918, RFC 6598, RFC 4193: where a host is taken for one of the operator's own. */
bool policy_cidr_is_private(const struct policy_cidr *cidr);
