/* SPDX-License-Identifier: Apache-2.0 */
/* Making, removing and moving names, and changing attributes. */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>

static int do_unlink(char **arg)
{
	return act_result(unlink(arg[0]));
}

static int do_rmdir(char **arg)
{
	return act_result(rmdir(arg[0]));
}

static int do_mkdir(char **arg)
{
	return act_result(mkdir(arg[0], 0755));
}

static int do_symlink(char **arg)
{
	return act_result(symlink("anything", arg[0]));
}

static int do_mkfifo(char **arg)
{
	return act_result(mknod(arg[0], S_IFIFO | 0644, 0));
}

static int do_mknod_char(char **arg)
{
	return act_result(mknod(arg[0], S_IFCHR | 0666, makedev(1, 11)));
}

static int do_mknod_block(char **arg)
{
	return act_result(mknod(arg[0], S_IFBLK | 0666, makedev(254, 0)));
}

static int do_rename(char **arg)
{
	return act_result(rename(arg[0], arg[1]));
}

static int do_exchange(char **arg)
{
	return act_result(renameat2(AT_FDCWD, arg[0], AT_FDCWD, arg[1], RENAME_EXCHANGE));
}

static int do_link(char **arg)
{
	return act_result(link(arg[0], arg[1]));
}

/* Link what an O_PATH descriptor holds. */
static int do_link_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return act_result(linkat(AT_FDCWD, path, AT_FDCWD, arg[1], AT_SYMLINK_FOLLOW));
}

/* Make a link to arg[0] at arg[1] and read through it. */
static int do_link_read(char **arg)
{
	_cleanup_close_ int fd = -1;

	if (link(arg[0], arg[1]) < 0)
		return -errno;
	fd = open(arg[1], O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/* Make a symbolic link to arg[0] at arg[1] and read through it. */
static int do_symlink_read(char **arg)
{
	_cleanup_close_ int fd = -1;

	if (symlink(arg[0], arg[1]) < 0)
		return -errno;
	fd = open(arg[1], O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int do_rename_back(char **arg)
{
	return act_result(rename(arg[0], arg[1]) ?: rename(arg[1], arg[0]));
}

static int do_exchange_back(char **arg)
{
	int r = do_exchange(arg);

	return r ? r : do_exchange(arg);
}

/* Rename arg[0] to arg[1], then read arg[2], which was below it. */
static int do_rename_read(char **arg)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (rename(arg[0], arg[1]) < 0)
		return errno == EACCES ? -ECANCELED : -errno;
	fd = open(arg[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	if (rename(arg[1], arg[0]) < 0)
		return -errno;
	return r;
}

static int do_chmod(char **arg)
{
	return act_result(chmod(arg[0], 0600));
}

static int do_fchmod(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(fchmod(fd, 0644));
}

static int do_chmod_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return act_result(chmod(path, 0644));
}

/* To what it is: no capability is needed, and the ctime changes. */
static int do_chown(char **arg)
{
	return act_result(chown(arg[0], geteuid(), getegid()));
}

static int do_chown_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(fchownat(fd, "", geteuid(), getegid(), AT_EMPTY_PATH));
}

static int do_utimes(char **arg)
{
	return act_result(utimes(arg[0], NULL));
}

static int do_utimes_fd(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	return fd < 0 ? -errno : act_result(futimens(fd, times));
}

static int do_setxattr(char **arg)
{
	return act_result(setxattr(arg[0], "user.test", "2", 1, 0));
}

static int do_fsetxattr(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(fsetxattr(fd, "user.test", "2", 1, 0));
}

static int do_removexattr(char **arg)
{
	return act_result(removexattr(arg[0], "user.test"));
}

/* Version 2, one entry: the owner, who may everything. */
static int do_setacl(char **arg)
{
	static const unsigned char acl[] = {
		2, 0, 0,   0,	1,   0,	  7,  0, 255, 255, 255, 255, 4,	  0,
		7, 0, 255, 255, 255, 255, 32, 0, 7,   0,   255, 255, 255, 255,
	};

	return act_result(setxattr(arg[0], "system.posix_acl_access", acl, sizeof(acl), 0));
}

/* ENODATA: it has none, and we may know. */
static int do_getacl(char **arg)
{
	char acl[64];
	int r = act_result(getxattr(arg[0], "system.posix_acl_access", acl, sizeof(acl)));

	return r == -ENODATA ? 0 : r;
}

static int do_removeacl(char **arg)
{
	return act_result(removexattr(arg[0], "system.posix_acl_access"));
}

/*
 * Make files in directory arg[0] until one has inode number arg[1], as a listed file had that was
 * removed; then open it. Gives up after 20000.
 */
static int do_reuse_inode(char **arg)
{
	unsigned long wanted = (unsigned long)act_number(arg[1]);
	_cleanup_close_ int dir = open(arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	char name[32];
	struct stat st;

	if (dir < 0)
		return -errno;
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "reuse%d", i);
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
		fd = safe_close(fd);
		if (st.st_ino != wanted)
			continue;
		fd = openat(dir, name, O_RDWR | O_CLOEXEC);
		return fd < 0 ? -errno : 0;
	}
	return -ENOENT;
}

const struct act acts_name[] = {
	{"unlink", do_unlink},
	{"rmdir", do_rmdir},
	{"mkdir", do_mkdir},
	{"symlink", do_symlink},
	{"mkfifo", do_mkfifo},
	{"mknod_char", do_mknod_char},
	{"mknod_block", do_mknod_block},
	{"rename", do_rename},
	{"exchange", do_exchange},
	{"link", do_link},
	{"link_opath", do_link_opath},
	{"link_read", do_link_read},
	{"symlink_read", do_symlink_read},
	{"rename_back", do_rename_back},
	{"exchange_back", do_exchange_back},
	{"rename_read", do_rename_read},
	{"chmod", do_chmod},
	{"fchmod", do_fchmod},
	{"chmod_opath", do_chmod_opath},
	{"chown", do_chown},
	{"chown_opath", do_chown_opath},
	{"utimes", do_utimes},
	{"utimes_fd", do_utimes_fd},
	{"setxattr", do_setxattr},
	{"fsetxattr", do_fsetxattr},
	{"removexattr", do_removexattr},
	{"setacl", do_setacl},
	{"getacl", do_getacl},
	{"removeacl", do_removeacl},
	{"reuse_inode", do_reuse_inode},
	{NULL, NULL},
};
