/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each filesystem of a sandbox is mounted, to turn "superblock and path inside it", which is
 * all a kernel program can tell, into the path that a process in the sandbox would use. Taken once
 * from /proc/<init>/mountinfo when the sandbox's mounts stand (they cannot change afterwards).
 *
 * Owned by the caller; constant after loading, so threads may share it. Only tells: an unknown
 * filesystem gives a path that says so.
 */
#pragma once

#include "abi.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MOUNT_TABLE_MAX	      4096	 /* mounts; past it loading fails */
#define MOUNT_TABLE_BYTES_MAX (4u << 20) /* of mountinfo text */

struct mount_entry {
	uint32_t dev; /* of the superblock, kernel encoding (major << 20 | minor) */
	char *root;   /* the mount's root, a path inside the superblock */
	char *point;  /* where it is mounted */
};

struct mount_table {
	struct mount_entry *entry; /* in mountinfo's order */
	size_t len, cap;
	uint32_t pipe_dev, socket_dev, memfd_dev, anon_dev; /* 0 = not known */
};

/*
 * Parse mountinfo text (proc(5)); pure, bounded. -EINVAL with the line in @err, -E2BIG past
 * MOUNT_TABLE_MAX, -ENOMEM. Does not set the *_dev fields.
 */
int mount_table_parse(const uint8_t *data, size_t size, struct mount_table *ret_table,
		      struct error *err);

/*
 * Read the mounts that process @pid sees, and learn which devices pipes, sockets, memfds and
 * anonymous inodes are on. Errors: those of open() and mount_table_parse().
 */
int mount_table_load(pid_t pid, struct mount_table *ret_table, struct error *err);

void mount_table_free(struct mount_table *table);

/*
 * The path in the sandbox of @inside on the superblock of @file, as struct event_context.path wants
 * it (@arg: struct mount_table). Of several mounts of the superblock, the one whose root is the
 * longest prefix of @inside; the first of equals.
 */
int mount_table_path(const void *arg, const struct os_file_id *file, const char *inside,
		     char *ret_path, size_t size);
