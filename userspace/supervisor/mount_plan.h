/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sandbox's private mount namespace gets, decided before launch and carried out by the
 * sandbox's init in this order. Plain data, owned by whoever built it. Any step that fails ends
 * the launch: a sandbox never starts with less isolation than planned. A target that is missing
 * and lies in a tmpfs of this plan is created first, with its parents (root's, 0755): a directory
 * or, for MOUNT_OP_BIND_HOST of something else, an empty file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mount_op {
	MOUNT_OP_TMPFS,	    /* empty tmpfs of at most `size` bytes, mode `mode`, on `target` */
	MOUNT_OP_BIND_HOST, /* the host's `target`, mounts below it included, shows again there
			     * (opened before any step, so no earlier step's flags) */
	MOUNT_OP_READ_ONLY, /* `target` and every mount that is below it by now, but read-only */
	MOUNT_OP_MASK,	    /* an empty file or directory that nobody may open, over `target` */
	MOUNT_OP_CONTENT,   /* a read-only file with `content` over `target` */
	MOUNT_OP_NO_EXEC,   /* `target` and every mount that is below it by now, but noexec */
	MOUNT_OP_PIN,	    /* `target` on itself: nobody inside can move or remove it */
	MOUNT_OP_SYMLINK,   /* a symbolic link with the text `content`, in a tmpfs of this plan */
	MOUNT_OP_ROOT,	    /* the host's directory `content`, read-only and without what is mounted
			     * below it, is the root `target`, "/"; /dev in it is the host's. Nothing
			     * else of the host is there any more. Only as the first step. */
};

struct mount_step {
	enum mount_op op;
	char *target;	 /* absolute path, symlinks already resolved */
	char *content;	 /* MOUNT_OP_CONTENT, MOUNT_OP_SYMLINK, MOUNT_OP_ROOT; MOUNT_OP_BIND_HOST:
			    the host's path that is shown, NULL = `target` */
	uint64_t size;	 /* MOUNT_OP_TMPFS: bytes */
	uint32_t mode;	 /* MOUNT_OP_TMPFS: permission bits of its root */
	bool may_vanish; /* MOUNT_OP_MASK of what its owner may remove first: nothing is left to
			    hide */
};

#define MOUNT_PLAN_MAX 1024

struct mount_plan {
	struct mount_step *step;
	size_t len, cap;
};

/* Append a step; copies the strings. -ENOMEM, -E2BIG past MOUNT_PLAN_MAX. */
int mount_plan_add(struct mount_plan *plan, const struct mount_step *step);
void mount_plan_free(struct mount_plan *plan);
