/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rootfs.h"

#include "common/cleanup.h"
#include "supervisor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int open_in(int root, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* @path without a leading slash; its parents exist. */
static int make_directory(int root, const char *path, mode_t mode)
{
	const char *name = strrchr(path, '/');
	_cleanup_close_ int there = open_in(root, path, O_PATH | O_DIRECTORY, 0), parent = -1;
	char above[64] = ".";

	if (there >= 0)
		return 0;
	if (there != -ENOENT)
		return there;
	if (name)
		snprintf(above, sizeof(above), "%.*s", (int)(name - path), path);
	parent = open_in(root, above, O_RDONLY | O_DIRECTORY, 0);
	if (parent < 0)
		return parent;
	name = name ? name + 1 : path;
	/* The mode is ours, not the umask's. */
	if (mkdirat(parent, name, 0700) || fchmodat(parent, name, mode, 0))
		return -errno;
	return 0;
}

static int make_file(int root, const char *path)
{
	_cleanup_close_ int fd = open_in(root, path, O_PATH, 0);

	if (fd != -ENOENT)
		return fd < 0 ? fd : 0;
	/* Through a link that leads nowhere as well, as long as its directory is there. */
	fd = open_in(root, path, O_WRONLY | O_CREAT, 0644);
	if (fd >= 0 && fchmod(fd, 0644))
		return -errno;
	return fd < 0 ? fd : 0;
}

int rootfs_prepare(const char *directory, struct error *err)
{
	static const struct {
		const char *path;
		mode_t mode; /* 0: an empty file */
		bool optional;
	} wanted[] = {
		{"proc", 0555, false},
		{"dev", 0755, false},
		{"tmp", 01777, false},
		{"var", 0755, false},
		{"var/tmp", 01777, false},
		{"etc", 0755, false},
		{&SANDBOX_HOME[1], 0755, false},
		{"etc/hosts", 0, false},
		/* A link to where nothing is: programs ask 127.0.0.1 then, which is answered. */
		{"etc/resolv.conf", 0, true},
	};
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	_cleanup_close_ int root =
		(int)syscall(SYS_openat2, AT_FDCWD, directory, &how, sizeof(how));
	struct stat st;

	if (root < 0 || fstat(root, &st))
		return error_set(err, -errno, "cannot open the image's directory %s: %s", directory,
				 strerror(errno));
	if (st.st_uid || st.st_mode & 022)
		return error_set(err, -EPERM,
				 "%s is not a directory that only root may write: it is no root "
				 "for sandboxes",
				 directory);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		int r = wanted[i].mode ? make_directory(root, wanted[i].path, wanted[i].mode)
				       : make_file(root, wanted[i].path);

		if (r && !wanted[i].optional)
			return error_set(err, r, "%s has no /%s, and it cannot be made: %s",
					 directory, wanted[i].path, strerror(-r));
	}
	return 0;
}
