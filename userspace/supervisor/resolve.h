/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled policy's paths, as they are in one sandbox: each listed path is opened in the
 * sandbox's own root, made canonical, identified by the kernel, and given the rights that policy.md
 * says it has. Both backends work from this table: anchors for BPF-LSM, rules for Landlock.
 * Fails closed: a path without an entry has no rights.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "common/sentences.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"
#include "supervisor/mount_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum resolved_origin {
	RESOLVED_LISTED,   /* the policy names it */
	RESOLVED_BASELINE, /* policy.md's baseline */
	RESOLVED_WORKDIR,  /* include_workdir */
	RESOLVED_TERMINAL, /* the sandbox's own terminal */
	RESOLVED_LOADER,   /* an ELF interpreter: library, not program */
	RESOLVED_EXEC,	   /* exec_policy names it */
	RESOLVED_MOUNT,	   /* root of a mount: as the path above it */
	RESOLVED_TRANSIT,  /* a parent of a listed path, or a link to one: may be looked at */
};

struct resolved_path {
	char *path;		     /* canonical, in the sandbox */
	enum resolved_origin origin; /* the strongest, if it has several */
	bool transit;		     /* RESOLVED_TRANSIT as well: may be looked at */
	int fd;			     /* O_PATH; -1 after resolved_close() */
	uint32_t mode;		     /* st_mode */
	dev_t device;		     /* st_rdev of a character device */
	struct os_file_id file;	     /* as the kernel programs see it */
	bool names;		/* some entries of this directory are in struct resolved's names */
	uint32_t subtree, self; /* OS_RIGHT_* */
};

/* A listed path by its name in its directory, for when another inode takes the name. */
struct resolved_name {
	struct os_file_id directory;
	char name[OS_NAME_MAX];
	uint32_t subtree, self;
};

struct resolved {
	struct resolved_path *path; /* sorted by path, distinct */
	size_t len, cap;
	struct resolved_name *name;
	size_t names;
	struct sentences warnings; /* what the policy lists and the sandbox does not have */
};

#define RESOLVED_MAX 4096

struct resolve_request {
	const struct kernel *kernel;
	const Openshell__Compiled__V1__CompiledPolicy *policy;
	int root_fd;			  /* the sandbox's root, O_PATH */
	const struct mount_table *mounts; /* what is mounted in it */
	const char *workdir;		  /* NULL = none */
	const char *terminal;		  /* path of the pty's slave, NULL = none */
	bool gpu;
	const char *trust; /* directory with the proxy's CA, NULL = none */
};

/*
 * Fill the table. -ENOENT: a listed path is missing and the policy makes that a hard requirement,
 * or nothing usable is left; -E2BIG past RESOLVED_MAX; errors of open and BPF_PROG_RUN.
 */
int resolve_policy(const struct resolve_request *request, struct resolved *ret_resolved,
		   struct error *err);

/* Close the descriptors and keep the table: they are needed only until it is in force. */
void resolved_close(struct resolved *resolved);
void resolved_free(struct resolved *resolved);
