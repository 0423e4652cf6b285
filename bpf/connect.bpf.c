// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where a socket may go, decided when it is told where: connect() and every sendto() of an
 * unconnected UDP socket. In this order:
 *
 *	whose		the socket and the caller belong to one sandbox with a policy in force
 *	DNS		port 53, wherever it is, is the sandbox's responder, if there is one
 *	never		loopback is the sandbox's own sockets alone; other addresses of the
 *			never-list nobody reaches
 *	identity	the caller's record agrees with its executable
 *	rules		an endpoint names the address and port, and its rules the caller. If a
 *			glob may know a binary that nobody looked at yet, TCP goes to the worker,
 *			where it waits for the answer
 *	content		where that decides, TCP goes to the sandbox's proxy, and nothing else goes
 *	names		a synthetic address becomes one of those that were validated for the name
 *
 * What is allowed is written on the socket for the packets (skb.bpf.c) and for who asks the socket
 * where it is connected to (sockname.bpf.c); what was said before is forgotten with it.
 *
 * MSG_FASTOPEN, TCP_FASTOPEN_CONNECT and io_uring come through connect as well; AF_UNSPEC connects
 * do not, they only dissolve. The program's type says the address family, not the caller's
 * sa_family: UDP takes AF_UNSPEC for AF_INET, and a v6 socket sends to v4-mapped addresses through
 * sendmsg4.
 */
#include "vmlinux.h"
#include "flow.h"
#include "process.h"

struct question {
	struct destination to;
	struct os_policy policy;
	struct address real;
	__u16 real_port; /* host order; 0 = where the agent said */
	__u16 flags;	 /* OS_SOCK_* */
	__u16 protocol;
	__u8 connected; /* to the name that it was told earlier: it stays where it is */
	__u8 any_port;	/* found only as audit mode looks: the rules do not admit its addresses */
};

static __always_inline void write_down(struct bpf_sock *sk, struct os_sock *sock,
				       const struct question *q, const struct os_proc *proc,
				       __u32 state)
{
	const struct address *real = q->real_port ? &q->real : &q->to.address;
	__u16 port = q->real_port ? q->real_port : q->to.port;
	__u32 tgid = ((struct task_struct *)bpf_get_current_task_btf())->tgid;

	if (q->protocol == IPPROTO_UDP && sock->port &&
	    !(sock->port == port && address_equal((struct address *)sock->address, real))) {
		struct os_asked *others = bpf_sk_storage_get(
			&os_asked, sk, 0, sock->asked_port ? BPF_SK_STORAGE_GET_F_CREATE : 0);

		if (others)
			asked_keep(others, sock);
		else if (sock->asked_port)
			count(OS_COUNT_HELPER_FAILED);
	}
	egress_set_stamp(sock, 0, OS_SOCK_NONE);
	sock->endpoint = q->to.endpoint;
	__builtin_memcpy(sock->address, real, sizeof(sock->address));
	sock->port = port;
	sock->flags = q->flags;
	sock->asked_port = q->real_port ? q->to.port : 0;
	__builtin_memcpy(sock->asked, &q->to.address, sizeof(sock->asked));
	sock->tgid = tgid;
	sock->start_time = proc->start_time;
	__builtin_memcpy(&sock->identity, &proc->identity, sizeof(sock->identity));
	egress_set_stamp(sock, q->policy.generation, state);
}

/*
 * Nothing changed since the last datagram to the same place: the same process, image and policy.
 * What waits for a verdict about its binary has none.
 */
static __always_inline int said_before(const struct os_sock *sock, const struct question *q,
				       const struct os_proc *proc)
{
	const __u8 *last = sock->asked_port ? sock->asked : sock->address;
	__u16 port = sock->asked_port ? sock->asked_port : sock->port;
	struct os_sock_stamp stamp = egress_stamp(sock);
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return stamp.state == OS_SOCK_ALLOWED && stamp.generation == q->policy.generation &&
	       sock->flags == q->flags && port == q->to.port && sock->tgid == (__u32)task->tgid &&
	       sock->start_time == proc->start_time &&
	       address_equal((const struct address *)last, &q->to.address) &&
	       identity_image_equal(&sock->identity.exe, &proc->identity.exe);
}

/* And it still goes to the same place. */
static __always_inline int is_there(const struct os_sock *sock, const struct question *q)
{
	return sock->port == q->real_port &&
	       address_equal((const struct address *)sock->address, &q->real);
}

/* Send it to the worker instead, for @flags; 0 if there is none. */
static __always_inline int to_worker(struct question *q, __u32 flags)
{
	int ipv4 = address_is_ipv4(&q->to.address);
	__u32 slot = q->to.slot;
	const struct os_worker *worker = bpf_map_lookup_elem(&os_worker, &slot);

	if (!worker)
		return 0;
	q->real_port = name_worker_port(worker, flags, ipv4, q->protocol == IPPROTO_TCP);
	if (!q->real_port)
		return 0;
	q->real = name_worker_address(ipv4);
	q->flags = flags;
	return 1;
}

/* Whether somebody is there to read what @slot's agents say. */
static __always_inline int has_proxy(__u32 slot)
{
	struct bpf_sock *listener = bpf_map_lookup_elem(&os_listener, &slot);

	if (!listener)
		return 0;
	bpf_sk_release(listener);
	return flow_has_room(slot);
}

/*
 * An endpoint whose content decides, and what the rules say of the caller: to the proxy, if that
 * can read it and is there. In audit mode everybody goes there, and what cannot goes as ever. Out
 * of line, so that the verifier does not follow the rest of the caller once for each way.
 */
__attribute__((noinline)) int egress_to_proxy(struct question *q, __u32 reason)
{
	int admitted = reason == OS_REASON_NONE || reason == OS_REASON_ASK;

	if (!q || (!admitted && q->policy.mode != OS_MODE_AUDIT))
		return reason;
	if (q->protocol == IPPROTO_TCP && has_proxy(q->to.slot)) {
		q->real = name_proxy_address(q->to.slot, &q->to.address);
		q->real_port = q->to.port;
		q->flags = OS_SOCK_PROXY;
		if (reason == OS_REASON_ASK && q->policy.mode == OS_MODE_ENFORCE)
			q->flags |= OS_SOCK_ASK;
		return reason;
	}
	q->to.verdict = OS_VERDICT_DIRECT;
	return admitted ? OS_REASON_INSPECTED : reason;
}

/* The address that @sock had for this name, if it is still one: a conversation stays with it. */
static __always_inline int same_as_before(struct bpf_sock *sk, const struct os_sock *sock,
					  const struct os_name *name, struct question *q)
{
	struct asked_place place = {.address = q->to.address, .port = q->to.port};
	struct os_asked *others;
	int at;

	if (sock->asked_port == q->to.port && !sock->flags &&
	    address_equal((const struct address *)sock->asked, &q->to.address)) {
		__builtin_memcpy(&q->real, sock->address, sizeof(q->real));
		return name_has(name, &q->real);
	}
	others = bpf_sk_storage_get(&os_asked, sk, 0, 0);
	if (!others)
		return 0;
	at = asked_by_name(others, &place);
	if (at < 0)
		return 0;
	__builtin_memcpy(&q->real, others->entry[at & (ASKED_MAX - 1)].real, sizeof(q->real));
	return name_has(name, &q->real);
}

/*
 * A v6 socket that is connected to a v4-mapped address sends every datagram as if it were told the
 * address again (udpv6_sendmsg() in net/ipv6/udp.c), and it was told the real one: put back what
 * the agent had asked for.
 */
static __always_inline void recall(struct bpf_sock *sk, const struct os_sock *sock,
				   struct question *q)
{
	/* volatile: each field is read by itself, or the verifier does not recognise it. */
	const volatile struct bpf_sock *fields = sk;
	struct asked_place place = {.address = q->to.address, .port = q->to.port};
	struct address asked;
	struct os_asked *others;
	__u16 port;
	int at;

	if (fields->family != AF_INET6 || fields->state != BPF_TCP_ESTABLISHED ||
	    fields->dst_ip4 != place.address.word[3])
		return;
	if (sock->port == place.port &&
	    address_equal((const struct address *)sock->address, &place.address)) {
		__builtin_memcpy(&asked, sock->asked, sizeof(asked));
		port = sock->asked_port;
	} else {
		others = bpf_sk_storage_get(&os_asked, sk, 0, 0);
		if (!others)
			return;
		at = asked_by_real(others, &place);
		if (at < 0)
			return;
		__builtin_memcpy(&asked, others->entry[at & (ASKED_MAX - 1)].asked, sizeof(asked));
		port = others->entry[at & (ASKED_MAX - 1)].asked_port;
	}
	if (!port)
		return;
	q->real = q->to.address;
	q->real_port = q->to.port;
	q->to.address = asked;
	q->to.port = port;
	q->connected = 1;
}

/* Where the name really is: q->real, or 0. */
static __always_inline int resolve(struct bpf_sock *sk, const struct os_sock *sock,
				   struct question *q)
{
	struct os_name_key key = {
		.slot = q->to.slot,
		.generation = q->to.generation,
		.port = q->to.port,
	};
	struct os_name *name;
	__u64 now = bpf_ktime_get_boot_ns();

	__builtin_memcpy(key.address, &q->to.address, sizeof(key.address));
	name = bpf_map_lookup_elem(&os_name, &key);
	if (!name && q->policy.mode == OS_MODE_AUDIT) {
		key.port = 0;
		name = bpf_map_lookup_elem(&os_name, &key);
		q->any_port = 1;
	}
	if (!name || !name_is_fresh(name, now))
		return 0;
	if (q->protocol != IPPROTO_UDP || !same_as_before(sk, sock, name, q)) {
		/* Which of two that race goes first does not matter. */
		if (!name_pick(name, name->next++, &q->to.address, &q->real))
			return 0;
	}
	name->used = now;
	q->real_port = q->to.port;
	return 1;
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

/*
 * No rule is asked about a sandbox's own loopback, so nobody has to be known: its init, which has no
 * image of its own, connects there for who forwards a port.
 */
static const struct os_proc nobody;

/* Not an enum os_reason: */
#define ALREADY_TOLD 0xffff /* allowed, and no event */
#define NOT_TOLD     0xfffe /* denied, and no event */

/* 0, one of these or an enum os_reason; what is allowed is written on the socket. */
static __always_inline __u32 judge(struct bpf_sock_addr *ctx, struct question *q, const __u16 hook)
{
	struct bpf_sock *sk = ctx->sk;
	struct os_proc *proc;
	struct os_sock *sock;
	__u32 reason, told;
	int kind, synthetic;

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
	if (hook == OS_HOOK_SENDMSG4)
		recall(sk, sock, q);
	if (q->to.port == NAME_DNS_PORT && proc && to_worker(q, OS_SOCK_DNS)) {
		if (!said_before(sock, q, proc) || !is_there(sock, q))
			write_down(sk, sock, q, proc, OS_SOCK_ALLOWED);
		return ALREADY_TOLD;
	}
	kind = egress_kind(&q->to.address);
	if (kind == EGRESS_NEVER)
		return OS_REASON_NEVER_ADDRESS;
	if (kind == EGRESS_LOOPBACK) {
		struct address from;

		local_end(sk, address_is_ipv4(&q->to.address), &from);
		if (!egress_is_own(ctx, &from, (__u16)sk->src_port, &q->to.address, q->to.port,
				   q->protocol == IPPROTO_TCP, q->to.slot, 0))
			return OS_REASON_NEVER_ADDRESS;
		write_down(sk, sock, q, proc ? proc : &nobody, OS_SOCK_LOOPBACK);
		return ALREADY_TOLD;
	}
	if (!proc)
		return OS_REASON_IDENTITY;
	synthetic = name_is_synthetic(&q->to.address);
	/* getaddrinfo() asks so which source address it would have; nobody can be reached there. */
	if (synthetic && !q->to.port)
		return q->policy.mode == OS_MODE_AUDIT ? ALREADY_TOLD : NOT_TOLD;
	told = said_before(sock, q, proc);
	if (told && !synthetic)
		return ALREADY_TOLD;
	reason = told ? OS_REASON_NONE : egress_ask(&q->to, &proc->identity, &sock->rules);
	if (q->to.verdict == OS_VERDICT_PROXY)
		reason = egress_to_proxy(q, reason);
	if (reason == OS_REASON_ASK) {
		if (q->policy.mode == OS_MODE_ENFORCE && q->protocol == IPPROTO_TCP &&
		    (q->flags & OS_SOCK_PROXY || to_worker(q, OS_SOCK_ASK))) {
			write_down(sk, sock, q, proc, OS_SOCK_ALLOWED);
			return ALREADY_TOLD;
		}
		reason = OS_REASON_BINARY;
	}
	if (reason != OS_REASON_NONE && q->policy.mode != OS_MODE_AUDIT)
		return reason;
	if (synthetic && !(q->flags & OS_SOCK_PROXY)) {
		if (!q->connected && !resolve(sk, sock, q))
			return OS_REASON_STALE_NAME;
		/* Userspace has seen to it; nobody reaches these, whoever says so. */
		if (reason == OS_REASON_NONE && egress_kind(&q->real) != EGRESS_PLAIN)
			return OS_REASON_NEVER_ADDRESS;
		if (reason == OS_REASON_NONE && q->any_port)
			reason = OS_REASON_STALE_NAME;
	}
	if (!told || !is_there(sock, q))
		write_down(sk, sock, q, proc,
			   reason == OS_REASON_NONE ? OS_SOCK_ALLOWED : OS_SOCK_NONE);
	return told ? ALREADY_TOLD : reason;
}

/* An address without a name goes nowhere, in audit mode neither. */
static __always_inline int is_final(const struct question *q, __u32 reason)
{
	return reason == OS_REASON_STALE_NAME && !q->real_port;
}

/*
 * Tell of a decision about @to; @real: where it goes, zero = there. @how: the mode, then the reason
 * in its lower half. Out of line, for its stack.
 */
__attribute__((noinline)) int egress_tell(const struct destination *to, const struct address *real,
					  __u16 protocol, __u16 hook, __u32 how)
{
	struct decision d = {.protocol = protocol};

	if (!to || !real)
		return 0;
	egress_decision(&d, to, hook, how >> 16, how & 0xffff);
	if (d.verdict != OS_EVENT_DENIED && to->verdict == OS_VERDICT_PROXY)
		d.flags = OS_EVENT_PROXIED;
	else if (d.verdict != OS_EVENT_DENIED)
		__builtin_memcpy(d.real, real, sizeof(d.real));
	event_emit(&d);
	return 0;
}

/* 1 = go on, with where to in @q, 0 = EPERM. */
static __always_inline int decide(struct bpf_sock_addr *ctx, struct question *q, const __u16 hook)
{
	__u32 reason, mode;

	q->to.port = ADDRESS_BE16((__u16)ctx->user_port);
	q->to.endpoint = OS_EVENT_NO_ENDPOINT;
	q->protocol = ctx->protocol;
	count(OS_COUNT_HOOK + hook);
	reason = judge(ctx, q, hook);
	if (reason == ALREADY_TOLD)
		return 1;
	if (reason == NOT_TOLD) {
		count(OS_COUNT_DENIED);
		count(OS_COUNT_HOOK_DENIED + hook);
		return 0;
	}
	mode = is_final(q, reason) ? OS_MODE_ENFORCE : q->policy.mode;
	egress_tell(&q->to, &q->real, q->protocol, hook, (mode << 16) | reason);
	return reason == OS_REASON_NONE || mode == OS_MODE_AUDIT;
}

static __always_inline int decide4(struct bpf_sock_addr *ctx, const __u16 hook)
{
	struct question q = {.to.address = address_of_ipv4(ctx->user_ip4)};

	if (!decide(ctx, &q, hook))
		return 0;
	if (q.real_port) {
		ctx->user_ip4 = q.real.word[3];
		ctx->user_port = ADDRESS_BE16(q.real_port);
	}
	return 1;
}

static __always_inline int decide6(struct bpf_sock_addr *ctx, const __u16 hook)
{
	struct question q = {.to.address.word = {ctx->user_ip6[0], ctx->user_ip6[1],
						 ctx->user_ip6[2], ctx->user_ip6[3]}};

	if (!decide(ctx, &q, hook))
		return 0;
	if (q.real_port) {
		ctx->user_ip6[0] = q.real.word[0];
		ctx->user_ip6[1] = q.real.word[1];
		ctx->user_ip6[2] = q.real.word[2];
		ctx->user_ip6[3] = q.real.word[3];
		ctx->user_port = ADDRESS_BE16(q.real_port);
	}
	return 1;
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
