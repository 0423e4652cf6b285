/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's kernel side: the loaded programs and the maps they share, pinned under bpffs
 * `openshell/` so that enforcement outlives every daemon. kernel_open() adopts what is pinned if
 * its ABI number is ours, else loads; it never leaves half a set behind. One per process.
 */
#pragma once

#include "abi.h"
#include "common/error.h"

#include <stdbool.h>

/* Descriptors of the shared maps, -1 where not loaded. */
struct kernel_maps {
	int sandbox, policy, anchor, binary, endpoint, cidr, proc, sock, event, count;
};

struct kernel {
	struct kernel_maps maps;
	int file_probe_fd; /* the program behind kernel_identify() */
	bool lsm;	   /* BPF-LSM programs are attached and a denial was seen to work */
	char lsm_reason[256]; /* why not, for people, when !lsm */
	int agents_fd;	   /* the agents' parent cgroup */
	uint64_t agents_id; /* its cgroup id */
	uint32_t agents_level;
};

/* Name an open file as the programs see it. -EBADF, or the error of BPF_PROG_RUN. */
int kernel_identify(const struct kernel *kernel, int fd, struct os_file_id *ret_file,
		    uint32_t *ret_mode);
