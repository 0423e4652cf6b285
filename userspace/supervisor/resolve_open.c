/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/resolve_open.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int open_in_root(int root_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* True for an absolute path without empty, `.` and `..` components. */
static bool is_normal(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *p = path; p && path[1]; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/");

		if (n == 0 || (n <= 2 && !strncmp(p + 1, "..", n)))
			return false;
	}
	return true;
}

static int canonical(int fd, char **ret_path)
{
	char link[64], buf[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(buf) - 1)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	if (buf[0] != '/')
		return -EINVAL;
	*ret_path = strdup(buf);
	return *ret_path ? 0 : -ENOMEM;
}

int resolve_open(int root_fd, const char *path, bool follow, int *ret_fd, char **ret_path)
{
	uint64_t flags = O_PATH | (follow ? 0 : O_NOFOLLOW);
	_cleanup_close_ int fd = -ELOOP;
	char *name = NULL;
	int r;

	/* Most paths lead through no link, and are then canonical as they are. */
	if (is_normal(path))
		fd = open_in_root(root_fd, path, flags, RESOLVE_NO_SYMLINKS);
	if (fd >= 0) {
		name = strdup(path);
		r = name ? 0 : -ENOMEM;
	} else if (fd == -ELOOP) {
		fd = open_in_root(root_fd, path, flags, 0);
		r = fd < 0 ? fd : canonical(fd, &name);
	} else {
		r = fd;
	}
	if (r)
		return r;
	*ret_fd = TAKE_FD(fd);
	*ret_path = name;
	return 0;
}

/* LIBRARY, never EXEC: a loader runs what it is given. */
static const char *const loader_names[] = {"ld-linux*.so*", "ld-musl-*.so*", "ld-[0-9]*.so"};

/* Directories that have loaders, and, in those of multiarch systems, directories that do. */
static const struct {
	const char *path;
	bool multiarch;
} loader_directories[] = {
	{"/lib64", false},
	{"/lib", true},
	{"/usr/lib64", false},
	{"/usr/lib", true},
};

#define LOADER_DIRECTORIES_MAX 64

struct loader_search {
	int root_fd;
	int (*found)(void *arg, const char *path);
	void *arg;
	struct {
		dev_t dev;
		ino_t ino;
	} seen[LOADER_DIRECTORIES_MAX];
	size_t len;
};

/* An open directory that was not looked through before; NULL if it was, or cannot be. */
static DIR *open_unseen(struct loader_search *search, const char *path)
{
	_cleanup_close_ int fd = open_in_root(search->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;
	DIR *dir;

	if (fd < 0 || fstat(fd, &st) || search->len == LOADER_DIRECTORIES_MAX)
		return NULL;
	for (size_t i = 0; i < search->len; i++)
		if (search->seen[i].dev == st.st_dev && search->seen[i].ino == st.st_ino)
			return NULL;
	dir = fdopendir(fd);
	if (!dir)
		return NULL;
	TAKE_FD(fd);
	search->seen[search->len].dev = st.st_dev;
	search->seen[search->len++].ino = st.st_ino;
	return dir;
}

static bool is_loader(const char *name)
{
	if (strncmp(name, "ld-", 3))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(loader_names); i++)
		if (!fnmatch(loader_names[i], name, 0))
			return true;
	return false;
}

static int look_through(struct loader_search *search, const char *path, bool multiarch)
{
	_cleanup_closedir_ DIR *dir = open_unseen(search, path);
	struct dirent *entry;
	int r = 0;

	while (dir && !r && (entry = readdir(dir))) {
		bool loader = is_loader(entry->d_name);
		char full[PATH_MAX];

		if (!loader && !(multiarch && strstr(entry->d_name, "-linux-")))
			continue;
		snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		r = loader ? search->found(search->arg, full) : look_through(search, full, false);
	}
	return r;
}

int resolve_loaders(int root_fd, int (*found)(void *arg, const char *path), void *arg)
{
	struct loader_search search = {.root_fd = root_fd, .found = found, .arg = arg};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(loader_directories) && !r; i++)
		r = look_through(&search, loader_directories[i].path,
				 loader_directories[i].multiarch);
	return r;
}
