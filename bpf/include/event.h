/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One decision, told once. A program fills struct decision on its stack and calls event_emit(),
 * a global function that the verifier checks once per object; paths are walked only here, on the
 * rare path. Events go to the sandbox's own ring buffer; what does not fit is counted.
 */
#pragma once

#include "agent.h"
#include <bpf/bpf_core_read.h>

/* With OS_EVENT_RECORDED, object and peer_pid are the executable and pid, not the object's. */
struct decision {
	__u64 dentry;  /* address of the object's dentry, or 0 */
	__u64 dentry2; /* a second object's, or 0 */
	struct os_file_id object;
	__u32 slot;
	__u32 generation;
	__u16 kind, hook, verdict, reason;
	__s32 error;
	__u32 wanted, held, detail, flags, peer_pid;
	__u16 family, protocol, port, pad;
	__u32 endpoint;
	__u8 address[16];
#ifdef OS_OBJECT_CORE  /* the others rewrite nothing, and their stacks are full */
	__u8 real[16]; /* zero = not rewritten */
#endif
};

#define EVENT_SCRATCH_COUNT 64
#define EVENT_COMPONENT_MAX 256
#define EVENT_LEVELS	    64
#define EVENT_DATA_MAX	    8192 /* power of two: offsets are masked with it */

struct event_scratch {
	__u64 busy; /* 0 = free */
	struct os_event event;
	char data[EVENT_DATA_MAX + EVENT_COMPONENT_MAX];
};

/*
 * Not per CPU: a program may be preempted in the middle by another one on the same CPU. A buffer
 * is taken by compare-and-swap and given back before the program ends.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENT_SCRATCH_COUNT);
	__type(key, __u32);
	__type(value, struct event_scratch);
} os_scratch OS_MAP;

/* Take a buffer: its index, or EVENT_SCRATCH_COUNT if none is free. */
static __always_inline __u32 event_scratch_take(void)
{
	__u32 start = ((struct task_struct *)bpf_get_current_task_btf())->pid;

	for (int i = 0; i < 4; i++) {
		__u32 index = (start + i) & (EVENT_SCRATCH_COUNT - 1);
		struct event_scratch *s = bpf_map_lookup_elem(&os_scratch, &index);

		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)
			return index;
	}
	return EVENT_SCRATCH_COUNT;
}

#define EVENT_CUT (1u << 31) /* in event_components()' result: the path did not fit */

/*
 * Append components, from a dentry up to its superblock's root, to a buffer; stop at @limit.
 * Returns the new offset, with EVENT_CUT if something is missing. A global function of scalars, so
 * that the verifier checks it once and not for every combination of what went before.
 */
__attribute__((weak, noinline)) __u32 event_components(__u32 index, __u32 offset, __u32 limit,
						       __u64 address)
{
	struct event_scratch *s = bpf_map_lookup_elem(&os_scratch, &index);
	struct dentry *dentry = (struct dentry *)address;

	if (!s)
		return offset | EVENT_CUT;
	for (int i = 0; i < EVENT_LEVELS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		long n;

		if (!parent || parent == dentry)
			return offset;
		if (offset >= limit)
			return offset | EVENT_CUT;
		n = bpf_probe_read_kernel_str(s->data + (offset & (EVENT_DATA_MAX - 1)),
					      EVENT_COMPONENT_MAX,
					      BPF_CORE_READ(dentry, d_name.name));
		if (n <= 0 || n > EVENT_COMPONENT_MAX)
			return offset | EVENT_CUT;
		offset += n;
		dentry = parent;
	}
	return offset | EVENT_CUT;
}

/* Where each path's components must end; a component more may reach past it. */
#define EVENT_EXE_LIMIT	  1024
#define EVENT_PATH_LIMIT  (EVENT_EXE_LIMIT + OS_EVENT_PATH_MAX)
#define EVENT_PATH2_LIMIT (EVENT_DATA_MAX - EVENT_COMPONENT_MAX)

/*
 * Everything comes from the task: the cgroup program types lack the helpers for pid, uid and comm
 * before Linux 6.1 (kernel commit bed89185af0d). Plain loads, which cost a tenth of a helper's: the
 * verifier knows the current task, and what is not there reads as zero.
 */
static __always_inline void event_fill_process(struct os_event *e)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pid *pid = task->group_leader->thread_pid;
	struct inode *inode = task->mm->exe_file->f_inode;
	__u32 level = pid->level;

	e->time = bpf_ktime_get_boot_ns();
	e->start_time = task->group_leader->start_boottime;
	e->pid = task->tgid;
	bpf_probe_read_kernel(&e->ns_pid, sizeof(e->ns_pid), &pid->numbers[level].nr);
	e->uid = task->cred->uid.val;
	e->exe.ino = inode->i_ino;
	e->exe.dev = inode->i_sb->s_dev;
	e->exe.generation = inode->i_generation;
	__builtin_memcpy(e->comm, task->comm, sizeof(e->comm));
}

static __always_inline __u64 event_exe_dentry(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return (__u64)BPF_CORE_READ(task, mm, exe_file, f_path.dentry);
}

/* Which superblock and inode the object is, so that userspace can find where it is mounted. */
static __always_inline void event_fill_object(struct os_event *e, __u64 address)
{
	struct dentry *dentry = (struct dentry *)address;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	e->object.dev = BPF_CORE_READ(dentry, d_sb, s_dev);
	if (!inode) {
		e->flags |= OS_EVENT_NEW_NAME;
		return;
	}
	e->object.ino = BPF_CORE_READ(inode, i_ino);
	e->object.generation = BPF_CORE_READ(inode, i_generation);
}

#ifdef OS_OBJECT_CORE
/*
 * The `core` object is loaded by every embedded run, and walking paths is most of what the verifier
 * has to do for a program that tells events. So process.bpf.c walks once, at exec, and the others
 * copy. Their decisions have no object with a path; an exec's is the executable.
 */
static __always_inline __u32 event_paths(__u32 index, struct event_scratch *s,
					 const struct decision *d)
{
	struct os_event *e = &s->event;
	__u32 pid = e->pid, len;
	const struct os_proc *proc = bpf_map_lookup_elem(&os_proc, &pid);

	if (!proc || proc->identity.exe.file.ino != e->exe.ino ||
	    proc->identity.exe.file.dev != e->exe.dev ||
	    proc->identity.exe.file.generation != e->exe.generation)
		return 0;
	len = proc->path_len;
	if (len > OS_PROC_PATH_MAX)
		return 0;
	e->flags |= proc->path_flags;
	e->exe_len = len;
	bpf_probe_read_kernel(s->data, OS_PROC_PATH_MAX, proc->path);
	if (!d->dentry)
		return len;
	e->path_len = len;
	bpf_probe_read_kernel(s->data + len, OS_PROC_PATH_MAX, proc->path);
	return 2 * len;
}
#else
static __always_inline __u32 event_paths(__u32 index, struct event_scratch *s,
					 const struct decision *d)
{
	struct os_event *e = &s->event;
	__u32 exe_end, path_end, end, cut;

	exe_end = event_components(index, 0, EVENT_EXE_LIMIT, event_exe_dentry());
	cut = exe_end;
	exe_end &= EVENT_DATA_MAX - 1;
	path_end = exe_end;
	if (d->dentry) {
		event_fill_object(e, d->dentry);
		path_end = event_components(index, exe_end, EVENT_PATH_LIMIT, d->dentry);
		cut |= path_end;
		path_end &= EVENT_DATA_MAX - 1;
	}
	end = path_end;
	if (d->dentry2) {
		end = event_components(index, path_end, EVENT_PATH2_LIMIT, d->dentry2);
		cut |= end;
		end &= EVENT_DATA_MAX - 1;
	}
	if (cut & EVENT_CUT)
		e->flags |= OS_EVENT_TRUNCATED;
	e->exe_len = exe_end;
	e->path_len = path_end - exe_end;
	e->path2_len = end - path_end;
	return end;
}
#endif

#ifdef OS_OBJECT_CORE
/*
 * Waking the reader takes longer than everything else that a connection costs here (an interrupt to
 * ourselves, which a virtual machine leaves for), so an admitted one does it only now and then. A
 * reader that was woken looks again by itself, later than EVENT_WAKE_EVERY (event_reader.c).
 */
#define EVENT_WAKE_EVERY 10000000 /* ns */

struct event_wake {
	__u64 woken; /* CLOCK_BOOTTIME ns */
	__u64 kept;  /* an event was put there since, and nobody told */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct event_wake);
} os_wake OS_MAP;

static __always_inline __u64 event_wake(__u32 slot, const struct decision *d, __u64 now)
{
	struct event_wake *last = bpf_map_lookup_elem(&os_wake, &slot);
	__u64 kept;

	if (!last)
		return 0;
	if (d->kind == OS_EVENT_NET && d->verdict == OS_EVENT_ALLOWED &&
	    now - last->woken < EVENT_WAKE_EVERY) {
		last->kept = 1;
		return BPF_RB_NO_WAKEUP;
	}
	kept = last->kept;
	last->kept = 0;
	last->woken = now;
	/* Without force nobody is woken while there is something that was not taken out. */
	return kept ? BPF_RB_FORCE_WAKEUP : 0;
}
#else
static __always_inline __u64 event_wake(__u32 slot, const struct decision *d, __u64 now)
{
	return 0;
}
#endif

/*
 * Put a decision into its sandbox's ring buffer. Returns 0; a decision that cannot be told is
 * counted, never changes the verdict.
 */
__attribute__((weak, noinline)) int event_emit(struct decision *d)
{
	struct event_scratch *s;
	struct os_event *e;
	__u32 index, end;
	__u32 slot; /* a map's key must be on the stack */
	__u64 wake;
	void *ring;

	if (!d)
		return 0;
	slot = d->slot;
	count(d->verdict == OS_EVENT_DENIED  ? OS_COUNT_DENIED
	      : d->verdict == OS_EVENT_AUDIT ? OS_COUNT_AUDIT
					     : OS_COUNT_ALLOWED);
	if (d->verdict == OS_EVENT_DENIED)
		count(OS_COUNT_HOOK_DENIED + d->hook);
	ring = bpf_map_lookup_elem(&os_event, &slot);
	if (!ring)
		return 0;
	index = event_scratch_take();
	s = bpf_map_lookup_elem(&os_scratch, &index);
	if (!s) {
		count(OS_COUNT_SCRATCH_BUSY);
		return 0;
	}
	e = &s->event;
	__builtin_memset(e, 0, sizeof(*e));
	if (d->flags & OS_EVENT_RECORDED) {
		e->time = bpf_ktime_get_boot_ns();
		e->pid = d->peer_pid;
		e->exe = d->object;
	} else {
		event_fill_process(e);
		e->object = d->object;
		e->peer_pid = d->peer_pid;
	}
	e->slot = d->slot;
	e->generation = d->generation;
	e->flags = d->flags;
	e->kind = d->kind;
	e->hook = d->hook;
	e->verdict = d->verdict;
	e->reason = d->reason;
	e->error = d->error;
	e->wanted = d->wanted;
	e->held = d->held;
	e->detail = d->detail;
	e->family = d->family;
	e->protocol = d->protocol;
	e->port = d->port;
	e->endpoint = d->endpoint;
	__builtin_memcpy(e->address, d->address, sizeof(e->address));
#ifdef OS_OBJECT_CORE
	__builtin_memcpy(e->real, d->real, sizeof(e->real));
#endif

	end = event_paths(index, s, d);
	wake = event_wake(slot, d, e->time);
	if (bpf_ringbuf_output(ring, e, sizeof(*e) + end, wake))
		count(OS_COUNT_EVENT_DROPPED);
	__sync_lock_test_and_set(&s->busy, 0);
	return 0;
}
