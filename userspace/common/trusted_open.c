/* SPDX-License-Identifier: Apache-2.0 */
#include "common/trusted_open.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MAX 40

struct way {
	char rest[2 * PATH_MAX]; /* still to be walked */
	int dir;		 /* from here */
	int links;
};

static bool is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* What the link @fd says comes before the rest, from the root if it is absolute. */
static int follow(struct way *way, int fd)
{
	char text[PATH_MAX];
	size_t rest = strlen(way->rest);
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_trusted(st.st_uid) || ++way->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(fd, "", text, sizeof(text));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENOENT;
	if ((size_t)n + 1 + rest + 1 > sizeof(way->rest))
		return -ENAMETOOLONG;
	memmove(way->rest + n + 1, way->rest, rest + 1);
	memcpy(way->rest, text, (size_t)n);
	way->rest[n] = '/';
	return 0;
}

/* To the root if the rest is absolute; its slashes are taken off. */
static int enter_root(struct way *way)
{
	size_t slashes = strspn(way->rest, "/");

	if (!slashes)
		return 0;
	memmove(way->rest, way->rest + slashes, strlen(way->rest + slashes) + 1);
	safe_close(way->dir);
	way->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return way->dir < 0 ? -errno : 0;
}

/* Take the next component into @name; true if it is the last one. */
static bool next_name(struct way *way, char name[static PATH_MAX])
{
	size_t len = strcspn(way->rest, "/"), skip = len + strspn(way->rest + len, "/");

	memcpy(name, way->rest, len);
	name[len] = '\0';
	memmove(way->rest, way->rest + skip, strlen(way->rest + skip) + 1);
	return !way->rest[0];
}

/* /dev/stderr, /dev/fd/63: links whose text may name nothing, but the kernel knows the file. */
static bool is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == PROC_SUPER_MAGIC;
}

/* One component further, or into the link that it is. 1: *ret_fd is the file; 0: go on. */
static int step(struct way *way, int flags, mode_t mode, int *ret_fd)
{
	char name[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int no_link = O_NOFOLLOW;
	struct stat st;
	bool last;

	if (strcspn(way->rest, "/") >= sizeof(name))
		return -ENAMETOOLONG;
	last = next_name(way, name);
	fd = openat(way->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno != ENOENT || !last))
		return -errno;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && S_ISLNK(st.st_mode) && is_proc(fd)) {
		no_link = 0;
		safe_close(fd);
		fd = last ? -1 : openat(way->dir, name, O_PATH | O_CLOEXEC);
		if (fd < 0 && !last)
			return -errno;
	} else if (fd >= 0 && S_ISLNK(st.st_mode)) {
		int r = follow(way, fd);

		return r ? r : enter_root(way);
	}
	if (!last) {
		safe_close(way->dir);
		way->dir = TAKE_FD(fd);
		return 0;
	}
	/* By name again, because it may have to be made; a link that came meanwhile is refused. */
	*ret_fd = openat(way->dir, name, flags | no_link | O_CLOEXEC, mode);
	return *ret_fd < 0 ? -errno : 1;
}

int trusted_open(const char *path, int flags, mode_t mode, int *ret_fd)
{
	struct way way = {.dir = -1};
	int fd = -1, r;

	if (!path[0])
		return -ENOENT;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(way.rest, path, strlen(path) + 1);
	way.dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (way.dir < 0)
		return -errno;
	r = enter_root(&way);
	while (!r)
		r = way.rest[0] ? step(&way, flags, mode, &fd) : -EISDIR;
	safe_close(way.dir);
	if (r < 0)
		return r;
	*ret_fd = fd;
	return 0;
}
