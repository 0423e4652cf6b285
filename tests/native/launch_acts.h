/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no sandbox may do, as calls that change nothing even where they are allowed: their
 * arguments are invalid in a way that the kernel finds only after the filter let them pass. Each
 * is tried inside, where it must give exactly `expected`, and outside, where it must not.
 */
#pragma once

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BAD  0x10L /* an address that is never mapped */
#define HIGH (1L << 32)

struct syscall_act {
	const char *name;
	int expected; /* errno inside; 0 = allowed on both sides */
	long nr, arg[6];
};

static const struct syscall_act syscall_acts[] = {
	{"ptrace", EPERM, SYS_ptrace, {0x7777, 1}},
	{"process_vm_readv", EPERM, SYS_process_vm_readv, {1, BAD, 1, BAD, 1, 7}},
	{"process_vm_writev", EPERM, SYS_process_vm_writev, {1, BAD, 1, BAD, 1, 7}},
	{"kcmp", EPERM, SYS_kcmp, {0x7ffffff0, 0x7ffffff0, 99}},
	{"pidfd_getfd", EPERM, SYS_pidfd_getfd, {-1, 0, 0}},
	{"bpf", EPERM, SYS_bpf, {9999, BAD, 4}},
	{"perf_event_open", EPERM, SYS_perf_event_open, {BAD, 0, -1, -1, 0}},
	{"userfaultfd", EPERM, SYS_userfaultfd, {0x7fff0000}},
	{"io_uring_setup", ENOSYS, SYS_io_uring_setup, {1, BAD}},
	{"io_uring_enter", ENOSYS, SYS_io_uring_enter, {-1}},
	{"io_uring_register", ENOSYS, SYS_io_uring_register, {-1, 9999}},
	{"clone3", ENOSYS, SYS_clone3, {BAD, 64}},
	{"clone NEWUSER", EPERM, SYS_clone, {CLONE_NEWUSER | CLONE_FS}},
	{"clone NEWNS", EPERM, SYS_clone, {CLONE_NEWNS | CLONE_FS}},
	{"clone NEWPID, high bits", EPERM, SYS_clone, {HIGH | CLONE_NEWPID | CLONE_SIGHAND}},
	{"unshare NEWUSER", EPERM, SYS_unshare, {CLONE_NEWUSER | 1}},
	{"unshare NEWNS", EPERM, SYS_unshare, {CLONE_NEWNS | 1}},
	{"unshare NEWTIME", EPERM, SYS_unshare, {0x80 | 1}},
	{"unshare FILES", 0, SYS_unshare, {CLONE_FILES}},
	{"setns", EPERM, SYS_setns, {-1, 0}},
	{"mount", EPERM, SYS_mount, {BAD, BAD, BAD, 0, 0}},
	{"umount2", EPERM, SYS_umount2, {BAD, 0x7f000000}},
	{"pivot_root", EPERM, SYS_pivot_root, {BAD, BAD}},
	{"chroot", EPERM, SYS_chroot, {BAD}},
	{"fsopen", EPERM, SYS_fsopen, {BAD, 99}},
	{"fsconfig", EPERM, SYS_fsconfig, {-1, 99}},
	{"fsmount", EPERM, SYS_fsmount, {-1, 99}},
	{"fspick", EPERM, SYS_fspick, {-1, BAD, 0x7f000000}},
	{"open_tree", EPERM, SYS_open_tree, {-1, BAD, 0x7f000000}},
	{"move_mount", EPERM, SYS_move_mount, {-1, BAD, -1, BAD, 0x7f000000}},
	{"mount_setattr", EPERM, SYS_mount_setattr, {-1, BAD, 0x7f000000}},
	{"keyctl", EPERM, SYS_keyctl, {0x7777}},
	{"add_key", EPERM, SYS_add_key, {BAD, BAD, 0, 0, 0}},
	{"request_key", EPERM, SYS_request_key, {BAD, BAD, 0, 0}},
	{"init_module", EPERM, SYS_init_module, {BAD, 1, BAD}},
	{"finit_module", EPERM, SYS_finit_module, {-1, BAD, 0}},
	{"delete_module", EPERM, SYS_delete_module, {BAD, 0}},
	{"kexec_load", EPERM, SYS_kexec_load, {0, 0, 0, 0x7fff0000}},
	{"name_to_handle_at", EPERM, SYS_name_to_handle_at, {-1, BAD, BAD, BAD, 0}},
	{"open_by_handle_at", EPERM, SYS_open_by_handle_at, {-1, BAD, 0}},
	{"fanotify_init", EPERM, SYS_fanotify_init, {0x7f000000, 0}},
	{"quotactl", EPERM, SYS_quotactl, {0x7f000000, BAD, 0, 0}},
	{"swapon", EPERM, SYS_swapon, {BAD, 0x7f000000}},
	{"swapoff", EPERM, SYS_swapoff, {BAD}},
	{"reboot", EPERM, SYS_reboot, {0, 0, 0, 0}},
	{"acct", EPERM, SYS_acct, {BAD}},
	{"settimeofday", EPERM, SYS_settimeofday, {BAD, 0}},
	{"clock_settime", EPERM, SYS_clock_settime, {0, BAD}},
	{"clock_adjtime", EPERM, SYS_clock_adjtime, {0, BAD}},
	{"adjtimex", EPERM, SYS_adjtimex, {BAD}},
	{"sethostname", EPERM, SYS_sethostname, {BAD, 4}},
	{"setdomainname", EPERM, SYS_setdomainname, {BAD, 4}},
	{"iopl", EPERM, SYS_iopl, {9}},
	{"ioperm", EPERM, SYS_ioperm, {0x7fffffff, 9, 0}},
	{"modify_ldt", EPERM, SYS_modify_ldt, {0x11, BAD, 16}},
	{"syslog", EPERM, SYS_syslog, {0x7777, 0, 0}},
	{"personality READ_IMPLIES_EXEC", EPERM, SYS_personality, {0x0400000}},
	{"personality, ask", 0, SYS_personality, {0xffffffff}},
	{"prctl SET_MM", EPERM, SYS_prctl, {PR_SET_MM, 9999, 0, 0, 1}},
	{"prctl SET_MM, high bits", EPERM, SYS_prctl, {HIGH | PR_SET_MM, 9999, 0, 0, 1}},
	{"ioctl TIOCSTI", EPERM, SYS_ioctl, {-1, TIOCSTI, BAD}},
	{"ioctl TIOCSTI, high bits", EPERM, SYS_ioctl, {-1, HIGH | TIOCSTI, BAD}},
	{"ioctl TIOCLINUX", EPERM, SYS_ioctl, {-1, TIOCLINUX, BAD}},
	{"ioctl TIOCSETD", EPERM, SYS_ioctl, {-1, TIOCSETD, BAD}},
	{"ioctl BTRFS_IOC_SNAP_CREATE", EPERM, SYS_ioctl, {-1, BTRFS_IOC_SNAP_CREATE, BAD}},
	{"ioctl BTRFS_IOC_SNAP_CREATE_V2", EPERM, SYS_ioctl, {-1, BTRFS_IOC_SNAP_CREATE_V2, BAD}},
	{"socket unix", 0, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
	{"socket inet stream", 0, SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}},
	{"socket inet6 datagram", 0, SYS_socket, {AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0}},
	{"socket netlink route", 0, SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}},
	{"socket netlink generic",
	 EPROTONOSUPPORT,
	 SYS_socket,
	 {AF_NETLINK, SOCK_RAW, NETLINK_GENERIC}},
	{"socket netlink, high bits",
	 EPROTONOSUPPORT,
	 SYS_socket,
	 {HIGH | AF_NETLINK, SOCK_RAW, HIGH | NETLINK_KOBJECT_UEVENT}},
	{"socket packet", EAFNOSUPPORT, SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
	{"socket packet, high bits", EAFNOSUPPORT, SYS_socket, {HIGH | AF_PACKET, SOCK_RAW, 0}},
	{"socket inet raw", EPERM, SYS_socket, {AF_INET, SOCK_RAW, 1}},
	{"socket inet raw, high bits", EPERM, SYS_socket, {AF_INET, HIGH | SOCK_RAW, 1}},
	{"socket inet6 raw", EPERM, SYS_socket, {AF_INET6, SOCK_RAW, 58}},
	{"socket inet packet", EPERM, SYS_socket, {AF_INET, SOCK_PACKET, 0}},
};

static inline int syscall_act(const struct syscall_act *act)
{
	const long *a = act->arg;
	long r = syscall(act->nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	return r < 0 ? errno : 0;
}
