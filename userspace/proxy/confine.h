/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of openshell-proxy give up before they read the first byte that somebody else
 * wrote. Called once in each process, which has one thread. Fails closed: an error means that the
 * process must not go on.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * The zygote: no capability but to change identity and to signal its children (whose parent-death
 * signal the kernel sends in its name), no other ever again, no groups, not to be traced, gone
 * with its parent. A negative errno.
 */
int confine_zygote(void);

/*
 * A child for @role (enum worker_role): @uid as user and group, nothing of the zygote's
 * capabilities, bounded resources, gone with @zygote, for a resolver no files but those of /etc and
 * /run (where the kernel has Landlock), and from the return on only the system calls
 * of its role (filter.h); another one kills it. Verifies what it did. A negative errno.
 */
int confine_child(uint32_t role, uid_t uid, pid_t zygote);
