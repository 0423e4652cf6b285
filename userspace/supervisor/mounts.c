/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/mounts.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OWN_TMPFS_MAX 64

/*
 * Where masks and file contents come from: one small tmpfs, reachable only through its descriptor.
 * It has to be attached for its files to be cloned (kernels before 6.15), and is detached again
 * before the agent exists.
 */
struct scratch {
	int fd;
	unsigned int files;
};

struct execution {
	/* BIND_HOST, ROOT: what was at the target before any step */
	int source[MOUNT_PLAN_MAX];
	dev_t own[OWN_TMPFS_MAX]; /* tmpfs of ours, in which missing targets may be made */
	size_t own_len;
	struct scratch scratch;
};

/* Init has one plan in its life, and its stack may be small. */
static struct execution execution;

static const char *step_verb(enum mount_op op)
{
	switch (op) {
	case MOUNT_OP_TMPFS:
		return "put a tmpfs on";
	case MOUNT_OP_BIND_HOST:
		return "keep the host's";
	case MOUNT_OP_READ_ONLY:
		return "make read-only";
	case MOUNT_OP_MASK:
		return "mask";
	case MOUNT_OP_CONTENT:
		return "replace";
	case MOUNT_OP_NO_EXEC:
		return "forbid execution below";
	case MOUNT_OP_PIN:
		return "hold the place of";
	case MOUNT_OP_SYMLINK:
		return "make the symbolic link";
	case MOUNT_OP_ROOT:
		return "change to the root";
	}
	return "mount";
}

static int open_path(int dir, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* A detached mount of file system @type, with nul-terminated option pairs @options. */
static int make_filesystem(const char *type, const char *const options[][2], unsigned int attr)
{
	_cleanup_close_ int context = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (context < 0)
		return -errno;
	for (; options && (*options)[0]; options++)
		if (fsconfig(context, FSCONFIG_SET_STRING, (*options)[0], (*options)[1], 0) < 0)
			return -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, attr);
	return fd < 0 ? -errno : fd;
}

static int attach(int mount_fd, int target_fd)
{
	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* A detached copy of what is at @fd, with the mounts below it if @recursive. */
static int clone_tree(int fd, bool recursive)
{
	int tree = open_tree(fd, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				     (recursive ? AT_RECURSIVE : 0));

	return tree < 0 ? -errno : tree;
}

static int set_attributes(int mount_fd, uint64_t attributes, bool recursive)
{
	struct mount_attr attr = {.attr_set = attributes};
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return mount_setattr(mount_fd, "", flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static bool is_own(const struct execution *x, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < x->own_len; i++)
		if (x->own[i] == st.st_dev)
			return true;
	return false;
}

/*
 * Open the target of a step, making what is missing of it, but only inside a tmpfs of ours: a
 * directory made on the host's disk would outlive the sandbox.
 */
static int open_target(const struct execution *x, const char *target, bool directory)
{
	_cleanup_close_ int dir = -1;
	int fd = open_path(AT_FDCWD, target, O_PATH);

	if (fd != -ENOENT)
		return fd;
	dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	for (const char *p = target; *p;) {
		char name[256];
		size_t len;
		bool last;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 0)
			break;
		if (len >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, p, len);
		name[len] = '\0';
		p += len;
		last = p[strspn(p, "/")] == '\0';
		fd = open_path(dir, name, O_PATH);
		if (fd == -ENOENT && is_own(x, dir)) {
			if (directory || !last) {
				if (mkdirat(dir, name, 0755) < 0)
					return -errno;
			} else {
				_cleanup_close_ int file = openat(
					dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

				if (file < 0)
					return -errno;
			}
			fd = open_path(dir, name, O_PATH);
		}
		if (fd < 0)
			return fd;
		safe_close(dir);
		dir = fd;
	}
	return TAKE_FD(dir);
}

static int scratch_open(struct scratch *scratch)
{
	static const char *const options[][2] = {
		{"source", "openshell"}, {"size", "64M"}, {"mode", "0700"}, {NULL, NULL}};
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = make_filesystem(
		"tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	int r;

	if (root < 0 || fd < 0)
		return fd < 0 ? fd : -EIO;
	/* On top of the root directory, where no path leads: lookups start below it. */
	r = attach(fd, root);
	if (r < 0)
		return r;
	if (mkdirat(fd, "mask.d", 0) < 0)
		return -errno;
	scratch->fd = TAKE_FD(fd);
	r = mknodat(scratch->fd, "mask", S_IFREG, 0) < 0 ? -errno : 0;
	return r;
}

static int scratch_close(struct scratch *scratch)
{
	int r = 0;

	if (scratch->fd < 0)
		return 0;
	if (fchdir(scratch->fd) < 0 || umount2(".", MNT_DETACH) < 0)
		r = -errno;
	if (chdir("/") < 0 && r == 0)
		r = -errno;
	scratch->fd = safe_close(scratch->fd);
	return r;
}

/* A detached, read-only mount of the scratch's entry @name. */
static int scratch_clone(const struct scratch *scratch, const char *name)
{
	_cleanup_close_ int fd = open_path(scratch->fd, name, O_PATH);
	_cleanup_close_ int tree = -1;
	int r;

	if (fd < 0)
		return fd;
	tree = clone_tree(fd, false);
	if (tree < 0)
		return tree;
	r = set_attributes(
		tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		false);
	return r < 0 ? r : TAKE_FD(tree);
}

static int scratch_write(struct scratch *scratch, const char *content, char name[static 16])
{
	_cleanup_close_ int fd = -1;
	size_t len = content ? strlen(content) : 0;

	snprintf(name, 16, "%u", scratch->files++);
	fd = openat(scratch->fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	/* The caller's umask does not decide who may read the file. */
	if (fchmod(fd, 0444) < 0)
		return -errno;
	while (len > 0) {
		ssize_t n = write(fd, content, len);

		if (n < 0)
			return -errno;
		content += n;
		len -= (size_t)n;
	}
	return 0;
}

static int step_tmpfs(struct execution *x, const struct mount_step *step)
{
	char size[32], mode[16];
	const char *const options[][2] = {
		{"source", "openshell"}, {"size", size}, {"mode", mode}, {NULL, NULL}};
	_cleanup_close_ int target = open_target(x, step->target, true);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (target < 0)
		return target;
	if (x->own_len == OWN_TMPFS_MAX)
		return -E2BIG;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)step->size);
	snprintf(mode, sizeof(mode), "%o", step->mode & 07777);
	fd = make_filesystem("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	x->own[x->own_len++] = st.st_dev;
	return attach(fd, target);
}

static int step_bind(struct execution *x, const struct mount_step *step, int source)
{
	_cleanup_close_ int target = -1;
	struct stat st;

	if (fstat(source, &st) < 0)
		return -errno;
	target = open_target(x, step->target, S_ISDIR(st.st_mode));
	if (target < 0)
		return target;
	return attach(source, target);
}

static int step_attributes(struct execution *x, const struct mount_step *step, uint64_t attributes)
{
	_cleanup_close_ int target = open_target(x, step->target, true);
	_cleanup_close_ int tree = -1;
	int r;

	if (target < 0)
		return target;
	r = set_attributes(target, attributes, true);
	if (r != -EINVAL)
		return r;
	/* Not the root of a mount: make it one. */
	tree = clone_tree(target, true);
	if (tree < 0)
		return tree;
	r = set_attributes(tree, attributes, true);
	return r < 0 ? r : attach(tree, target);
}

static int step_pin(struct execution *x, const struct mount_step *step)
{
	_cleanup_close_ int target = open_target(x, step->target, true);
	_cleanup_close_ int tree = target < 0 ? target : clone_tree(target, true);

	return tree < 0 ? tree : attach(tree, target);
}

static int step_symlink(struct execution *x, const struct mount_step *step)
{
	const char *name = strrchr(step->target, '/');
	char parent[PATH_MAX];
	_cleanup_close_ int dir = -1;

	if (!name || !name[1] || (size_t)(name - step->target) >= sizeof(parent) - 1)
		return -EINVAL;
	snprintf(parent, sizeof(parent), "%.*s/", (int)(name - step->target), step->target);
	dir = open_target(x, parent, true);
	if (dir < 0)
		return dir;
	if (!is_own(x, dir))
		return -EXDEV;
	return symlinkat(step->content, dir, name + 1) < 0 ? -errno : 0;
}

static int step_scratch(struct execution *x, const struct mount_step *step)
{
	char name[16] = "mask";
	_cleanup_close_ int target = -1, source = -1;
	struct stat st;
	int r;

	if (step->op == MOUNT_OP_CONTENT) {
		r = scratch_write(&x->scratch, step->content, name);
		if (r < 0)
			return r;
		target = open_target(x, step->target, false);
	} else {
		target = open_target(x, step->target, true);
	}
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		if (step->op == MOUNT_OP_CONTENT)
			return -EISDIR;
		snprintf(name, sizeof(name), "mask.d");
	}
	source = scratch_clone(&x->scratch, name);
	return source < 0 ? source : attach(source, target);
}

static int run_step(struct execution *x, const struct mount_plan *plan, size_t i)
{
	const struct mount_step *step = &plan->step[i];

	switch (step->op) {
	case MOUNT_OP_TMPFS:
		return step_tmpfs(x, step);
	case MOUNT_OP_BIND_HOST:
		return step_bind(x, step, x->source[i]);
	case MOUNT_OP_READ_ONLY:
		return step_attributes(x, step, MOUNT_ATTR_RDONLY);
	case MOUNT_OP_MASK:
	case MOUNT_OP_CONTENT:
		return step_scratch(x, step);
	case MOUNT_OP_NO_EXEC:
		return step_attributes(x, step, MOUNT_ATTR_NOEXEC);
	case MOUNT_OP_PIN:
		return step_pin(x, step);
	case MOUNT_OP_SYMLINK:
		return step_symlink(x, step);
	case MOUNT_OP_ROOT:
		return i ? -EINVAL : 0;
	}
	return -EINVAL;
}

static int open_sources(struct execution *x, const struct mount_plan *plan, struct error *err)
{
	for (size_t i = 0; plan && i < plan->len; i++) {
		const struct mount_step *step = &plan->step[i];

		x->source[i] = -1;
		if (step->op == MOUNT_OP_BIND_HOST || step->op == MOUNT_OP_ROOT) {
			const char *from = step->content ? step->content : step->target;
			_cleanup_close_ int fd = open_path(AT_FDCWD, from, O_PATH);

			x->source[i] = fd < 0 ? fd : clone_tree(fd, step->op == MOUNT_OP_BIND_HOST);
			if (x->source[i] < 0)
				return error_set(err, x->source[i], "cannot open the host's %s: %s",
						 from, strerrordesc_np(-x->source[i]));
		}
	}
	return 0;
}

static int open_scratch(struct execution *x, const struct mount_plan *plan, struct error *err)
{
	bool wanted = false;
	int r;

	for (size_t i = 0; plan && i < plan->len; i++)
		wanted |= plan->step[i].op == MOUNT_OP_MASK || plan->step[i].op == MOUNT_OP_CONTENT;
	r = wanted ? scratch_open(&x->scratch) : 0;
	return r < 0 ? error_set(err, r, "cannot make a tmpfs for masks: %s", strerrordesc_np(-r))
		     : 0;
}

static int pivot(int root)
{
	_cleanup_close_ int target = open_path(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY);
	int r = target < 0
			? target
			: set_attributes(root,
					 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
					 false);

	/* It has to be mounted somewhere to become the root. */
	if (r == 0)
		r = attach(root, target);
	if (r < 0)
		return r;
	/* The old root is put over the new one and taken off again, with all that is below it. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

/* An image's directory as the root: what is mounted from here on is mounted there. */
static int change_root(struct execution *x, const struct mount_plan *plan, struct error *err)
{
	_cleanup_close_ int host = -1, dev = -1, target = -1;
	int r;

	if (!plan || !plan->len || plan->step[0].op != MOUNT_OP_ROOT)
		return 0;
	host = open_path(AT_FDCWD, "/dev", O_PATH | O_DIRECTORY);
	dev = host < 0 ? host : clone_tree(host, true);
	r = dev < 0 ? dev : pivot(x->source[0]);
	x->source[0] = safe_close(x->source[0]);
	if (r < 0)
		return error_set(err, r, "cannot make %s the sandbox's root: %s",
				 plan->step[0].content, strerrordesc_np(-r));
	target = open_path(AT_FDCWD, "/dev", O_PATH | O_DIRECTORY);
	r = target < 0 ? target : attach(dev, target);
	if (r < 0)
		return error_set(err, r, "cannot put the host's /dev into %s: %s",
				 plan->step[0].content, strerrordesc_np(-r));
	return 0;
}

static int mount_proc(struct error *err)
{
	_cleanup_close_ int target = open_path(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY);
	_cleanup_close_ int fd = -1;
	int r;

	if (target < 0)
		return error_set(err, target, "cannot open /proc: %s", strerrordesc_np(-target));
	fd = make_filesystem("proc", (const char *const[][2]){{"source", "proc"}, {NULL, NULL}},
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	r = fd < 0 ? fd : attach(fd, target);
	if (r < 0)
		return error_set(err, r, "cannot mount a new /proc: %s", strerrordesc_np(-r));
	return 0;
}

int mounts_execute(const struct mount_plan *plan, struct error *err)
{
	struct execution *x = &execution;
	int r;

	x->scratch.fd = -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, -errno, "cannot make the sandbox's mounts private: %s",
				 strerrordesc_np(errno));
	r = open_sources(x, plan, err);
	if (r == 0)
		r = change_root(x, plan, err);
	if (r == 0)
		r = open_scratch(x, plan, err);
	if (r < 0)
		return r;
	r = mount_proc(err);
	if (r < 0)
		return r;
	for (size_t i = 0; plan && i < plan->len; i++) {
		r = run_step(x, plan, i);
		if (r < 0 && !(r == -ENOENT && plan->step[i].may_vanish))
			return error_set(err, r, "cannot %s %s: %s", step_verb(plan->step[i].op),
					 plan->step[i].target, strerrordesc_np(-r));
		x->source[i] = safe_close(x->source[i]);
	}
	r = scratch_close(&x->scratch);
	if (r < 0)
		return error_set(err, r, "cannot detach the tmpfs for masks: %s",
				 strerrordesc_np(-r));
	return 0;
}
