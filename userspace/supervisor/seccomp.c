/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/seccomp.h"
#include "common/cleanup.h"

#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "the table's numbers and order are x86-64's; another architecture needs its own"
#endif

/* Younger than the headers of the oldest distribution this builds on. */
#define NR_open_tree_attr 467
#define NR_listns	  470
#define NR_LAST_KNOWN	  470

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* fs/bcachefs/bcachefs_ioctl.h, which is no header of userspace: _IOW(0xbc, 16, 32 bytes) */
#define BCH_IOCTL_SUBVOLUME_CREATE 0x4020bc10

#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

static const char why_mount[] = "a mount could show what the policy hides";
static const char why_module[] = "changes the kernel itself";
static const char why_memory[] = "reads or writes another process";
static const char why_clock[] = "the host's clock is everybody's";
static const char why_keys[] = "keyrings are not part of any sandbox";
static const char why_uring[] = "does file and socket work past the system call filter";
static const char why_host[] = "host administration";
static const char why_port[] = "direct hardware access";
static const char why_handle[] = "finds files past every path and mount";
static const char why_socket[] = "only unix, inet stream and datagram, and netlink route";

/* Sorted by number: the filter is a binary search over it. */
static const struct seccomp_rule rules[] = {
	{"ioctl", SYS_ioctl, EPERM, SECCOMP_WHEN_IOCTL,
	 "TIOCSTI, TIOCLINUX and TIOCSETD type into or rewire a terminal; a snapshot of a btrfs or "
	 "bcachefs subvolume has the files that masks hide"},
	{"socket", SYS_socket, EAFNOSUPPORT, SECCOMP_WHEN_FAMILY, why_socket},
	{"socketpair", SYS_socketpair, EAFNOSUPPORT, SECCOMP_WHEN_FAMILY, why_socket},
	{"clone", SYS_clone, EPERM, SECCOMP_WHEN_NEW_NAMESPACE,
	 "a new namespace brings back capabilities and mounts"},
	{"ptrace", SYS_ptrace, EPERM, SECCOMP_WHEN_ALWAYS, why_memory},
	{"syslog", SYS_syslog, EPERM, SECCOMP_WHEN_ALWAYS, "the kernel log is the host's"},
	{"uselib", SYS_uselib, ENOSYS, SECCOMP_WHEN_ALWAYS, "maps code with no exec check"},
	{"personality", SYS_personality, EPERM, SECCOMP_WHEN_PERSONALITY,
	 "READ_IMPLIES_EXEC and foreign ABIs undo what others check"},
	{"vhangup", SYS_vhangup, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"modify_ldt", SYS_modify_ldt, EPERM, SECCOMP_WHEN_ALWAYS,
	 "16-bit segments, attack surface"},
	{"pivot_root", SYS_pivot_root, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"prctl", SYS_prctl, EPERM, SECCOMP_WHEN_SET_MM,
	 "PR_SET_MM lets a process claim another executable"},
	{"adjtimex", SYS_adjtimex, EPERM, SECCOMP_WHEN_ALWAYS, why_clock},
	{"chroot", SYS_chroot, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"acct", SYS_acct, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"settimeofday", SYS_settimeofday, EPERM, SECCOMP_WHEN_ALWAYS, why_clock},
	{"mount", SYS_mount, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"umount2", SYS_umount2, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"swapon", SYS_swapon, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"swapoff", SYS_swapoff, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"reboot", SYS_reboot, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"sethostname", SYS_sethostname, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"setdomainname", SYS_setdomainname, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"iopl", SYS_iopl, EPERM, SECCOMP_WHEN_ALWAYS, why_port},
	{"ioperm", SYS_ioperm, EPERM, SECCOMP_WHEN_ALWAYS, why_port},
	{"init_module", SYS_init_module, EPERM, SECCOMP_WHEN_ALWAYS, why_module},
	{"delete_module", SYS_delete_module, EPERM, SECCOMP_WHEN_ALWAYS, why_module},
	{"quotactl", SYS_quotactl, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"lookup_dcookie", SYS_lookup_dcookie, EPERM, SECCOMP_WHEN_ALWAYS, why_handle},
	{"clock_settime", SYS_clock_settime, EPERM, SECCOMP_WHEN_ALWAYS, why_clock},
	{"kexec_load", SYS_kexec_load, EPERM, SECCOMP_WHEN_ALWAYS, why_module},
	{"add_key", SYS_add_key, EPERM, SECCOMP_WHEN_ALWAYS, why_keys},
	{"request_key", SYS_request_key, EPERM, SECCOMP_WHEN_ALWAYS, why_keys},
	{"keyctl", SYS_keyctl, EPERM, SECCOMP_WHEN_ALWAYS, why_keys},
	{"unshare", SYS_unshare, EPERM, SECCOMP_WHEN_NEW_NAMESPACE,
	 "a new namespace brings back capabilities and mounts"},
	{"perf_event_open", SYS_perf_event_open, EPERM, SECCOMP_WHEN_ALWAYS,
	 "watches the kernel and other processes"},
	{"fanotify_init", SYS_fanotify_init, EPERM, SECCOMP_WHEN_ALWAYS,
	 "watches files that no path of the policy names"},
	{"name_to_handle_at", SYS_name_to_handle_at, EPERM, SECCOMP_WHEN_ALWAYS, why_handle},
	{"open_by_handle_at", SYS_open_by_handle_at, EPERM, SECCOMP_WHEN_ALWAYS, why_handle},
	{"clock_adjtime", SYS_clock_adjtime, EPERM, SECCOMP_WHEN_ALWAYS, why_clock},
	{"setns", SYS_setns, EPERM, SECCOMP_WHEN_ALWAYS, "enters another namespace"},
	{"process_vm_readv", SYS_process_vm_readv, EPERM, SECCOMP_WHEN_ALWAYS, why_memory},
	{"process_vm_writev", SYS_process_vm_writev, EPERM, SECCOMP_WHEN_ALWAYS, why_memory},
	{"kcmp", SYS_kcmp, EPERM, SECCOMP_WHEN_ALWAYS, why_memory},
	{"finit_module", SYS_finit_module, EPERM, SECCOMP_WHEN_ALWAYS, why_module},
	{"kexec_file_load", SYS_kexec_file_load, EPERM, SECCOMP_WHEN_ALWAYS, why_module},
	{"bpf", SYS_bpf, EPERM, SECCOMP_WHEN_ALWAYS, "the boundary itself is made of BPF"},
	{"userfaultfd", SYS_userfaultfd, EPERM, SECCOMP_WHEN_ALWAYS,
	 "holds the kernel still in the middle of a copy"},
	{"io_uring_setup", SYS_io_uring_setup, ENOSYS, SECCOMP_WHEN_ALWAYS, why_uring},
	{"io_uring_enter", SYS_io_uring_enter, ENOSYS, SECCOMP_WHEN_ALWAYS, why_uring},
	{"io_uring_register", SYS_io_uring_register, ENOSYS, SECCOMP_WHEN_ALWAYS, why_uring},
	{"open_tree", SYS_open_tree, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"move_mount", SYS_move_mount, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"fsopen", SYS_fsopen, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"fsconfig", SYS_fsconfig, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"fsmount", SYS_fsmount, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"fspick", SYS_fspick, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"clone3", SYS_clone3, ENOSYS, SECCOMP_WHEN_ALWAYS,
	 "its flags are in memory, where no filter can look; C libraries fall back to clone"},
	{"pidfd_getfd", SYS_pidfd_getfd, EPERM, SECCOMP_WHEN_ALWAYS, why_memory},
	{"mount_setattr", SYS_mount_setattr, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"quotactl_fd", SYS_quotactl_fd, EPERM, SECCOMP_WHEN_ALWAYS, why_host},
	{"open_tree_attr", NR_open_tree_attr, EPERM, SECCOMP_WHEN_ALWAYS, why_mount},
	{"listns", NR_listns, EPERM, SECCOMP_WHEN_ALWAYS, "other sandboxes' namespaces"},
};

static const uint32_t ioctls[] = {
	TIOCSTI,
	TIOCLINUX,
	TIOCSETD,
	BTRFS_IOC_SNAP_CREATE,
	BTRFS_IOC_SNAP_CREATE_V2,
	BCH_IOCTL_SUBVOLUME_CREATE,
};

struct assembly {
	struct sock_filter *code;
	unsigned int len;
	bool full;
};

const struct seccomp_rule *seccomp_rules(size_t *ret_len)
{
	*ret_len = ARRAY_LEN(rules);
	return rules;
}

unsigned int seccomp_last_known(void)
{
	return NR_LAST_KNOWN;
}

static unsigned int emit(struct assembly *as, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (as->len == SECCOMP_FILTER_MAX) {
		as->full = true;
		return 0;
	}
	as->code[as->len] = (struct sock_filter){code, jt, jf, k};
	return as->len++;
}

static void emit_load(struct assembly *as, size_t offset)
{
	emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* The kernel reads 32 bits of these arguments, so 32 bits are compared. */
static void emit_load_argument(struct assembly *as, unsigned int index)
{
	emit_load(as, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void emit_jump(struct assembly *as, uint16_t test, uint32_t k, uint8_t jt, uint8_t jf)
{
	emit(as, BPF_JMP | test | BPF_K, jt, jf, k);
}

static void emit_return(struct assembly *as, uint32_t action)
{
	emit(as, BPF_RET | BPF_K, 0, 0, action);
}

static void emit_error(struct assembly *as, int error)
{
	emit_return(as, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA));
}

/* socket(family, type, protocol), and socketpair(). */
static void emit_family(struct assembly *as, int error)
{
	emit_load_argument(as, 0);
	emit_jump(as, BPF_JEQ, AF_UNIX, 8, 0);
	emit_jump(as, BPF_JEQ, AF_INET, 3, 0);
	emit_jump(as, BPF_JEQ, AF_INET6, 2, 0);
	emit_jump(as, BPF_JEQ, AF_NETLINK, 7, 0);
	emit_error(as, error);
	/* inet: the kernel's SOCK_TYPE_MASK; SOCK_PACKET would turn AF_INET into AF_PACKET */
	emit_load_argument(as, 1);
	emit(as, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xf);
	emit_jump(as, BPF_JEQ, SOCK_STREAM, 1, 0);
	emit_jump(as, BPF_JEQ, SOCK_DGRAM, 0, 1);
	emit_return(as, SECCOMP_RET_ALLOW);
	emit_error(as, EPERM);
	/* netlink: protocol 0 is NETLINK_ROUTE, with which getaddrinfo() lists addresses */
	emit_load_argument(as, 2);
	emit_jump(as, BPF_JEQ, 0, 0, 1);
	emit_return(as, SECCOMP_RET_ALLOW);
	emit_error(as, EPROTONOSUPPORT);
}

static void emit_rule(struct assembly *as, const struct seccomp_rule *rule)
{
	uint32_t flags = NEW_NAMESPACES;

	switch (rule->when) {
	case SECCOMP_WHEN_ALWAYS:
		emit_error(as, rule->error);
		return;
	case SECCOMP_WHEN_NEW_NAMESPACE:
		/* In clone() this bit belongs to the exit signal. */
		if (rule->nr == SYS_unshare)
			flags |= CLONE_NEWTIME;
		emit_load_argument(as, 0);
		emit_jump(as, BPF_JSET, flags, 0, 1);
		break;
	case SECCOMP_WHEN_FAMILY:
		emit_family(as, rule->error);
		return;
	case SECCOMP_WHEN_SET_MM:
		emit_load_argument(as, 0);
		emit_jump(as, BPF_JEQ, PR_SET_MM, 0, 1);
		break;
	case SECCOMP_WHEN_IOCTL:
		emit_load_argument(as, 1);
		for (size_t i = 0; i < ARRAY_LEN(ioctls); i++) {
			uint8_t left = (uint8_t)(ARRAY_LEN(ioctls) - 1 - i);

			emit_jump(as, BPF_JEQ, ioctls[i], left, left == 0);
		}
		break;
	case SECCOMP_WHEN_PERSONALITY:
		emit_load_argument(as, 0);
		emit_jump(as, BPF_JEQ, 0, 2, 0);
		emit_jump(as, BPF_JEQ, 0xffffffff, 1, 0);
		break;
	}
	emit_error(as, rule->error);
	emit_return(as, SECCOMP_RET_ALLOW);
}

/* Binary search over @rule[0..len), the number being in the accumulator. */
static void emit_search(struct assembly *as, const struct seccomp_rule *rule, size_t len)
{
	unsigned int jump;
	size_t half = len / 2;

	if (len > 3) {
		/* A long jump, because a conditional one reaches 255 instructions. */
		emit_jump(as, BPF_JGE, rule[half].nr, 0, 1);
		jump = emit(as, BPF_JMP | BPF_JA, 0, 0, 0);
		emit_search(as, rule, half);
		as->code[jump].k = as->len - jump - 1;
		emit_search(as, rule + half, len - half);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		emit_jump(as, BPF_JEQ, rule[i].nr, 0, 0);
		jump = as->len - 1;
		emit_rule(as, &rule[i]);
		as->code[jump].jf = (uint8_t)(as->len - jump - 1);
	}
	emit_return(as, SECCOMP_RET_ALLOW);
}

int seccomp_assemble(struct sock_filter *code, unsigned short *ret_len)
{
	struct assembly as = {.code = code};

	emit_load(&as, offsetof(struct seccomp_data, arch));
	emit_jump(&as, BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0);
	/* i386 through int 0x80: other numbers for everything above. */
	emit_return(&as, SECCOMP_RET_KILL_PROCESS);
	emit_load(&as, offsetof(struct seccomp_data, nr));
	/* Also every x32 number: those have bit 30 set. */
	emit_jump(&as, BPF_JGT, NR_LAST_KNOWN, 0, 1);
	emit_error(&as, ENOSYS);
	emit_search(&as, rules, ARRAY_LEN(rules));
	if (as.full)
		return -E2BIG;
	*ret_len = (unsigned short)as.len;
	return 0;
}

int seccomp_install(const struct sock_fprog *program, struct error *err)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0)
		return error_set(err, -errno, "cannot install the system call filter: %s",
				 strerrordesc_np(errno));
	return 0;
}
