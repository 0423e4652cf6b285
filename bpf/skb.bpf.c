// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The backstop: every packet of an agent's socket goes to, or comes from, the place the socket was
 * authorised for. An admitted flow costs two look-ups; everything else is asked anew here:
 *
 *	a policy newer than the stamp	asked for who connected then; the stamp is renewed, so that
 *					a switch leaves what is still admitted alone and stops a
 *					revoked connection in the middle
 *	UDP to several destinations	asked for who sent last
 *	names				judged by the address that the agent asked for: what was
 *					validated when it connected stays so
 *	the worker			while os_worker has that port; a connection that waits for
 *					a verdict, while it may get one
 *	the proxy			while the endpoint is one whose content decides; what its
 *					entry in os_proxied says is renewed with the stamp. And
 *					what goes elsewhere, while it is not
 *	loopback			the other end must be a socket of the same sandbox, found by
 *					the packet's own addresses: a listener of somebody else's
 *					that shares the port through SO_REUSEPORT is not. And the
 *					packet stays on the host: a socket that is bound to another
 *					device, or told one with the data, sends it out there
 *	incoming			replies and own loopback; so a listener hears its own
 *					sandbox alone, whatever address it is bound to
 *
 * These run in whatever context a packet is in: the current task means nothing.
 */
#include "vmlinux.h"
#include "flow.h"

static __always_inline int is_recorded(const struct os_sock *sock, const struct destination *to)
{
	return sock->port == to->port &&
	       address_equal((const struct address *)sock->address, &to->address);
}

/* Loopback: 1 if the other end is the sandbox's own. Out of line, for its stack. */
static __attribute__((noinline)) int judge_loopback(struct __sk_buff *skb, struct os_sock *sock,
						    const struct destination *to,
						    const struct packet *packet, int outgoing)
{
	const struct address *local = outgoing ? &packet->source : &packet->target;
	__u16 local_port = outgoing ? packet->source_port : packet->target_port;
	int tcp = packet->protocol == IPPROTO_TCP;
	struct bpf_sock *sk = skb->sk;
	__u32 state;

	if (!sk)
		return 0;
	state = sk->state;
	if (!egress_is_own(skb, local, local_port, &to->address, to->port, tcp, to->slot, 1))
		return 0;
	/* Both ends are known from here on; before, a SYN may still reach another listener. */
	if (tcp && state != BPF_TCP_LISTEN && state != BPF_TCP_SYN_SENT &&
	    state != BPF_TCP_NEW_SYN_RECV) {
		if (!is_recorded(sock, to)) {
			egress_set_stamp(sock, 0, OS_SOCK_NONE);
			sock->asked_port = 0; /* was the listener's */
			sock->flags = 0;
			__builtin_memcpy(sock->address, &to->address, sizeof(sock->address));
			sock->port = to->port;
		}
		egress_set_stamp(sock, to->generation, OS_SOCK_ALLOWED);
	}
	return 1;
}

/*
 * Tell of a packet that did not leave. @to: as the agent asked; @real: where it was to go. Out of
 * line, for its stack.
 */
__attribute__((noinline)) int egress_refuse(const struct destination *to,
					    const struct address *real, const struct os_sock *sock,
					    __u16 protocol, __u32 reason)
{
	struct decision d = {.flags = OS_EVENT_RECORDED, .protocol = protocol};

	if (!to || !real || !sock)
		return 0;
	d.object = sock->identity.exe.file;
	d.peer_pid = sock->tgid;
	egress_decision(&d, to, OS_HOOK_EGRESS, OS_MODE_ENFORCE, reason);
	if (!address_equal(&to->address, real))
		__builtin_memcpy(d.real, real, sizeof(d.real));
	event_emit(&d);
	return 0;
}

/* What a UDP socket asked for when it was sent to @to before; port 0 = nothing. */
static __always_inline struct asked_place asked_earlier(struct bpf_sock *sk,
							const struct destination *to)
{
	struct asked_place place = {.address = to->address, .port = to->port}, none = {};
	struct os_asked *others = bpf_sk_storage_get(&os_asked, sk, 0, 0);
	struct asked_entry *entry;
	int at;

	if (!others)
		return none;
	at = asked_by_real(others, &place);
	if (at < 0)
		return none;
	entry = &others->entry[at & (ASKED_MAX - 1)];
	__builtin_memcpy(&place.address, entry->asked, sizeof(place.address));
	place.port = entry->asked_port;
	return place;
}

/* What was admitted or waits, but not to where the policy has it go. */
static __always_inline __u32 inspected(__u32 reason, const struct destination *to, int proxied)
{
	if (reason != OS_REASON_NONE && reason != OS_REASON_ASK)
		return reason;
	return (to->verdict == OS_VERDICT_PROXY) == proxied ? reason : OS_REASON_INSPECTED;
}

/* A packet between the agent and its proxy, after a switch: 0 or an enum os_reason. */
static __always_inline __u32 judge_proxied(struct os_sock *sock, struct destination *to,
					   struct packet *packet, int outgoing)
{
	struct os_rule_mask rules;
	__u32 reason = egress_ask(to, &sock->identity, &rules);
	__u16 flags = OS_SOCK_PROXY;

	reason = inspected(reason, to, 1);
	if (reason == OS_REASON_ASK) {
		/* Whose it is is asked again before anything more is done in its name. */
		flags |= OS_SOCK_ASK;
		reason = OS_REASON_NONE;
	}
	/* In audit mode it goes on all the same. */
	if (reason != OS_REASON_NONE)
		__builtin_memset(&rules, 0, sizeof(rules));
	if (!outgoing) {
		struct packet turned = {
			.source = packet->target,
			.target = packet->source,
			.source_port = packet->target_port,
			.target_port = packet->source_port,
			.protocol = packet->protocol,
		};

		*packet = turned;
	}
	sock->endpoint = to->endpoint;
	sock->flags = flags;
	sock->rules = rules;
	flow_renew_proxied(packet, sock, to, &rules, flags);
	return reason;
}

static __always_inline int judge(struct __sk_buff *skb, const int outgoing)
{
	const __u16 hook = outgoing ? OS_HOOK_EGRESS : OS_HOOK_INGRESS;
	struct destination to = {.endpoint = OS_EVENT_NO_ENDPOINT};
	struct asked_place asked = {};
	struct bpf_sock *sk = skb->sk;
	struct packet packet = {};
	struct os_sock_stamp stamp;
	struct os_policy policy;
	struct address real = {};
	struct os_sock *sock;
	__u32 state, reason, flags;
	int kind, recorded, tcp, astray;

	if (!sk)
		return 0;
	state = sk->state;
	sock = bpf_sk_storage_get(&os_sock, sk, 0, 0);
	if (!sock)
		return 0;
	policy = agent_policy(sock->slot);
	if (policy.mode == OS_MODE_AUDIT && !(sock->flags & (OS_SOCK_DNS | OS_SOCK_PROXY)))
		return 1;
	if (policy.mode != OS_MODE_ENFORCE && policy.mode != OS_MODE_AUDIT)
		return 0;
	to.slot = sock->slot;
	to.generation = policy.generation;
	if (!packet_read((void *)(long)skb->data, (void *)(long)skb->data_end, &packet)) {
		if (policy.mode == OS_MODE_AUDIT)
			return 1;
		count(OS_COUNT_HOOK + hook);
		if (outgoing)
			egress_refuse(&to, &real, sock, packet.protocol, OS_REASON_OPTION);
		return 0;
	}
	to.address = outgoing ? packet.target : packet.source;
	to.port = outgoing ? packet.target_port : packet.source_port;
	stamp = egress_stamp(sock);
	recorded = state != BPF_TCP_LISTEN && is_recorded(sock, &to);
	flags = recorded ? sock->flags : 0;
	astray = outgoing && skb->ifindex != PACKET_LOOPBACK_DEVICE &&
		 egress_kind(&to.address) == EGRESS_LOOPBACK;
	if (recorded && stamp.generation == policy.generation) {
		if (stamp.state == OS_SOCK_ALLOWED && !astray && (!flags || flags & OS_SOCK_PROXY))
			return 1;
		if (stamp.state == OS_SOCK_REFUSED)
			return policy.mode == OS_MODE_AUDIT && !(flags & OS_SOCK_PROXY);
		if (policy.mode == OS_MODE_AUDIT && flags & OS_SOCK_PROXY)
			return 1;
	}
	if (policy.mode == OS_MODE_AUDIT && astray)
		return 1;

	count(OS_COUNT_HOOK + hook);
	tcp = packet.protocol == IPPROTO_TCP;
	real = to.address;
	if (recorded) {
		__builtin_memcpy(&asked.address, sock->asked, sizeof(asked.address));
		asked.port = sock->asked_port;
	} else if (!tcp) {
		asked = asked_earlier(sk, &to);
	}
	kind = egress_kind(&real);
	if (astray) {
		kind = EGRESS_NEVER;
		reason = OS_REASON_NEVER_ADDRESS;
		if (asked.port) {
			to.address = asked.address;
			to.port = asked.port;
			real = asked.address;
		}
	} else if (kind == EGRESS_LOOPBACK && !asked.port) {
		if (judge_loopback(skb, sock, &to, &packet, outgoing))
			return 1;
		reason = OS_REASON_NEVER_ADDRESS;
	} else if (kind == EGRESS_LOOPBACK && flags & OS_SOCK_PROXY) {
		to.address = asked.address;
		to.port = asked.port;
		real = asked.address;
		reason = judge_proxied(sock, &to, &packet, outgoing);
	} else if (kind == EGRESS_LOOPBACK) {
		int known = stamp.generation == policy.generation || !(flags & OS_SOCK_ASK);

		reason = OS_REASON_NO_ENDPOINT;
		if (egress_is_worker(to.slot, recorded ? flags : OS_SOCK_DNS, &real, to.port, tcp))
			reason = OS_REASON_NONE;
		to.address = asked.address;
		to.port = asked.port;
		if (reason == OS_REASON_NONE && !known) {
			reason = egress_ask(&to, &sock->identity, &sock->rules);
			reason = inspected(reason, &to, 0);
			if (reason == OS_REASON_ASK)
				reason = OS_REASON_NONE; /* it goes on waiting */
		}
		if (reason == OS_REASON_NONE && outgoing && !tcp)
			flow_note(&packet, sock);
	} else if (kind == EGRESS_NEVER) {
		reason = OS_REASON_NEVER_ADDRESS;
	} else if (tcp && !recorded) {
		reason = OS_REASON_NO_ENDPOINT;
	} else {
		if (asked.port) {
			to.address = asked.address;
			to.port = asked.port;
		}
		reason = inspected(egress_ask(&to, &sock->identity, &sock->rules), &to, 0);
		if (reason == OS_REASON_NONE && asked.port && !egress_keeps(&to, &real))
			reason = OS_REASON_STALE_NAME;
	}
	if (policy.mode == OS_MODE_AUDIT) {
		if (flags & OS_SOCK_PROXY)
			egress_set_stamp(sock, policy.generation,
					 reason == OS_REASON_NONE ? OS_SOCK_ALLOWED : OS_SOCK_NONE);
		return 1;
	}
	/* A binary that is looked at while its packets go has a verdict soon, so none is kept. */
	if (reason == OS_REASON_ASK)
		return 0;
	if (recorded && (kind != EGRESS_LOOPBACK || asked.port))
		egress_set_stamp(sock, policy.generation,
				 reason == OS_REASON_NONE ? OS_SOCK_ALLOWED : OS_SOCK_REFUSED);
	if (reason == OS_REASON_NONE)
		return 1;
	/* Strangers could fill the log with what they send; what comes in unasked is only counted.
	 */
	if (outgoing)
		egress_refuse(&to, &real, sock, packet.protocol, reason);
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
