/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives up, for good, what the agent shall not have: capabilities in every set and the bounding
 * set, the caller's identity, the right to gain any of it back through exec. Runs in a sandbox's
 * init before any policy is in force, so that no policy has to allow it. Allocates nothing. Fails
 * closed: on an error the process is half dropped and must end.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privileges {
	uid_t uid; /* never 0 */
	gid_t gid; /* never 0 */
	const gid_t *groups;
	size_t groups_len;
};

/*
 * Lower the resource limits: no core files, a bounded number of descriptors, processes and locked
 * pages. Never raises what the caller had.
 */
int privileges_limit(struct error *err);

/*
 * Become @to with no capabilities, no_new_privs, locked securebits and not dumpable; then check
 * that it is so. -EPERM where the caller is not privileged enough to do it.
 */
int privileges_drop(const struct privileges *to, struct error *err);
