/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the LSM programs share: who is asking, what is in force, and how a verdict becomes an errno
 * and an event. Every program starts with lsm_enter(); a task that is not an agent leaves there,
 * after one helper and one compare.
 */
#pragma once

#include "event.h"
#include "walk.h"
#include <bpf/bpf_tracing.h>

#define EPERM  1
#define EACCES 13

#define S_IFMT	 00170000
#define S_IFSOCK 0140000
#define S_IFDIR	 0040000
#define S_IFCHR	 0020000
#define S_IFBLK	 0060000

#define SB_NOUSER (1UL << 31)

struct caller {
	__u32 slot;
	struct os_policy policy;
};

#define PF_IO_WORKER 0x10 /* include/linux/sched.h */

/*
 * Kernel-internal work in an agent's context, such as overlayfs opening its own layers, runs with
 * overridden credentials and is not the agent's act. An agent cannot get there by itself:
 * io_uring's personalities are refused, and its worker threads, which take on what credentials the
 * submitter has by then, are asked whatever theirs are.
 */
static __always_inline int lsm_credentials_overridden(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return task->cred != task->real_cred && !(task->flags & PF_IO_WORKER);
}

/* True if the caller is an agent whose act @hook must decide; fills @caller. */
static __always_inline int lsm_enter(struct caller *caller, __u32 hook)
{
	if (!agent_is_current())
		return 0;
	if (lsm_credentials_overridden())
		return 0;
	caller->slot = agent_slot();
	caller->policy = agent_policy(caller->slot);
	if (caller->policy.mode == OS_MODE_SETUP)
		return 0;
	count(OS_COUNT_HOOK + hook);
	return 1;
}

/*
 * A denial: say it and return what the caller gets: @error (negative), or 0 in audit mode.
 * The slot, generation, verdict and error of @d are filled here.
 */
static __always_inline int lsm_deny(const struct caller *caller, struct decision *d, int error)
{
	int audit = caller->policy.mode == OS_MODE_AUDIT;

	d->slot = caller->slot;
	d->generation = caller->policy.generation;
	d->verdict = audit ? OS_EVENT_AUDIT : OS_EVENT_DENIED;
	d->error = error;
	if (caller->policy.mode == OS_MODE_DENY)
		d->reason = OS_REASON_NO_POLICY;
	event_emit(d);
	return audit ? 0 : error;
}

/* An act that no sandbox may do. */
static __always_inline int lsm_forbid(const struct caller *caller, __u16 kind, __u16 hook,
				      __u32 detail)
{
	struct decision d = {
		.kind = kind,
		.hook = hook,
		.reason = OS_REASON_FORBIDDEN,
		.detail = detail,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(caller, &d, -EPERM);
}

/* One question about one dentry, for lsm_check(). */
struct check {
	__u64 dentry;
	struct caller caller;
	__u32 wanted;
	__u32 detail;
	__u16 hook;
	__u8 child; /* the rights of an entry in directory `dentry` */
	__u8 quiet; /* no event: only the answer */
	__u8 image; /* about executing: one of the rights is enough, pathless objects are refused */
	__u8 pad[3];
	__u32 held; /* out */
};

/* True for pipes, sockets, memfds, anonymous inodes: objects that no path leads to. */
static __always_inline int lsm_is_pathless(struct dentry *dentry, const int probed)
{
	return (WALK_FIELD(probed, dentry, d_sb, s_flags) & SB_NOUSER) != 0;
}

/*
 * Decide and tell. For the hooks that are not on a hot path: a global function, verified once per
 * object, so the dentry arrives as a number and is read by probing. 0 or -EACCES.
 */
__attribute__((weak, noinline)) int lsm_check(struct check *c)
{
	struct walk walk = {};

	if (!c)
		return -EACCES;
	if (lsm_is_pathless((struct dentry *)c->dentry, 1)) {
		c->held = OS_RIGHTS_WRITE;
		if (!c->image)
			return 0;
		walk.reason = OS_REASON_NO_IMAGE;
		goto deny;
	}
	walk.slot = c->caller.slot;
	walk.generation = c->caller.policy.generation;
	walk.dentry = c->dentry;
	walk.child = c->child;
	walk_on(&walk);
	c->held = walk.held;
	if (c->caller.policy.mode != OS_MODE_DENY && walk_allows(&walk, c->wanted, c->image))
		return 0;
deny:
	if (c->quiet)
		return -EACCES;

	struct decision d = {
		.dentry = c->dentry,
		.kind = c->image ? OS_EVENT_EXEC : OS_EVENT_FILE,
		.hook = c->hook,
		.reason = walk.reason,
		.wanted = c->wanted,
		.held = walk.held,
		.detail = c->detail,
		.flags = c->child ? OS_EVENT_DIRECTORY : 0,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(&c->caller, &d, -EACCES);
}

/* As lsm_check(), with everything said in one call. */
static __always_inline int lsm_check_dentry(const struct caller *caller, struct dentry *dentry,
					    __u32 wanted, __u16 hook, int child, __u32 detail)
{
	struct check c = {
		.dentry = (__u64)dentry,
		.caller = *caller,
		.wanted = wanted,
		.detail = detail,
		.hook = hook,
		.child = child,
	};

	/* A constant: from 6.12 on the verifier wants to see that it is an errno. */
	return lsm_check(&c) ? -EACCES : 0;
}

/* The rights of a dentry, without an event. */
static __always_inline __u32 lsm_rights(const struct caller *caller, struct dentry *dentry,
					int child)
{
	struct check c = {
		.dentry = (__u64)dentry,
		.caller = *caller,
		.child = child,
		.quiet = 1,
	};

	lsm_check(&c);
	return caller->policy.mode == OS_MODE_DENY ? 0 : c.held;
}

/*
 * The hot form: plain loads, walked inline. @any: one of the wanted rights is enough.
 * @kind and @hook name the event.
 */
static __always_inline int lsm_check_hot(const struct caller *caller, struct dentry *dentry,
					 __u32 wanted, int any, __u16 kind, __u16 hook,
					 __u32 detail)
{
	struct walk walk = {.slot = caller->slot, .generation = caller->policy.generation};

	if (!walk_levels(&walk, dentry, WALK_INLINE, 0))
		walk_on(&walk);
	if (caller->policy.mode != OS_MODE_DENY && walk_allows(&walk, wanted, any))
		return 0;

	struct decision d = {
		.dentry = (__u64)dentry,
		.kind = kind,
		.hook = hook,
		.reason = walk.reason,
		.wanted = wanted,
		.held = walk.held,
		.detail = detail,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(caller, &d, -EACCES);
}
