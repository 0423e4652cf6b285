/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network part of a compiled policy as map entries of one generation of one slot: literal
 * addresses and CIDRs of L4 rules, and the binaries that may use them. Writes nothing that is in
 * force until the caller switches the generation; a full map refuses the whole and removes what
 * was written. Fails closed.
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"

/* @root_fd: the sandbox's root (O_PATH), in which binaries' paths and globs are resolved. */
int egress_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const Openshell__Compiled__V1__CompiledPolicy *policy, int root_fd,
		 struct error *err);

/* Remove every entry of (slot, generation); generation 0 removes all of the slot's. */
void egress_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation);
