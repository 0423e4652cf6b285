/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress.h"

#include "common/cleanup.h"
#include "supervisor/egress_binaries.h"
#include "supervisor/egress_table.h"

#include <bpf/bpf.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

static void table_cleanup(struct egress_table *table)
{
	egress_table_free(table);
}

static void binaries_cleanup(struct egress_binaries *binaries)
{
	egress_binaries_free(binaries);
}

/* A hash says that it is full with E2BIG, the prefix tree with ENOSPC. */
static int full(const char *map, struct error *err)
{
	int r = errno ? -errno : -EIO;

	if (r != -E2BIG && r != -ENOSPC)
		return error_set(err, r, "cannot write to map %s: %s", map, strerror(-r));
	return error_set(err, -ENOSPC,
			 "map %s takes no more entries: fewer addresses or binaries per policy, or "
			 "fewer sandboxes on this host",
			 map);
}

static int write_binaries(const struct kernel *kernel, uint32_t slot, uint32_t generation,
			  const struct egress_binaries *binaries, struct error *err)
{
	for (size_t i = 0; i < binaries->len; i++) {
		struct os_binary_key key = {
			.slot = slot, .generation = generation, .file = binaries->binary[i].file};
		struct os_binary value = {.rules = binaries->binary[i].rules,
					  .changed = {binaries->binary[i].changed}};

		if (bpf_map_update_elem(kernel->maps.binary, &key, &value, BPF_ANY))
			return full("os_binary", err);
	}
	return 0;
}

static int write_table(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		       const struct egress_table *table, struct error *err)
{
	for (size_t i = 0; i < table->len; i++) {
		const struct egress_entry *entry = &table->entry[i];

		if (entry->prefix == 128) {
			struct os_endpoint_key key = {
				.slot = slot, .generation = generation, .port = entry->port};

			memcpy(key.address, entry->address, sizeof(key.address));
			if (bpf_map_update_elem(kernel->maps.endpoint, &key, &entry->endpoint,
						BPF_ANY))
				return full("os_endpoint", err);
		} else {
			struct os_cidr_key key = {.prefixlen = OS_CIDR_PREFIX_BASE + entry->prefix,
						  .slot = slot,
						  .generation = generation,
						  .port = entry->port};

			memcpy(key.address, entry->address, sizeof(key.address));
			if (bpf_map_update_elem(kernel->maps.cidr, &key, &entry->endpoint, BPF_ANY))
				return full("os_cidr", err);
		}
	}
	return 0;
}

int egress_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const PB(CompiledPolicy) * policy, int root_fd, struct egress_report *ret_report,
		 struct error *err)
{
	_cleanup_(binaries_cleanup) struct egress_binaries binaries = {};
	_cleanup_(table_cleanup) struct egress_table table = {};
	int r;

	r = egress_table_build(policy, &table, err);
	if (r)
		return r;
	/* Looking for binaries is the dear part, and without an address they open nothing. */
	if (table.len) {
		r = egress_binaries_build(kernel, policy, root_fd, &binaries, err);
		if (r)
			return r;
	}
	r = write_binaries(kernel, slot, generation, &binaries, err);
	if (!r)
		r = write_table(kernel, slot, generation, &table, err);
	if (r) {
		egress_erase(kernel, slot, generation);
		return r;
	}
	if (ret_report)
		*ret_report = (struct egress_report){.entries = table.len + binaries.len,
						     .names = table.names,
						     .binaries = binaries.missing,
						     .truncated = binaries.truncated};
	return 0;
}

union any_key {
	struct os_binary_key binary;
	struct os_endpoint_key endpoint;
	struct os_cidr_key cidr;
	uint8_t bytes[64];
};

/*
 * The key after each one is fetched before it is deleted, so that the walk keeps its place. In all
 * three keys slot and generation lie side by side, at @offset.
 */
static void erase_from(int map_fd, size_t offset, uint32_t slot, uint32_t generation)
{
	union any_key key, next;
	bool more;

	for (more = !bpf_map_get_next_key(map_fd, NULL, &key); more; key = next) {
		uint32_t of[2];

		more = !bpf_map_get_next_key(map_fd, &key, &next);
		memcpy(of, key.bytes + offset, sizeof(of));
		if (of[0] == slot && (!generation || of[1] == generation))
			bpf_map_delete_elem(map_fd, &key);
	}
}

void egress_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation)
{
	erase_from(kernel->maps.endpoint, offsetof(struct os_endpoint_key, slot), slot, generation);
	erase_from(kernel->maps.cidr, offsetof(struct os_cidr_key, slot), slot, generation);
	erase_from(kernel->maps.binary, offsetof(struct os_binary_key, slot), slot, generation);
}
