/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_maps.h"

#include "address.h"
#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <string.h>

void names_maps_synthetic(uint32_t number, bool ipv6, uint8_t ret_address[16])
{
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));

	if (ipv6)
		address = (struct address){.word = {ADDRESS_BE32(OS_SYNTHETIC_IPV6_0),
						    ADDRESS_BE32(OS_SYNTHETIC_IPV6_1), 0,
						    ADDRESS_BE32(number)}};
	memcpy(ret_address, &address, sizeof(address));
}

uint32_t names_maps_number(const uint8_t *bytes)
{
	struct address address;
	uint32_t last;

	memcpy(&address, bytes, sizeof(address));
	last = ADDRESS_BE32(address.word[3]);
	if (address_is_ipv4(&address))
		last -= OS_SYNTHETIC_IPV4;
	else if (ADDRESS_BE32(address.word[0]) != OS_SYNTHETIC_IPV6_0 ||
		 ADDRESS_BE32(address.word[1]) != OS_SYNTHETIC_IPV6_1 || address.word[2])
		return 0;
	return last <= OS_SYNTHETIC_MAX ? last : 0;
}

static struct os_name_key name_key(const struct names_maps *maps, uint32_t number, uint16_t port,
				   bool ipv6)
{
	struct os_name_key key = {.slot = maps->slot, .generation = maps->generation, .port = port};

	names_maps_synthetic(number, ipv6, key.address);
	return key;
}

static struct os_endpoint_key endpoint_key(const struct names_maps *maps, uint32_t number,
					   uint16_t port)
{
	struct os_endpoint_key key = {
		.slot = maps->slot, .generation = maps->generation, .port = port};

	names_maps_synthetic(number, false, key.address);
	return key;
}

/* A hash that is full says E2BIG. */
static int full(int r)
{
	return r == -E2BIG ? -ENOSPC : r;
}

int names_maps_set_endpoint(const struct names_maps *maps, uint32_t number, uint16_t port,
			    const struct names_verdict *verdict)
{
	struct os_endpoint_key key = endpoint_key(maps, number, port);
	struct os_endpoint value = {
		.endpoint = verdict->endpoint,
		.verdict = verdict->proxied ? OS_VERDICT_PROXY : OS_VERDICT_DIRECT,
		.limits = verdict->limits,
		.rules = verdict->rules,
		.ask = verdict->ask,
	};

	return full(bpf_map_update_elem(maps->kernel->maps.endpoint, &key, &value, BPF_ANY));
}

static bool is_ipv4(const uint8_t *bytes)
{
	struct address address;

	memcpy(&address, bytes, sizeof(address));
	return address_is_ipv4(&address);
}

static int set_family(const struct names_maps *maps, const struct name *name, uint16_t port,
		      uint32_t valid, bool ipv6)
{
	struct os_name_key key = name_key(maps, name->number, port, ipv6);
	int map = maps->kernel->maps.name;
	struct os_name value = {}, earlier;

	for (size_t i = 0; valid >> i && value.count < OS_NAME_REAL_MAX; i++)
		if (valid >> i & 1 && is_ipv4(name->addresses->item[i]) != ipv6)
			memcpy(value.real[value.count++], name->addresses->item[i], 16);
	if (!value.count) {
		bpf_map_delete_elem(map, &key);
		return 0;
	}
	if (!bpf_map_lookup_elem(map, &key, &earlier)) {
		value.used = earlier.used;
		value.next = earlier.next;
	}
	value.expiry = name->expiry;
	value.id = name->number;
	memcpy(value.text, name->text, name->length);
	return full(bpf_map_update_elem(map, &key, &value, BPF_ANY));
}

int names_maps_set_name(const struct names_maps *maps, const struct name *name, uint16_t port,
			uint32_t valid)
{
	int r = set_family(maps, name, port, valid, false);

	if (!r)
		r = set_family(maps, name, port, valid, true);
	if (r) {
		set_family(maps, name, port, 0, false);
		set_family(maps, name, port, 0, true);
	}
	return r;
}

uint64_t names_maps_used(const struct names_maps *maps, uint32_t number, uint16_t port)
{
	uint64_t used = 0;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct os_name_key key = name_key(maps, number, port, ipv6);
		struct os_name value;

		if (!bpf_map_lookup_elem(maps->kernel->maps.name, &key, &value) &&
		    value.used > used)
			used = value.used;
	}
	return used;
}

int names_keys_add(struct names_keys *keys, uint32_t number, uint16_t port)
{
	if (keys->len == keys->cap) {
		size_t cap = keys->cap ? keys->cap * 2 : 64;
		struct names_key *item = realloc(keys->item, cap * sizeof(*item));

		if (!item)
			return -ENOMEM;
		keys->item = item;
		keys->cap = cap;
	}
	keys->item[keys->len++] = (struct names_key){.number = number, .port = port};
	return 0;
}

void names_keys_remove(const struct kernel *kernel, uint32_t slot, struct names_keys *keys)
{
	const struct names_maps maps = {
		.kernel = kernel, .slot = slot, .generation = keys->generation};

	for (size_t i = 0; i < keys->len; i++) {
		const struct names_key *of = &keys->item[i];
		struct os_endpoint_key endpoint = endpoint_key(&maps, of->number, of->port);

		bpf_map_delete_elem(kernel->maps.endpoint, &endpoint);
		for (int ipv6 = 0; ipv6 < 2; ipv6++) {
			struct os_name_key name = name_key(&maps, of->number, of->port, ipv6);

			bpf_map_delete_elem(kernel->maps.name, &name);
		}
	}
	names_keys_forget(keys);
}

void names_keys_forget(struct names_keys *keys)
{
	free(keys->item);
	*keys = (struct names_keys){};
}
