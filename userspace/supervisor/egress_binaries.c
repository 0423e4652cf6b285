/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress_binaries.h"

#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "endpoint.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#define PB(name) Openshell__Compiled__V1__##name

struct build {
	const struct kernel *kernel;
	int root_fd;
	struct egress_binaries binaries;
	size_t visits;
	unsigned int waits;
	uint32_t set;	     /* bit that what is found now gets */
	const char *glob;    /* being expanded */
	char path[PATH_MAX]; /* of the walk, in the sandbox */
	struct error *err;
};

static void binaries_cleanup(struct build *build)
{
	egress_binaries_free(&build->binaries);
}

static int open_inside(int root_fd, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int add(struct build *build, const struct os_image *image)
{
	struct egress_binaries *all = &build->binaries;
	struct egress_binary *binary;

	if (all->len == all->cap) {
		size_t cap = all->cap ? all->cap * 2 : 64;

		binary = realloc(all->binary, cap * sizeof(*binary));
		if (!binary)
			return error_set(build->err, -ENOMEM, "out of memory");
		all->binary = binary;
		all->cap = cap;
	}
	binary = &all->binary[all->len++];
	*binary = (struct egress_binary){.file = image->file, .changed = image->changed};
	binary->rules.word[build->set / 64] = UINT64_C(1) << build->set % 64;
	return 0;
}

static uint64_t ctime_of(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec;
}

/*
 * An overlay's inode learns what was written through a mapping when the file is read, as execve()
 * does; stat(2) asks the file below.
 */
int egress_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode)
{
	_cleanup_close_ int file = -1;
	char path[64], byte;
	uint32_t mode;
	struct stat st;
	int r = fstat(fd, &st) ? -errno : kernel_identify(kernel, fd, ret_image, &mode);

	if (!r && S_ISREG(mode) && ret_image->changed != ctime_of(&st)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (file >= 0 && pread(file, &byte, 1, 0) >= 0)
			r = kernel_identify(kernel, fd, ret_image, &mode);
	}
	if (!r && ret_mode)
		*ret_mode = mode;
	return r;
}

/*
 * File times come from a clock that stands still for up to 10 ms, so a file that was just changed
 * can be changed again and not show it. Such a file is looked at once more when the clock is past
 * it. Not for ever: its time may lie in the future.
 */
static int identify(struct build *build, int fd, struct os_image *ret_image)
{
	const struct timespec wait = {.tv_nsec = EGRESS_SETTLE_NS};
	struct timespec now;
	int r = egress_identify(build->kernel, fd, ret_image, NULL);

	clock_gettime(CLOCK_REALTIME, &now);
	if (r || build->waits == EGRESS_WAITS_MAX ||
	    ret_image->changed + EGRESS_SETTLE_NS <=
		    (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec)
		return r;
	build->waits++;
	nanosleep(&wait, NULL);
	return egress_identify(build->kernel, fd, ret_image, NULL);
}

/* 1 = it is an executable and was added, 0 = it is something else. */
static int add_file(struct build *build, const char *path)
{
	_cleanup_close_ int fd = open_inside(build->root_fd, path, O_PATH);
	struct os_image image;
	struct stat st;
	int r;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return 0;
	r = identify(build, fd, &image);
	if (r)
		return error_set(build->err, r, "cannot identify %s: %s", path, strerror(-r));
	r = add(build, &image);
	return r ? r : 1;
}

/* Filesystems of the kernel's own: no programs there, and no end to /proc. */
static bool is_kernel_filesystem(int fd)
{
	static const unsigned long types[] = {
		PROC_SUPER_MAGIC,
		SYSFS_MAGIC,
		CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC,
		DEVPTS_SUPER_MAGIC,
		DEBUGFS_MAGIC,
		TRACEFS_MAGIC,
		SECURITYFS_MAGIC,
		BPF_FS_MAGIC,
		PSTOREFS_MAGIC,
		EFIVARFS_MAGIC,
		BINFMTFS_MAGIC,
		SELINUX_MAGIC,
		0x19800202 /* mqueue */,
		0x62656570 /* configfs */,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

/*
 * Length of @glob's first @components components that a path must match as a whole, or -1 if `**`
 * comes earlier, or there are fewer: then depth says nothing.
 */
static ssize_t glob_head(const char *glob, size_t components)
{
	const char *c = glob;

	for (size_t i = 0; i < components; i++) {
		size_t len;

		if (*c != '/')
			return -1;
		len = 1 + strcspn(c + 1, "/");
		for (size_t k = 0; k + 1 < len; k++)
			if (c[k] == '*' && c[k + 1] == '*')
				return -1;
		c += len;
	}
	return c - glob;
}

/* Whether anything below directory @path (of @components components) can match. */
static bool may_hold(const char *glob, const char *path, size_t components)
{
	ssize_t head = glob_head(glob, components);
	char part[PATH_MAX];

	if (head < 0) {
		/* Either `**` is near, or the glob ends above: only the first can match below. */
		return strstr(glob, "**") != NULL;
	}
	if (!glob[head] || (size_t)head >= sizeof(part))
		return false;
	memcpy(part, glob, (size_t)head);
	part[head] = '\0';
	return policy_glob_match(part, path, '/', 0);
}

static size_t count_components(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Look at every entry of directory @fd, whose path is build->path. Takes @fd. */
static int walk(struct build *build, int fd, unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	size_t len = strlen(build->path);
	struct dirent *entry;
	int r = 0;

	if (is_kernel_filesystem(fd)) {
		safe_close(fd);
		return 0;
	}
	dir = fdopendir(fd);
	if (!dir) {
		safe_close(fd);
		return error_set(build->err, -ENOMEM, "out of memory");
	}
	while (!r && (entry = readdir(dir))) {
		size_t size = strlen(entry->d_name);
		bool is_dir = entry->d_type == DT_DIR;
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (build->visits++ >= EGRESS_VISITS_MAX || len + size + 2 > sizeof(build->path)) {
			build->binaries.truncated = true;
			break;
		}
		if (entry->d_type == DT_UNKNOWN) {
			if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
				continue;
			is_dir = S_ISDIR(st.st_mode);
		}
		build->path[len] = '/';
		memcpy(build->path + len + 1, entry->d_name, size + 1);
		if (is_dir) {
			int child = -1;

			if (may_hold(build->glob, build->path, count_components(build->path))) {
				if (depth == EGRESS_DEPTH_MAX)
					build->binaries.truncated = true;
				else
					child = openat(dirfd(dir), entry->d_name,
						       O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
							       O_CLOEXEC);
			}
			if (child >= 0)
				r = walk(build, child, depth + 1);
		} else if (policy_glob_match(build->glob, build->path, '/', 0)) {
			r = add_file(build, build->path);
		}
		build->path[len] = '\0';
		r = r < 0 ? r : 0;
	}
	return r;
}

/* Start at the last directory that the glob spells out. */
static int expand(struct build *build, const char *glob)
{
	size_t fixed = strcspn(glob, "*?[");
	int fd;

	while (fixed && glob[fixed - 1] != '/')
		fixed--;
	if (!fixed || fixed >= sizeof(build->path))
		return 0;
	memcpy(build->path, glob, fixed);
	build->path[fixed] = '\0';
	fd = open_inside(build->root_fd, build->path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return 0;
	build->path[fixed - 1] = '\0';
	build->glob = glob;
	return walk(build, fd, 0);
}

static int compare(const void *a, const void *b)
{
	const struct os_file_id *x = &((const struct egress_binary *)a)->file,
				*y = &((const struct egress_binary *)b)->file;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->generation < y->generation ? -1 : x->generation > y->generation;
}

static void merge(struct egress_binaries *all)
{
	size_t kept = 0;

	if (all->len)
		qsort(all->binary, all->len, sizeof(*all->binary), compare);
	for (size_t i = 0; i < all->len; i++) {
		const struct egress_binary *binary = &all->binary[i];
		struct egress_binary *last = kept ? &all->binary[kept - 1] : NULL;

		if (last && !compare(last, binary)) {
			endpoint_mask_add(&last->rules, &binary->rules);
			if (last->changed < binary->changed)
				last->changed = binary->changed;
		} else {
			all->binary[kept++] = *binary;
		}
	}
	all->len = kept;
}

static int add_set(struct build *build, const PB(BinarySet) * set)
{
	static const struct os_image every;
	int r;

	if (set->any) {
		r = add(build, &every);
		if (r)
			return r;
	}
	for (size_t i = 0; i < set->n_exact; i++) {
		r = add_file(build, set->exact[i]);
		if (r < 0)
			return r;
		build->binaries.missing += !r;
	}
	for (size_t i = 0; i < set->n_globs; i++) {
		r = expand(build, set->globs[i]);
		if (r)
			return r;
	}
	return 0;
}

int egress_binaries_build(const struct kernel *kernel, const PB(CompiledPolicy) * policy,
			  int root_fd, struct egress_binaries *ret_binaries, struct error *err)
{
	_cleanup_(binaries_cleanup) struct build build = {
		.kernel = kernel, .root_fd = root_fd, .err = err};

	if (policy->n_binary_sets > OS_RULE_SETS)
		return error_set(err, -E2BIG,
				 "the network rules have more than %d different lists of binaries",
				 OS_RULE_SETS);
	for (size_t i = 0; i < policy->n_binary_sets; i++) {
		int r;

		build.set = (uint32_t)i;
		r = add_set(&build, policy->binary_sets[i]);
		if (r)
			return r;
	}
	merge(&build.binaries);
	*ret_binaries = build.binaries;
	build.binaries = (struct egress_binaries){};
	return 0;
}

void egress_binaries_free(struct egress_binaries *binaries)
{
	free(binaries->binary);
	*binaries = (struct egress_binaries){};
}
