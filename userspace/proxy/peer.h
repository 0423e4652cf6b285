/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses as the supervisor is told them, and back. Pure; any thread.
 */
#pragma once

#include "common/worker_protocol.h"

#include <netinet/in.h>
#include <sys/socket.h>

union peer_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* @protocol: IPPROTO_UDP or IPPROTO_TCP. -EAFNOSUPPORT; -EINVAL without a port. */
int peer_from_address(const union peer_address *address, uint16_t protocol,
		      struct worker_peer *ret_peer);

/* Returns the address's length. */
socklen_t peer_to_address(const struct worker_peer *peer, union peer_address *ret_address);
