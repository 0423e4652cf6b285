/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As rows.h, where content decides: names 10 to 16 of names.c, and two literal addresses. WORKER:
 * the stand-in for slot 1's proxy answered.
 */
/* clang-format off */

{"inspected name", "{admitted} tcp 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected name over v6", "{admitted} tcp fd6f:7065:6e73:6865::a 8000", WORKER, -1, OS_HOOK_CONNECT6, ADMIT(110)},
{"inspected name, v4-mapped", "{admitted} tcp ::ffff:198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT6, ADMIT(110)},
{"inspected name, MSG_FASTOPEN", "{admitted} fastopen 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected name, MSG_FASTOPEN over v6", "{admitted} fastopen fd6f:7065:6e73:6865::a 8000", WORKER, -1, OS_HOOK_CONNECT6, ADMIT(110)},
{"inspected name, TCP_FASTOPEN_CONNECT", "{admitted} fastopen-connect 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected, a child of an admitted parent", "{admitted} fork-exec {other} tcp 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected name whose addresses nobody knows", "{other} tcp 198.18.0.12 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(112)},
{"inspected name, a port that the host serves too", "{other} tcp 198.18.0.13 8100", WORKER, -1, OS_HOOK_CONNECT4, ADMIT(113)},
{"inspected address", "{admitted} tcp 10.77.1.2 8002", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(24)},
{"inspected address, v4-mapped", "{admitted} tcp ::ffff:10.77.1.2 8002", WORKER, 0, OS_HOOK_CONNECT6, ADMIT(24)},
{"inspected address over v6", "{admitted} tcp fd77:1::2 8002", WORKER, 0, OS_HOOK_CONNECT6, ADMIT(25)},
{"the peer that is shown is the one that was asked for", "{admitted} tcp 198.18.0.10 8000", WORKER, 0, OS_HOOK_GETPEERNAME4, ADMIT(NO)},
{"and over v6", "{admitted} tcp fd6f:7065:6e73:6865::a 8000", WORKER, -1, OS_HOOK_GETPEERNAME6, ADMIT(NO)},
{"the flow is written down", "{admitted} tcp 198.18.0.10 8000", WORKER, 0, OS_HOOK_SOCKOPS, ADMIT(NO)},

{"inspected name, from the outer address", "{admitted} from 10.77.0.1 tcp 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected name, from an address of loopback", "{admitted} from 127.9.9.9 tcp 198.18.0.10 8000", WORKER, -1, OS_HOOK_CONNECT4, ADMIT(110)},
{"inspected name, from a socket of another interface", "{admitted} through v0 tcp 198.18.0.10 8000", EINPROGRESS, 0, OS_HOOK_EGRESS, DENY(NEVER_ADDRESS)},

{"inspected name, turning to another interface", "{admitted} from 10.77.0.1 turn v0 198.18.0.10 8000", EAGAIN, 0, OS_HOOK_EGRESS, DENY(NEVER_ADDRESS)},

/* The same callers as elsewhere */
{"inspected name, other binary", "{other} tcp 198.18.0.10 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"inspected name over v6, other binary", "{other} tcp fd6f:7065:6e73:6865::a 8000", EPERM, -1, OS_HOOK_CONNECT6, DENY(BINARY)},
{"inspected name, other port", "{admitted} tcp 198.18.0.10 8001", EPERM, 0, OS_HOOK_CONNECT4, DENY(NO_ENDPOINT)},
{"inspected address, other binary", "{other} tcp 10.77.1.2 8002", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},
{"inspected, a glob's binary", "{glob-a} tcp 198.18.0.11 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(111)},
{"inspected, a binary not known", "{another} tcp 198.18.0.11 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
{"inspected, a binary not known, over v6", "{another} tcp fd6f:7065:6e73:6865::b 8000", WORKER, -1, OS_HOOK_CONNECT6, ADMIT(NO)},
{"inspected, not known and no glob there", "{another} tcp 198.18.0.10 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(BINARY)},

/* Datagrams cannot be read */
{"datagram to an inspected name", "{admitted} udp-sendto 198.18.0.10 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(INSPECTED)},
{"datagram to an inspected name over v6", "{admitted} udp-sendto fd6f:7065:6e73:6865::a 8000", EPERM, -1, OS_HOOK_SENDMSG6, DENY(INSPECTED)},
{"datagram to an inspected name, v4-mapped", "{admitted} udp-sendto ::ffff:198.18.0.10 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(INSPECTED)},
{"connected datagrams to an inspected name", "{admitted} udp-connected 198.18.0.10 8000", EPERM, 0, OS_HOOK_CONNECT4, DENY(INSPECTED)},
{"datagram to an inspected address", "{admitted} udp-sendto 10.77.1.2 8002", EPERM, 0, OS_HOOK_SENDMSG4, DENY(INSPECTED)},
{"datagram to an inspected name, other binary", "{other} udp-sendto 198.18.0.10 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(BINARY)},
{"datagram to an inspected name, binary not known", "{another} udp-sendto 198.18.0.11 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(INSPECTED)},
{"datagram there after one to another name", "{admitted} udp-sendto 198.18.0.1 8000 198.18.0.10 8000", EPERM, 0, OS_HOOK_SENDMSG4, DENY(INSPECTED)},

/* One socket, one after the other */
{"inspected after direct", "{admitted} reconnect 198.18.0.1 8000 198.18.0.10 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(110)},
{"direct after inspected", "{admitted} reconnect 198.18.0.10 8000 198.18.0.1 8000", 0, 0, OS_HOOK_CONNECT4, WENT(101, "::ffff:10.77.0.2")},
{"inspected after inspected", "{admitted} reconnect 198.18.0.10 8000 198.18.0.12 8000", WORKER, 0, OS_HOOK_CONNECT4, ADMIT(112)},

/* Where inspected connections go is nowhere that an agent may go by itself */
{"where an inspected name's connections go", "{admitted} tcp 127.64.4.10 8000", EPERM, -1, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"a port that the host serves, there", "{admitted} tcp 127.64.4.10 8100", EPERM, 0, OS_HOOK_CONNECT4, DENY(NEVER_ADDRESS)},
{"the same, v4-mapped", "{admitted} tcp ::ffff:127.64.4.10 8100", EPERM, 0, OS_HOOK_CONNECT6, DENY(NEVER_ADDRESS)},
{"a datagram there", "{admitted} udp-sendto 127.64.4.10 8100", EPERM, 0, OS_HOOK_SENDMSG4, DENY(NEVER_ADDRESS)},
{"own listener there", "{other} own 127.64.4.10 127.64.4.10", 0, 0, OS_HOOK_CONNECT4, ADMIT(NO)},
