/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Socket options that make packets go, or seem to come from, elsewhere than the address that was
 * checked. Most need a capability that no agent has; they are named so that the refusal does not
 * depend on it. Joining a multicast group needs none: the kernel itself then tells the network so,
 * over and over, in packets of no agent's socket that carry the group's address, which is 28 or
 * 112 bits of the agent's choice. Numbers from include/uapi/linux/{in,in6,tcp,udp}.h and
 * asm-generic/socket.h.
 */
#pragma once

#include "address.h"

enum option_verdict {
	OPTION_FREE = 0,
	OPTION_REFUSED = 1,
	OPTION_BY_NAME = 2, /* TCP_ULP: `tls` only */
};

static __always_inline int option_verdict(__s32 level, __s32 name)
{
	switch (level) {
	case 0:			  /* SOL_IP */
		if (name == 4 ||  /* IP_OPTIONS: source routes */
		    name == 15 || /* IP_FREEBIND: a sender's address that is not ours */
		    name == 19 || /* IP_TRANSPARENT */
		    name == 35 || /* IP_ADD_MEMBERSHIP */
		    name == 39 || /* IP_ADD_SOURCE_MEMBERSHIP */
		    name == 42 || /* MCAST_JOIN_GROUP */
		    name == 46)	  /* MCAST_JOIN_SOURCE_GROUP */
			return OPTION_REFUSED;
		return OPTION_FREE;
	case 1:			  /* SOL_SOCKET */
		if (name == 36 || /* SO_MARK: policy routing */
		    name == 51 || /* SO_ATTACH_REUSEPORT_CBPF: which listener gets it */
		    name == 52)	  /* SO_ATTACH_REUSEPORT_EBPF */
			return OPTION_REFUSED;
		return OPTION_FREE;
	case 6:			/* SOL_TCP */
		if (name == 19) /* TCP_REPAIR: established without connect() */
			return OPTION_REFUSED;
		if (name == 31) /* TCP_ULP: smc and espintcp change the protocol */
			return OPTION_BY_NAME;
		return OPTION_FREE;
	case 17:		 /* SOL_UDP */
		if (name == 100) /* UDP_ENCAP: packets that the kernel unpacks */
			return OPTION_REFUSED;
		return OPTION_FREE;
	case 41:		  /* SOL_IPV6 */
		if (name == 6 ||  /* IPV6_2292PKTOPTIONS: carries the ones below */
		    name == 20 || /* IPV6_JOIN_GROUP */
		    name == 27 || /* IPV6_JOIN_ANYCAST */
		    name == 42 || /* MCAST_JOIN_GROUP */
		    name == 46 || /* MCAST_JOIN_SOURCE_GROUP */
		    name == 54 || /* IPV6_HOPOPTS */
		    name == 55 || /* IPV6_RTHDRDSTOPTS */
		    name == 57 || /* IPV6_RTHDR: source routes */
		    name == 59 || /* IPV6_DSTOPTS: home address */
		    name == 75 || /* IPV6_TRANSPARENT */
		    name == 78)	  /* IPV6_FREEBIND */
			return OPTION_REFUSED;
		return OPTION_FREE;
	default:
		return OPTION_FREE;
	}
}
