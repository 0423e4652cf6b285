/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel and host can do, found out by doing it, never from a version number: programs
 * are loaded, maps created, one act denied, a process started in a cgroup. Everything made for a
 * probe is gone when the probe returns. Nothing here enforces; whoever asks decides what an answer
 * means, and must take "cannot tell" as no. One struct probe belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf;

struct probe {
	struct btf *vmlinux;	 /* the kernel's types, NULL where it has none */
	int vmlinux_error;	 /* why not, negative errno */
	struct probe_hook *hook; /* type ids of the LSM hooks that the kernel has */
	size_t hooks;
};

/* Reads /sys/kernel/btf/vmlinux; a kernel without is no error here. -ENOMEM. */
int probe_open(struct probe *ret_probe);
void probe_close(struct probe *probe);

/*
 * Active LSMs, comma separated, in the kernel's order. Read from securityfs, through a private
 * mount of it if the host has none. -ENAMETOOLONG if @size is too small; -EPERM, -EACCES: cannot
 * tell; -ENOENT: no securityfs.
 */
int probe_lsm_list(char *buf, size_t size);

/*
 * 1 if `bpf` is in that list, 0 if not: programs then load and attach and nothing is enforced.
 * Negative errno as probe_lsm_list(): cannot tell.
 */
int probe_lsm_active(void);

/*
 * Load an empty BPF-LSM program for @hook ("file_open"). 0: loads; -ENOENT: the kernel has no such
 * hook; -EPERM: refused, by missing privilege or by the host; -EINVAL, -EOPNOTSUPP: the hook takes
 * no program.
 */
int probe_lsm_load(const struct probe *probe, const char *hook);

/*
 * Attach a program that denies one harmless act of the calling process (chroot to where it is) and
 * try it. 0: denied, so BPF-LSM enforces; -ENOTRECOVERABLE: attached, yet the act succeeded; else
 * why it could not be loaded or attached.
 */
int probe_lsm_denial(const struct probe *probe);

/* One row for each program type and place that the kernel objects use. */
struct probe_program {
	const char *name; /* "cgroup/connect4" */
	uint32_t type;	  /* enum bpf_prog_type */
	uint32_t attach;  /* enum bpf_attach_type */
	const char *what; /* what it is for */
};

extern const struct probe_program probe_programs[];
extern const size_t probe_programs_len;

/* Load the smallest program of that kind. 0 or the negative errno of the load. */
int probe_program_load(const struct probe_program *program);

struct probe_map {
	const char *name; /* "ringbuf" */
	uint32_t type;	  /* enum bpf_map_type */
	const char *what;
};

extern const struct probe_map probe_maps[];
extern const size_t probe_maps_len;

/* Create the smallest map of that type. 0 or a negative errno. */
int probe_map_create(const struct probe_map *map);

/*
 * Whether the kernel has what Linux 5.15 is needed for. 0: yes; -ENOSYS: no, and @buf names what is
 * lacking; -EPERM: cannot tell.
 */
int probe_floor(const struct probe *probe, char *buf, size_t size);

/* Where cgroup v2 is and what else there is. */
struct probe_cgroup {
	char path[256];		/* its mount point, "" = not mounted */
	bool hybrid;		/* cgroup v1 hierarchies are mounted beside it */
	char v2[128];		/* controllers it has, space separated */
	bool cpu, memory, pids; /* the controller is to be had, in whichever hierarchy */
};

/* Negative errno if /proc/self/mounts cannot be read. */
int probe_cgroup_find(struct probe_cgroup *ret_cgroup);

/* Results of one try in a cgroup made for it: 0 or negative errno. */
struct probe_cgroup_trial {
	int create; /* the cgroup itself; if not 0 the rest is the same */
	int kill;   /* has cgroup.kill (Linux 5.14) */
	int attach; /* a program could be attached by a link */
	int clone3; /* a process started in it (Linux 5.7) */
	int denial; /* that process was denied by the program, and we were not; -ENOTRECOVERABLE: no
		     */
};

/* @path: probe_cgroup's. Makes and removes `openshell-doctor.PID` in it. Blocks for some ms. */
void probe_cgroup_try(const char *path, struct probe_cgroup_trial *ret_trial);

/* 0 if a child could make each namespace of @flag (CLONE_NEWNS ...); -EPERM, -EINVAL, ... */
int probe_namespace(int flag);

int probe_seccomp(void);       /* 0: filters that answer with an errno */
int probe_mount_setattr(void); /* 0: Linux 5.12's, for recursive read-only trees */
int probe_memfd_noexec(void);  /* 0: vm.memfd_noexec exists (Linux 6.3) */
