// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a socket may go, decided when it is told where: connect() and every sendto() of an
 * unconnected UDP socket. In this order:
 *
 *	whose		the socket and the caller belong to one sandbox with a policy in force
 *	never		loopback is the sandbox's own sockets alone; other addresses of the
 *never-list nobody reaches identity	the caller's record agrees with its executable
 *	rules		an endpoint names the address and port, and its rules the caller
 *
 * What is allowed is written on the socket for the packets (skb.bpf.c). MSG_FASTOPEN,
 * TCP_FASTOPEN_CONNECT and io_uring come through connect as well; AF_UNSPEC connects do not, they
 * only dissolve. The program's type says the address family, not the caller's sa_family: UDP takes
 * AF_UNSPEC for AF_INET, and a v6 socket sends to v4-mapped addresses through sendmsg4.
 */
#include "vmlinux.h"
#include "egress.h"
#include "process.h"

struct question {
	struct destination to;
	struct os_policy policy;
	__u16 protocol;
};

static __always_inline void write_down(struct os_sock *sock, const struct question *q,
				       const struct os_proc *proc, __u32 state)
{
	__u32 tgid = ((struct task_struct *)bpf_get_current_task_btf())->tgid;

	egress_set_stamp(sock, 0, OS_SOCK_NONE);
	sock->endpoint = q->to.endpoint;
	__builtin_memcpy(sock->address, &q->to.address, sizeof(sock->address));
	sock->port = q->to.port;
	sock->tgid = tgid;
	sock->start_time = proc->start_time;
	__builtin_memcpy(&sock->identity, &proc->identity, sizeof(sock->identity));
	egress_set_stamp(sock, q->policy.generation, state);
}

/* Nothing changed since the last datagram to the same place: the same process, image and policy. */
static __always_inline int said_before(const struct os_sock *sock, const struct question *q,
				       const struct os_proc *proc)
{
	struct os_sock_stamp stamp = egress_stamp(sock);
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return stamp.state == OS_SOCK_ALLOWED && stamp.generation == q->policy.generation &&
	       sock->port == q->to.port && sock->tgid == (__u32)task->tgid &&
	       sock->start_time == proc->start_time &&
	       address_equal((struct address *)sock->address, &q->to.address) &&
	       identity_image_equal(&sock->identity.exe, &proc->identity.exe);
}

/*
 * Where @sk's datagrams to loopback come from, as far as it is known: the address it is bound to,
 * else the one that the kernel will choose.
 */
static __always_inline void local_end(const struct bpf_sock *sk, int ipv4, struct address *ret_from)
{
	/* volatile: each field is read by itself, or the verifier does not recognise it. */
	const volatile struct bpf_sock *fields = sk;
	__u32 v4 = fields->src_ip4;

	ret_from->word[0] = fields->src_ip6[0];
	ret_from->word[1] = fields->src_ip6[1];
	ret_from->word[2] = fields->src_ip6[2];
	ret_from->word[3] = fields->src_ip6[3];
	if (fields->family == AF_INET)
		*ret_from = address_of_ipv4(v4);
	if (ret_from->word[3])
		return;
	if (ipv4) {
		*ret_from = address_of_ipv4(ADDRESS_BE32(0x7f000001));
	} else {
		ret_from->word[0] = ret_from->word[1] = ret_from->word[2] = 0;
		ret_from->word[3] = ADDRESS_BE32(1);
	}
}

#define ALREADY_TOLD 0xffff /* not an enum os_reason: allowed, and no event */

/* 0, ALREADY_TOLD or an enum os_reason; what is allowed is written on the socket. */
static __always_inline __u32 judge(struct bpf_sock_addr *ctx, struct question *q)
{
	struct bpf_sock *sk = ctx->sk;
	struct os_proc *proc;
	struct os_sock *sock;
	__u32 reason;
	int kind;

	if (!sk)
		return OS_REASON_NO_POLICY;
	sock = bpf_sk_storage_get(&os_sock, sk, 0, 0);
	if (!agent_is_current()) {
		/* An agent's socket that somebody outside holds is as good as nobody's. */
		q->to.slot = sock ? sock->slot : OS_SLOT_NONE;
		return OS_REASON_OTHER_SANDBOX;
	}
	q->to.slot = agent_slot();
	q->policy = agent_policy(q->to.slot);
	q->to.generation = q->policy.generation;
	if (q->policy.mode != OS_MODE_ENFORCE && q->policy.mode != OS_MODE_AUDIT)
		return OS_REASON_NO_POLICY;
	if (!sock || sock->slot != q->to.slot)
		return OS_REASON_OTHER_SANDBOX;
	proc = process_current(q->to.slot);
	kind = egress_kind(&q->to.address);
	if (kind == EGRESS_NEVER)
		return OS_REASON_NEVER_ADDRESS;
	if (kind == EGRESS_LOOPBACK) {
		struct address from;

		local_end(sk, address_is_ipv4(&q->to.address), &from);
		if (!egress_is_own(ctx, &from, (__u16)sk->src_port, &q->to.address, q->to.port,
				   q->protocol == IPPROTO_TCP, q->to.slot, 0))
			return OS_REASON_NEVER_ADDRESS;
		if (!proc)
			return OS_REASON_IDENTITY;
		write_down(sock, q, proc, OS_SOCK_LOOPBACK);
		return ALREADY_TOLD;
	}
	if (!proc)
		return OS_REASON_IDENTITY;
	if (said_before(sock, q, proc))
		return ALREADY_TOLD;
	reason = egress_ask(&q->to, &proc->identity);
	if (reason == OS_REASON_NONE || q->policy.mode == OS_MODE_AUDIT)
		write_down(sock, q, proc,
			   reason == OS_REASON_NONE ? OS_SOCK_ALLOWED : OS_SOCK_NONE);
	return reason;
}

/* 1 = go on, 0 = EPERM. */
static __always_inline int decide(struct bpf_sock_addr *ctx, const struct address *address,
				  __u16 hook)
{
	struct question q = {
		.to = {.address = *address,
		       .port = ADDRESS_BE16((__u16)ctx->user_port),
		       .endpoint = OS_EVENT_NO_ENDPOINT},
		.protocol = ctx->protocol,
	};
	__u32 reason;

	count(OS_COUNT_HOOK + hook);
	reason = judge(ctx, &q);
	if (reason == ALREADY_TOLD)
		return 1;

	struct decision d = {.protocol = q.protocol};

	egress_decision(&d, &q.to, hook, q.policy.mode, reason);
	event_emit(&d);
	return reason == OS_REASON_NONE || q.policy.mode == OS_MODE_AUDIT;
}

static __always_inline int decide4(struct bpf_sock_addr *ctx, __u16 hook)
{
	struct address address = address_of_ipv4(ctx->user_ip4);

	return decide(ctx, &address, hook);
}

static __always_inline int decide6(struct bpf_sock_addr *ctx, __u16 hook)
{
	struct address address = {
		.word = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]}};

	return decide(ctx, &address, hook);
}

SEC("cgroup/connect4")
int egress_connect4(struct bpf_sock_addr *ctx)
{
	return decide4(ctx, OS_HOOK_CONNECT4);
}

SEC("cgroup/connect6")
int egress_connect6(struct bpf_sock_addr *ctx)
{
	return decide6(ctx, OS_HOOK_CONNECT6);
}

SEC("cgroup/sendmsg4")
int egress_sendmsg4(struct bpf_sock_addr *ctx)
{
	return decide4(ctx, OS_HOOK_SENDMSG4);
}

SEC("cgroup/sendmsg6")
int egress_sendmsg6(struct bpf_sock_addr *ctx)
{
	return decide6(ctx, OS_HOOK_SENDMSG6);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
