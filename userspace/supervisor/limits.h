/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--cpu` and `--memory`: a share of processor time and an amount of memory for a whole sandbox,
 * through whichever cgroup hierarchy has the controller: v2 where it is available, else v1. Fails
 * closed: a limit that was asked for and cannot be had is an error that says what to do.
 */
#pragma once

#include "common/error.h"
#include "supervisor/cgroup.h"

#include <stdint.h>
#include <sys/types.h>

struct limits {
	uint32_t cpu_milli;    /* thousandths of a processor, 0 = no limit */
	uint64_t memory_bytes; /* 0 = no limit */
};

/* "2", "1.5", "0.25": processors, 0.01 to 8192, at most three decimals. -EINVAL. */
int limits_parse_cpu(const char *text, uint32_t *ret_milli, struct error *err);

/* "1073741824", "512M", "1.5G", "2GiB": powers of 1024, at least 4 MiB. -EINVAL, -ERANGE. */
int limits_parse_memory(const char *text, uint64_t *ret_bytes, struct error *err);

/*
 * Put @limits on @cgroup, and @init, which is in it already, into the v1 hierarchies that were
 * needed. To be called before the agent starts. -EOPNOTSUPP: no hierarchy has the controller.
 */
int limits_apply(const struct limits *limits, const struct cgroup *cgroup, pid_t init,
		 struct error *err);
