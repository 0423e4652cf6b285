/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of sockets and options. Each kind is asked of the sandbox, where seccomp answers for some,
 * and of the cgroup alone, where the programs do.
 */
#include "rows.h"

#include "common/cleanup.h"

#define TCP_CONTROL "other kind tcp4"

/* A kind that seccomp refuses. Root outside; a kernel that lacks it says so outside as well. */
#define BY_FILTER(kind, error)                                                                     \
	{                                                                                          \
		.name = "socket " kind, .act = "other kind " kind, .wanted = error,                \
		.control = TCP_CONTROL, .flags = ROW_OPTIONAL | ROW_ROOT                           \
	}

/* A kind that sock_create refuses; seccomp too, if @error is another one inside. */
#define BY_PROGRAM(kind)                                                                           \
	{                                                                                          \
		.name = "socket " kind ", no filter", .who = WHO_BARE, .act = "other kind " kind,  \
		.wanted = EPERM, .hooks = HOOK(SOCK_CREATE), .control = TCP_CONTROL,               \
		.flags = ROW_OPTIONAL                                                              \
	}

#define OPTION_REFUSED(option)                                                                     \
	{                                                                                          \
		.name = "option " option, .act = "other option " option, .wanted = EPERM,          \
		.hooks = HOOK(SETSOCKOPT), .control = "other option reuseaddr",                    \
		.flags = ROW_OPTIONAL | ROW_ROOT                                                   \
	}

/* By root in the cgroup, so that it is not a missing capability that refuses. */
#define OPTION_REFUSED_BARE(option)                                                                \
	{                                                                                          \
		.name = "option " option ", no filter, root", .who = WHO_BARE,                     \
		.act = "other option " option, .wanted = EPERM, .hooks = HOOK(SETSOCKOPT),         \
		.control = "other option reuseaddr", .flags = ROW_OPTIONAL                         \
	}

#define OPTION_FREE(option)                                                                        \
	{                                                                                          \
		.name = "option " option, .act = "other option " option, .wanted = 0,              \
		.flags = ROW_OPTIONAL                                                              \
	}

const struct row rows_socket[] = {
	BY_FILTER("raw4", EPERM),
	BY_FILTER("raw4-tcp", EPERM),
	BY_FILTER("raw6", EPERM),
	BY_FILTER("raw6-udp", EPERM),
	BY_FILTER("sock-packet", EPERM),
	BY_FILTER("packet-raw", EAFNOSUPPORT),
	BY_FILTER("packet-dgram", EAFNOSUPPORT),
	BY_FILTER("netlink-generic", EPROTONOSUPPORT),
	BY_FILTER("netlink-netfilter", EPROTONOSUPPORT),
	BY_FILTER("netlink-sock-diag", EPROTONOSUPPORT),
	BY_FILTER("netlink-xfrm", EPROTONOSUPPORT),
	BY_FILTER("vsock", EAFNOSUPPORT),
	BY_FILTER("xdp", EAFNOSUPPORT),
	BY_FILTER("smc", EAFNOSUPPORT),
	BY_FILTER("smc6", EAFNOSUPPORT),
	BY_FILTER("sctp6-seqpacket", EPERM),
	BY_FILTER("dccp", EPERM),
	BY_FILTER("alg", EAFNOSUPPORT),
	BY_FILTER("rds", EAFNOSUPPORT),
	BY_FILTER("tipc", EAFNOSUPPORT),
	BY_FILTER("can", EAFNOSUPPORT),
	BY_FILTER("bluetooth", EAFNOSUPPORT),
	BY_FILTER("key", EAFNOSUPPORT),
	BY_FILTER("qipcrtr", EAFNOSUPPORT),
	BY_FILTER("mctp", EAFNOSUPPORT),
	{.name = "socket mptcp4",
	 .act = "other kind mptcp4",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL,
	 .flags = ROW_OPTIONAL},
	{.name = "socket udplite",
	 .act = "other kind udplite",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL,
	 .flags = ROW_OPTIONAL},
	{.name = "socket ping4",
	 .act = "other kind ping4",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL},
	{.name = "socket ping6",
	 .act = "other kind ping6",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL},
	{.name = "socket sctp4",
	 .act = "other kind sctp4",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL,
	 .flags = ROW_OPTIONAL},
	{.name = "socket smc-in-inet",
	 .act = "other kind smc-in-inet",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL,
	 .flags = ROW_OPTIONAL},
	{.name = "socket l2tp",
	 .act = "other kind l2tp",
	 .wanted = EPERM,
	 .hooks = HOOK(SOCK_CREATE),
	 .control = TCP_CONTROL,
	 .flags = ROW_OPTIONAL},
	{.name = "socket netlink-route, which lists addresses",
	 .act = "other kind netlink-route",
	 .wanted = 0},
	BY_PROGRAM("raw4"),
	BY_PROGRAM("raw4-tcp"),
	BY_PROGRAM("raw6"),
	BY_PROGRAM("mptcp4"),
	BY_PROGRAM("mptcp6"),
	BY_PROGRAM("udplite"),
	BY_PROGRAM("ping4"),
	BY_PROGRAM("sctp4"),
	BY_PROGRAM("sctp6-seqpacket"),

	OPTION_REFUSED("ip-options"),
	OPTION_REFUSED("ip-options-udp"),
	OPTION_REFUSED("ip-options-on-v6"),
	OPTION_REFUSED("rthdr"),
	OPTION_REFUSED("rthdr-udp"),
	OPTION_REFUSED("dstopts"),
	OPTION_REFUSED("hopopts"),
	OPTION_REFUSED("pktoptions"),
	OPTION_REFUSED("mark"),
	OPTION_REFUSED("transparent"),
	OPTION_REFUSED("transparent6"),
	OPTION_REFUSED("freebind"),
	OPTION_REFUSED("freebind6"),
	OPTION_REFUSED("repair"),
	OPTION_REFUSED("ulp-espintcp"),
	OPTION_REFUSED("udp-encap"),
	OPTION_REFUSED("add-membership"),
	OPTION_REFUSED("join-group6"),
	OPTION_REFUSED_BARE("mark"),
	OPTION_REFUSED_BARE("transparent"),
	OPTION_REFUSED_BARE("repair"),
	OPTION_REFUSED_BARE("hopopts"),
	OPTION_REFUSED_BARE("rthdr"),
	OPTION_REFUSED_BARE("ip-options"),
	/* They change how packets go, or who may read them, not where to. */
	OPTION_FREE("tos"),
	OPTION_FREE("md5"),
	OPTION_FREE("reuseport"),
	OPTION_FREE("broadcast"),
	OPTION_FREE("v6only"),
	OPTION_FREE("udp-segment"),
	OPTION_FREE("priority"),
};
const size_t rows_socket_len = ARRAY_LEN(rows_socket);
