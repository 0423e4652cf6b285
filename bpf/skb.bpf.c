// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The backstop: every packet of an agent's socket goes to, or comes from, the place the socket was
 * authorised for. An admitted flow costs two look-ups; everything else is asked anew here:
 *
 *	a policy newer than the stamp	asked for who connected then; the stamp is renewed, so that
 *					a switch leaves what is still admitted alone and stops a
 *					revoked connection in the middle
 *	UDP to several destinations	asked for who sent last
 *	loopback			the other end must be a socket of the same sandbox, found by
 *					the packet's own addresses: a listener of somebody else's
 *					that shares the port through SO_REUSEPORT is not
 *	incoming			replies and own loopback; so a listener hears its own
 *					sandbox alone, whatever address it is bound to
 *
 * These run in whatever context a packet is in: the current task means nothing.
 */
#include "vmlinux.h"
#include "egress.h"
#include "packet.h"

static __always_inline int is_recorded(const struct os_sock *sock, const struct destination *to)
{
	return sock->port == to->port &&
	       address_equal((const struct address *)sock->address, &to->address);
}

/* Loopback: 1 if the other end is the sandbox's own. */
static __always_inline int judge_loopback(struct __sk_buff *skb, struct os_sock *sock,
					  const struct destination *to, const struct packet *packet,
					  const int outgoing, __u32 state)
{
	const struct address *local = outgoing ? &packet->source : &packet->target;
	__u16 local_port = outgoing ? packet->source_port : packet->target_port;
	int tcp = packet->protocol == IPPROTO_TCP;

	if (!egress_is_own(skb, local, local_port, &to->address, to->port, tcp, to->slot, 1))
		return 0;
	/* Both ends are known from here on; before, a SYN may still reach another listener. */
	if (tcp && state != BPF_TCP_LISTEN && state != BPF_TCP_SYN_SENT &&
	    state != BPF_TCP_NEW_SYN_RECV) {
		if (!is_recorded(sock, to)) {
			egress_set_stamp(sock, 0, OS_SOCK_NONE);
			__builtin_memcpy(sock->address, &to->address, sizeof(sock->address));
			sock->port = to->port;
		}
		egress_set_stamp(sock, to->generation, OS_SOCK_ALLOWED);
	}
	return 1;
}

static __always_inline void refuse(struct os_sock *sock, struct destination *to, __u16 hook,
				   __u16 protocol, __u32 reason)
{
	struct decision d = {
		.flags = OS_EVENT_RECORDED,
		.protocol = protocol,
		.object = sock->identity.exe.file,
		.peer_pid = sock->tgid,
	};

	egress_decision(&d, to, hook, OS_MODE_ENFORCE, reason);
	event_emit(&d);
}

static __always_inline int judge(struct __sk_buff *skb, const int outgoing)
{
	const __u16 hook = outgoing ? OS_HOOK_EGRESS : OS_HOOK_INGRESS;
	struct destination to = {.endpoint = OS_EVENT_NO_ENDPOINT};
	struct bpf_sock *sk = skb->sk;
	struct packet packet = {};
	struct os_sock_stamp stamp;
	struct os_policy policy;
	struct os_sock *sock;
	__u32 state, reason;
	int kind;

	if (!sk)
		return 0;
	state = sk->state;
	sock = bpf_sk_storage_get(&os_sock, sk, 0, 0);
	if (!sock)
		return 0;
	policy = agent_policy(sock->slot);
	if (policy.mode == OS_MODE_AUDIT)
		return 1;
	if (policy.mode != OS_MODE_ENFORCE)
		return 0;
	to.slot = sock->slot;
	to.generation = policy.generation;
	if (!packet_read((void *)(long)skb->data, (void *)(long)skb->data_end, &packet)) {
		count(OS_COUNT_HOOK + hook);
		if (outgoing)
			refuse(sock, &to, hook, packet.protocol, OS_REASON_OPTION);
		return 0;
	}
	to.address = outgoing ? packet.target : packet.source;
	to.port = outgoing ? packet.target_port : packet.source_port;
	stamp = egress_stamp(sock);
	if (stamp.generation == policy.generation && is_recorded(sock, &to) &&
	    state != BPF_TCP_LISTEN) {
		if (stamp.state == OS_SOCK_ALLOWED)
			return 1;
		if (stamp.state == OS_SOCK_REFUSED)
			return 0;
	}

	count(OS_COUNT_HOOK + hook);
	kind = egress_kind(&to.address);
	if (kind == EGRESS_LOOPBACK) {
		if (judge_loopback(skb, sock, &to, &packet, outgoing, state))
			return 1;
		reason = OS_REASON_NEVER_ADDRESS;
	} else if (kind == EGRESS_NEVER) {
		reason = OS_REASON_NEVER_ADDRESS;
	} else if (packet.protocol == IPPROTO_TCP &&
		   (state == BPF_TCP_LISTEN || !is_recorded(sock, &to))) {
		reason = OS_REASON_NO_ENDPOINT;
	} else {
		reason = egress_ask(&to, &sock->identity);
	}
	if (is_recorded(sock, &to) && state != BPF_TCP_LISTEN && kind != EGRESS_LOOPBACK)
		egress_set_stamp(sock, policy.generation,
				 reason == OS_REASON_NONE ? OS_SOCK_ALLOWED : OS_SOCK_REFUSED);
	if (reason == OS_REASON_NONE)
		return 1;
	/* Strangers could fill the log with what they send; what comes in unasked is only counted.
	 */
	if (outgoing)
		refuse(sock, &to, hook, packet.protocol, reason);
	else
		count(OS_COUNT_HOOK_DENIED + hook);
	return 0;
}

SEC("cgroup_skb/egress")
int egress_packet_out(struct __sk_buff *skb)
{
	return judge(skb, 1);
}

SEC("cgroup_skb/ingress")
int egress_packet_in(struct __sk_buff *skb)
{
	return judge(skb, 0);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
