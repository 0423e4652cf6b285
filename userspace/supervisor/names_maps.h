/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One name's entries in os_endpoint and os_name, and the list of the keys of a generation, so that
 * taking them out needs no search through maps that all sandboxes share. One thread. Fails closed:
 * what could not be written is not there.
 */
#pragma once

#include "supervisor/kernel.h"
#include "supervisor/names_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A port of a name; 0 is every port, in audit mode. */
struct names_key {
	uint32_t number;
	uint16_t port;
};

struct names_keys {
	uint32_t generation;
	struct names_key *item;
	size_t len, cap;
};

/* Where one generation of one sandbox is written. */
struct names_maps {
	const struct kernel *kernel;
	uint32_t slot;
	uint32_t generation;
};

/* The synthetic address (16 bytes, v4-mapped for IPv4) of a number, and back: 0 if it is none. */
void names_maps_synthetic(uint32_t number, bool ipv6, uint8_t ret_address[16]);
uint32_t names_maps_number(const uint8_t *address);

/* Enter what may reach a port, -ENOSPC if os_endpoint is full. */
int names_maps_set_endpoint(const struct names_maps *maps, uint32_t number, uint16_t port,
			    const struct names_verdict *verdict);

/*
 * Enter where a port of @name is: name->addresses, those of them in @valid; without any, the entry
 * goes. -ENOSPC if os_name is full; then both families' entries are gone.
 */
int names_maps_set_name(const struct names_maps *maps, const struct name *name, uint16_t port,
			uint32_t valid);

/* When somebody connected to a port of the name for the last time, CLOCK_BOOTTIME ns; 0 = never. */
uint64_t names_maps_used(const struct names_maps *maps, uint32_t number, uint16_t port);

/* -ENOMEM */
int names_keys_add(struct names_keys *keys, uint32_t number, uint16_t port);

/* Remove every entry of @keys from the maps, and free the list. */
void names_keys_remove(const struct kernel *kernel, uint32_t slot, struct names_keys *keys);

/* Only free the list. */
void names_keys_forget(struct names_keys *keys);
