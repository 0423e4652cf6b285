/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, and of each only the fields that our programs read. Fields are relocated by
 * name at load (preserve_access_index), so order and gaps mean nothing here. A test checks that
 * every field exists in the kernels we run on; what only some have is a `___flavour` with the
 * kernel commit that brought it.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef __u32 u32;
typedef __u64 u64;
typedef unsigned short umode_t;
typedef unsigned int fmode_t;
typedef struct {
	unsigned int val;
} kuid_t;

/* Only ever pointed to */
struct msghdr;
struct sockaddr;
struct kernel_siginfo;
struct user_namespace;

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct dentry *s_root;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
	umode_t i_mode;
	__u32 i_rdev;
};

/* Where the time of an inode's last change is, oldest first. */
struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct inode___timespec {
	struct timespec64 i_ctime;
};

/* Linux 6.6, kernel commit 13bc24457850 */
struct inode___hidden {
	struct timespec64 __i_ctime;
};

/* Linux 6.11, kernel commit 3aa63a569c64 */
struct inode___split {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec; /* bit 31: somebody has asked, kernel commit 4e40eff0b573 (6.13) */
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	fmode_t f_mode;
	void *private_data;
};

/* Linux 6.5, kernel commit 62d53c4a1dfe; user_path since def3ae83da02 (6.7) */
struct backing_file {
	struct path user_path;
};

struct iattr {
	unsigned int ia_valid;
};

struct linux_binprm {
	struct file *file;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
};

struct cred {
	kuid_t uid;
	kuid_t euid;
};

/* Indexed, so the stride counts and the second field is here as well. */
struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[];
};

/* Before Linux 6.1, kernel commit 7f203bc89eb6 */
struct cgroup___ids {
	__u64 ancestor_ids[1];
};

struct sock_common {
	unsigned short skc_family;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	struct sock *sk;
};

struct unix_sock {
	struct path path;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	__u64 start_boottime;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	const struct cred *cred;
	const struct cred *real_cred;
	struct files_struct *files;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct pid *thread_pid;
	char comm[16];
	unsigned long atomic_flags;
	struct signal_struct *signal;
};

#pragma clang attribute pop
