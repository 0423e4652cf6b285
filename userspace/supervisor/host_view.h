/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox on the host driver sees of the host, or of the directory that is its root: /tmp,
 * /var/tmp and /dev/shm are its own, empty and bounded; listed paths below them and the working
 * directory are the host's; /etc/hosts names localhost and the sandbox alone; where names are
 * answered, /etc/resolv.conf has one resolver (which could be any: all of port 53 goes to the
 * sandbox's own) and no search list. (policy.md, "Filesystem")
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/mount_plan.h"

#include <stdbool.h>
#include <sys/types.h>

struct host_view_spec {
	const Openshell__Compiled__V1__CompiledPolicy *policy;
	const char *workdir, *hostname;
	const char
		*root; /* a directory of the host that is the sandbox's root; NULL = the host's */
	const char *trust; /* directory of the sandbox's own for its proxy's CA, NULL = none */
	bool lsm;	   /* BPF-LSM holds the files, so that no masks are needed */
	bool names;	   /* the sandbox has a worker that answers for names */
};

/* Errors of masks_plan(), -ENOMEM. */
int host_view_plan(const struct host_view_spec *view, struct mount_plan *plan, struct error *err);

/* The root of a sandbox by its init's pid, O_PATH. -errno. */
int host_view_root(pid_t init);
