/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress.h"

#include "common/cleanup.h"
#include "supervisor/egress_binaries.h"
#include "supervisor/egress_table.h"
#include "supervisor/names_index.h"

#include <bpf/bpf.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

#define BATCH 1024 /* entries read at once; more than a bucket ever has */

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

static struct os_endpoint_key endpoint_key(uint32_t slot, uint32_t generation,
					   const struct egress_entry *entry)
{
	struct os_endpoint_key key = {.slot = slot, .generation = generation, .port = entry->port};

	memcpy(key.address, entry->address, sizeof(key.address));
	return key;
}

static struct os_cidr_key cidr_key(uint32_t slot, uint32_t generation,
				   const struct egress_entry *entry)
{
	struct os_cidr_key key = {.prefixlen = OS_CIDR_PREFIX_BASE + entry->prefix,
				  .slot = slot,
				  .generation = generation,
				  .port = entry->port};

	memcpy(key.address, entry->address, sizeof(key.address));
	return key;
}

static int write_table(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		       const struct egress_table *table, struct error *err)
{
	for (size_t i = 0; i < table->len; i++) {
		const struct egress_entry *entry = &table->entry[i];
		struct os_endpoint_key endpoint;
		struct os_cidr_key cidr;

		if (entry->prefix == 128) {
			endpoint = endpoint_key(slot, generation, entry);
			if (bpf_map_update_elem(kernel->maps.endpoint, &endpoint, &entry->endpoint,
						BPF_ANY))
				return full("os_endpoint", err);
		} else {
			cidr = cidr_key(slot, generation, entry);
			if (bpf_map_update_elem(kernel->maps.cidr, &cidr, &entry->endpoint,
						BPF_ANY))
				return full("os_cidr", err);
		}
	}
	return 0;
}

static bool has_names(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (names_index_takes(policy, policy->endpoints[i]))
			return true;
	return false;
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
	/* Looking for binaries is the dear part, and without an endpoint they open nothing. */
	if (root_fd >= 0 && (table.len || has_names(policy))) {
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
						     .binaries = binaries.missing,
						     .truncated = binaries.truncated};
	return 0;
}

union any_key {
	struct os_binary_key binary;
	struct os_endpoint_key endpoint;
	struct os_name_key name;
	struct os_cidr_key cidr;
	uint8_t bytes[64];
};

/* One map, and where its keys have the slot; the generation lies beside it. */
struct any_map {
	int fd;
	size_t key_size, value_size, offset;
};

static bool is_of(const uint8_t *key, const struct any_map *map, uint32_t slot, uint32_t generation)
{
	uint32_t of[2];

	memcpy(of, key + map->offset, sizeof(of));
	return of[0] == slot && (!generation || of[1] == generation);
}

/*
 * Key by key, for maps that are no hashes. The key after each one is fetched before it is deleted,
 * so that the walk keeps its place.
 */
static void erase_each(const struct any_map *map, uint32_t slot, uint32_t generation)
{
	union any_key key, next;
	bool more;

	for (more = !bpf_map_get_next_key(map->fd, NULL, &key); more; key = next) {
		more = !bpf_map_get_next_key(map->fd, &key, &next);
		if (is_of(key.bytes, map, slot, generation))
			bpf_map_delete_elem(map->fd, &key);
	}
}

/*
 * A hash is read bucket by bucket, many at a time: its maps are large, and a system call for each
 * key of all sandboxes would take tens of milliseconds. What is deleted meanwhile moves nothing.
 */
static void erase_batches(const struct any_map *map, uint32_t slot, uint32_t generation)
{
	_cleanup_free_ uint8_t *keys = malloc(BATCH * map->key_size);
	_cleanup_free_ uint8_t *values = malloc(BATCH * map->value_size);
	uint32_t place = 0, *from = NULL;
	int r = keys && values ? 0 : -ENOMEM;

	while (!r) {
		uint32_t count = BATCH;

		r = bpf_map_lookup_batch(map->fd, from, &place, keys, values, &count, NULL);
		if (r && r != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++)
			if (is_of(keys + i * map->key_size, map, slot, generation))
				bpf_map_delete_elem(map->fd, keys + i * map->key_size);
		from = &place;
	}
	if (r != -ENOENT)
		erase_each(map, slot, generation);
}

static struct any_map binaries_of(const struct kernel *kernel)
{
	return (struct any_map){kernel->maps.binary, sizeof(struct os_binary_key),
				sizeof(struct os_binary), offsetof(struct os_binary_key, slot)};
}

void egress_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation)
{
	const struct any_map hashes[] = {
		{kernel->maps.endpoint, sizeof(struct os_endpoint_key), sizeof(struct os_endpoint),
		 offsetof(struct os_endpoint_key, slot)},
		{kernel->maps.name, sizeof(struct os_name_key), sizeof(struct os_name),
		 offsetof(struct os_name_key, slot)},
		binaries_of(kernel),
	};
	const struct any_map cidr = {.fd = kernel->maps.cidr,
				     .offset = offsetof(struct os_cidr_key, slot)};

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
		erase_batches(&hashes[i], slot, generation);
	erase_each(&cidr, slot, generation);
}

void egress_remove(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		   const PB(CompiledPolicy) * policy)
{
	_cleanup_(table_cleanup) struct egress_table table = {};
	const struct any_map binaries = binaries_of(kernel);

	/* It was built once: only memory can be missing now. */
	if (egress_table_build(policy, &table, NULL)) {
		egress_erase(kernel, slot, generation);
		return;
	}
	for (size_t i = 0; i < table.len; i++) {
		struct os_endpoint_key endpoint;
		struct os_cidr_key cidr;

		if (table.entry[i].prefix == 128) {
			endpoint = endpoint_key(slot, generation, &table.entry[i]);
			bpf_map_delete_elem(kernel->maps.endpoint, &endpoint);
		} else {
			cidr = cidr_key(slot, generation, &table.entry[i]);
			bpf_map_delete_elem(kernel->maps.cidr, &cidr);
		}
	}
	erase_batches(&binaries, slot, generation);
}
