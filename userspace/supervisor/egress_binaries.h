/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binaries that a compiled policy's rules name, as files of one sandbox: exact paths are opened
 * in its root, globs are expanded by a bounded walk of its filesystem. Owned by the caller; one
 * thread. Fails closed: a binary that is not found, or past a bound, satisfies no rule.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"

#include <stdbool.h>
#include <stddef.h>

#define EGRESS_VISITS_MAX 65536	   /* directory entries looked at for one policy's globs */
#define EGRESS_DEPTH_MAX  64	   /* directories below a glob's fixed part */
#define EGRESS_SETTLE_NS  20000000 /* a file changed longer ago would show another change */
#define EGRESS_WAITS_MAX  5	   /* for files that changed later than that */

struct egress_binary {
	struct os_file_id file; /* all zero: every executable */
	uint64_t changed;	/* ctime it was identified with, as in os_binary; 0 = every */
	struct os_rule_mask rules;
};

struct egress_binaries {
	struct egress_binary *binary; /* sorted by file, distinct */
	size_t len, cap;
	size_t missing; /* exact paths that the sandbox does not have */
	bool truncated; /* a bound ended a walk */
};

/*
 * @root_fd: the sandbox's root (O_PATH). Symbolic links, absolute ones too, are followed inside it;
 * a walk does not leave by a linked directory and skips the kernel's own filesystems (proc, sysfs
 * and the like). -ENOMEM, -E2BIG (more binary sets than bits), or what kernel_identify() says. On
 * failure @ret_binaries is untouched.
 */
int egress_binaries_build(const struct kernel *kernel,
			  const Openshell__Compiled__V1__CompiledPolicy *policy, int root_fd,
			  struct egress_binaries *ret_binaries, struct error *err);

/*
 * kernel_identify() for a file whose ctime counts: with what its file system has not noticed yet.
 * @ret_mode may be NULL.
 */
int egress_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode);

void egress_binaries_free(struct egress_binaries *binaries);
