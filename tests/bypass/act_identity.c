/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to pass for another program. PROGRAM is beside this one; what follows is what it shall do.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../native/egress/act.h"

/* exec PROGRAM ACT..: in place */
static int do_exec(char **arg)
{
	return act_execute(arg);
}

/* fork-exec PROGRAM ACT.. */
static int do_fork_exec(char **arg)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		act_execute(arg);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return ACT_ELSEWHERE;
}

/* exec-fd PROGRAM ACT..: by execveat() on its descriptor, under another name */
static int do_exec_fd(char **arg)
{
	int fd = open(act_beside(arg[0]), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	syscall(SYS_execveat, fd, "", arg, environ, AT_EMPTY_PATH);
	return -errno;
}

static int copy(const char *from, int to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (in < 0)
		return -errno;
	while ((n = sendfile(to, in, NULL, 1 << 20)) > 0)
		;
	close(in);
	return n < 0 ? -errno : 0;
}

/* exec-memfd PROGRAM ACT..: the same bytes, in memory, called like it */
static int do_exec_memfd(char **arg)
{
	int fd = memfd_create(arg[0], MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = copy(act_beside(arg[0]), fd);
	if (r)
		return r;
	syscall(SYS_execveat, fd, "", arg, environ, AT_EMPTY_PATH);
	return -errno;
}

/* exec-copy DIRECTORY PROGRAM ACT..: the same bytes, under the same last name */
static int do_exec_copy(char **arg)
{
	char path[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", arg[0], arg[1]);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0)
		return -errno;
	r = copy(act_beside(arg[1]), fd);
	close(fd);
	if (r)
		return r;
	execv(path, arg + 1);
	return -errno;
}

/* exec-symlink DIRECTORY PROGRAM ACT..: really that program, by another name */
static int do_exec_symlink(char **arg)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/link", arg[0]);
	unlink(path);
	if (symlink(act_beside(arg[1]), path))
		return -errno;
	execv(path, arg + 1);
	return -errno;
}

/*
 * exec-script DIRECTORY NAME PROGRAM ACT..: a script of that name, for which PROGRAM is the
 * interpreter and the act its one argument
 */
static int do_exec_script(char **arg)
{
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", arg[0], arg[1]);
	unlink(path);
	out = fopen(path, "we");
	if (!out)
		return -errno;
	fprintf(out, "#!%s", act_beside(arg[2]));
	for (size_t i = 3; i < ACT_ARGS_MAX && arg[i]; i++)
		fprintf(out, " %s", arg[i]);
	fputc('\n', out);
	if (fclose(out) || chmod(path, 0755))
		return -errno;
	execv(path, (char *[]){arg[1], NULL});
	return -errno;
}

/* exec-hardlink DIRECTORY PROGRAM: a second name for an admitted file */
static int do_hardlink(char **arg)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/hardlink", arg[0]);
	return act_result(link(act_beside(arg[1]), path));
}

/* replace PROGRAM: write over an admitted file */
static int do_replace(char **arg)
{
	return act_result(open(act_beside(arg[0]), O_WRONLY | O_CLOEXEC));
}

/* loader PROGRAM ACT..: its code, by the dynamic loader as the program */
static int do_loader(char **arg)
{
	static const char loader[] = "/lib64/ld-linux-x86-64.so.2";
	char *argv[ACT_ARGS_MAX + 3] = {(char *)loader, (char *)act_beside(arg[0])};

	for (size_t i = 1; i <= ACT_ARGS_MAX && arg[i]; i++)
		argv[i + 1] = arg[i];
	execv(loader, argv);
	return -errno;
}

/* preload LIBRARY PROGRAM ACT..: the library's constructor does the act instead */
static int do_preload(char **arg)
{
	if (setenv("LD_PRELOAD", arg[0], 1) || setenv("BYPASS_PRELOAD", "1", 1))
		return -errno;
	return act_execute(arg + 1);
}

/* set-mm: is the call there at all; this much of it is everybody's */
static int do_set_mm(char **arg)
{
	unsigned int size;

	return act_result(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
}

/* A child that is PROGRAM and sleeps; the caller kills it. */
static pid_t sleeper(const char *program, bool traced)
{
	char *argv[] = {(char *)program, "pause", NULL};
	pid_t pid = fork();

	if (pid)
		return pid;
	if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(errno);
	act_execute(argv);
	_exit(1);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int do_pause(char **arg)
{
	close(STDOUT_FILENO);
	pause();
	return 0;
}

/* trace PROGRAM */
static int do_trace(char **arg)
{
	pid_t pid = sleeper(arg[0], false);
	int r;

	usleep(50000);
	r = act_result(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	end(pid);
	return r;
}

/* traced PROGRAM: the program is started under the tracer */
static int do_traced(char **arg)
{
	pid_t pid = sleeper(arg[0], true);
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	end(pid);
	return 0;
}

/* memory PROGRAM: write into a running one by its /proc file */
static int do_memory(char **arg)
{
	pid_t pid = sleeper(arg[0], false);
	char path[64];
	int fd, r;

	usleep(50000);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	r = act_result(fd);
	end(pid);
	return r;
}

/* write-memory PROGRAM: the same by system call */
static int do_write_memory(char **arg)
{
	pid_t pid = sleeper(arg[0], false);
	char c = 0;
	struct iovec local = {&c, 1}, remote = {(void *)4096, 1};
	int r;

	usleep(50000);
	r = act_result(process_vm_writev(pid, &local, 1, &remote, 1, 0));
	end(pid);
	/* Nothing is there to be written, which is found after the right to was. */
	return r == -EFAULT ? 0 : r;
}

/* reuse-pid PROGRAM PROGRAM ACT..: the second one with the pid that the first one had */
static int do_reuse_pid(char **arg)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid = sleeper(arg[0], false), again;

	usleep(50000);
	end(pid);
	args.set_tid = (__u64)(unsigned long)&pid;
	args.set_tid_size = 1;
	again = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (again < 0)
		return -errno;
	if (!again) {
		act_execute(arg + 1);
		_exit(1);
	}
	waitpid(again, NULL, 0);
	return ACT_ELSEWHERE;
}

/* The egress test's own way to answer, for its act_spoof(). */

void report(int error)
{
	if (write(REPORT_FD, &error, sizeof(error)) != sizeof(error))
		_exit(99);
}

void finish(int error)
{
	report(error);
	_exit(0);
}

socklen_t parse_address(const char *address, const char *port, struct sockaddr_storage *ret_address)
{
	return act_address(address, port, ret_address);
}

/* spoof PROGRAM ADDRESS PORT: have the link behind /proc/self/exe changed, then connect */
static int do_spoof(char **arg)
{
	char *argv[] = {"spoof", (char *)act_beside(arg[0]), arg[1], arg[2], NULL};
	int answer[2], r;
	pid_t pid;

	if (pipe2(answer, O_CLOEXEC) || (pid = fork()) < 0)
		return -errno;
	if (!pid) {
		if (dup2(answer[1], REPORT_FD) < 0)
			_exit(1);
		act_spoof(argv);
	}
	close(answer[1]);
	if (read(answer[0], &r, sizeof(r)) != sizeof(r))
		r = EOWNERDEAD;
	waitpid(pid, NULL, 0);
	return -r;
}

const struct act acts_identity[] = {
	{"exec", do_exec},
	{"fork-exec", do_fork_exec},
	{"exec-fd", do_exec_fd},
	{"exec-memfd", do_exec_memfd},
	{"exec-copy", do_exec_copy},
	{"exec-symlink", do_exec_symlink},
	{"exec-script", do_exec_script},
	{"hardlink", do_hardlink},
	{"replace", do_replace},
	{"loader", do_loader},
	{"preload", do_preload},
	{"set-mm", do_set_mm},
	{"pause", do_pause},
	{"trace", do_trace},
	{"traced", do_traced},
	{"memory", do_memory},
	{"write-memory", do_write_memory},
	{"reuse-pid", do_reuse_pid},
	{"spoof", do_spoof},
	{NULL, NULL},
};
