// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sockets. A unix socket with a path needs write access to the path; without one, the peer must be
 * of the same sandbox. Internet sockets are decided by the cgroup programs; but those belong to the
 * cgroup that made the socket, so one made outside is refused here, when it is used or received.
 */
#include "vmlinux.h"
#include "lsm.h"
#include "peer.h"

#define AF_UNIX	   1
#define AF_INET	   2
#define AF_INET6   10
#define AF_NETLINK 16

static __always_inline int deny_socket(const struct caller *caller, struct sock *sk, __u16 hook,
				       __u16 reason)
{
	struct decision d = {
		.kind = OS_EVENT_NET,
		.hook = hook,
		.reason = reason,
		.family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(caller, &d, -EPERM);
}

/* @peer is where the connection or datagram of an agent goes. */
static __always_inline int reach_unix(struct sock *peer, __u16 hook, int ret)
{
	struct caller caller;
	struct dentry *dentry;

	if (ret || !lsm_enter(&caller, hook))
		return ret;
	if (caller.policy.mode != OS_MODE_DENY && peer_sock_sandbox(peer) == peer_own_sandbox())
		return 0;
	dentry = BPF_CORE_READ((struct unix_sock *)peer, path.dentry);
	if (dentry)
		return lsm_check_dentry(&caller, dentry, OS_RIGHT_WRITE, hook, 0, 0);

	struct decision d = {
		.kind = OS_EVENT_FILE,
		.hook = hook,
		.reason = OS_REASON_OTHER_SANDBOX,
		.wanted = OS_RIGHT_WRITE,
		.family = AF_UNIX,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(&caller, &d, -EPERM);
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk,
	     int ret)
{
	return reach_unix(other, OS_HOOK_UNIX_STREAM_CONNECT, ret);
}

SEC("lsm/unix_may_send")
int BPF_PROG(unix_may_send, struct socket *sock, struct socket *other, int ret)
{
	return reach_unix(BPF_CORE_READ(other, sk), OS_HOOK_UNIX_MAY_SEND, ret);
}

SEC("lsm/socket_create")
int BPF_PROG(socket_create, int family, int type, int protocol, int kern, int ret)
{
	struct caller caller;

	if (ret || kern)
		return ret;
	if (family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
	    (family == AF_NETLINK && protocol == 0 /* NETLINK_ROUTE */))
		return 0;
	if (!lsm_enter(&caller, OS_HOOK_SOCKET_CREATE))
		return 0;

	struct decision d = {
		.kind = OS_EVENT_NET,
		.hook = OS_HOOK_SOCKET_CREATE,
		.reason = OS_REASON_FAMILY,
		.detail = type,
		.family = family,
		.protocol = protocol,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(&caller, &d, -EPERM);
}

/* True if an internet socket was not made in the caller's sandbox. */
static __always_inline int foreign(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (family != AF_INET && family != AF_INET6)
		return 0;
	return peer_sock_sandbox(sk) != peer_own_sandbox();
}

SEC("lsm/socket_connect")
int BPF_PROG(socket_connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct sock *sk = BPF_CORE_READ(sock, sk);
	struct caller caller;

	if (ret || !agent_is_current() || !foreign(sk) ||
	    !lsm_enter(&caller, OS_HOOK_SOCKET_CONNECT))
		return ret;
	return deny_socket(&caller, sk, OS_HOOK_SOCKET_CONNECT, OS_REASON_OTHER_SANDBOX);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(socket_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	struct sock *sk = BPF_CORE_READ(sock, sk);
	struct caller caller;

	if (ret || !agent_is_current() || !foreign(sk) ||
	    !lsm_enter(&caller, OS_HOOK_SOCKET_SENDMSG))
		return ret;
	return deny_socket(&caller, sk, OS_HOOK_SOCKET_SENDMSG, OS_REASON_OTHER_SANDBOX);
}

/*
 * An open file that came by SCM_RIGHTS. A socket must have been made in this sandbox, whatever its
 * family; other files are as if they were opened here; other pathless objects may come.
 */
#define FMODE_READ  1
#define FMODE_WRITE 2

SEC("lsm/file_receive")
int BPF_PROG(file_receive, struct file *file, int ret)
{
	struct caller caller;
	__u32 mode = file->f_mode, wanted = 0;

	if (ret || !lsm_enter(&caller, OS_HOOK_FILE_RECEIVE))
		return ret;
	if ((file->f_inode->i_mode & S_IFMT) == S_IFSOCK) {
		struct socket *sock = BPF_CORE_READ(file, private_data);
		struct sock *sk = BPF_CORE_READ(sock, sk);

		if (sk && peer_sock_sandbox(sk) == peer_own_sandbox())
			return 0;
		return deny_socket(&caller, sk, OS_HOOK_FILE_RECEIVE, OS_REASON_OTHER_SANDBOX);
	}
	if (mode & FMODE_READ)
		wanted |= OS_RIGHT_READ;
	if (mode & FMODE_WRITE)
		wanted |= OS_RIGHT_WRITE;
	return lsm_check_dentry(&caller, file->f_path.dentry, wanted, OS_HOOK_FILE_RECEIVE, 0, 0);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";
