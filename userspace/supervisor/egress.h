/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network part of a compiled policy as map entries of one generation of one slot: literal
 * addresses and CIDRs, and the binaries that may use them; names are names.h's. Writes
 * nothing that is in force until the caller switches the generation; a full map refuses the whole
 * and removes what was written. Fails closed.
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"

#include <stdbool.h>
#include <stddef.h>

/* What of the policy is not in the maps, for the caller to tell. */
struct egress_report {
	size_t entries;	 /* written to the maps */
	size_t binaries; /* binaries that the sandbox does not have */
	bool truncated;	 /* a glob matched more than is looked at: some binaries stay denied */
};

/*
 * @root_fd: the sandbox's root (O_PATH), in which binaries' paths and globs are resolved; -1: the
 * binaries are written by binaries_write().
 * -ENOSPC, -E2BIG: a map is full, and nothing of this generation stays.
 */
int egress_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const Openshell__Compiled__V1__CompiledPolicy *policy, int root_fd,
		 struct egress_report *ret_report, struct error *err);

/*
 * Remove what egress_write() wrote of @policy, and the generation's binaries. Addresses are found
 * by the policy; for binaries, which others write too, os_binary is looked through.
 */
void egress_remove(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		   const Openshell__Compiled__V1__CompiledPolicy *policy);

/*
 * Remove every entry of (slot, generation), names' included; generation 0 removes all of the
 * slot's. Looks through maps that all sandboxes share: for what an owner that died has left.
 */
void egress_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation);
