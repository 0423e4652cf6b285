/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolved paths as entries of the os_anchor map, one generation of one slot. Writes nothing that
 * is in force until the caller switches; a full map refuses the whole.
 */
#pragma once

#include "supervisor/resolve.h"

/* -E2BIG: the map is full, and what was written is removed again. */
int anchor_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const struct resolved *resolved, struct error *err);

/* Remove every anchor of (slot, generation); generation 0 removes all of the slot's. */
void anchor_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation);

/*
 * As anchor_erase() for the entries that anchor_write() made of @resolved: by key, without looking
 * at the rest of maps that are large.
 */
void anchor_remove(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		   const struct resolved *resolved);
