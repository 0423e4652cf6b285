/* SPDX-License-Identifier: Apache-2.0 */
/* Where the supervisor itself may connect to for a name: what the kernel would do, for the proxy.
 */
#include "supervisor/names_internal.h"

#include "address.h"
#include "common/cleanup.h"

#include <string.h>

static bool is_ipv4(const uint8_t *bytes)
{
	struct address address;

	memcpy(&address, bytes, sizeof(address));
	return address_is_ipv4(&address);
}

/* The group of @port among names->ports; false if there is none. */
static bool find_group(const struct names *names, uint16_t port, size_t *ret_at, size_t *ret_len)
{
	for (size_t i = 0, len; i < names->ports.len; i += len) {
		len = names_ports_group(&names->ports, i);
		if (names->ports.item[i].port != port)
			continue;
		*ret_at = i;
		*ret_len = len;
		return true;
	}
	return false;
}

/* Those of one family, beginning with another one each time. */
static void add_family(const struct name *name, uint32_t valid, bool ipv4,
		       struct names_addresses *to)
{
	size_t len = name->addresses->len;

	for (size_t i = 0; i < len; i++) {
		size_t at = (i + name->turn) % len;

		if (valid >> at & 1 && is_ipv4(name->addresses->item[at]) == ipv4)
			memcpy(to->item[to->len++], name->addresses->item[at], 16);
	}
}

int names_where(struct names *names, const uint8_t *asked, uint16_t port, uint64_t now,
		struct names_addresses *ret_addresses)
{
	struct name *name = names_table_at(&names->table, names_maps_number(asked));
	struct names_addresses addresses = {};
	size_t at, len;
	uint32_t valid;

	if (!name || !name->admitted || names_is_ours(name->text) ||
	    names_index_find(&names->index, name->text, &names->ports) ||
	    !find_group(names, port, &at, &len))
		return -EPERM;
	name->used = now;
	if (name->status == NAMES_UNKNOWN || now >= name->fresh)
		return -EINPROGRESS;
	if (name->status != NAMES_FOUND || !name->addresses)
		return name->status == NAMES_NONE ? -ENOENT : -EAGAIN;
	valid = names_admit(&names->index, &names->ports.item[at], len, name->addresses).valid;
	if (!valid) {
		*ret_addresses = *name->addresses;
		return -EACCES;
	}
	add_family(name, valid, is_ipv4(asked), &addresses);
	add_family(name, valid, !is_ipv4(asked), &addresses);
	name->turn++;
	*ret_addresses = addresses;
	return 0;
}
