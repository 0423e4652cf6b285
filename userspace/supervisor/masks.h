/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Landlock backend does with mounts, because a ruleset cannot say it: `deny`, read_only
 * inside read_write, execution denied by name or below writable paths, and everything that Landlock
 * does not look at (stat, chdir, readlink, chmod, unix sockets by path) outside of the listed
 * paths. The sandbox's view is built from the listed paths up: a top-level directory that no listed
 * path needs is masked; one that only leads to listed paths becomes an empty tmpfs with just those
 * paths (and the symbolic links that lead to them) in it; a listed read_only tree becomes a
 * read-only mount.
 *
 * Plans only: reads names from the host's root, changes nothing. Fails closed: a plan that does
 * not fit MOUNT_PLAN_MAX is an error, never a shorter plan. Any thread.
 */
#pragma once

#include "common/error.h"
#include "supervisor/mount_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum masks_access {
	MASKS_READ_ONLY,
	MASKS_READ_WRITE,
	MASKS_DENY,
	MASKS_OWN, /* the sandbox's own: an empty tmpfs; listed paths below it show again */
};

struct masks_path {
	const char *path; /* absolute; symbolic links are followed */
	enum masks_access access;
	uint64_t size; /* MASKS_OWN: bytes */
	uint32_t mode; /* MASKS_OWN: permission bits */
};

struct masks_spec {
	const struct masks_path *path; /* listed, baseline and own, in any order */
	size_t path_len;
	const char *workdir;	      /* exists in the sandbox, be it as an empty directory */
	const char *const *exec_deny; /* files and directories nothing of which executes */
	size_t exec_deny_len;
	bool writable_no_exec; /* exec_policy.allow_writable: false */
	bool bpf_lsm;	       /* BPF-LSM holds the rest: plan the sandbox's own directories only */
	const char *root;      /* "" or NULL: the host's root; else the directory to plan for */
};

/*
 * Append the steps for @spec to @plan, in the order in which they must be made; whatever else is
 * mounted (MOUNT_OP_CONTENT over /etc/hosts) comes after them. /proc and /dev are left to the
 * launcher: only denied paths and foreign sockets in them are masked. A listed path that does not
 * exist is skipped: the caller knows and has said so. A path listed twice has the narrower access.
 * -ELOOP: a path goes through more than 40 links; -ENOMEM; -E2BIG: more than MOUNT_PLAN_MAX steps;
 * or what reading a directory failed with. On error @plan holds some of the steps.
 */
int masks_plan(const struct masks_spec *spec, struct mount_plan *plan, struct error *err);
