/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses a name may have, and who may reach them there. The resolver says where a name is,
 * and whoever serves the name's zone decides what the resolver says: nothing of it is believed that
 * the policy does not admit. Pure functions; any thread. Fails closed.
 */
#pragma once

#include "supervisor/names_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_ADDRESSES_MAX 16 /* of one name */

struct names_addresses {
	size_t len;
	uint8_t item[NAMES_ADDRESSES_MAX][16]; /* v4-mapped, network order; distinct */
};

/* What one port of one name is. */
struct names_verdict {
	uint32_t valid;		   /* bit i: addresses->item[i] */
	uint32_t endpoint;	   /* of the policy, for events */
	struct os_rule_mask rules; /* that admit the whole of `valid` */
	struct os_rule_mask ask;   /* those of them with globs */
	uint16_t limits;	   /* OS_ENDPOINT_* of these rules */
	bool proxied;		   /* some endpoint of this port wants to have it read */
};

/*
 * True if no policy admits @address (16 bytes) as a name's: the kernel's never-list, and the
 * synthetic addresses, in every form that carries one.
 */
bool names_address_never(const uint8_t *address);

/* An address in private space, in every form that carries an IPv4 address. */
bool names_address_private(const uint8_t *address);

/*
 * The verdict on one port. @group: its @len endpoints (names_ports_group()), one at least. Several
 * of them may admit different addresses, since only a name that is spelt out may be a private one.
 * Then the name has the addresses of all, and only the rules count that admit each of them.
 */
struct names_verdict names_admit(const struct names_index *index, const struct names_port *group,
				 size_t len, const struct names_addresses *addresses);

/*
 * Why @address is valid for none of @ports, or NULL if it is for one: words that follow "which is".
 */
const char *names_admit_why(const struct names_ports *ports, const uint8_t *address);

/* The addresses that are not refused whatever the policy says, as names_verdict.valid. */
uint32_t names_admit_any(const struct names_addresses *addresses);
