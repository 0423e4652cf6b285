/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of binaries*.c share; nobody else includes it. */
#pragma once

#include "supervisor/binaries.h"
#include "supervisor/binaries_globs.h"
#include "supervisor/binaries_hash.h"
#include "supervisor/binaries_table.h"
#include "common/worker_protocol.h"

/* What is known of one generation's policy. */
struct binaries_policy {
	uint32_t generation; /* 0 = none */
	bool named;	     /* some rule names binaries, so that identities matter */
	struct binaries_globs globs;
};

/* Processes whose binaries are hashed, or about to be. */
#define BINARIES_SEEN 64

struct binaries_seen {
	uint64_t start_time;
	uint32_t pid, generation;
	struct os_file_id exe;
};

/* What binaries_origin() found out about a process, for its next connection. */
#define BINARIES_CALLERS 64

struct binaries_caller {
	uint64_t start_time;
	uint32_t pid, ns_pid;
	struct os_file_id exe;
	uint16_t length;
	char path[WORKER_BINARY_MAX];
};

struct binaries {
	struct binaries_options options;
	struct binaries_policy current, next;
	struct binaries_table table;
	struct binaries_hash *hash;
	struct binaries_seen seen[BINARIES_SEEN];
	size_t published; /* entries that are ours */
	unsigned int flows;
	struct binaries_caller caller[BINARIES_CALLERS];
	struct event event; /* for decoding what binaries_flow.c tells */
};

/* Follow a switch; false if nothing is known about the policy in force, or it names no binary. */
bool binaries_sync(struct binaries *b);

/* The record of a process that is still the one that started then. */
bool binaries_process(const struct binaries *b, uint32_t pid, uint64_t start_time,
		      struct os_proc *ret_proc);

/* Some of these binaries changed: compare their contents. @pid executes the first. */
void binaries_compare(struct binaries *b, const struct os_identity *identity, uint32_t pid);

/*
 * Make sure that os_binary has an entry for @file, by what the globs say about @path (NULL: where
 * it is is not known). Only a file that is there now, and is @file, satisfies anything.
 */
void binaries_look(struct binaries *b, const struct os_file_id *file, const char *path);

/* binaries_flow.c */

/* A decision as the sandbox's ring would have it. */
struct binaries_record {
	struct os_event event;
	char path[OS_PROC_PATH_MAX];
};

/* Of a connection; @proc: its process, if that is known. Returns the record's size. */
size_t binaries_record(const struct binaries *b, const struct os_flow *flow,
		       const struct os_proc *proc, struct binaries_record *ret_record);

/* Where a process's executable is, as events tell it; NULL if that is not known. */
const char *binaries_path(struct binaries *b, const struct os_proc *proc);

/* binaries_look() at all of a process that nobody has looked at. */
void binaries_look_at_all(struct binaries *b, const struct os_proc *proc);
