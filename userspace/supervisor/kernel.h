/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's kernel side: the loaded programs and the maps they share, pinned under bpffs
 * `openshell/` so that enforcement outlives every daemon. kernel_open() adopts what is pinned if
 * its ABI number is ours, else loads; it never leaves half a set behind, and it does not succeed
 * unless a denial was seen to work. Several processes may have it open at once; the last one to
 * close it, when no sandbox is left, unloads everything. One thread per struct kernel.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "supervisor/cgroup.h"

#include <stdbool.h>
#include <stdint.h>

#define KERNEL_STATE_DIR "/run/openshell"
#define KERNEL_PIN_DIR	 "/sys/fs/bpf/openshell"

/* Descriptors of the shared maps, -1 where not loaded. */
struct kernel_maps {
	int sandbox, policy, anchor, named, binary, endpoint, cidr, device, name, worker, flow;
	int proxied, listener, proc, sock, event, count, meta, digest;
};

struct kernel {
	struct kernel_maps maps;
	struct os_policy *policy; /* os_policy, mapped: OS_SLOTS_MAX entries */
	int file_probe_fd;	  /* the program behind kernel_identify() */
	int worker_filter_fd;	  /* the program for a worker's sockets, attached to each's */
	int redirect_fd;	  /* the program of kernel_set_listener() */
	bool lsm;		  /* BPF-LSM programs are attached and a denial was seen to work */
	char lsm_reason[512];	  /* why not, for people, when !lsm */
	struct cgroup_tree tree;  /* the agents' parent cgroup */
	int users_fd;		  /* shared lock: the kernel side is in use */
};

/*
 * Open the kernel side, loading it if nobody did. -EPERM (not root), -ENOENT (no cgroup2),
 * -ENOTSUP (a kernel without BTF or what Linux 5.15 has), -EEXIST (pinned by another ABI and in
 * use), -EACCES (it loaded, and a denial did not deny). BPF-LSM missing is not an error: see lsm.
 */
int kernel_open(struct kernel **ret_kernel, struct error *err);

/* Close; unload if no other process uses it and no sandbox lives. kernel_close(NULL) is valid. */
void kernel_close(struct kernel *kernel);

/*
 * Name an open file as the programs see it, with its ctime now. @ret_mode may be NULL. -EBADF, or
 * the error of BPF_PROG_RUN. Allocates nothing; any thread.
 */
int kernel_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode);

/*
 * @fd, a listening TCP socket, gets the connections of @slot's agents that its proxy is to read. It
 * is bound to OS_PROXY_LISTENER, in the network namespace of the caller and of the agents; the
 * program that gives them to it is attached there with the first one. When the socket is closed it
 * is as if there were none, and these connections are denied. What bpf(2) says; any thread.
 */
int kernel_set_listener(const struct kernel *kernel, uint32_t slot, int fd);
void kernel_clear_listener(const struct kernel *kernel, uint32_t slot);

/*
 * Who is behind a connection or datagram that reached a worker: what os_proxied has of it, or
 * os_flow. -ENOENT: nobody that is known. Any thread.
 */
int kernel_find_flow(const struct kernel *kernel, const struct os_flow_key *key,
		     struct os_flow *ret_flow);
