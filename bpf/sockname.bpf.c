// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What an agent's socket says of its peer: the address that the agent asked for, not the one that
 * it was sent to instead. Programs compare: a resolver drops an answer that does not come from
 * where it asked, others check getpeername(). A UDP socket may have sent to several places, and
 * each answers in its own time.
 *
 * Shows and never decides; where nothing is known, the address is left as it is.
 */
#include "vmlinux.h"
#include "egress.h"

static __always_inline int known_as(struct bpf_sock_addr *ctx, __u16 hook,
				    const struct address *real, struct asked_place *ret_asked)
{
	struct asked_place place = {
		.address = *real,
		.port = ADDRESS_BE16((__u16)ctx->user_port),
	};
	struct bpf_sock *sk = ctx->sk;
	struct os_asked *others;
	struct os_sock *sock;
	int at;

	if (!sk)
		return 0;
	sock = bpf_sk_storage_get(&os_sock, sk, 0, 0);
	if (!sock)
		return 0;
	count(OS_COUNT_HOOK + hook);
	if (sock->port == place.port &&
	    address_equal((const struct address *)sock->address, &place.address)) {
		__builtin_memcpy(&ret_asked->address, sock->asked, sizeof(sock->asked));
		ret_asked->port = sock->asked_port;
		return ret_asked->port != 0;
	}
	others = bpf_sk_storage_get(&os_asked, sk, 0, 0);
	if (!others)
		return 0;
	at = asked_by_real(others, &place);
	if (at < 0)
		return 0;

	struct asked_entry *entry = &others->entry[at & (ASKED_MAX - 1)];

	__builtin_memcpy(&ret_asked->address, entry->asked, sizeof(entry->asked));
	ret_asked->port = entry->asked_port;
	return ret_asked->port != 0;
}

static __always_inline int show4(struct bpf_sock_addr *ctx, __u16 hook)
{
	struct address real = address_of_ipv4(ctx->user_ip4);
	struct asked_place asked = {};

	if (known_as(ctx, hook, &real, &asked)) {
		ctx->user_ip4 = asked.address.word[3];
		ctx->user_port = ADDRESS_BE16(asked.port);
	}
	return 1;
}

static __always_inline int show6(struct bpf_sock_addr *ctx, __u16 hook)
{
	struct address real = {
		.word = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]}};
	struct asked_place asked = {};

	if (known_as(ctx, hook, &real, &asked)) {
		ctx->user_ip6[0] = asked.address.word[0];
		ctx->user_ip6[1] = asked.address.word[1];
		ctx->user_ip6[2] = asked.address.word[2];
		ctx->user_ip6[3] = asked.address.word[3];
		ctx->user_port = ADDRESS_BE16(asked.port);
	}
	return 1;
}

SEC("cgroup/recvmsg4")
int egress_recvmsg4(struct bpf_sock_addr *ctx)
{
	return show4(ctx, OS_HOOK_RECVMSG4);
}

SEC("cgroup/recvmsg6")
int egress_recvmsg6(struct bpf_sock_addr *ctx)
{
	return show6(ctx, OS_HOOK_RECVMSG6);
}

SEC("cgroup/getpeername4")
int egress_getpeername4(struct bpf_sock_addr *ctx)
{
	return show4(ctx, OS_HOOK_GETPEERNAME4);
}

SEC("cgroup/getpeername6")
int egress_getpeername6(struct bpf_sock_addr *ctx)
{
	return show6(ctx, OS_HOOK_GETPEERNAME6);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
