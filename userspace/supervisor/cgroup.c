/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cgroup.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define KILL_TIMEOUT_MS 5000
#define REMOVE_STEP_MS	10
#define REMOVE_STEPS	200
#define CREATE_STEPS	50
#define DEPTH_MAX	64
#define PROCS_MAX	(64 * 1024)

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	/* No dots: the files of a cgroup have one. */
	return len > 0 && len <= CGROUP_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       len;
}

static int open_dir(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_dir(int dir, const char *name)
{
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(dir, name);
}

int cgroup_id(int fd, uint64_t *ret_id)
{
	/* The file handle of a cgroup directory is its 64-bit id (kernel commit 743210386c03). */
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(uint64_t)];
	} h = {.handle.handle_bytes = sizeof(uint64_t)};
	int mount_id;

	if (name_to_handle_at(fd, "", &h.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	if (h.handle.handle_bytes != sizeof(uint64_t))
		return -EINVAL;
	memcpy(ret_id, h.handle.f_handle, sizeof(uint64_t));
	return 0;
}

int cgroup_write(int dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int cgroup_tree_open(struct cgroup_tree *ret_tree, struct error *err)
{
	_cleanup_(cgroup_tree_close) struct cgroup_tree tree = CGROUP_TREE_EMPTY;
	_cleanup_close_ int root = -1;
	int r;

	r = cgroup_mounts_load(&tree.mounts, err);
	if (r < 0)
		return r;
	if (!tree.mounts.v2[0])
		return error_set(err, -ENOENT,
				 "no cgroup v2 hierarchy is mounted; mount one: mount -t cgroup2 "
				 "none /sys/fs/cgroup");
	root = open(tree.mounts.v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, -errno, "cannot open %s: %s", tree.mounts.v2,
				 strerror(errno));
	r = make_dir(root, CGROUP_PARENT);
	if (r < 0)
		return error_set(err, r, "cannot make the cgroup %s/%s: %s%s", tree.mounts.v2,
				 CGROUP_PARENT, strerror(-r),
				 r == -EACCES || r == -EPERM || r == -EROFS
					 ? " (this needs root and a writable cgroup mount)"
					 : "");
	tree.agents_fd = r;
	r = cgroup_id(tree.agents_fd, &tree.agents_id);
	if (r < 0)
		return error_set(err, r, "cannot learn the id of the cgroup %s/%s: %s",
				 tree.mounts.v2, CGROUP_PARENT, strerror(-r));
	/* Only the true root has no cgroup.type; a namespace's root looks like one otherwise. */
	if (tree.mounts.v2_depth > 0 || faccessat(root, "cgroup.type", F_OK, 0) < 0)
		tree.agents_level = tree.mounts.v2_depth + 1;
	*ret_tree = tree;
	tree = CGROUP_TREE_EMPTY;
	return 0;
}

void cgroup_tree_close(struct cgroup_tree *tree)
{
	tree->agents_fd = safe_close(tree->agents_fd);
}

static int is_populated(int events_fd)
{
	char text[256];
	ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return strstr(text, "populated 1") != NULL;
}

/* Kernels before 5.14: one signal for each process, as often as new ones appear. */
static int kill_each(int dir, unsigned int depth)
{
	_cleanup_close_ int procs = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	long pid;
	int fd;

	if (procs < 0 || depth > DEPTH_MAX)
		return procs < 0 ? -errno : -ELOOP;
	f = fdopen(TAKE_FD(procs), "re");
	if (!f)
		return -ENOMEM;
	for (int i = 0; i < PROCS_MAX && fscanf(f, "%ld", &pid) == 1; i++)
		if (pid > 0)
			kill((pid_t)pid, SIGKILL);
	fd = open_dir(dir, ".");
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return safe_close(fd), -errno;
	while ((entry = readdir(d))) {
		_cleanup_close_ int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = open_dir(dir, entry->d_name);
		if (child >= 0)
			kill_each(child, depth + 1);
	}
	return 0;
}

int cgroup_kill(int cgroup_fd)
{
	_cleanup_close_ int events = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int r;

	if (events < 0)
		return -errno;
	for (int waited = 0; waited < KILL_TIMEOUT_MS; waited += 100) {
		struct pollfd changed = {.fd = events, .events = POLLPRI};

		r = is_populated(events);
		if (r <= 0)
			return r;
		r = cgroup_write(cgroup_fd, "cgroup.kill", "1");
		if (r == -ENOENT)
			r = kill_each(cgroup_fd, 0);
		if (r < 0)
			return r;
		if (poll(&changed, 1, 100) < 0 && errno != EINTR)
			return -errno;
	}
	return is_populated(events) ? -EBUSY : 0;
}

static int remove_tree(int parent, const char *name, unsigned int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	int fd;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	fd = open_dir(parent, name);
	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d)
		return safe_close(fd), -ENOMEM;
	while ((entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_tree(fd, entry->d_name, depth + 1);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* The last process may be gone for its parent, but not yet for its cgroup. */
static int remove_patiently(int parent, const char *name)
{
	int r = -EBUSY;

	for (int i = 0; i < REMOVE_STEPS && r == -EBUSY; i++) {
		if (i > 0)
			sleep_ms(REMOVE_STEP_MS);
		r = remove_tree(parent, name, 0);
	}
	return r;
}

/* `openshell` on the v1 hierarchy of @controller; -ENOENT if there is no such thing. */
static int open_v1_parent(const struct cgroup_tree *tree, enum cgroup_controller controller,
			  bool make)
{
	_cleanup_close_ int root = -1;

	if (!tree->mounts.v1[controller][0])
		return -ENOENT;
	root = open(tree->mounts.v1[controller], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	return make ? make_dir(root, CGROUP_PARENT) : open_dir(root, CGROUP_PARENT);
}

int cgroup_open_v1(const struct cgroup_tree *tree, enum cgroup_controller controller,
		   const char *name, int *ret_fd)
{
	_cleanup_close_ int parent = open_v1_parent(tree, controller, true);
	int fd;

	if (parent < 0)
		return parent;
	fd = make_dir(parent, name);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int remove_v1(const struct cgroup_tree *tree, const char *name)
{
	int ret = 0;

	for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
		_cleanup_close_ int parent = open_v1_parent(tree, c, false);
		int r;

		if (parent < 0)
			continue;
		r = remove_patiently(parent, name);
		if (r < 0 && ret == 0)
			ret = r;
	}
	return ret;
}

/* Empty and remove what @fd, locked by us, names; tell @removed in between. */
static int dispose(const struct cgroup_tree *tree, int fd, const char *name,
		   void (*removed)(void *arg, uint64_t id), void *arg)
{
	uint64_t id;
	int r, v1;

	r = cgroup_kill(fd);
	if (r < 0)
		return r;
	if (removed && cgroup_id(fd, &id) == 0)
		removed(arg, id);
	v1 = remove_v1(tree, name);
	r = remove_patiently(tree->agents_fd, name);
	return r < 0 ? r : v1;
}

/* Whether the directory @fd still is what @name names. */
static bool is_current(const struct cgroup_tree *tree, int fd, const char *name)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 &&
	       fstatat(tree->agents_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/*
 * Between making a cgroup and locking it, it looks abandoned; so whoever makes or takes one holds
 * the parent for that moment. An open file of its own each time, which is what a lock belongs to.
 */
static int lock_parent(const struct cgroup_tree *tree)
{
	_cleanup_close_ int fd = open_dir(tree->agents_fd, ".");

	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return TAKE_FD(fd);
}

/* The directory @name, locked; made if missing. -EWOULDBLOCK: somebody else has it. */
static int make_locked(const struct cgroup_tree *tree, const char *name, bool *ret_fresh)
{
	_cleanup_close_ int parent = lock_parent(tree), fd = -1;
	bool fresh;

	if (parent < 0)
		return parent;
	fresh = mkdirat(tree->agents_fd, name, 0755) == 0;
	if (!fresh && errno != EEXIST)
		return -errno;
	fd = open_dir(tree->agents_fd, name);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	/* It may have been removed by its holder after it was opened. */
	if (!is_current(tree, fd, name))
		return -EWOULDBLOCK;
	*ret_fresh = fresh;
	return TAKE_FD(fd);
}

int cgroup_create(const struct cgroup_tree *tree, const char *name, struct cgroup *ret_cgroup,
		  struct error *err)
{
	if (!name_is_valid(name))
		return error_set(err, -EINVAL,
				 "'%.*s' is no name for a sandbox: 1 to %d letters, digits, '-' "
				 "and '_'",
				 CGROUP_NAME_MAX, name, CGROUP_NAME_MAX);
	for (int i = 0; i < CREATE_STEPS; i++) {
		_cleanup_close_ int fd = -1;
		bool fresh = false;
		uint64_t id;
		int r;

		fd = make_locked(tree, name, &fresh);
		/* Either it runs, or it is being removed and will be gone in a moment. */
		if (fd == -EWOULDBLOCK || fd == -ENOENT) {
			sleep_ms(REMOVE_STEP_MS);
			continue;
		}
		if (fd < 0)
			return error_set(err, fd, "cannot make the sandbox's cgroup: %s",
					 strerror(-fd));
		if (!fresh) {
			r = dispose(tree, fd, name, NULL, NULL);
			if (r < 0)
				return error_set(err, r,
						 "cannot remove the cgroup that an earlier '%s' "
						 "left: %s",
						 name, strerror(-r));
			continue;
		}
		r = cgroup_id(fd, &id);
		if (r < 0)
			return error_set(err, r, "cannot learn the sandbox's cgroup id: %s",
					 strerror(-r));
		*ret_cgroup = (struct cgroup){.tree = tree, .fd = TAKE_FD(fd), .id = id};
		snprintf(ret_cgroup->name, sizeof(ret_cgroup->name), "%s", name);
		return 0;
	}
	return error_set(err, -EEXIST, "a sandbox named '%s' is running", name);
}

int cgroup_destroy(struct cgroup *cgroup)
{
	int r;

	if (cgroup->fd < 0)
		return 0;
	r = dispose(cgroup->tree, cgroup->fd, cgroup->name, NULL, NULL);
	cgroup->fd = safe_close(cgroup->fd);
	return r;
}

/* The directory @name, locked, if nobody else has it. */
static int take_abandoned(const struct cgroup_tree *tree, const char *name)
{
	_cleanup_close_ int parent = lock_parent(tree), fd = -1;

	if (parent < 0)
		return parent;
	fd = open_dir(tree->agents_fd, name);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return is_current(tree, fd, name) ? TAKE_FD(fd) : -ENOENT;
}

int cgroup_sweep(const struct cgroup_tree *tree, void (*removed)(void *arg, uint64_t id), void *arg)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	int fd, count = 0, ret = 0;

	fd = open_dir(tree->agents_fd, ".");
	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d)
		return safe_close(fd), -ENOMEM;
	while ((entry = readdir(d))) {
		_cleanup_close_ int child = -1;
		int r;

		if (entry->d_type != DT_DIR || !name_is_valid(entry->d_name))
			continue;
		child = take_abandoned(tree, entry->d_name);
		if (child < 0)
			continue;
		r = dispose(tree, child, entry->d_name, removed, arg);
		if (r == 0)
			count++;
		else if (ret == 0)
			ret = r;
	}
	return ret < 0 ? ret : count;
}
