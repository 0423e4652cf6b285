// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a worker's sockets may send: words to those who spoke first. They are on the loopback
 * address, from where a datagram reaches every service of the host, its resolver among them; a
 * worker that its agent has taken over would have a way out. Not attached with the others: the
 * supervisor attaches it to where it makes a worker's sockets (worker_sockets.c).
 *
 * A flow that the map has forgotten costs its answer, for which its client asks again.
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

SEC("cgroup_skb/egress")
int worker_packet_out(struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct packet packet = {};
	struct os_flow_key key = {};
	int known;

	if (!packet_read(data, end, &packet))
		return 0;
	if (packet.protocol == IPPROTO_TCP)
		return !opens_connection(data, end);
	__builtin_memcpy(key.local, &packet.target, sizeof(key.local));
	__builtin_memcpy(key.remote, &packet.source, sizeof(key.remote));
	key.local_port = packet.target_port;
	key.remote_port = packet.source_port;
	key.protocol = packet.protocol;
	known = bpf_map_lookup_elem(&os_flow, &key) != 0;
	if (!known)
		count(OS_COUNT_DENIED);
	return known;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
