// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is behind a TCP connection that was sent to the sandbox's worker: os_flow or os_proxied,
 * written when both ends are known and before the first packet leaves, so that whoever accepts it
 * finds it there. Other connections pay one look-up when they connect. Datagrams' are written by
 * skb.bpf.c.
 */
#include "vmlinux.h"
#include "flow.h"

/* Both ends, as the socket has them. */
static __always_inline void flow_of(const struct bpf_sock_ops *ctx, struct packet *ret_flow)
{
	/* volatile: each field is read by itself, or the verifier does not recognise it. */
	const volatile struct bpf_sock_ops *fields = ctx;

	ret_flow->source = address_of_ipv4(fields->local_ip4);
	ret_flow->target = address_of_ipv4(fields->remote_ip4);
	if (fields->family != AF_INET) {
		ret_flow->source.word[0] = fields->local_ip6[0];
		ret_flow->source.word[1] = fields->local_ip6[1];
		ret_flow->source.word[2] = fields->local_ip6[2];
		ret_flow->source.word[3] = fields->local_ip6[3];
		ret_flow->target.word[0] = fields->remote_ip6[0];
		ret_flow->target.word[1] = fields->remote_ip6[1];
		ret_flow->target.word[2] = fields->remote_ip6[2];
		ret_flow->target.word[3] = fields->remote_ip6[3];
	}
	ret_flow->source_port = fields->local_port;
	ret_flow->target_port = ADDRESS_BE32(fields->remote_port);
	ret_flow->protocol = IPPROTO_TCP;
}

static __always_inline void forget(const struct packet *flow)
{
	struct os_flow_key key = {};

	flow_key(flow, &key);
	bpf_map_delete_elem(&os_flow, &key);
}

/*
 * An agent that closes first may have done so before the worker looked: what it sent is still to go
 * out in its name.
 */
static __always_inline int is_unread(__u32 from)
{
	return from == BPF_TCP_FIN_WAIT1 || from == BPF_TCP_FIN_WAIT2 || from == BPF_TCP_CLOSING;
}

static __always_inline void closed(struct bpf_sock_ops *ctx, const struct os_sock *sock)
{
	struct packet flow = {};
	int unread = is_unread(ctx->args[0]);

	if (ctx->args[1] != BPF_TCP_CLOSE)
		return;
	flow_of(ctx, &flow);
	if (sock->flags & OS_SOCK_PROXY)
		flow_end_proxied(&flow, unread);
	else if (!unread || !(sock->flags & OS_SOCK_ASK)) /* the map forgets the oldest */
		forget(&flow);
}

SEC("sockops")
int egress_sockops(struct bpf_sock_ops *ctx)
{
	struct packet flow = {};
	struct bpf_sock *sk;
	struct os_sock *sock;
	__u32 op = ctx->op;

	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	sk = ctx->sk;
	if (!sk)
		return 1;
	sock = bpf_sk_storage_get(&os_sock, sk, 0, 0);
	if (!sock)
		return 1;
	if (op == BPF_SOCK_OPS_STATE_CB) {
		closed(ctx, sock);
		return 1;
	}
	count(OS_COUNT_HOOK + OS_HOOK_SOCKOPS);
	if (!(sock->flags & (OS_SOCK_DNS | OS_SOCK_ASK | OS_SOCK_PROXY)))
		return 1;
	flow_of(ctx, &flow);
	if (!(sock->flags & OS_SOCK_PROXY)) {
		flow_note(&flow, sock);
	} else if (flow_note_proxied(&flow, sock)) {
		/* Nobody would give it to the proxy: it must not reach whoever listens there. */
		egress_set_stamp(sock, sock->stamp.generation, OS_SOCK_REFUSED);
		count(OS_COUNT_HELPER_FAILED);
		return 1;
	}
	if (bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG))
		count(OS_COUNT_HELPER_FAILED);
	return 1;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
