/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sandbox's knowledge of the binaries that its network rules name: which files they are, what
 * their content was at first use, and what is in os_binary about them.
 *
 *	load	exact paths are opened, globs expanded; a file is known by inode and ctime
 *	use	when it is first executed, or connects having been executed before, its SHA-256 is
 *		computed, by a thread of its own, and remembered
 *	change	another ctime satisfies no rule. The SHA-256 is computed again: the same content is
 *		admitted again, any other, or one that was never seen before, is revoked until the
 *		policy is loaded anew, with one finding
 *	ask	a file that came after the load is looked at when it is executed: is the path that
 *		the kernel recorded a glob's, and is the file there the one that runs? The answer is
 *		published either way, so that nobody asks twice. Who connects faster than that is
 *		sent to the worker, which has the same answer from binaries_flow()
 *
 * A file that replaces another under its name is another inode: a glob admits it, an exact path
 * only after a reload. A hard link is the same file. In tmpfs no time shows what was stored through
 * a mapping, so a file there is compared again when it is executed: that denies it from then on. A
 *file that an agent may write to and that an exact path lists can be changed and changed back
 *within one tick of the file system's clock; no time shows that.
 *
 * Owned by the sandbox; its loop's thread. Fails closed: what is not in os_binary satisfies no
 * rule; past a bound nothing is published.
 */
#pragma once

#include "common/error.h"
#include "common/event.h"
#include "common/worker_protocol.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"
#include "supervisor/mount_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BINARIES_LOOKED_MAX 4096	 /* files looked at after the load, the oldest go */
#define BINARIES_HASH_BYTES (1ull << 30) /* a larger file has no SHA-256: it is revoked */
#define BINARIES_HASH_MS    30000	 /* nor one that takes longer to read */

struct binaries;

/* A binary whose content changed: it stays denied until the policy is loaded anew. */
struct binaries_revocation {
	const char *path;      /* as the policy or an exec names it, raw */
	struct os_image image; /* as it is now */
	bool hashed;	       /* it had been used, so that `was` is valid */
	bool readable;	       /* `is` is valid */
	uint8_t was[32], is[32];
};

struct binaries_options {
	const struct kernel *kernel;
	uint32_t slot;
	int root_fd;			  /* the sandbox's root, O_PATH; borrowed */
	const struct mount_table *mounts; /* of the sandbox; borrowed */
	/* For a finding, HIGH. May be NULL, as the next. */
	void (*revoked)(void *arg, const struct binaries_revocation *revocation);
	/* A connection that waited was decided: a record as the sandbox's ring would have it. */
	void (*decided)(void *arg, const void *record, size_t size);
	void *arg;
};

struct binaries_report {
	size_t entries; /* written to os_binary */
	size_t missing; /* exact paths that the sandbox does not have */
	bool truncated; /* a glob matched more than is looked at */
};

/* True if @policy has a rule of which a glob decides who connects: it needs a worker to ask. */
bool binaries_asked(const Openshell__Compiled__V1__CompiledPolicy *policy);

int binaries_new(const struct binaries_options *options, struct binaries **ret_binaries,
		 struct error *err);
void binaries_free(struct binaries *binaries);

/*
 * Find the binaries of @policy and write os_binary of @generation; nothing of an earlier one is
 * touched, and it is what counts until the slot is switched to @generation. What was hashed or
 * revoked before is forgotten then: a load is a new beginning. @policy is only read during the
 * call. -ENOSPC: the map is full; errors of egress_binaries_build(). On failure the caller erases
 * @generation (egress_erase()).
 */
int binaries_write(struct binaries *binaries, uint32_t generation,
		   const Openshell__Compiled__V1__CompiledPolicy *policy,
		   struct binaries_report *ret_report, struct error *err);

/*
 * Every event of the sandbox's ring, decoded, in order: executions are looked at, first uses
 * hashed, changes compared. Costs little for others.
 */
void binaries_event(struct binaries *binaries, const struct event *event);

/*
 * A connection that waits (OS_SOCK_ASK): look at its binaries, judge it by the policy in force, and
 * tell it. 0 and a socket that is connecting to the real address, or -EPERM; or what socket() and
 * connect() say, as -ECONNREFUSED. @binaries: struct binaries, as struct worker_options.arg.
 */
int binaries_flow(void *binaries, const struct os_flow *flow, int *ret_fd);

/*
 * Who is behind a connection that came to the proxy: by the policy in force, and, where a glob may
 * know the binary (OS_SOCK_ASK), after looking at it; that verdict is told as well. 0 and who it
 * is, without header and host, or -EPERM. @binaries: struct binaries.
 */
int binaries_origin(void *binaries, const struct os_flow *flow, struct worker_origin *ret_origin);

/* Readable when binaries_poll() has something to do: a SHA-256 is ready. */
int binaries_fd(const struct binaries *binaries);
void binaries_poll(struct binaries *binaries);
