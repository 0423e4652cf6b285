/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a process's record, and its executable as the kernel has it now.
 */
#pragma once

#include "agent.h"
#include "identity.h"
#include <bpf/bpf_core_read.h>

static __always_inline __u64 process_start_time(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

#define CTIME_ASKED (1u << 31)

/* os_image.changed of an inode, never 0: there are file systems without times. */
static __always_inline __u64 process_changed(struct inode *inode)
{
	struct inode___timespec *timespec = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;
	struct inode___split *split = (void *)inode;
	__u64 time;

	if (bpf_core_field_exists(split->i_ctime_nsec))
		time = BPF_CORE_READ(split, i_ctime_sec) * 1000000000ull +
		       (BPF_CORE_READ(split, i_ctime_nsec) & ~CTIME_ASKED);
	else if (bpf_core_field_exists(hidden->__i_ctime))
		time = BPF_CORE_READ(hidden, __i_ctime.tv_sec) * 1000000000ull +
		       BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
	else
		time = BPF_CORE_READ(timespec, i_ctime.tv_sec) * 1000000000ull +
		       BPF_CORE_READ(timespec, i_ctime.tv_nsec);
	return time ? time : 1;
}

static __always_inline void process_exe(struct task_struct *task, struct os_file_id *ret_exe)
{
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);

	ret_exe->ino = BPF_CORE_READ(inode, i_ino);
	ret_exe->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	ret_exe->generation = BPF_CORE_READ(inode, i_generation);
}

/* The record of @task in @slot; NULL if there is none or it is another process's. */
static __always_inline struct os_proc *process_record(struct task_struct *task, __u32 slot)
{
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct os_proc *proc = bpf_map_lookup_elem(&os_proc, &pid);

	if (!proc || proc->slot != slot || proc->start_time != process_start_time(task))
		return 0;
	return proc;
}

/*
 * The caller's record if it says what the kernel says: an executable changed under a running
 * process (PR_SET_MM_EXE_FILE) is nobody's. Plain loads: the verifier knows the current task, and
 * what is not there reads as zero.
 */
static __always_inline struct os_proc *process_current(__u32 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct inode *inode = task->mm->exe_file->f_inode;
	__u32 pid = task->tgid;
	struct os_proc *proc = bpf_map_lookup_elem(&os_proc, &pid);
	struct os_file_id exe = {
		.ino = inode->i_ino,
		.dev = inode->i_sb->s_dev,
		.generation = inode->i_generation,
	};

	if (!proc || proc->slot != slot || proc->start_time != task->group_leader->start_boottime)
		return 0;
	if (identity_file_is_none(&exe) || !identity_file_equal(&exe, &proc->identity.exe.file))
		return 0;
	return proc;
}
