/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out a mount plan. Runs in a sandbox's init, which is a copy of a process that may have
 * had threads: nothing here allocates or takes a lock. Only the mount namespace of the caller
 * changes, and nothing is ever created on a file system of the host. Fails closed: after an error
 * the namespace is half made and its owner must end.
 */
#pragma once

#include "common/error.h"
#include "supervisor/mount_plan.h"

/*
 * Make every mount private, put a fresh procfs on /proc and carry out @plan (may be NULL) in
 * order. Needs CAP_SYS_ADMIN and a mount namespace of one's own. -ENOENT: a target that does not
 * exist and is not below a tmpfs of the plan; -ELOOP: a target with a symbolic link in it; others
 * as the mount calls give them. The sentence in @err names the step's target.
 */
int mounts_execute(const struct mount_plan *plan, struct error *err);
