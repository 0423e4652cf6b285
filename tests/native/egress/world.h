/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of the egress test: this process in a network namespace of its own, a peer in
 * another one behind a veth pair, and echo servers (TCP and UDP) in both. Ends with the process.
 */
#pragma once

/* Ports that the peer serves on every address it has, and that the host serves. */
#define PEER_PORTS                                                                                 \
	{                                                                                          \
		8000, 8001, 8002, 53                                                               \
	}
/*
 * The stand-in for a worker is the host's as well: from WORKER_PORT on, it answers 'w' to whatever
 * it gets.
 */
#define WORKER_PORT 8201
#define HOST_PORTS                                                                                 \
	{                                                                                          \
		8100, 8201, 8202, 8203, 8204, 8205, 8206                                           \
	}

/* Build it; the index of the interface to the peer. Ends the process with a message on failure. */
int world_open(void);

/* End the servers. */
void world_close(void);

_Noreturn void die(const char *what);
