/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/peer.h"

#include <errno.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

int peer_from_address(const union peer_address *address, uint16_t protocol,
		      struct worker_peer *ret_peer)
{
	struct worker_peer peer = {.protocol = protocol};

	switch (address->any.sa_family) {
	case AF_INET:
		memcpy(peer.address, mapped, sizeof(mapped));
		memcpy(peer.address + 12, &address->ipv4.sin_addr, 4);
		peer.port = ntohs(address->ipv4.sin_port);
		break;
	case AF_INET6:
		memcpy(peer.address, &address->ipv6.sin6_addr, sizeof(peer.address));
		peer.port = ntohs(address->ipv6.sin6_port);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	if (!peer.port)
		return -EINVAL;
	*ret_peer = peer;
	return 0;
}

socklen_t peer_to_address(const struct worker_peer *peer, union peer_address *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	if (!memcmp(peer->address, mapped, sizeof(mapped))) {
		ret_address->ipv4.sin_family = AF_INET;
		ret_address->ipv4.sin_port = htons(peer->port);
		memcpy(&ret_address->ipv4.sin_addr, peer->address + 12, 4);
		return sizeof(ret_address->ipv4);
	}
	ret_address->ipv6.sin6_family = AF_INET6;
	ret_address->ipv6.sin6_port = htons(peer->port);
	memcpy(&ret_address->ipv6.sin6_addr, peer->address, sizeof(peer->address));
	return sizeof(ret_address->ipv6);
}
