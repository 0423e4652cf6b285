/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this host's cgroup hierarchies are mounted: the v2 one, unified or beside v1 ones, and the
 * v1 ones that hold the controllers `--cpu` and `--memory` need. Plain data, any thread. Only
 * tells; whoever needs a hierarchy that is not there fails closed.
 */
#pragma once

#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_MEMORY,
	CGROUP_CONTROLLERS,
};

struct cgroup_mounts {
	char v2[PATH_MAX]; /* mount point of the cgroup2 hierarchy, "" = none */
	uint32_t v2_depth; /* how far its root is below the hierarchy's, as far as one can tell */
	char v1[CGROUP_CONTROLLERS][PATH_MAX]; /* mount point of the v1 hierarchy, "" = none */
};

/* The controller's name in cgroup.controllers and in v1's mount options. */
const char *cgroup_controller_name(enum cgroup_controller controller);

/*
 * Parse mountinfo text (proc(5)). Pure. Of several mounts of a hierarchy, the first that shows it
 * from its root. Lines that make no sense are passed over.
 */
void cgroup_mounts_parse(const uint8_t *data, size_t size, struct cgroup_mounts *ret_mounts);

/* Read /proc/self/mountinfo. The errors of open() and read(). */
int cgroup_mounts_load(struct cgroup_mounts *ret_mounts, struct error *err);
