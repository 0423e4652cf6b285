/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs and mapping files executable. */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"

static int do_exec(char **arg)
{
	return act_spawn(-1, arg[0], (char *[]){arg[0], "true", NULL});
}

/* The dynamic loader as the program, told what to load. */
static int do_loader(char **arg)
{
	return act_spawn(-1, LOADER, (char *[]){LOADER, arg[0], "true", NULL});
}

static int do_exec_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : act_spawn(fd, "", (char *[]){arg[0], "true", NULL});
}

/* As fexecve() does without execveat(): by the descriptor's name in /proc. */
static int do_exec_proc_fd(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return act_spawn(-1, path, (char *[]){path, "true", NULL});
}

static int copy(const char *path, int to)
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	while (st.st_size > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)st.st_size);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		st.st_size -= n;
	}
	return 0;
}

static int do_memfd_exec(char **arg)
{
	_cleanup_close_ int fd = memfd_create("program", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = copy(arg[0], fd);
	return r ? r : act_spawn(fd, "", (char *[]){"memfd", "true", NULL});
}

static int map(int fd, int prot, int later)
{
	void *p = mmap(NULL, 4096, prot, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	return later ? act_result(mprotect(p, 4096, later)) : 0;
}

static int do_memfd_map(char **arg)
{
	_cleanup_close_ int fd = memfd_create("code", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return -errno;
	return map(fd, PROT_READ | PROT_EXEC, 0);
}

/* A copy of arg[0] at arg[1], executed. */
static int do_copy_exec(char **arg)
{
	_cleanup_close_ int fd = open(arg[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	int r;

	if (fd < 0)
		return -errno;
	r = copy(arg[0], fd);
	fd = safe_close(fd);
	return r ? r : do_exec(arg + 1);
}

static int do_map_exec(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : map(fd, PROT_READ | PROT_EXEC, 0);
}

static int do_map_mprotect(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : map(fd, PROT_READ, PROT_READ | PROT_EXEC);
}

static int do_pkey_mprotect(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	return act_result(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1));
}

/* Readable mappings become executable ones too, unless the personality is refused. */
static int do_read_implies_exec(char **arg)
{
	return act_result(syscall(SYS_personality, 0x0400000));
}

static int do_anonymous_exec(char **arg)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

/* 0 if this process has a capability in force. */
static int do_is_privileged(char **arg)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];

	if (syscall(SYS_capget, &header, have) < 0)
		return -errno;
	return have[0].effective | have[1].effective ? 0 : -EPERM;
}

/* Execute a program that its file makes privileged; 0 if it is. */
static int do_exec_privileged(char **arg)
{
	int r = act_spawn(-1, arg[0], (char *[]){arg[0], "is_privileged", NULL});

	return r == ACT_NOT_STARTED ? -EPERM : r;
}

const struct act acts_exec[] = {
	{"exec", do_exec},
	{"loader", do_loader},
	{"exec_opath", do_exec_opath},
	{"exec_proc_fd", do_exec_proc_fd},
	{"memfd_exec", do_memfd_exec},
	{"memfd_map", do_memfd_map},
	{"copy_exec", do_copy_exec},
	{"map_exec", do_map_exec},
	{"map_mprotect", do_map_mprotect},
	{"pkey_mprotect", do_pkey_mprotect},
	{"read_implies_exec", do_read_implies_exec},
	{"anonymous_exec", do_anonymous_exec},
	{"is_privileged", do_is_privileged},
	{"exec_privileged", do_exec_privileged},
	{NULL, NULL},
};
