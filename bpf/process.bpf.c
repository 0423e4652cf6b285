// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who a process is, for rules that name binaries: os_proc, keyed by tgid, kept by three tracepoints
 * for agents only. Everybody else pays one helper and one compare for each.
 *
 *	fork	The child gets the parent's record, and the parent's executable joins the child's
 *		ancestors. An ancestor is a process, by the image it had when it made the child:
 *		what it executes later is not the child's origin and gives the child nothing.
 *	exec	The executable is replaced, the ancestors stay. The image that was replaced is not
 *		an ancestor: `X` that executes `Y` in place is one process, and it is `Y` now.
 *	exit	The last thread takes the record with it.
 *
 * So a double fork loses nothing (lineage was copied, nobody walks parents), nor do CLONE_PARENT
 * and reparenting; and no process gains from what its parent turns into. The parent here is the
 * task that called fork().
 *
 * The sandbox's first process is our init, forked from outside: it has no record, and neither has
 * the child it forks until that executes the agent's program. That record has no ancestors, so our
 * own executable never satisfies a rule. A process without a record, or with one that is not its
 * own (start_time), matches nothing.
 *
 * Threads share the tgid. An exec by another thread than the leader ends the leader first and keeps
 * tgid and start time (de_thread() in fs/exec.c).
 */
#include "vmlinux.h"
#include "event.h"
#include "identity.h"
#include "process.h"
#include <bpf/bpf_tracing.h>

/*
 * Raw tracepoints, whose arguments are numbers to the verifier: ones with types would have every
 * load read the whole of the kernel's BTF for three ids. The task that calls is the current one.
 */
SEC("raw_tp/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *caller, struct task_struct *child)
{
	struct task_struct *parent = (void *)bpf_get_current_task_btf();
	struct os_proc *from, *to;
	__u32 pid;

	if (!agent_is_current())
		return 0;
	pid = BPF_CORE_READ(child, tgid);
	if (pid == (__u32)parent->tgid)
		return 0;
	from = process_record(parent, agent_slot());
	if (!from) {
		/* A leftover of an earlier process must not be taken for this one's. */
		bpf_map_delete_elem(&os_proc, &pid);
		return 0;
	}
	if (bpf_map_update_elem(&os_proc, &pid, from, BPF_ANY)) {
		count(OS_COUNT_PROC_FULL);
		return 0;
	}
	to = bpf_map_lookup_elem(&os_proc, &pid);
	if (!to)
		return 0;
	to->start_time = BPF_CORE_READ(child, start_boottime);
	identity_fork(&to->identity);
	return 0;
}

static const struct os_proc blank; /* too large for a program's stack */

/* The record of the process that just executed, made if there is none. */
static __always_inline struct os_proc *record_of(struct task_struct *task, __u32 slot)
{
	struct os_proc *proc = process_record(task, slot);
	__u32 pid = task->tgid;

	if (proc)
		return proc;
	if (bpf_map_update_elem(&os_proc, &pid, &blank, BPF_ANY)) {
		count(OS_COUNT_PROC_FULL);
		return 0;
	}
	proc = bpf_map_lookup_elem(&os_proc, &pid);
	if (!proc)
		return 0;
	proc->slot = slot;
	proc->start_time = process_start_time(task);
	return proc;
}

/* For the events of this process until it executes something else. */
static __always_inline void remember_path(struct os_proc *proc)
{
	__u32 index = event_scratch_take(), len;
	struct event_scratch *s = bpf_map_lookup_elem(&os_scratch, &index);

	proc->path_len = 0;
	proc->path_flags = OS_EVENT_TRUNCATED;
	if (!s) {
		count(OS_COUNT_SCRATCH_BUSY);
		return;
	}
	len = event_components(index, 0, OS_PROC_PATH_MAX - EVENT_COMPONENT_MAX,
			       event_exe_dentry());
	bpf_probe_read_kernel(proc->path, sizeof(proc->path), s->data);
	__sync_lock_test_and_set(&s->busy, 0);
	if (!(len & EVENT_CUT))
		proc->path_flags = 0;
	proc->path_len = len;
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(process_exec)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct os_proc *proc;
	struct os_image exe = {};
	__u32 slot;

	if (!agent_is_current())
		return 0;
	count(OS_COUNT_HOOK + OS_HOOK_EXEC);
	slot = agent_slot();
	process_exe(task, &exe.file);
	exe.changed = process_changed(BPF_CORE_READ(task, mm, exe_file, f_inode));
	proc = record_of(task, slot);
	if (proc) {
		identity_exec(&proc->identity, &exe);
		remember_path(proc);
	}

	struct os_policy policy = agent_policy(slot);
	struct decision d = {
		.slot = slot,
		.generation = policy.generation,
		.dentry = event_exe_dentry(),
		.kind = OS_EVENT_EXEC,
		.hook = OS_HOOK_EXEC,
		.verdict = OS_EVENT_ALLOWED,
		.object = exe.file,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	event_emit(&d);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(process_exit)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u32 pid;

	if (!agent_is_current() || task->signal->live.counter)
		return 0;
	pid = task->tgid;
	bpf_map_delete_elem(&os_proc, &pid);
	return 0;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
