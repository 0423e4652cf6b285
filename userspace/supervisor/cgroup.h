/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agents' cgroups: one parent `openshell` on the v2 hierarchy and one child for each sandbox,
 * and where limits need them, children of the same name on v1 hierarchies. Whoever creates a
 * sandbox's cgroup holds a lock on its directory for as long as it lives; a cgroup that nobody
 * holds was left behind by a supervisor that died, and may be swept. Owned by one thread. Fails
 * closed: without its cgroup no agent starts.
 */
#pragma once

#include "common/error.h"
#include "supervisor/cgroup_mounts.h"

#include <stdint.h>

#define CGROUP_PARENT	"openshell"
#define CGROUP_NAME_MAX 64

struct cgroup_tree {
	struct cgroup_mounts mounts;
	int agents_fd;	    /* directory of the parent on the v2 hierarchy */
	uint64_t agents_id; /* its cgroup id */
	/*
	 * Its depth below the hierarchy's root, as bpf_get_current_ancestor_cgroup_id() counts; 0
	 * where it cannot be known, because this process is in a cgroup namespace.
	 */
	uint32_t agents_level;
};

struct cgroup {
	const struct cgroup_tree *tree;
	char name[CGROUP_NAME_MAX + 1];
	int fd;	     /* directory, locked */
	uint64_t id; /* cgroup id */
};

#define CGROUP_TREE_EMPTY                                                                          \
	(struct cgroup_tree)                                                                       \
	{                                                                                          \
		.agents_fd = -1                                                                    \
	}
#define CGROUP_EMPTY                                                                               \
	(struct cgroup)                                                                            \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Find the hierarchies and open the agents' parent, made if it is missing. -ENOENT: no cgroup v2.
 */
int cgroup_tree_open(struct cgroup_tree *ret_tree, struct error *err);
void cgroup_tree_close(struct cgroup_tree *tree);

/*
 * Make the cgroup of sandbox @name (letters, digits, '-', '_'; at most CGROUP_NAME_MAX). One that
 * a dead supervisor left is removed first. -EEXIST: a sandbox of that name is running. @tree must
 * outlive the cgroup.
 */
int cgroup_create(const struct cgroup_tree *tree, const char *name, struct cgroup *ret_cgroup,
		  struct error *err);

/* SIGKILL everything in it and below, and wait until it is empty (at most 5 s: -EBUSY). */
int cgroup_kill(int cgroup_fd);

/*
 * Kill, remove (with children, on every hierarchy) and let go. Idempotent. -EBUSY: something would
 * not die within 5 s; it is left for the next sweep.
 */
int cgroup_destroy(struct cgroup *cgroup);

/*
 * Remove what dead supervisors left; @removed (may be NULL) hears of each v2 cgroup's id while it
 * is empty but not yet gone. Returns how many, or the first error after trying all.
 */
int cgroup_sweep(const struct cgroup_tree *tree, void (*removed)(void *arg, uint64_t id),
		 void *arg);

/* The cgroup id of directory @fd, as kernel programs see it. Errors of name_to_handle_at(2). */
int cgroup_id(int fd, uint64_t *ret_id);

/* Write @text to @file of directory @dir. */
int cgroup_write(int dir, const char *file, const char *text);

/*
 * Open `openshell/<name>` on the v1 hierarchy of @controller, made if missing. -ENOENT: this host
 * has no v1 hierarchy with that controller.
 */
int cgroup_open_v1(const struct cgroup_tree *tree, enum cgroup_controller controller,
		   const char *name, int *ret_fd);
