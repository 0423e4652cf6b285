/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no sandbox may do to the system. Most take no argument; what would change the machine is
 * asked with arguments that the kernel refuses only after it asked for permission.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fsconfig
#error "this test needs the new mount API's numbers"
#endif

/* arg[0]: a directory of the test's own. */
static int do_mount(char **arg)
{
	if (mount("none", arg[0], "tmpfs", 0, NULL) < 0)
		return -errno;
	return act_result(umount2(arg[0], MNT_DETACH));
}

static int do_bind_mount(char **arg)
{
	if (mount(arg[0], arg[1], NULL, MS_BIND, NULL) < 0)
		return -errno;
	return act_result(umount2(arg[1], MNT_DETACH));
}

/* arg[0]: a mount point. */
static int do_umount(char **arg)
{
	return act_result(umount2(arg[0], MNT_DETACH));
}

static int do_remount(char **arg)
{
	_cleanup_close_ int fd = (int)syscall(SYS_fspick, AT_FDCWD, arg[0], FSPICK_CLOEXEC);

	if (fd < 0)
		return -errno;
	return act_result(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
}

/* A detached copy of directory arg[0], attached at arg[1]. */
static int do_move_mount(char **arg)
{
	_cleanup_close_ int fd =
		(int)syscall(SYS_open_tree, AT_FDCWD, arg[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, arg[1], MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return act_result(umount2(arg[1], MNT_DETACH));
}

/* A detached copy of directory arg[0], read through its descriptor without attaching it. */
static int do_open_tree_read(char **arg)
{
	_cleanup_close_ int fd =
		(int)syscall(SYS_open_tree, AT_FDCWD, arg[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	_cleanup_close_ int file = -1;

	if (fd < 0)
		return -errno;
	file = openat(fd, arg[1], O_RDONLY | O_CLOEXEC);
	return file < 0 ? -errno : 0;
}

/* EBUSY or EINVAL: `/` is not a new root. */
static int do_pivot_root(char **arg)
{
	return act_result(syscall(SYS_pivot_root, "/", "/"));
}

static int do_chroot(char **arg)
{
	return act_result(chroot(arg[0] ? arg[0] : "/"));
}

/* As a user that a namespace would make root. */
static int do_unshare_user(char **arg)
{
	return act_result(unshare(CLONE_NEWUSER));
}

static int do_unshare_mount(char **arg)
{
	return act_result(unshare(CLONE_NEWNS));
}

/* clone() with flags that make a user namespace. */
static int do_clone_user(char **arg)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | 17 /* SIGCHLD */, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return act_result(pid);
}

static int do_clone3(char **arg)
{
	return act_result(syscall(SYS_clone3, NULL, 0));
}

static int do_setns(char **arg)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd < 0 ? -errno : act_result(setns(fd, CLONE_NEWUTS));
}

static int do_bpf_map_create(char **arg)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};

	return act_result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

/* arg[0]: a pinned map, such as the one that holds every sandbox's policy. */
static int do_bpf_obj_get(char **arg)
{
	union bpf_attr attr = {.pathname = (__u64)(unsigned long)arg[0]};

	return act_result(syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)));
}

static int do_perf(char **arg)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return act_result(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int do_add_key(char **arg)
{
	return act_result(syscall(SYS_add_key, "user", "act", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static int do_request_key(char **arg)
{
	return act_result(syscall(SYS_request_key, "user", "act", NULL, KEY_SPEC_PROCESS_KEYRING));
}

static int do_keyctl(char **arg)
{
	char text[256];

	return act_result(syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_USER_SESSION_KEYRING, text,
				  sizeof(text)));
}

/* With a flag that there is not. */
static int do_kexec(char **arg)
{
	return act_result(syscall(SYS_kexec_load, 0, 0, NULL, 0x8000));
}

/* A module that is none: ENOEXEC where loading is allowed. */
static int do_init_module(char **arg)
{
	static char image[4096];

	return act_result(syscall(SYS_init_module, image, sizeof(image), ""));
}

static int do_finit_module(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(syscall(SYS_finit_module, fd, "", 0));
}

static int do_syslog(char **arg)
{
	char line[256];

	return act_result(klogctl(3 /* read all */, line, sizeof(line)));
}

static int do_userfaultfd(char **arg)
{
	return act_result(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
}

static int do_fanotify(char **arg)
{
	return act_result(syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, O_RDONLY));
}

/* Use a capability once no_new_privs is set: the host name stays what it is. */
static int do_use_capability(char **arg)
{
	char name[65];

	if (gethostname(name, sizeof(name)) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return act_result(sethostname(name, strlen(name)));
}

/* System call number arg[0], every argument -1. */
static int do_syscall(char **arg)
{
	return act_result(syscall(act_number(arg[0]), -1L, -1L, -1L, -1L, -1L, -1L));
}

/* Put ourselves into the cgroup whose cgroup.procs is arg[0]. */
static int do_join_cgroup(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(write(fd, "0", 1));
}

/* A cgroup of our own below the one whose directory is arg[0]. */
static int do_nest_cgroup(char **arg)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/nested-%d", arg[0], getpid());
	if (mkdir(path, 0755) < 0)
		return -errno;
	return act_result(rmdir(path));
}

const struct act acts_system[] = {
	{"mount", do_mount},
	{"bind_mount", do_bind_mount},
	{"umount", do_umount},
	{"remount", do_remount},
	{"move_mount", do_move_mount},
	{"open_tree_read", do_open_tree_read},
	{"pivot_root", do_pivot_root},
	{"chroot", do_chroot},
	{"unshare_user", do_unshare_user},
	{"unshare_mount", do_unshare_mount},
	{"clone_user", do_clone_user},
	{"clone3", do_clone3},
	{"setns", do_setns},
	{"bpf_map_create", do_bpf_map_create},
	{"bpf_obj_get", do_bpf_obj_get},
	{"perf", do_perf},
	{"add_key", do_add_key},
	{"request_key", do_request_key},
	{"keyctl", do_keyctl},
	{"kexec", do_kexec},
	{"init_module", do_init_module},
	{"finit_module", do_finit_module},
	{"syslog", do_syslog},
	{"userfaultfd", do_userfaultfd},
	{"fanotify", do_fanotify},
	{"use_capability", do_use_capability},
	{"syscall", do_syscall},
	{"join_cgroup", do_join_cgroup},
	{"nest_cgroup", do_nest_cgroup},
	{NULL, NULL},
};
