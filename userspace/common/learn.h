/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns a policy from a run: gathers what audit mode let pass and writes the tightest policy, on
 * top of the one the run had, that would have allowed it. What the base denies by name stays
 * denied, and what no policy can grant is not learned; both are said in the file's first lines.
 *
 * Owned by the caller; one thread. Bounded like event_grants.h. Writes a file only when asked to,
 * whole or not at all; puts nothing in force.
 */
#pragma once

#include "common/error.h"
#include "common/event.h"

#include <stddef.h>
#include <stdint.h>

#define LEARN_PATHS_MAX 256 /* read_only and read_write in the result, with the base's */
#define LEARN_CROWD	8   /* more files than this of one directory: the directory */

struct learn_options {
	const char *base; /* the base policy's YAML, validated before; NULL = the default policy */
	size_t base_len;
	const char *base_name; /* its file's name, for the comment; NULL = the default policy */
	const char *program;   /* what ran, for the comment; NULL = not told */
	const char *workdir;   /* the agent's working directory in the sandbox, or NULL */
	int root_fd; /* O_PATH of the sandbox's root, to tell directories from files; -1 = not known
		      */
};

struct learn;

struct learn_result {
	size_t paths, programs, endpoints; /* lines in the policy that the base did not have */
	uint64_t not_learned;		   /* events that the policy will still deny */
};

/* Strings and @root_fd are borrowed until learn_free(). -EINVAL (@base is not a policy), -ENOMEM.
 */
int learn_new(const struct learn_options *options, struct learn **ret_learn, struct error *err);
void learn_free(struct learn *learn);

void learn_add(struct learn *learn, const struct event *event);

/*
 * Write the policy to @path, by way of a temporary file beside it. Once: it consumes what was
 * gathered. -E2BIG: more than LEARN_PATHS_MAX paths even with directories in their stead; errors of
 * the file system, in a sentence. On failure @path is as it was.
 */
int learn_write(struct learn *learn, const char *path, struct learn_result *ret_result,
		struct error *err);
