// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Device nodes that a sandbox may open: the harmless character devices, terminals, and what
 * os_device gives the slot (GPU nodes). No block device, and no node is ever made.
 */
#include "vmlinux.h"
#include "event.h"
#include "device.h"
#include "peer.h"

#define EPERM 1

static __always_inline int granted(__u32 slot, __u32 major, __u32 minor, __u32 access)
{
	struct os_device_key key = {.slot = slot, .major = major, .minor = minor};
	__u32 *allowed = bpf_map_lookup_elem(&os_device, &key);

	if (!allowed) {
		key.minor = OS_DEVICE_ANY;
		allowed = bpf_map_lookup_elem(&os_device, &key);
	}
	return allowed && !(access & ~*allowed);
}

/* BPF_DEVCG_ACC_* in the words of OS_RIGHT_*. */
static __always_inline __u32 device_rights(__u32 access)
{
	return (access & BPF_DEVCG_ACC_READ ? OS_RIGHT_READ : 0) |
	       (access & BPF_DEVCG_ACC_WRITE ? OS_RIGHT_WRITE : 0) |
	       (access & BPF_DEVCG_ACC_MKNOD ? OS_RIGHT_CREATE : 0);
}

/* The helper that names the current cgroup is not offered here before Linux 6.1: read the task. */
SEC("cgroup/dev")
int device_access(struct bpf_cgroup_dev_ctx *ctx)
{
	__u32 access = ctx->access_type >> 16, type = ctx->access_type & 0xffff;
	struct os_policy policy;
	__u32 slot;

	count(OS_COUNT_HOOK + OS_HOOK_DEVICE);
	if (device_is_common(type, access, ctx->major, ctx->minor))
		return 1;
	slot = agent_slot_of(peer_task_sandbox((void *)bpf_get_current_task_btf()));
	policy = agent_policy(slot);
	if (policy.mode == OS_MODE_SETUP)
		return 1;
	if (policy.mode != OS_MODE_DENY && type == BPF_DEVCG_DEV_CHAR &&
	    granted(slot, ctx->major, ctx->minor, access))
		return 1;

	struct decision d = {
		.slot = slot,
		.generation = policy.generation,
		.kind = OS_EVENT_DEVICE,
		.hook = OS_HOOK_DEVICE,
		.verdict = policy.mode == OS_MODE_AUDIT ? OS_EVENT_AUDIT : OS_EVENT_DENIED,
		.reason = policy.mode == OS_MODE_DENY ? OS_REASON_NO_POLICY : OS_REASON_FORBIDDEN,
		.error = -EPERM,
		.wanted = device_rights(access),
		.detail = type,
		.object = {.dev = ctx->major << 20 | ctx->minor},
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	event_emit(&d);
	return policy.mode == OS_MODE_AUDIT;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
