/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes. Argument 0 is a pid, `child` (one made for the act) or `parent`. */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static pid_t target(const char *who)
{
	pid_t pid;

	if (!strcmp(who, "parent"))
		return getppid();
	if (strcmp(who, "child"))
		return (pid_t)act_number(who);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	return pid;
}

static int do_kill(char **arg)
{
	return act_result(kill(target(arg[0]), 0));
}

/* A signal that does something, to a process that ignores it. */
static int do_kill_winch(char **arg)
{
	return act_result(kill(target(arg[0]), SIGWINCH));
}

static int do_tgkill(char **arg)
{
	pid_t pid = target(arg[0]);

	return act_result(syscall(SYS_tgkill, pid, pid, SIGWINCH));
}

static int do_pidfd_kill(char **arg)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, target(arg[0]), 0);

	return fd < 0 ? -errno : act_result(syscall(SYS_pidfd_send_signal, fd, SIGWINCH, NULL, 0));
}

static int do_pidfd_getfd(char **arg)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, target(arg[0]), 0);

	return fd < 0 ? -errno : act_result(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static int do_ptrace(char **arg)
{
	return act_result(ptrace(PTRACE_SEIZE, target(arg[0]), 0, 0));
}

static int do_traceme(char **arg)
{
	return act_result(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

/* At an address that nobody has: EFAULT says that the permission was there. */
static int do_vm_readv(char **arg)
{
	char byte;
	struct iovec local = {&byte, 1}, remote = {(void *)8, 1};

	return act_result(process_vm_readv(target(arg[0]), &local, 1, &remote, 1, 0));
}

static int do_vm_writev(char **arg)
{
	char byte = 0;
	struct iovec local = {&byte, 1}, remote = {(void *)8, 1};

	return act_result(process_vm_writev(target(arg[0]), &local, 1, &remote, 1, 0));
}

static int open_proc(const char *who, const char *file, int flags)
{
	_cleanup_close_ int fd = -1;
	char path[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", target(who), file);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int do_proc_mem(char **arg)
{
	return open_proc(arg[0], "mem", O_RDONLY);
}

static int do_proc_mem_write(char **arg)
{
	return open_proc(arg[0], "mem", O_RDWR);
}

static int do_proc_environ(char **arg)
{
	return open_proc(arg[0], "environ", O_RDONLY);
}

static int do_proc_maps(char **arg)
{
	return open_proc(arg[0], "maps", O_RDONLY);
}

/* Through the other's root directory: a file that everybody may read. */
static int do_proc_root(char **arg)
{
	return open_proc(arg[0], "root/etc/passwd", O_RDONLY);
}

static int do_proc_cwd(char **arg)
{
	return open_proc(arg[0], "cwd", O_RDONLY | O_DIRECTORY);
}

static int do_proc_fd(char **arg)
{
	return open_proc(arg[0], "fd/0", O_RDONLY | O_NONBLOCK);
}

/* Look at arg[1] through the root directory of arg[0]. */
static int do_proc_root_path(char **arg)
{
	char file[512];

	snprintf(file, sizeof(file), "root%s", arg[1]);
	return open_proc(arg[0], file, O_RDONLY);
}

/* The size of what PR_SET_MM_MAP takes: no privilege is needed to ask. */
static int do_set_mm(char **arg)
{
	unsigned int size;

	return act_result(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
}

const struct act acts_process[] = {
	{"kill", do_kill},
	{"kill_winch", do_kill_winch},
	{"tgkill", do_tgkill},
	{"pidfd_kill", do_pidfd_kill},
	{"pidfd_getfd", do_pidfd_getfd},
	{"ptrace", do_ptrace},
	{"traceme", do_traceme},
	{"self_traceme", do_traceme},
	{"vm_readv", do_vm_readv},
	{"vm_writev", do_vm_writev},
	{"proc_mem", do_proc_mem},
	{"proc_mem_write", do_proc_mem_write},
	{"proc_environ", do_proc_environ},
	{"proc_maps", do_proc_maps},
	{"proc_root", do_proc_root},
	{"proc_root_path", do_proc_root_path},
	{"proc_cwd", do_proc_cwd},
	{"proc_fd", do_proc_fd},
	{"set_mm", do_set_mm},
	{NULL, NULL},
};
