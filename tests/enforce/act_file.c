/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files and looking at them. Argument 0 is the path. */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* fs/ext4/ext4.h */
#define EXT4_IOC_SETVERSION _IOW('f', 4, long)

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : (close(fd), 0);
}

static int do_read(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	char byte;

	return fd < 0 ? -errno : act_result(read(fd, &byte, 1));
}

/* A device, whose contents are nobody's business. */
static int do_open(char **arg)
{
	return open_close(arg[0], O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

static int do_write(char **arg)
{
	return open_close(arg[0], O_WRONLY);
}

static int do_append(char **arg)
{
	return open_close(arg[0], O_WRONLY | O_APPEND);
}

static int do_rdwr(char **arg)
{
	return open_close(arg[0], O_RDWR);
}

/* Access mode 3: a descriptor for ioctl only. */
static int do_ioctl_only(char **arg)
{
	return open_close(arg[0], O_ACCMODE);
}

static int do_otrunc(char **arg)
{
	return open_close(arg[0], O_RDONLY | O_TRUNC);
}

static int do_create(char **arg)
{
	return open_close(arg[0], O_WRONLY | O_CREAT | O_EXCL);
}

static int do_create_read_only(char **arg)
{
	return open_close(arg[0], O_RDONLY | O_CREAT | O_EXCL);
}

static int do_tmpfile(char **arg)
{
	return open_close(arg[0], O_RDWR | O_TMPFILE);
}

static int do_opath(char **arg)
{
	return open_close(arg[0], O_PATH);
}

static int do_readdir(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buf[1024];

	return fd < 0 ? -errno : act_result(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
}

/* Enter the directory and list what is there. */
static int do_chdir_list(char **arg)
{
	if (chdir(arg[0]) < 0)
		return -errno;
	return do_readdir((char *[]){"."});
}

static int do_chdir(char **arg)
{
	return act_result(chdir(arg[0]));
}

static int do_access(char **arg)
{
	return act_result(access(arg[0], F_OK));
}

static int do_stat(char **arg)
{
	struct stat st;

	return act_result(stat(arg[0], &st));
}

static int do_lstat(char **arg)
{
	struct stat st;

	return act_result(lstat(arg[0], &st));
}

static int do_statx(char **arg)
{
	struct statx st;

	return act_result(statx(AT_FDCWD, arg[0], AT_STATX_DONT_SYNC, STATX_ALL, &st));
}

static int do_stat_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	struct stat st;

	return fd < 0 ? -errno : act_result(fstat(fd, &st));
}

static int do_readlink(char **arg)
{
	char text[64];

	return act_result(readlink(arg[0], text, sizeof(text)));
}

static int do_readlink_opath(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char text[64];

	return fd < 0 ? -errno : act_result(readlinkat(fd, "", text, sizeof(text)));
}

static int do_getxattr(char **arg)
{
	char value[16];

	return act_result(getxattr(arg[0], "user.test", value, sizeof(value)));
}

static int do_listxattr(char **arg)
{
	char names[256];

	return act_result(listxattr(arg[0], names, sizeof(names)));
}

/* open(O_PATH), then again through /proc. @arg[1]: "w" to write. */
static int do_opath_reopen(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_close(path, arg[1] && arg[1][0] == 'w' ? O_WRONLY : O_RDONLY);
}

/* A read-only descriptor, reopened for writing. */
static int do_reopen_write(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_close(path, O_WRONLY);
}

/* Open a file relative to an O_PATH descriptor of its directory. */
static int do_openat(char **arg)
{
	_cleanup_close_ int dir = open(arg[0], O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (dir < 0)
		return -errno;
	fd = openat(dir, arg[1], O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/* Hold a file by an O_PATH descriptor while somebody removes it; then open it for reading. */
static int do_deleted_reopen(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_PATH | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	for (int i = 0; access(arg[0], F_OK) == 0; i++) {
		if (i == 1000)
			return -ETIMEDOUT;
		usleep(10000);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_close(path, O_RDONLY);
}

/* Open, remove, reopen: an agent's own file. */
static int do_delete_reopen(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDWR | O_CLOEXEC);
	char path[64];

	if (fd < 0 || unlink(arg[0]) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_close(path, O_RDWR);
}

/* @arg[0] a directory, walked down by arg[1] steps of arg[2]; then a file `f` there is read. */
static int do_deep_read(char **arg)
{
	_cleanup_close_ int dir = open(arg[0], O_PATH | O_CLOEXEC), fd = -1;
	long depth = act_number(arg[1]);

	if (dir < 0)
		return -errno;
	for (long i = 0; i < depth; i++) {
		int next = openat(dir, arg[2], O_PATH | O_CLOEXEC);

		if (next < 0)
			return -errno;
		close(dir);
		dir = next;
	}
	fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int do_notify(char **arg)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? -errno : act_result(inotify_add_watch(fd, arg[0], IN_ALL_EVENTS));
}

static int do_truncate(char **arg)
{
	return act_result(truncate(arg[0], 1));
}

static int do_ftruncate(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(ftruncate(fd, 1));
}

static int file_ioctl(const char *path, unsigned long command, long value)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : act_result(ioctl(fd, command, &value));
}

/* Give a file another generation: part of what an anchor knows it by. */
static int do_setversion(char **arg)
{
	return file_ioctl(arg[0], FS_IOC_SETVERSION, 4711);
}

static int do_setversion_ext4(char **arg)
{
	return file_ioctl(arg[0], EXT4_IOC_SETVERSION, 4711);
}

/* FS_NODUMP_FL: one that an owner may set. */
static int do_setflags(char **arg)
{
	return file_ioctl(arg[0], FS_IOC_SETFLAGS, FS_NODUMP_FL | FS_EXTENT_FL);
}

static int do_setflags_xattr(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	struct fsxattr attr;

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
		return -errno;
	attr.fsx_xflags |= FS_XFLAG_NODUMP;
	return act_result(ioctl(fd, FS_IOC_FSSETXATTR, &attr));
}

#ifndef SYS_file_setattr
#define SYS_file_getattr 468
#define SYS_file_setattr 469 /* Linux 6.17 */
#endif

/* include/uapi/linux/fs.h: struct file_attr */
static int do_file_setattr(char **arg)
{
	struct {
		__u64 xflags;
		__u32 extsize, nextents, projid, cowextsize;
	} attr = {.xflags = FS_XFLAG_NODUMP};

	return act_result(syscall(SYS_file_setattr, AT_FDCWD, arg[0], &attr, sizeof(attr), 0));
}

static int do_file_getattr(char **arg)
{
	unsigned char attr[24];

	return act_result(syscall(SYS_file_getattr, AT_FDCWD, arg[0], attr, sizeof(attr), 0));
}

/* Name a file by its handle, then open it past every path. */
static int do_handle(char **arg)
{
	struct {
		struct file_handle head;
		unsigned char bytes[128];
	} handle = {.head.handle_bytes = 128};
	_cleanup_close_ int mount = open(arg[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	int id;

	if (mount < 0 || name_to_handle_at(AT_FDCWD, arg[0], &handle.head, &id, 0) < 0)
		return -errno;
	fd = open_by_handle_at(mount, &handle.head, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

const struct act acts_file[] = {
	{"read", do_read},
	{"open", do_open},
	{"write", do_write},
	{"append", do_append},
	{"rdwr", do_rdwr},
	{"ioctl_only", do_ioctl_only},
	{"otrunc", do_otrunc},
	{"create", do_create},
	{"create_read_only", do_create_read_only},
	{"tmpfile", do_tmpfile},
	{"opath", do_opath},
	{"readdir", do_readdir},
	{"chdir", do_chdir},
	{"chdir_list", do_chdir_list},
	{"access", do_access},
	{"stat", do_stat},
	{"lstat", do_lstat},
	{"statx", do_statx},
	{"stat_opath", do_stat_opath},
	{"readlink", do_readlink},
	{"readlink_opath", do_readlink_opath},
	{"getxattr", do_getxattr},
	{"listxattr", do_listxattr},
	{"opath_reopen", do_opath_reopen},
	{"reopen_write", do_reopen_write},
	{"openat", do_openat},
	{"deleted_reopen", do_deleted_reopen},
	{"delete_reopen", do_delete_reopen},
	{"deep_read", do_deep_read},
	{"notify", do_notify},
	{"truncate", do_truncate},
	{"ftruncate", do_ftruncate},
	{"setversion", do_setversion},
	{"setversion_ext4", do_setversion_ext4},
	{"setflags", do_setflags},
	{"setflags_xattr", do_setflags_xattr},
	{"file_getattr", do_file_getattr},
	{"file_setattr", do_file_setattr},
	{"handle", do_handle},
	{NULL, NULL},
};
