/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the enforcement suite. A row is an act that a policy forbids (or, where it says so,
 * one that a backend cannot forbid), with what the caller gets from each backend, the same act
 * where it is granted, and whose answer it is without a sandbox. Words are stage_prepare()'s.
 */
#pragma once

#include "stage.h"

/* A set of hooks. */
typedef unsigned __int128 hook_set;
#define HOOK_SET(hook) ((hook_set)1 << (hook))
#define HOOK(name)     HOOK_SET(OS_HOOK_##name)
_Static_assert(OS_HOOK_COUNT <= 128, "a set of hooks is 128 bits");

/* What acts are answered alike. */
enum class {
	CLASS_READ,  /* contents */
	CLASS_LOOK,  /* metadata */
	CLASS_FIND,  /* what no hook is asked about: existence, O_PATH, chdir */
	CLASS_WRITE, /* contents */
	CLASS_IOCTL, /* a descriptor that can neither read nor write */
	CLASS_NAME,  /* entries of a directory */
	CLASS_MOVE,  /* out of the zone, into one that is writable */
	CLASS_LINK,
	CLASS_ATTRIBUTE,
	CLASS_CONNECT,
	CLASS_EXECUTE,
};

/* An act tried in every zone. In @act `%` is a name in the zone. */
struct matrix_row {
	const char *name, *act;
	enum class class;
	hook_set hooks; /* one of them denies */
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

struct row {
	const char *name;
	enum who who;
	const char *act;     /* forbidden */
	const char *control; /* the same act, granted; NULL: it is never granted to a sandbox */
	int lsm, landlock;   /* what the caller gets: a positive errno, 0 = it succeeds */
	int outside;	     /* what it gets without a sandbox */
	hook_set hooks;	     /* one of them denies it under bpf-lsm; 0: something before them */
	unsigned int flags;
	const char *by; /* what denies it where no hook does; why it is possible where it is */
	/* landlock_gaps[] has it: possible until that is closed, `landlock` is the answer then */
	const char *gap;
	int event; /* what the denial's event says, where that is not the caller's errno */
};

#define ROW_LSM		(1u << 0) /* has no meaning under landlock */
#define ROW_ROOT	(1u << 1) /* without a sandbox it takes root */
#define ROW_NOT_OUTSIDE (1u << 2) /* would change the machine, or has no meaning there */

extern const struct row rows[], rows_system[];
extern const size_t rows_len, rows_system_len;
