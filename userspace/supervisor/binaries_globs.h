/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The globs of a policy's rules, for files that come after the load: which rules does a path
 * satisfy? Globs are compared with the paths that the kernel records, which lead through no
 * symbolic link, so the part that a glob spells out is resolved once, in the sandbox's root. Owned
 * by the caller; one thread. Fails closed: a glob that cannot be resolved or does not fit matches
 * nothing.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "compiled_policy.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binaries_glob {
	char *glob;
	uint32_t set; /* bit of the rule mask */
};

struct binaries_globs {
	struct binaries_glob *glob;
	size_t len;
};

/* @root_fd: the sandbox's root (O_PATH). -ENOMEM. On failure @ret_globs is untouched. */
int binaries_globs_build(const Openshell__Compiled__V1__CompiledPolicy *policy, int root_fd,
			 struct binaries_globs *ret_globs, struct error *err);

/* The rules that a file at @path satisfies, which is absolute and without links. */
struct os_rule_mask binaries_globs_match(const struct binaries_globs *globs, const char *path);

void binaries_globs_free(struct binaries_globs *globs);
