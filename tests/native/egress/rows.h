/* SPDX-License-Identifier: Apache-2.0 */
/*
 * what, act, errno inside, errno outside, hook, reason and endpoint. `{name}` is a copy of the
 * agent program; the policy of policy.c admits {admitted}, {parent}, {glob-*} and, through a link,
 * {admitted2}.
 */
/* clang-format off */

/* Literal addresses and ranges */
{"literal v4", "{admitted} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"literal v6", "{admitted} tcp fd77::2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(1)},
{"range v4", "{admitted} tcp 10.77.1.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(2)},
{"range v6", "{admitted} tcp fd77:1::2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(8)},
{"v4-mapped, admitted as v4", "{admitted} tcp ::ffff:10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(0)},
{"v4-mapped, range", "{admitted} tcp ::ffff:10.77.1.2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(2)},
{"NAT64 of an admitted kind", "{admitted} tcp 64:ff9b::a4d:2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(4)},
{"other port", "{admitted} tcp 10.77.0.2 8001", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"port nobody names", "{admitted} tcp 10.77.0.2 8002", EPERM, 0, OS_HOOK_CONNECT4, DENY(NO_ENDPOINT)},
{"other address", "{admitted} tcp 10.77.0.3 8002", 0, 0, OS_HOOK_CONNECT4, ADMIT(6)},
{"address nobody names", "{admitted} tcp fd77:1::2 8001", EPERM, 0, OS_HOOK_CONNECT6, DENY(NO_ENDPOINT)},
{"v4-mapped, denied", "{admitted} tcp ::ffff:10.77.0.2 8002", EPERM, 0, OS_HOOK_CONNECT6, DENY(NO_ENDPOINT)},

/* Binaries */
{"other binary", "{other} tcp 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"any binary", "{other} tcp 10.77.0.3 8002", 0, 0, OS_HOOK_CONNECT4, ADMIT(6)},
{"glob", "{glob-a} tcp 10.77.0.2 8001", 0, 0, OS_HOOK_CONNECT4, ADMIT(7)},
{"glob, second file", "{glob-b.x} tcp 10.77.0.2 8001", 0, 0, OS_HOOK_CONNECT4, ADMIT(7)},
{"glob does not cover", "{another} tcp 10.77.0.2 8001", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"exact address inside a range keeps the range's rules", "{glob-a} tcp 10.77.0.3 8001", 0, 0, OS_HOOK_CONNECT4, ADMIT(3)},
{"and its own", "{parent} tcp 10.77.0.3 8001", 0, 0, OS_HOOK_CONNECT4, ADMIT(3)},
{"which the range lacks", "{parent} tcp 10.77.0.2 8001", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"binary behind a symbolic link", "{admitted2} tcp 10.77.0.3 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(9)},
{"the link's name alone", "{admitted} tcp 10.77.0.3 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},

/* Ancestors */
{"child of an admitted parent", "{admitted} fork-exec {other} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"grandchild", "{admitted} fork-exec {other} fork-exec {another} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"daemon whose ancestors have ended", "{admitted} double-fork {other} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"exec keeps ancestors", "{admitted} fork-exec {other} exec {another} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"an image that was replaced is no ancestor", "{admitted} exec {other} tcp 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"the image that is now counts", "{other} exec {admitted} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"exec by another thread than the first", "{other} thread-exec {admitted} tcp 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"a parent's later image gives nothing", "{other} parent-turns {admitted} tcp 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"a child of another binary", "{other} fork-exec {another} tcp 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"an executable link changed underneath", "{other} spoof {admitted} 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(IDENTITY)},
{"spoofed away from the admitted one", "{admitted} spoof {other} 10.77.0.2 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(IDENTITY)},

/* Never, whatever the policy says */
{"the host's listener on 127.0.0.1", "{admitted} tcp 127.0.0.1 8100", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"on 127.1.2.3", "{admitted} tcp 127.1.2.3 8100", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"on ::1", "{admitted} tcp ::1 8100", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"on ::ffff:127.0.0.1", "{admitted} tcp ::ffff:127.0.0.1 8100", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"0.0.0.0", "{admitted} tcp 0.0.0.0 8100", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"::", "{admitted} tcp :: 8100", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"::ffff:0.0.0.0", "{admitted} tcp ::ffff:0.0.0.0 8100", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"metadata", "{admitted} tcp 169.254.169.254 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"metadata, v4-mapped", "{admitted} tcp ::ffff:169.254.169.254 8000", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"metadata outside link-local", "{admitted} tcp 100.100.100.200 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"metadata over v6", "{admitted} tcp fd00:ec2::254 8000", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"metadata over NAT64", "{admitted} tcp 64:ff9b::a9fe:a9fe 8000", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"loopback over 6to4", "{admitted} tcp 2002:7f00:1::1 8000", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"link-local with a scope", "{admitted} tcp fe80::77%v0 8000", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"multicast", "{admitted} udp-sendto 224.0.0.251 8000", EPERM, EAGAIN, OS_HOOK_SENDMSG4, DENY(NEVER_ADDRESS)},
{"multicast, v6", "{admitted} udp-sendto ff02::1%v0 8000", EPERM, EAGAIN, OS_HOOK_SENDMSG6, DENY(NEVER_ADDRESS)},
{"datagram to the host's 127.0.0.1", "{admitted} udp-sendto 127.0.0.1 8100", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NEVER_ADDRESS)},

/* Datagrams */
{"sendto v4", "{admitted} udp-sendto 10.77.0.2 8000", 0, 0, OS_HOOK_SENDMSG4, ADMIT(0)},
{"sendto v6", "{admitted} udp-sendto fd77::2 8000", 0, 0, OS_HOOK_SENDMSG6, ADMIT(1)},
{"sendto v4-mapped", "{admitted} udp-sendto ::ffff:10.77.0.2 8000", 0, 0, OS_HOOK_SENDMSG4, ADMIT(0)},
{"sendto, denied", "{admitted} udp-sendto 10.77.0.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NO_ENDPOINT)},
{"sendto v4-mapped, denied", "{admitted} udp-sendto ::ffff:10.77.0.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NO_ENDPOINT)},
{"sendto, other binary", "{other} udp-sendto 10.77.0.2 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(BINARY)},
{"sendto with AF_UNSPEC", "{admitted} udp-unspec 10.77.0.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NO_ENDPOINT)},
{"sendto with AF_UNSPEC, admitted", "{admitted} udp-unspec 10.77.0.2 8000", 0, 0, OS_HOOK_SENDMSG4, ADMIT(0)},
{"two destinations in turn", "{admitted} udp-sendto 10.77.0.2 8000 10.77.1.2 8000", 0, 0, OS_HOOK_SENDMSG4, ADMIT(2)},
{"the second one denied", "{admitted} udp-sendto 10.77.0.2 8000 10.77.0.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NO_ENDPOINT)},
{"sendmmsg", "{admitted} udp-sendmmsg 10.77.0.2 8000", 0, 0, OS_HOOK_SENDMSG4, ADMIT(0)},
{"sendmmsg, denied", "{admitted} udp-sendmmsg fd77::2 8001", EPERM, 0, OS_HOOK_SENDMSG6, DENY(NO_ENDPOINT)},
{"connected datagrams", "{admitted} udp-connected 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"connected datagrams, denied", "{admitted} udp-connected fd77::2 8001", EPERM, 0, OS_HOOK_CONNECT6, DENY(NO_ENDPOINT)},
{"connected, then sendto elsewhere", "{admitted} udp-mixed 10.77.0.2 8000 10.77.0.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NO_ENDPOINT)},
{"source route as ancillary data", "{admitted} source-route 10.77.0.2 8000", EPERM, 0, OS_HOOK_EGRESS, DENY(OPTION)},
{"extension header as ancillary data, v6", "{admitted} source-route fd77::2 8000", EPERM, 0, OS_HOOK_EGRESS, DENY(OPTION)},

/* Other ways to connect */
{"MSG_FASTOPEN", "{admitted} fastopen 10.77.0.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(0)},
{"MSG_FASTOPEN, denied", "{admitted} fastopen 10.77.0.2 8002", EPERM, 0, OS_HOOK_CONNECT4, DENY(NO_ENDPOINT)},
{"TCP_FASTOPEN_CONNECT", "{admitted} fastopen-connect fd77::2 8000", 0, 0, OS_HOOK_CONNECT6, ADMIT(1)},
{"TCP_FASTOPEN_CONNECT, denied", "{admitted} fastopen-connect fd77::2 8001", EPERM, 0, OS_HOOK_CONNECT6, DENY(NO_ENDPOINT)},
{"AF_UNSPEC and another address", "{admitted} reconnect 10.77.0.2 8000 10.77.0.2 8002", EPERM, 0, OS_HOOK_CONNECT4, DENY(NO_ENDPOINT)},
{"AF_UNSPEC and an admitted one", "{admitted} reconnect 10.77.0.2 8000 10.77.1.2 8000", 0, 0, OS_HOOK_CONNECT4, ADMIT(2)},

/* The sandbox's own sockets */
{"own listener", "{other} own 127.0.0.1 127.0.0.1", 0, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
{"own listener on a port of the kernel's choice", "{other} own auto 127.0.0.1", 0, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
{"own listener on every address", "{other} own 0.0.0.0 127.0.0.1", 0, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
{"own v6 listener", "{other} own ::1 ::1", 0, 0, OS_HOOK_CONNECT6, ADMIT(NO)},
{"own dual-stack listener over v4", "{other} own :: 127.0.0.1", 0, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
{"own dual-stack listener over v4-mapped", "{other} own :: ::ffff:127.0.0.1", 0, 0, OS_HOOK_CONNECT6, ADMIT(NO)},
{"own datagrams", "{other} own-udp 127.0.0.1 127.0.0.1", 0, 0, OS_HOOK_SENDMSG4, ADMIT(NO)},
{"own datagrams, v6", "{other} own-udp ::1 ::1", 0, 0, OS_HOOK_SENDMSG6, ADMIT(NO)},

/* Kinds of sockets: AF_INET 2, AF_INET6 10; stream 1, datagram 2, raw 3 */
{"TCP", "{other} socket 2 1 6", 0, 0, OS_HOOK_SOCK_CREATE, ADMIT(NO)},
{"UDP over v6", "{other} socket 10 2 17", 0, 0, OS_HOOK_SOCK_CREATE, ADMIT(NO)},
{"MPTCP", "{other} socket 2 1 262", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"MPTCP over v6", "{other} socket 10 1 262", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"raw", "{other} socket 2 3 6", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"raw, any protocol", "{other} socket 10 3 255", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"raw ICMP", "{other} socket 2 3 1", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"UDP-Lite", "{other} socket 2 2 136", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},
{"ping", "{other} socket 2 2 1", EPERM, 0, OS_HOOK_SOCK_CREATE, DENY(FAMILY)},

/* Options: setsockopt FAMILY TYPE LEVEL NAME LENGTH [TEXT] */
{"IP_OPTIONS", "{other} setsockopt 2 2 0 4 4", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"IP_FREEBIND", "{other} setsockopt 2 1 0 15 4", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"IP_TRANSPARENT", "{other} setsockopt 2 1 0 19 4", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"SO_MARK", "{other} setsockopt 2 1 1 36 4", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"IPV6_RTHDR", "{other} setsockopt 10 2 41 57 0", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"TCP_REPAIR", "{other} setsockopt 2 1 6 19 4", EPERM, 0, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"TCP_ULP other than tls", "{other} setsockopt 2 1 6 31 6 mptcp", EPERM, EOPNOTSUPP, OS_HOOK_SETSOCKOPT, DENY(OPTION)},
{"an ordinary option", "{other} setsockopt 2 1 1 8 4", 0, 0, OS_HOOK_SETSOCKOPT, ADMIT(NO)},
{"an option longer than a page", "{other} setsockopt 2 1 1 8 8192", 0, 0, OS_HOOK_SETSOCKOPT, ADMIT(NO)},
{"an option of text", "{other} setsockopt 2 1 6 13 5 reno", 0, 0, OS_HOOK_SETSOCKOPT, ADMIT(NO)},

/* Devices */
{"/dev/null", "{other} open /dev/null", 0, 0, OS_HOOK_DEVICE, ADMIT(NO)},
{"/dev/urandom", "{other} open /dev/urandom", 0, 0, OS_HOOK_DEVICE, ADMIT(NO)},
{"/dev/ptmx", "{other} open /dev/ptmx", 0, 0, OS_HOOK_DEVICE, ADMIT(NO)},
{"/dev/kmsg", "{other} open /dev/kmsg", EPERM, 0, OS_HOOK_DEVICE, DENY(FORBIDDEN)},
{"making a device node", "{other} mknod /tmp/ostest-egress-node 1 3", EPERM, 0, OS_HOOK_DEVICE, DENY(FORBIDDEN)},
