/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of sockets, and options that would have packets go elsewhere.
 */
#include "act.h"
#include "common/cleanup.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

/* Older headers lack some of them. */
static const struct {
	const char *name;
	int family, type, protocol;
} kinds[] = {
	{"tcp4", AF_INET, SOCK_STREAM, 0},
	{"tcp6", AF_INET6, SOCK_STREAM, IPPROTO_TCP},
	{"udp4", AF_INET, SOCK_DGRAM, IPPROTO_UDP},
	{"udp6", AF_INET6, SOCK_DGRAM, 0},
	{"unix", AF_UNIX, SOCK_STREAM, 0},
	{"netlink-route", AF_NETLINK, SOCK_RAW, 0},
	{"mptcp4", AF_INET, SOCK_STREAM, 262},
	{"mptcp6", AF_INET6, SOCK_STREAM, 262},
	{"smc-in-inet", AF_INET, SOCK_STREAM, 256},
	{"udplite", AF_INET, SOCK_DGRAM, 136},
	{"ping4", AF_INET, SOCK_DGRAM, 1},
	{"ping6", AF_INET6, SOCK_DGRAM, 58},
	{"raw4", AF_INET, SOCK_RAW, 255},
	{"raw4-tcp", AF_INET, SOCK_RAW, 6},
	{"raw6", AF_INET6, SOCK_RAW, 255},
	{"raw6-udp", AF_INET6, SOCK_RAW, 17},
	{"sctp4", AF_INET, SOCK_STREAM, 132},
	{"sctp6-seqpacket", AF_INET6, SOCK_SEQPACKET, 132},
	{"dccp", AF_INET, 6, 33},
	{"l2tp", AF_INET, SOCK_DGRAM, 115},
	{"packet-raw", AF_PACKET, SOCK_RAW, 0},
	{"packet-dgram", AF_PACKET, SOCK_DGRAM, 0},
	{"sock-packet", AF_INET, 10, 0},
	{"netlink-generic", AF_NETLINK, SOCK_RAW, 16},
	{"netlink-netfilter", AF_NETLINK, SOCK_RAW, 12},
	{"netlink-sock-diag", AF_NETLINK, SOCK_RAW, 4},
	{"netlink-xfrm", AF_NETLINK, SOCK_RAW, 6},
	{"vsock", AF_VSOCK, SOCK_STREAM, 0},
	{"xdp", 44, SOCK_RAW, 0},
	{"smc", 43, SOCK_STREAM, 0},
	{"smc6", 43, SOCK_STREAM, 1},
	{"alg", AF_ALG, SOCK_SEQPACKET, 0},
	{"rds", AF_RDS, SOCK_SEQPACKET, 0},
	{"tipc", AF_TIPC, SOCK_SEQPACKET, 0},
	{"can", AF_CAN, SOCK_RAW, 1},
	{"bluetooth", AF_BLUETOOTH, SOCK_SEQPACKET, 0},
	{"key", 15, SOCK_RAW, 2},
	{"qipcrtr", 42, SOCK_DGRAM, 0},
	{"mctp", 45, SOCK_DGRAM, 0},
};

/* kind NAME: make one */
static int do_kind(char **arg)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].name, arg[0]))
			return act_result(socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC,
						 kinds[i].protocol));
	return -EDOM;
}

#define ON                                                                                         \
	{                                                                                          \
		1, 0, 0, 0                                                                         \
	}
#define AT(a, b, c, d) a, b, c, d

/* A value is what the kernel would take: outside it does. */
static const struct {
	const char *name;
	int family, type, level, option;
	unsigned char value[160];
	socklen_t size;
} options[] = {
	{"reuseaddr", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR, ON, 4},
	{"tos", AF_INET, SOCK_STREAM, IPPROTO_IP, IP_TOS, {0x10}, 4},
	/* a loose source route by way of 11.22.33.4 */
	{"ip-options",
	 AF_INET,
	 SOCK_STREAM,
	 IPPROTO_IP,
	 IP_OPTIONS,
	 {131, 7, 4, AT(11, 22, 33, 4), 0},
	 8},
	{"ip-options-udp",
	 AF_INET,
	 SOCK_DGRAM,
	 IPPROTO_IP,
	 IP_OPTIONS,
	 {131, 7, 4, AT(11, 22, 33, 4), 0},
	 8},
	{"ip-options-on-v6",
	 AF_INET6,
	 SOCK_STREAM,
	 IPPROTO_IP,
	 IP_OPTIONS,
	 {131, 7, 4, AT(11, 22, 33, 4), 0},
	 8},
	{"rthdr",
	 AF_INET6,
	 SOCK_STREAM,
	 IPPROTO_IPV6,
	 IPV6_RTHDR,
	 {0, 2, 4, 0, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	 24},
	{"rthdr-udp",
	 AF_INET6,
	 SOCK_DGRAM,
	 IPPROTO_IPV6,
	 IPV6_RTHDR,
	 {0, 2, 4, 0, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	 24},
	{"dstopts", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_DSTOPTS, {0, 0, 1, 4}, 8},
	{"hopopts", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_HOPOPTS, {0, 0, 1, 4}, 8},
	{"mark", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_MARK, {7}, 4},
	{"pktoptions",
	 AF_INET6,
	 SOCK_DGRAM,
	 IPPROTO_IPV6,
	 6,
	 {24, [8] = 41, [12] = IPV6_DSTOPTS, [16] = 0, 0, 1, 4},
	 24},
	{"priority", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_PRIORITY, {6}, 4},
	{"transparent", AF_INET, SOCK_STREAM, IPPROTO_IP, IP_TRANSPARENT, ON, 4},
	{"transparent6", AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_TRANSPARENT, ON, 4},
	{"freebind", AF_INET, SOCK_STREAM, IPPROTO_IP, IP_FREEBIND, ON, 4},
	{"freebind6", AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_FREEBIND, ON, 4},
	{"hdrincl", AF_INET, SOCK_STREAM, IPPROTO_IP, IP_HDRINCL, ON, 4},
	{"repair", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_REPAIR, ON, 4},
	{"ulp-tls", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_ULP, "tls", 3},
	{"ulp-espintcp", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_ULP, "espintcp", 8},
	{"ulp-smc", AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_ULP, "smc", 3},
	{"md5",
	 AF_INET,
	 SOCK_STREAM,
	 IPPROTO_TCP,
	 TCP_MD5SIG,
	 {AF_INET, 0, 0, 0, AT(10, 77, 0, 2), [130] = 1},
	 sizeof(struct tcp_md5sig)},
	{"udp-encap", AF_INET, SOCK_DGRAM, IPPROTO_UDP, 100, {2}, 4},
	{"udp-segment", AF_INET, SOCK_DGRAM, IPPROTO_UDP, 103, {100}, 4},
	{"add-membership",
	 AF_INET,
	 SOCK_DGRAM,
	 IPPROTO_IP,
	 IP_ADD_MEMBERSHIP,
	 {AT(239, 1, 2, 3), AT(10, 77, 0, 1)},
	 8},
	{"join-group6", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 20, {0xff, 5, [15] = 9, [16] = 1}, 20},
	{"multicast-if", AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_MULTICAST_IF, {AT(10, 77, 0, 1)}, 4},
	{"unicast-if", AF_INET, SOCK_DGRAM, IPPROTO_IP, 50, {0, 0, 0, 1}, 4},
	{"bind-device", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3},
	{"reuseport", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEPORT, ON, 4},
	{"broadcast", AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_BROADCAST, ON, 4},
	{"v6only", AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_V6ONLY, ON, 4},
	/* a v6 socket turned into a v4 one; only when it is connected to a mapped address */
	{"addrform", AF_INET6, SOCK_STREAM, IPPROTO_IPV6, 1, {AF_INET}, 4},
};

/* option NAME */
static int do_option(char **arg)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		int fd;

		if (strcmp(options[i].name, arg[0]))
			continue;
		fd = act_socket(options[i].family, options[i].type);
		if (fd < 0)
			return fd;
		return act_result(setsockopt(fd, options[i].level, options[i].option,
					     options[i].value, options[i].size));
	}
	return -EDOM;
}

const struct act acts_socket[] = {
	{"kind", do_kind},
	{"option", do_option},
	{NULL, NULL},
};
