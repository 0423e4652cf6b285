/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Both ends of a TCP or UDP packet, from its first bytes. A packet with IPv4 options or IPv6
 * extension headers is not understood and so not let through: a source route, which ancillary data
 * of sendmsg() can add past every socket option check, is one of these. Pure: unit tests and the
 * fuzzer run this code.
 */
#pragma once

#include "address.h"

struct packet {
	struct address source, target;
	__u16 source_port, target_port; /* host order */
	__u8 protocol;
	__u8 pad[3];
};

/* The loopback device's index, in every network namespace. */
#define PACKET_LOOPBACK_DEVICE 1

#define PACKET_IPV4_LEN 24 /* header without options, and the ports */
#define PACKET_IPV6_LEN 44

static __always_inline __u32 packet_word(const __u8 *data)
{
	__u32 word;

	__builtin_memcpy(&word, data, sizeof(word));
	return word;
}

static __always_inline __u16 packet_port(const __u8 *data)
{
	return (__u16)(data[0] << 8 | data[1]);
}

/* Returns 1 and fills @packet, or 0. @data points to the IP header. */
static __always_inline int packet_read(const __u8 *data, const __u8 *end, struct packet *packet)
{
	if (data + PACKET_IPV4_LEN > end)
		return 0;
	if (data[0] == 0x45) { /* version 4, header of 5 words */
		packet->protocol = data[9];
		packet->source = address_of_ipv4(packet_word(data + 12));
		packet->target = address_of_ipv4(packet_word(data + 16));
		data += 20;
	} else if (data[0] >> 4 == 6) {
		if (data + PACKET_IPV6_LEN > end)
			return 0;
		packet->protocol = data[6];
		for (int i = 0; i < 4; i++) {
			packet->source.word[i] = packet_word(data + 8 + 4 * i);
			packet->target.word[i] = packet_word(data + 24 + 4 * i);
		}
		data += 40;
	} else {
		return 0;
	}
	packet->source_port = packet_port(data);
	packet->target_port = packet_port(data + 2);
	return packet->protocol == 6 || packet->protocol == 17; /* TCP, UDP */
}
