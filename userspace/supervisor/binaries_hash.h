/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of files, computed by a thread, so that nobody waits for it. A digest is only given if
 * nobody could have written to the file while it was read: the thread holds a read lease on it, and
 * identity and ctime are the same before and after.
 *
 * Owned by one thread, which submits and collects. The helper thread starts with the first job and
 * allocates nothing, so that a fork at any moment copies no lock that it holds.
 */
#pragma once

#include "supervisor/kernel.h"

#include <stddef.h>
#include <stdint.h>

#define BINARIES_HASH_JOBS 256 /* waiting; more are refused */

struct binaries_hash;

struct binaries_hash_result {
	struct os_file_id file; /* as submitted */
	uint32_t generation;	/* as submitted */
	/*
	 * 0 and the digest at that ctime; -EAGAIN: it is being written; -ESTALE: it is another file
	 * now, -EFBIG, -ETIMEDOUT: past the bound; what open(2) and read(2) say.
	 */
	int error;
	uint64_t changed;
	uint8_t sha256[32];
};

struct binaries_hash_limits {
	uint64_t bytes;
	unsigned int ms;
};

/* @kernel is borrowed. Errors of eventfd(2), -ENOMEM. */
int binaries_hash_new(const struct kernel *kernel, const struct binaries_hash_limits *limits,
		      struct binaries_hash **ret_hash);

/* Gives up what is under way; one that hangs in a dead file system is left behind. */
void binaries_hash_free(struct binaries_hash *hash);

/*
 * @fd (O_PATH or better, of @file): taken, also on failure. -EAGAIN: BINARIES_HASH_JOBS wait;
 * -ENOMEM, errors of pthread_create(3).
 */
int binaries_hash_submit(struct binaries_hash *hash, const struct os_file_id *file,
			 uint32_t generation, int fd);

/* Readable while results wait. */
int binaries_hash_fd(const struct binaries_hash *hash);

/* The next result: 0, or -EAGAIN if there is none. */
int binaries_hash_collect(struct binaries_hash *hash, struct binaries_hash_result *ret_result);
