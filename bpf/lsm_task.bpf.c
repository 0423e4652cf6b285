// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Other processes and privilege: an agent may look into and signal its own sandbox alone, and use
 * no capability in any user namespace.
 */
#include "vmlinux.h"
#include "lsm.h"
#include "peer.h"

static __always_inline int same_sandbox(struct task_struct *other, __u16 hook, __u32 detail)
{
	struct caller caller;

	if (!lsm_enter(&caller, hook))
		return 0;
	if (caller.policy.mode != OS_MODE_DENY && peer_task_sandbox(other) == peer_own_sandbox())
		return 0;

	struct decision d = {
		.kind = OS_EVENT_PROCESS,
		.hook = hook,
		.reason = OS_REASON_OTHER_SANDBOX,
		.detail = detail,
		.peer_pid = other->tgid,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(&caller, &d, -EPERM);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(ptrace_access_check, struct task_struct *child, unsigned int mode, int ret)
{
	return ret ? ret : same_sandbox(child, OS_HOOK_PTRACE_ACCESS_CHECK, mode);
}

/* Asked of the child: its parent becomes its tracer. */
SEC("lsm/ptrace_traceme")
int BPF_PROG(ptrace_traceme, struct task_struct *parent, int ret)
{
	return ret ? ret : same_sandbox(parent, OS_HOOK_PTRACE_TRACEME, 0);
}

/* @info is a number below 2 for signals of the kernel's own (SEND_SIG_NOINFO, SEND_SIG_PRIV). */
SEC("lsm/task_kill")
int BPF_PROG(task_kill, struct task_struct *target, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	return ret ? ret : same_sandbox(target, OS_HOOK_TASK_KILL, sig);
}

/*
 * The sandbox's init still has to drop its privileges after the policy is in force; the last thing
 * it sets before the agent's program is no_new_privs, which nothing can take back.
 */
#define NO_NEW_PRIVS	1 /* bit PFA_NO_NEW_PRIVS of atomic_flags, include/linux/sched.h */
#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h: the kernel only asks to find out */

SEC("lsm/capable")
int BPF_PROG(capable, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	struct task_struct *task;
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_CAPABLE))
		return ret;
	task = (void *)bpf_get_current_task_btf();
	if (!(task->atomic_flags & NO_NEW_PRIVS))
		return 0;
	if ((opts & CAP_OPT_NOAUDIT) && caller.policy.mode != OS_MODE_AUDIT)
		return -EPERM;
	return lsm_forbid(&caller, OS_EVENT_PROCESS, OS_HOOK_CAPABLE, cap);
}

SEC("lsm/userns_create")
int BPF_PROG(userns_create, const struct cred *cred, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_USERNS_CREATE))
		return ret;
	return lsm_forbid(&caller, OS_EVENT_SYSTEM, OS_HOOK_USERNS_CREATE, 0);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
