// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which internet sockets an agent has, and what it may set on them. Every socket is stamped with
 * its sandbox when it is made; TCP and UDP only, because the other programs judge nothing else.
 * Options that send packets elsewhere than connect() was told are refused.
 */
#include "vmlinux.h"
#include "egress.h"
#include "option.h"
#include "peer.h"

/* 1 = go on, 0 = EPERM. */
static __always_inline int told(struct decision *d, __u32 slot, const struct os_policy *policy)
{
	int audit = policy->mode == OS_MODE_AUDIT;

	d->kind = OS_EVENT_NET;
	d->slot = slot;
	d->generation = policy->generation;
	d->verdict = audit ? OS_EVENT_AUDIT : OS_EVENT_DENIED;
	d->error = -EPERM;
	d->endpoint = OS_EVENT_NO_ENDPOINT;
	event_emit(d);
	return audit;
}

SEC("cgroup/sock_create")
int egress_sock_create(struct bpf_sock *ctx)
{
	__u32 slot = agent_is_current() ? agent_slot() : OS_SLOT_NONE;
	struct os_policy policy = agent_policy(slot);
	struct os_sock *sock;
	struct decision d = {
		.hook = OS_HOOK_SOCK_CREATE,
		.family = ctx->family,
		.protocol = ctx->protocol,
		.detail = ctx->type,
	};

	count(OS_COUNT_HOOK + OS_HOOK_SOCK_CREATE);
	if (policy.mode == OS_MODE_DENY) {
		d.reason = OS_REASON_NO_POLICY;
		return told(&d, slot, &policy);
	}
	sock = bpf_sk_storage_get(&os_sock, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!sock) {
		count(OS_COUNT_HELPER_FAILED);
		d.reason = OS_REASON_NO_POLICY;
		return told(&d, slot, &policy);
	}
	sock->slot = slot;
	if ((ctx->type == SOCK_STREAM && ctx->protocol == IPPROTO_TCP) ||
	    (ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP))
		return 1;
	d.reason = OS_REASON_FAMILY;
	return told(&d, slot, &policy);
}

/*
 * The kernel hands us a copy of the value, of a page at most; letting it use the copy would cut
 * longer ones, so optlen = 0 says that the caller's own memory counts. Where the verdict depended
 * on the value, the copy is what counts.
 */
SEC("cgroup/setsockopt")
int egress_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct os_policy policy;
	struct os_sock *sock;
	__u32 slot;
	int verdict;
	struct decision d = {
		.hook = OS_HOOK_SETSOCKOPT,
		.reason = OS_REASON_OPTION,
		.detail = ctx->level << 16 | (ctx->optname & 0xffff),
	};

	count(OS_COUNT_HOOK + OS_HOOK_SETSOCKOPT);
	verdict = option_verdict(ctx->level, ctx->optname);
	if (verdict == OPTION_BY_NAME) {
		const char *name = ctx->optval, *end = ctx->optval_end;

		if ((void *)(name + 3) <= (void *)end && name[0] == 't' && name[1] == 'l' &&
		    name[2] == 's' && ctx->optlen <= 4)
			return 1;
		verdict = OPTION_REFUSED;
	}
	if (verdict == OPTION_FREE) {
		ctx->optlen = 0;
		return 1;
	}
	sock = sk ? bpf_sk_storage_get(&os_sock, sk, 0, 0) : 0;
	slot = sock ? sock->slot : OS_SLOT_NONE;
	policy = agent_policy(slot);
	if (sk)
		d.family = sk->family;
	if (!told(&d, slot, &policy))
		return 0;
	ctx->optlen = 0;
	return 1;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
