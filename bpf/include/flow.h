/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is behind what reaches a worker: entries of os_flow and os_proxied, which whoever accepts a
 * connection or gets a datagram asks for. flow.bpf.c has them live as long as a connection, and
 * skb.bpf.c keeps them true.
 */
#pragma once

#include "egress.h"

#define ENOENT 2

/* slot -> entries that it has in os_proxied */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} os_proxied_open OS_MAP;

/* @first: a packet of the agent's, or one like it. */
static __always_inline void flow_key(const struct packet *first, struct os_flow_key *ret_key)
{
	__builtin_memcpy(ret_key->local, &first->source, sizeof(ret_key->local));
	__builtin_memcpy(ret_key->remote, &first->target, sizeof(ret_key->remote));
	ret_key->local_port = first->source_port;
	ret_key->remote_port = first->target_port;
	ret_key->protocol = first->protocol;
}

static __always_inline void flow_value(const struct os_sock *sock, struct os_flow *ret_flow)
{
	ret_flow->start_time = sock->start_time;
	ret_flow->slot = sock->slot;
	ret_flow->generation = sock->stamp.generation;
	ret_flow->tgid = sock->tgid;
	ret_flow->endpoint = sock->endpoint;
	ret_flow->asked_port = sock->asked_port;
	ret_flow->flags = sock->flags;
	ret_flow->exe = sock->identity.exe.file;
	__builtin_memcpy(ret_flow->asked, sock->asked, sizeof(ret_flow->asked));
}

/* A connection or datagram to the responder, or one that waits. Nothing if it is told already. */
__attribute__((weak, noinline)) int flow_note(const struct packet *first,
					      const struct os_sock *sock)
{
	struct os_flow_key key = {};
	struct os_flow value = {};
	const struct os_flow *earlier;

	if (!first || !sock)
		return 0;
	flow_key(first, &key);
	earlier = bpf_map_lookup_elem(&os_flow, &key);
	if (earlier && earlier->slot == sock->slot && earlier->tgid == sock->tgid &&
	    earlier->start_time == sock->start_time && earlier->asked_port == sock->asked_port &&
	    earlier->generation == sock->stamp.generation && earlier->flags == sock->flags &&
	    address_equal((const struct address *)earlier->asked,
			  (const struct address *)sock->asked) &&
	    identity_file_equal(&earlier->exe, &sock->identity.exe.file))
		return 0;
	flow_value(sock, &value);
	if (bpf_map_update_elem(&os_flow, &key, &value, BPF_ANY))
		count(OS_COUNT_HELPER_FAILED);
	return 0;
}

/* Whether @slot may open one more connection to its proxy. */
static __always_inline int flow_has_room(__u32 slot)
{
	const __u64 *open = bpf_map_lookup_elem(&os_proxied_open, &slot);

	return open && *open < OS_PROXIED_MAX;
}

/* A connection to the proxy: 0, or there is no place for it. */
__attribute__((weak, noinline)) int flow_note_proxied(const struct packet *first,
						      const struct os_sock *sock)
{
	struct os_flow_key key = {};
	struct os_flow value = {};
	__u64 *open;
	__u32 slot;
	int anew;

	if (!first || !sock)
		return -1;
	slot = sock->slot;
	open = bpf_map_lookup_elem(&os_proxied_open, &slot);
	if (!open || *open >= OS_PROXIED_MAX)
		return -1;
	flow_key(first, &key);
	flow_value(sock, &value);
	value.rules = sock->rules;
	/* One of the same ends can only be left over: no two connections have them. */
	anew = !bpf_map_lookup_elem(&os_proxied, &key);
	if (bpf_map_update_elem(&os_proxied, &key, &value, BPF_ANY))
		return -1;
	if (anew)
		__sync_fetch_and_add(open, 1);
	return 0;
}

/*
 * A connection to the proxy was judged anew: what its entry says follows, whole, for a reader must
 * not find one policy's generation with another's rules. It is there as long as the connection; the
 * last packet may come after it.
 */
__attribute__((weak, noinline)) int flow_renew_proxied(const struct packet *packet,
						       const struct os_sock *sock,
						       const struct destination *to,
						       const struct os_rule_mask *rules, int flags)
{
	struct os_flow_key key = {};
	struct os_flow value = {};
	long r;

	if (!packet || !sock || !to || !rules)
		return 0;
	flow_key(packet, &key);
	flow_value(sock, &value);
	value.generation = to->generation;
	value.endpoint = to->endpoint;
	value.flags = flags;
	value.rules = *rules;
	r = bpf_map_update_elem(&os_proxied, &key, &value, BPF_EXIST);
	if (r && r != -ENOENT)
		count(OS_COUNT_HELPER_FAILED);
	return 0;
}

/* The connection has closed. @unread: what the agent said may still be read in its name. */
__attribute__((weak, noinline)) int flow_end_proxied(const struct packet *first, __u32 unread)
{
	struct os_flow_key key = {};
	const struct os_flow *flow;
	__u64 *open;
	__u32 slot;

	if (!first)
		return 0;
	flow_key(first, &key);
	flow = bpf_map_lookup_elem(&os_proxied, &key);
	if (!flow)
		return 0;
	slot = flow->slot;
	if (unread && bpf_map_update_elem(&os_flow, &key, flow, BPF_ANY))
		count(OS_COUNT_HELPER_FAILED);
	if (bpf_map_delete_elem(&os_proxied, &key))
		return 0;
	open = bpf_map_lookup_elem(&os_proxied_open, &slot);
	if (open)
		__sync_fetch_and_sub(open, 1);
	return 0;
}
