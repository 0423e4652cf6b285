// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections to endpoints whose content decides reach their sandbox's proxy here. connect.bpf.c
 * has sent them into OS_PROXY_IPV4; before anybody's listener is looked for, this finds whose the
 * connection is by both its ends (os_proxied, written before the SYN left) and gives it to that
 * sandbox's listener (os_listener). Ports are shared between destinations, so that one end alone
 * would not tell. The same holds for the last packet of a handshake when SYN cookies are out.
 *
 * Who is not in os_proxied is no agent that was sent here, and meets what would be there without
 * us; a listener's own address nobody gets through to. A connection of an agent's whose listener is
 * gone ends: it must not meet somebody else's.
 *
 * Not attached with the others: to a network namespace, when the first sandbox in it has a proxy
 * (kernel_set_listener()). Runs for every connection that is opened to this host then.
 */
#include "vmlinux.h"
#include "address.h"
#include "maps.h"

#define AF_INET	    2
#define IPPROTO_TCP 6

SEC("sk_lookup")
int egress_redirect(struct bpf_sk_lookup *ctx)
{
	/* volatile: each field is read by itself, or the verifier does not recognise it. */
	const volatile struct bpf_sk_lookup *fields = ctx;
	const __u32 shift = 32 - OS_PROXY_IPV4_PREFIX;
	struct os_flow_key key = {.protocol = IPPROTO_TCP};
	struct address agent, here;
	const struct os_flow *flow;
	struct bpf_sock *listener;
	__u32 to, slot;
	long r;

	if (fields->family != AF_INET || fields->protocol != IPPROTO_TCP)
		return SK_PASS;
	to = fields->local_ip4;
	if (ADDRESS_BE32(to) >> shift != OS_PROXY_IPV4 >> shift)
		return SK_PASS;
	agent = address_of_ipv4(fields->remote_ip4);
	here = address_of_ipv4(to);
	__builtin_memcpy(key.local, &agent, sizeof(key.local));
	__builtin_memcpy(key.remote, &here, sizeof(key.remote));
	key.remote_port = (__u16)fields->local_port;
	/* Network order in the first two bytes of four, before kernel commit 9a69e2b385f4 and
	 * after. */
	key.local_port = ADDRESS_BE16((__u16) * (const volatile __u32 *)&ctx->remote_port);
	flow = bpf_map_lookup_elem(&os_proxied, &key);
	if (!flow)
		return to == ADDRESS_BE32(OS_PROXY_LISTENER) ? SK_DROP : SK_PASS;
	slot = flow->slot;
	listener = bpf_map_lookup_elem(&os_listener, &slot);
	if (!listener)
		return SK_DROP;
	r = bpf_sk_assign(ctx, listener, BPF_SK_LOOKUP_F_REPLACE | BPF_SK_LOOKUP_F_NO_REUSEPORT);
	bpf_sk_release(listener);
	return r ? SK_DROP : SK_PASS;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
