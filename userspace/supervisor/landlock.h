/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend for hosts where BPF-LSM cannot run: a Landlock ruleset from the resolved policy. A
 * ruleset only ever adds rights on the way up a tree, so what a nearer path takes away again is
 * done by the mounts that masks_plan() plans; landlock_build() checks on the sandbox's own mounts
 * that this happened, and refuses otherwise. Fails closed: everything that the running kernel's ABI
 * can handle is handled, so a path without a rule has no rights. Any thread; nothing is kept.
 */
#pragma once

#include "common/error.h"
#include "supervisor/resolve.h"

#include <stddef.h>
#include <stdint.h>

/* The newest ABI whose rights we know; a newer kernel is used as this one. */
#define LANDLOCK_ABI_KNOWN 9

/* Bits of struct landlock_ruleset_attr.handled_access_fs, by the ABI that brought them. */
#define LANDLOCK_FS_EXECUTE	 (1ULL << 0)
#define LANDLOCK_FS_WRITE_FILE	 (1ULL << 1)
#define LANDLOCK_FS_READ_FILE	 (1ULL << 2)
#define LANDLOCK_FS_READ_DIR	 (1ULL << 3)
#define LANDLOCK_FS_REMOVE_DIR	 (1ULL << 4)
#define LANDLOCK_FS_REMOVE_FILE	 (1ULL << 5)
#define LANDLOCK_FS_MAKE_CHAR	 (1ULL << 6)
#define LANDLOCK_FS_MAKE_DIR	 (1ULL << 7)
#define LANDLOCK_FS_MAKE_REG	 (1ULL << 8)
#define LANDLOCK_FS_MAKE_SOCK	 (1ULL << 9)
#define LANDLOCK_FS_MAKE_FIFO	 (1ULL << 10)
#define LANDLOCK_FS_MAKE_BLOCK	 (1ULL << 11)
#define LANDLOCK_FS_MAKE_SYM	 (1ULL << 12)
#define LANDLOCK_FS_REFER	 (1ULL << 13) /* ABI 2, Linux 5.19 */
#define LANDLOCK_FS_TRUNCATE	 (1ULL << 14) /* ABI 3, Linux 6.2 */
#define LANDLOCK_FS_IOCTL_DEV	 (1ULL << 15) /* ABI 5, Linux 6.10 */
#define LANDLOCK_FS_RESOLVE_UNIX (1ULL << 16) /* ABI 9, Linux 7.1 */

/* The highest ABI of the running kernel, 0 where Landlock is not built in or not enabled. */
int landlock_abi(void);

/* Every filesystem right that ABI @abi can handle; 0 for abi <= 0. */
uint64_t landlock_handled_fs(int abi);

/*
 * The access rights that a rule on a path with OS_RIGHT_* @rights grants. @directory: the rule is
 * for a tree, else for one file, which takes the file rights only (and, if it may be mapped as a
 * library, execution: an ELF interpreter is opened like a program). Limited to ABI @abi.
 */
uint64_t landlock_access(uint32_t rights, bool directory, int abi);

/*
 * Turn @resolved into a ruleset for landlock_restrict(). *ret_fd is close-on-exec and the caller's.
 * -EOPNOTSUPP: no Landlock; -ENOENT: no usable path at all; -EPERM: a path has less than what a
 * path above it gives, and no mount of the sandbox takes the difference away; else what the kernel
 * says of a rule, with the path in @err.
 */
int landlock_build(const struct resolved *resolved, int *ret_fd, struct error *err);

/*
 * Restrict the calling thread, for good, by @ruleset_fd. no_new_privs must be set. Async-signal
 * safe. -EPERM without no_new_privs, -E2BIG at 16 nested rulesets.
 */
int landlock_restrict(int ruleset_fd);

/* What Landlock leaves open, compared with BPF-LSM. */
struct landlock_gap {
	const char *id;		/* stable, for `doctor -o json` */
	const char *what;	/* what an agent can do there */
	int since_abi;		/* closed by this ABI; 0 = by none */
	int (*probe)(void);	/* closed where this returns 0; NULL = no such probe */
	const char *covered_by; /* what holds it meanwhile, wholly or in part; NULL = nothing */
	const char *remains;	/* what stays open even so; NULL = nothing */
};

extern const struct landlock_gap landlock_gaps[];
extern const size_t landlock_gaps_len;

/* True if @gap leaves something open at ABI @abi. */
bool landlock_gap_open(const struct landlock_gap *gap, int abi);

/*
 * One sentence for the start of a run: what stays open at ABI @abi, gap by gap. Cut at @size, for
 * which LANDLOCK_GAPS_MAX is enough; returns @buf.
 */
#define LANDLOCK_GAPS_MAX 2048
const char *landlock_gaps_describe(int abi, char *buf, size_t size);
