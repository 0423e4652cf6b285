/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled policy's paths, as they are in one sandbox: each listed path is opened in the
 * sandbox's own root, made canonical, identified by the kernel, and given the rights that policy.md
 * says it has. Both backends work from this table: anchors for BPF-LSM, rules for Landlock.
 * Nearest listed path decides; deny wins. Fails closed: a path without an entry has no rights.
 */
#pragma once

#include "abi.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum resolved_origin {
	RESOLVED_LISTED,   /* the policy names it */
	RESOLVED_BASELINE, /* policy.md's baseline */
	RESOLVED_WORKDIR,  /* include_workdir */
	RESOLVED_TERMINAL, /* the sandbox's own terminal */
	RESOLVED_LOADER,   /* an ELF interpreter: library, not program */
	RESOLVED_EXEC,	   /* exec_policy names it */
	RESOLVED_MOUNT,	   /* root of a mount: inherits from the path above */
	RESOLVED_TRANSIT,  /* a parent of a listed path: may be looked at, nothing else */
};

struct resolved_path {
	char *path; /* canonical, in the sandbox */
	enum resolved_origin origin;
	int fd;		       /* O_PATH */
	uint32_t mode;	       /* st_mode */
	struct os_file_id file; /* all zero where the kernel cannot be asked */
	uint32_t subtree, self; /* OS_RIGHT_* */
};

struct resolved {
	struct resolved_path *path; /* sorted by path, distinct */
	size_t len;
};

void resolved_free(struct resolved *resolved);
