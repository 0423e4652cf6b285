/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is an agent. All agents live below one cgroup-v2 parent; everybody else pays one helper and
 * one compare. Both constants are set by the loader before load.
 */
#pragma once

#include "maps.h"

const volatile __u64 os_root_cgroup __attribute__((weak)) = 0;
const volatile __u32 os_root_level __attribute__((weak)) = 0;

static __always_inline void count(__u32 index)
{
	__u64 *n = bpf_map_lookup_elem(&os_count, &index);

	if (n)
		(*n)++;
}

/* True if the current task runs below the agents' parent cgroup. */
static __always_inline int agent_is_current(void)
{
	return bpf_get_current_ancestor_cgroup_id(os_root_level) == os_root_cgroup;
}

/* The slot of a sandbox's cgroup id; OS_SLOT_NONE (deny all) if nothing admitted it. */
static __always_inline __u32 agent_slot_of(__u64 cgroup)
{
	__u32 *slot = bpf_map_lookup_elem(&os_sandbox, &cgroup);

	return slot ? *slot : OS_SLOT_NONE;
}

static __always_inline __u32 agent_slot(void)
{
	return agent_slot_of(bpf_get_current_ancestor_cgroup_id(os_root_level + 1));
}

/* What is in force for a slot: read whole, since a switch is one 8-byte store. */
static __always_inline struct os_policy agent_policy(__u32 slot)
{
	struct os_policy none = {.generation = 0, .mode = OS_MODE_DENY};
	struct os_policy *p = bpf_map_lookup_elem(&os_policy, &slot);
	union {
		__u64 whole;
		struct os_policy policy;
	} u;

	if (!p || slot == OS_SLOT_NONE)
		return none;
	u.whole = *(volatile __u64 *)p;
	return u.policy;
}
