/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/remove_tree.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Directories below this depth are moved up to the root, and are removed from there. */
#define DEPTH_MAX 32

struct removal {
	int root; /* the tree's */
	unsigned long moved;
	const volatile bool *stop;
	struct error *err;
	const char *path;
	int failed; /* the first error */
};

static void fail(struct removal *removal, int error, const char *name)
{
	if (!removal->failed)
		removal->failed =
			error_set(removal->err, -error, "cannot remove '%.200s' in %s: %s", name,
				  removal->path, strerrordesc_np(error));
}

static int open_directory(int parent, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

	/* Its owner may have taken even our right to list it, where root has no such capability. */
	if (fd < 0 && errno == EACCES && !fchmodat(parent, name, 0700, 0))
		fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static bool move_up(struct removal *removal, int parent, const char *name)
{
	char up[32];

	for (int tries = 0; tries < 1000; tries++) {
		snprintf(up, sizeof(up), ".moved-%lu", ++removal->moved);
		if (!renameat2(parent, name, removal->root, up, RENAME_NOREPLACE))
			return true;
		if (errno != EEXIST)
			break;
	}
	return false;
}

static void empty(struct removal *removal, int fd, int depth);

static void remove_directory(struct removal *removal, int parent, const char *name, int depth)
{
	int fd;

	if (!unlinkat(parent, name, AT_REMOVEDIR))
		return;
	if (errno == ENOENT)
		return;
	if (depth >= DEPTH_MAX && move_up(removal, parent, name))
		return;
	fd = open_directory(parent, name);
	if (fd < 0) {
		fail(removal, -fd, name);
		return;
	}
	empty(removal, fd, depth + 1);
	if (removal->failed != -ECANCELED && unlinkat(parent, name, AT_REMOVEDIR) &&
	    errno != ENOENT)
		fail(removal, errno, name);
}

/* @fd is taken. */
static void empty(struct removal *removal, int fd, int depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		fail(removal, errno, "");
		safe_close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (removal->stop && *removal->stop) {
			removal->failed = -ECANCELED;
			return;
		}
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (entry->d_type != DT_DIR && !unlinkat(fd, name, 0))
			continue;
		if (entry->d_type == DT_DIR || errno == EISDIR)
			remove_directory(removal, fd, name, depth);
		else if (errno != ENOENT)
			fail(removal, errno, name);
	}
}

int remove_tree(const char *path, const volatile bool *stop, struct error *err)
{
	struct removal removal = {.stop = stop, .err = err, .path = path, .root = -1};
	unsigned long moved;
	int r;

	removal.root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (removal.root < 0)
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "cannot open %s: %s", path,
						   strerror(errno));
	/* Once more for what was moved up behind the reader. */
	do {
		int fd = openat(removal.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		moved = removal.moved;
		if (fd < 0)
			fail(&removal, errno, ".");
		else
			empty(&removal, fd, 0);
	} while (removal.moved != moved && !removal.failed);
	r = removal.failed;
	safe_close(removal.root);
	if (!r && rmdir(path) && errno != ENOENT)
		r = error_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
	return r;
}
