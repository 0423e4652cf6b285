// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a worker's sockets may send: words to those who spoke first. They are on the loopback
 * address, from where a datagram reaches every service of the host, its resolver among them; a
 * worker that its agent has taken over would have a way out. Not attached with the others: the
 * supervisor attaches it to where it makes a worker's sockets (worker_sockets.c).
 *
 * Nothing goes by another device than the host's own: whatever its address, somebody out there
 * would see it. A datagram goes to a socket that an agent made, or nowhere. Whether that one has
 * asked is not looked up: os_flow is everybody's, and a sandbox that floods it would cost others
 * their answers. An agent of another sandbox does not hear it (skb.bpf.c).
 */
#include "vmlinux.h"
#include "agent.h"
#include "packet.h"

#define IPPROTO_TCP 6

#define TCP_FLAGS 13 /* offset in the header */
#define TCP_SYN	  0x02
#define TCP_ACK	  0x10

/* The listeners and what they accepted; none of them opens a connection. */
static __always_inline int opens_connection(const __u8 *data, const __u8 *end)
{
	__u32 header = data[0] >> 4 == 6 ? 40 : 20;

	data += header;
	if (data + TCP_FLAGS + 1 > end)
		return 1;
	return (data[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline int is_agents(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *peer;
	struct os_sock *sock;
	__u32 size;
	int is = 0;

	if (address_is_ipv4(&packet->target)) {
		size = sizeof(tuple.ipv4);
		tuple.ipv4.saddr = packet->source.word[3];
		tuple.ipv4.daddr = packet->target.word[3];
		tuple.ipv4.sport = ADDRESS_BE16(packet->source_port);
		tuple.ipv4.dport = ADDRESS_BE16(packet->target_port);
	} else {
		size = sizeof(tuple.ipv6);
		__builtin_memcpy(tuple.ipv6.saddr, &packet->source, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &packet->target, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = ADDRESS_BE16(packet->source_port);
		tuple.ipv6.dport = ADDRESS_BE16(packet->target_port);
	}
	peer = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!peer)
		return 0;
	sock = bpf_sk_storage_get(&os_sock, peer, 0, 0);
	if (sock)
		is = sock->slot != OS_SLOT_NONE;
	bpf_sk_release(peer);
	return is;
}

SEC("cgroup_skb/egress")
int worker_packet_out(struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct packet packet = {};
	int known;

	if (skb->ifindex != PACKET_LOOPBACK_DEVICE || !packet_read(data, end, &packet))
		return 0;
	if (packet.protocol == IPPROTO_TCP)
		return !opens_connection(data, end);
	known = is_agents(skb, &packet);
	if (!known)
		count(OS_COUNT_DENIED);
	return known;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
