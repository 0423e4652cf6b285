/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the egress programs share: the rules asked for one destination, the sandbox's own sockets,
 * and how a verdict is told. connect.bpf.c asks when an address is given, skb.bpf.c when a packet
 * leaves or arrives.
 */
#pragma once

#include "endpoint.h"
#include "event.h"
#include "identity.h"
#include "name.h"
#include "packet.h"

#define AF_INET	    2
#define AF_INET6    10
#define SOCK_STREAM 1
#define SOCK_DGRAM  2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define EPERM	    1

/* One destination, and what the rules say to it. */
struct destination {
	struct address address; /* as the agent gives it: synthetic, if it is a name */
	__u32 slot;
	__u32 generation;
	__u16 port;	/* host order */
	__u16 limits;	/* out: OS_ENDPOINT_* */
	__u32 endpoint; /* out: index, or OS_EVENT_NO_ENDPOINT */
	__u32 verdict;	/* out: enum os_verdict, what is to become of who is admitted */
};

/*
 * Which kind of address it is. Out of line, so that the verifier forgets how the answer was found
 * and does not follow the rest of the caller once for each way.
 */
enum egress_kind {
	EGRESS_PLAIN = 0,
	EGRESS_LOOPBACK = 1,
	EGRESS_NEVER = 2,
};

__attribute__((weak, noinline)) int egress_kind(const struct address *address)
{
	if (!address)
		return EGRESS_NEVER;
	if (address_is_loopback(address))
		return EGRESS_LOOPBACK;
	return address_is_never(address) ? EGRESS_NEVER : EGRESS_PLAIN;
}

/* A binary to look up, as it was when it was executed. */
struct egress_binary {
	struct os_binary_key key;
	__u64 changed;
};

/* One binary's rules. Out of line as well: it is called in a loop. */
__attribute__((weak, noinline)) int egress_add_rules(struct endpoint_caller *caller,
						     const struct egress_binary *binary)
{
	struct os_binary_key key; /* a map's key must be on the stack */

	if (!caller || !binary)
		return 0;
	key = binary->key;
	endpoint_add_binary(caller, bpf_map_lookup_elem(&os_binary, &key), binary->changed);
	return 0;
}

/*
 * Ask the policy whether @identity may reach @to: 0 or an enum os_reason. @ret_rules: those of the
 * endpoint's that it satisfies. A global function: the verifier checks it once per program, and any
 * argument may lie in a map.
 */
__attribute__((weak, noinline)) int egress_ask(struct destination *to, struct os_identity *identity,
					       struct os_rule_mask *ret_rules)
{
	const struct os_endpoint *endpoint;
	struct endpoint_caller caller = {};

	if (!to || !identity || !ret_rules)
		return OS_REASON_IDENTITY;
	to->endpoint = OS_EVENT_NO_ENDPOINT;
	to->limits = 0;
	to->verdict = OS_VERDICT_DENY;
	__builtin_memset(ret_rules, 0, sizeof(*ret_rules));

	int synthetic = name_is_synthetic(&to->address);
	struct address listed = synthetic ? name_canonical(&to->address) : to->address;

	/* One after the other, so that they share the stack. */
	{
		struct os_endpoint_key exact = {
			.slot = to->slot,
			.generation = to->generation,
			.port = to->port,
		};

		__builtin_memcpy(exact.address, &listed, sizeof(exact.address));
		endpoint = bpf_map_lookup_elem(&os_endpoint, &exact);
	}
	if (!endpoint && !synthetic) { /* a range of addresses holds no names */
		struct os_cidr_key range = {
			.prefixlen = OS_CIDR_PREFIX_BASE + 128,
			.slot = to->slot,
			.generation = to->generation,
			.port = to->port,
		};

		__builtin_memcpy(range.address, &listed, sizeof(range.address));
		endpoint = bpf_map_lookup_elem(&os_cidr, &range);
	}
	if (!endpoint)
		return OS_REASON_NO_ENDPOINT;
	to->endpoint = endpoint->endpoint;
	to->limits = endpoint->limits;
	to->verdict = endpoint->verdict;
	if (identity_file_is_none(&identity->exe.file))
		return OS_REASON_IDENTITY;

	struct egress_binary binary = {.key = {.slot = to->slot, .generation = to->generation}};

	egress_add_rules(&caller, &binary);
	caller.unknown = 0; /* most policies have no entry for every executable */
	binary.key.file = identity->exe.file;
	binary.changed = identity->exe.changed;
	egress_add_rules(&caller, &binary);
	for (__u32 i = 0; i < OS_ANCESTORS_MAX; i++) {
		if (i >= identity->ancestors)
			break;
		binary.key.file = identity->ancestor[i].file;
		binary.changed = identity->ancestor[i].changed;
		egress_add_rules(&caller, &binary);
	}

	__u32 slot = to->slot;

	/* Nobody there to ask: what is not known is denied as such. */
	if (caller.unknown && !bpf_map_lookup_elem(&os_worker, &slot))
		caller.unknown = 0;
	endpoint_mask_common(&endpoint->rules, &caller.rules, ret_rules);
	return endpoint_decide(endpoint, &caller);
}

/* Whether what was admitted to @to, a name, may stay at @real: see name_keeps(). */
__attribute__((weak, noinline)) int egress_keeps(const struct destination *to,
						 const struct address *real)
{
	if (!to || !real)
		return 0;
	if (!to->limits)
		return 1;

	struct os_name_key key = {
		.slot = to->slot,
		.generation = to->generation,
		.port = to->port,
	};

	__builtin_memcpy(key.address, &to->address, sizeof(key.address));
	return name_keeps(to->limits, bpf_map_lookup_elem(&os_name, &key), real);
}

/*
 * Whether the socket that would answer at @to is one of @slot's own. @from is the asking socket's
 * end where it is known: with it an established peer is found, without it a listener. A connection
 * that is just being accepted answers with its listener, in programs that may ask for it (@packet).
 * The context's network namespace is searched.
 */
static __always_inline int egress_is_own(void *ctx, const struct address *from, __u16 from_port,
					 const struct address *to, __u16 to_port, int tcp,
					 __u32 slot, const int packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *peer;
	struct os_sock *stamp;
	__u32 size;
	int own = 0;

	if (address_is_ipv4(to)) {
		size = sizeof(tuple.ipv4);
		tuple.ipv4.saddr = from->word[3];
		tuple.ipv4.daddr = to->word[3];
		tuple.ipv4.sport = ADDRESS_BE16(from_port);
		tuple.ipv4.dport = ADDRESS_BE16(to_port);
	} else {
		size = sizeof(tuple.ipv6);
		__builtin_memcpy(tuple.ipv6.saddr, from, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, to, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = ADDRESS_BE16(from_port);
		tuple.ipv6.dport = ADDRESS_BE16(to_port);
	}
	if (tcp)
		peer = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		peer = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!peer)
		return 0;
	stamp = bpf_sk_storage_get(&os_sock, peer, 0, 0);
	if (!stamp && packet) {
		struct bpf_sock *listener = bpf_get_listener_sock(peer);

		if (listener)
			stamp = bpf_sk_storage_get(&os_sock, listener, 0, 0);
	}
	if (stamp)
		own = stamp->slot == slot;
	bpf_sk_release(peer);
	return own;
}

static __always_inline struct os_sock_stamp egress_stamp(const struct os_sock *sock)
{
	union {
		__u64 whole;
		struct os_sock_stamp stamp;
	} u = {.whole = *(const volatile __u64 *)&sock->stamp};

	return u.stamp;
}

static __always_inline void egress_set_stamp(struct os_sock *sock, __u32 generation, __u32 state)
{
	union {
		struct os_sock_stamp stamp;
		__u64 whole;
	} u = {.stamp = {.generation = generation, .state = state}};

	*(volatile __u64 *)&sock->stamp = u.whole;
}

/* Whether a socket that says @flags may (still) talk to its worker at @to. */
static __always_inline int egress_is_worker(__u32 slot, __u32 flags, const struct address *to,
					    __u16 port, int tcp)
{
	const struct os_worker *worker = bpf_map_lookup_elem(&os_worker, &slot);
	int ipv4 = address_is_ipv4(to);
	struct address there = name_worker_address(ipv4);

	return worker && port && port == name_worker_port(worker, flags, ipv4, tcp) &&
	       address_equal(to, &there);
}

/* A decision about @to, for event_emit(). */
static __always_inline void egress_decision(struct decision *d, const struct destination *to,
					    __u16 hook, __u32 mode, __u32 reason)
{
	d->slot = to->slot;
	d->generation = to->generation;
	d->kind = OS_EVENT_NET;
	d->hook = hook;
	d->reason = reason;
	d->verdict = reason == OS_REASON_NONE ? OS_EVENT_ALLOWED
		     : mode == OS_MODE_AUDIT  ? OS_EVENT_AUDIT
					      : OS_EVENT_DENIED;
	d->error = reason == OS_REASON_NONE ? 0 : -EPERM;
	d->family = address_is_ipv4(&to->address) ? AF_INET : AF_INET6;
	d->port = to->port;
	d->endpoint = to->endpoint;
	__builtin_memcpy(d->address, &to->address, sizeof(d->address));
}
