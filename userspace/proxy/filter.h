/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of a worker and of a resolver: a list of what is allowed, with which arguments,
 * and everything else ends the process. Assembled by hand for the reasons given in
 * supervisor/seccomp.h; here as a plain list, because the kernel remembers by number what a filter
 * always allows. Pure; any thread. Fails closed.
 */
#pragma once

#include "common/worker_protocol.h"

#include <linux/filter.h>

#define FILTER_MAX 512

/*
 * Assemble @role's filter into @code (room for FILTER_MAX). -E2BIG if it does not fit, -EINVAL for
 * a role that is none; a unit test excludes both.
 */
int filter_assemble(enum worker_role role, struct sock_filter *code, unsigned short *ret_len);
