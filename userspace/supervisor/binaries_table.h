/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered about executables that a sandbox has run: where each was found, and its
 * SHA-256. Bounded: past BINARIES_TABLE_MAX the one that was used longest ago goes. Pure, owned by
 * the caller; one thread. Fails closed: a file that was forgotten has no SHA-256, so that a change
 * of it is a revocation.
 */
#pragma once

#include "abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BINARIES_TABLE_MAX  4096
#define BINARIES_PATH_BYTES 1024 /* a longer path is not remembered */

struct binaries_file {
	struct os_file_id file;
	char *path;	     /* where it was executed last; NULL = not known */
	uint32_t generation; /* of the policy that the rest is about */
	bool looked;	     /* what a glob says about its path is in os_binary */
	bool published;	     /* its entry is ours, not the load's */
	bool hashing;	     /* a job is under way */
	bool comparing;	     /* because the content may be another one */
	bool hashed;	     /* sha256 is its content at first use */
	/* Of any generation */
	bool silent;			 /* on a file system whose times do not show every change */
	bool remembered;		 /* sha256 was its content at these ctimes */
	uint64_t times[OS_BINARY_TIMES]; /* 0 = unused */
	uint8_t sha256[32];
	uint64_t checked; /* CLOCK_BOOTTIME ns of the last comparison of its ctime */
	struct binaries_file *next, *older, *newer;
};

#define BINARIES_BUCKETS 1024

struct binaries_table {
	struct binaries_file *bucket[BINARIES_BUCKETS];
	struct binaries_file *newest, *oldest;
	size_t len;
	/* Called with what goes; it may not call back. */
	void (*forget)(void *arg, struct binaries_file *file);
	void *arg;
};

struct binaries_file *binaries_table_find(struct binaries_table *table,
					  const struct os_file_id *file);

/*
 * Find or add; it is the newest from now on. What is remembered of another generation than
 * @generation is reset, but for the path and the content. NULL: no memory.
 */
struct binaries_file *binaries_table_use(struct binaries_table *table,
					 const struct os_file_id *file, uint32_t generation);

/* Remember where a file is. True if that is news. Without memory, or too long: it is not known. */
bool binaries_file_at(struct binaries_file *file, const char *path);

/* Does not call forget(). */
void binaries_table_free(struct binaries_table *table);
