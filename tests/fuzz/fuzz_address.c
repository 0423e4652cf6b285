/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel programs decide from bytes alone. The never-list is held against the compiler's,
 * written independently: whatever no policy may name, no sandbox may reach. A packet is understood
 * only if its ports lie where the kernel's own headers say. A lineage of forks and execs never has
 * an ancestor that nobody was.
 */
#include "common/policy_address.h"
#include "identity.h"
#include "packet.h"

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_address(const uint8_t *data)
{
	struct policy_cidr cidr = {.prefix = 128};
	struct address a;

	memcpy(&a, data, sizeof(a));
	memcpy(cidr.address, data, sizeof(cidr.address));
	if (policy_cidr_never(&cidr) && !address_is_never(&a))
		__builtin_trap();
	if (address_is_loopback(&a) && !address_is_never(&a))
		__builtin_trap();
	if (address_is_ipv4(&a) &&
	    !!address_is_never(&a) != !!address_ipv4_is_never(ADDRESS_BE32(a.word[3])))
		__builtin_trap();
}

static void try_packet(const uint8_t *data, size_t size)
{
	struct packet p;
	size_t header;

	if (!packet_read(data, data + size, &p))
		return;
	if (data[0] >> 4 == 4) {
		struct iphdr ip;

		memcpy(&ip, data, sizeof(ip));
		header = ip.ihl * 4u;
		if (ip.daddr != p.target.word[3] || ip.saddr != p.source.word[3] ||
		    ip.protocol != p.protocol)
			__builtin_trap();
	} else {
		struct ipv6hdr ip;

		memcpy(&ip, data, sizeof(ip));
		header = sizeof(ip);
		if (memcmp(&ip.daddr, &p.target, 16) || memcmp(&ip.saddr, &p.source, 16) ||
		    ip.nexthdr != p.protocol)
			__builtin_trap();
	}
	if (size < header + 4 || p.source_port != (data[header] << 8 | data[header + 1]) ||
	    p.target_port != (data[header + 2] << 8 | data[header + 3]))
		__builtin_trap();
}

/* Each byte forks, or executes the image of that number. */
static void try_lineage(const uint8_t *data, size_t size)
{
	struct os_identity identity = {};
	uint8_t was[256] = {};
	uint64_t exe = 0;
	unsigned int distinct = 0;

	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 128) {
			struct os_image file = {.file.ino = data[i] & 63};

			exe = file.file.ino;
			identity_exec(&identity, &file);
		} else {
			distinct += exe && !was[exe];
			was[exe] = exe != 0;
			identity_fork(&identity);
		}
		if (identity.ancestors > OS_ANCESTORS_MAX ||
		    identity.ancestors !=
			    (distinct < OS_ANCESTORS_MAX ? distinct : OS_ANCESTORS_MAX))
			__builtin_trap();
		if (!!(identity.flags & OS_IDENTITY_TRUNCATED) != (distinct > OS_ANCESTORS_MAX))
			__builtin_trap();
	}
	for (uint32_t i = 0; i < identity.ancestors; i++)
		if (!was[identity.ancestor[i].file.ino])
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 16 <= size && i < 64; i++)
		try_address(data + i);
	try_packet(data, size);
	try_lineage(data, size);
	return 0;
}
