/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who somebody else is: the sandbox of another task or of a socket's creator, by its cgroup.
 */
#pragma once

#include "agent.h"
#include <bpf/bpf_core_read.h>

/*
 * The id of @cgroup's ancestor at @level, 0 if it is not that deep. The array of ids became one of
 * pointers in kernel commit 7f203bc89eb6 (Linux 6.1).
 */
static __always_inline __u64 cgroup_ancestor_id(struct cgroup *cgroup, __u32 level)
{
	if (!cgroup || BPF_CORE_READ(cgroup, level) < (int)level)
		return 0;
	if (bpf_core_field_exists(cgroup->ancestors)) {
		struct cgroup *ancestor = NULL;

		bpf_core_read(&ancestor, sizeof(ancestor), &cgroup->ancestors[level]);
		return BPF_CORE_READ(ancestor, kn, id);
	} else {
		struct cgroup___ids *ids = (void *)cgroup;
		__u64 id = 0;

		bpf_core_read(&id, sizeof(id), &ids->ancestor_ids[level]);
		return id;
	}
}

/* The sandbox's cgroup id that @cgroup is in, 0 if it is not an agent's. */
static __always_inline __u64 peer_sandbox(struct cgroup *cgroup)
{
	if (cgroup_ancestor_id(cgroup, os_root_level) != os_root_cgroup)
		return 0;
	return cgroup_ancestor_id(cgroup, os_root_level + 1);
}

static __always_inline __u64 peer_task_sandbox(struct task_struct *task)
{
	return peer_sandbox(BPF_CORE_READ(task, cgroups, dfl_cgrp));
}

/* The sandbox that made the socket. */
static __always_inline __u64 peer_sock_sandbox(struct sock *sk)
{
	return peer_sandbox(BPF_CORE_READ(sk, sk_cgrp_data.cgroup));
}

static __always_inline __u64 peer_own_sandbox(void)
{
	return bpf_get_current_ancestor_cgroup_id(os_root_level + 1);
}
