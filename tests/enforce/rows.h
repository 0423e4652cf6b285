/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the enforcement suite. A row is an act that a policy forbids (or, where it says so,
 * one that a backend cannot forbid), with what the caller gets from each backend, the same act
 * where it is granted, and whose answer it is without a sandbox. Words are stage_prepare()'s.
 */
#pragma once

#include "stage.h"

/* A set of hooks. */
#define HOOK(name) (1ULL << OS_HOOK_##name)
_Static_assert(OS_HOOK_COUNT <= 64, "a set of hooks is 64 bits");

/* What acts are answered alike. */
enum class {
	CLASS_READ,	  /* contents */
	CLASS_LOOK,	  /* metadata */
	CLASS_FIND,	  /* what no hook is asked about: existence, O_PATH, chdir */
	CLASS_WRITE,	  /* contents */
	CLASS_IOCTL,	  /* a descriptor that can neither read nor write */
	CLASS_NAME,	  /* entries of a directory */
	CLASS_MOVE,	  /* out of the zone, into one that is writable */
	CLASS_LINK,
	CLASS_ATTRIBUTE,
	CLASS_CONNECT,
	CLASS_EXECUTE,
};

/* An act tried in every zone. In @act `%` is a name in the zone. */
struct matrix_row {
	const char *name, *act;
	enum class class;
	uint64_t hooks; /* one of them denies */
	bool ext4_only;
};

extern const struct matrix_row matrix[];
extern const size_t matrix_len;

enum zone_kind { ZONE_READ_WRITE, ZONE_READ_ONLY, ZONE_DENIED, ZONE_UNLISTED };

struct zone {
	const char *path;
	enum zone_kind kind;
	bool nested; /* landlock: a mount of its own inside another listed one */
	bool ext4;
};

/* Make the sockets of the matrix: Landlock's mounts are planned from what there is at the start. */
void matrix_make_sockets(struct stage *stage);

/* @act in @zone: words for stage_prepare() in @ret. */
void matrix_words(const struct matrix_row *row, const char *zone, char ret[static 512]);

extern const struct zone zones[];
extern const size_t zones_len;

/* Expected errno, positive; 0 = it succeeds. */
#define ANY_ERROR 9999 /* fails, however; used where kernels differ */

struct row {
	const char *name;
	enum who who;
	const char *act;     /* forbidden */
	const char *control; /* the same act, granted; NULL: it is never granted to a sandbox */
	int lsm, landlock;   /* what the caller gets */
	int outside;	     /* what it gets without a sandbox */
	uint64_t hooks;	     /* one of them denies it under bpf-lsm; 0: something before them */
	/* landlock: stays possible until this gap (landlock_gaps[]) is closed; then `landlock` */
	const char *gap;
	const char *by; /* what denies where no hook does, or why the act is possible */
	unsigned int flags;
};

#define ROW_LSM_ONLY	  (1u << 0) /* needs bpf-lsm to be tried */
#define ROW_LANDLOCK_ONLY (1u << 1)
#define ROW_ROOT_OUTSIDE  (1u << 2) /* outside it takes root */
#define ROW_NOT_OUTSIDE	  (1u << 3) /* not done outside: it would change the machine, or has no meaning */
#define ROW_NOT_AUDITED	  (1u << 4) /* not done in audit mode: it would succeed and break the stage */
#define ROW_URING	  (1u << 5) /* where the kernel has io_uring switched on */
#define ROW_HOOK_MAY_LACK (1u << 6) /* the hook is not in every kernel; then `by` holds */

extern const struct row rows[];
extern const size_t rows_len;
