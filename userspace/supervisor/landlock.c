/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/landlock.h"
#include "common/cleanup.h"

#include <linux/types.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule	    445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION (1U << 0)
#define RULE_PATH_BENEATH      1

/* ABI 6 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL		   (1ULL << 1)

/* ABI 7: denials of what the agent executes reach the kernel's audit log too. */
#define RESTRICT_LOG_NEW_EXEC_ON (1U << 1)

/* f_flags of statfs(2), which the C library only names for statvfs. */
#define MOUNT_IS_RDONLY 0x0001
#define MOUNT_IS_NOEXEC 0x0008

/* As in <linux/landlock.h> of ABI 6; a kernel with a lower ABI gets less of it. */
struct ruleset_attr {
	__u64 handled_access_fs;
	__u64 handled_access_net;
	__u64 scoped;
};

struct path_beneath_attr {
	__u64 allowed_access;
	__s32 parent_fd;
} __attribute__((packed));

static const struct {
	int abi;
	uint64_t access;
} handled[] = {
	{1, LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_READ_FILE |
		    LANDLOCK_FS_READ_DIR | LANDLOCK_FS_REMOVE_DIR | LANDLOCK_FS_REMOVE_FILE |
		    LANDLOCK_FS_MAKE_CHAR | LANDLOCK_FS_MAKE_DIR | LANDLOCK_FS_MAKE_REG |
		    LANDLOCK_FS_MAKE_SOCK | LANDLOCK_FS_MAKE_FIFO | LANDLOCK_FS_MAKE_BLOCK |
		    LANDLOCK_FS_MAKE_SYM},
	{2, LANDLOCK_FS_REFER},
	{3, LANDLOCK_FS_TRUNCATE},
	{5, LANDLOCK_FS_IOCTL_DEV},
	{9, LANDLOCK_FS_RESOLVE_UNIX},
};

/* Device nodes are in no row: nobody may make one. */
static const struct {
	uint32_t right;
	uint64_t access;
} granted[] = {
	{OS_RIGHT_READ, LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR},
	{OS_RIGHT_WRITE, LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV |
				 LANDLOCK_FS_RESOLVE_UNIX},
	{OS_RIGHT_CREATE, LANDLOCK_FS_MAKE_DIR | LANDLOCK_FS_MAKE_REG | LANDLOCK_FS_MAKE_SOCK |
				  LANDLOCK_FS_MAKE_FIFO | LANDLOCK_FS_MAKE_SYM},
	{OS_RIGHT_REMOVE, LANDLOCK_FS_REMOVE_DIR | LANDLOCK_FS_REMOVE_FILE},
	{OS_RIGHT_EXEC, LANDLOCK_FS_EXECUTE},
};

#define RIGHTS_OF_FILES                                                                            \
	(LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_READ_FILE |                    \
	 LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV | LANDLOCK_FS_RESOLVE_UNIX)

/* What a read-only mount takes away. Devices' ioctls are cgroup/dev's, sockets are masked. */
#define RIGHTS_OF_WRITING                                                                          \
	(LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_MAKE_DIR |                    \
	 LANDLOCK_FS_MAKE_REG | LANDLOCK_FS_MAKE_SOCK | LANDLOCK_FS_MAKE_FIFO |                    \
	 LANDLOCK_FS_MAKE_SYM | LANDLOCK_FS_REMOVE_DIR | LANDLOCK_FS_REMOVE_FILE |                 \
	 LANDLOCK_FS_REFER)

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

uint64_t landlock_handled_fs(int abi)
{
	uint64_t access = 0;

	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		if (abi >= handled[i].abi)
			access |= handled[i].access;
	return access;
}

uint64_t landlock_access(uint32_t rights, bool directory, int abi)
{
	uint64_t access = 0;

	for (size_t i = 0; i < ARRAY_LEN(granted); i++)
		if (rights & granted[i].right)
			access |= granted[i].access;
	/* Linking or renaming across directories: the kernel compares both sides' rights. */
	if ((rights & OS_RIGHT_CREATE) && (rights & OS_RIGHT_REMOVE))
		access |= LANDLOCK_FS_REFER;
	if (!directory && (rights & OS_RIGHT_LIBRARY))
		access |= LANDLOCK_FS_EXECUTE;
	if (!directory)
		access &= RIGHTS_OF_FILES;
	return access & landlock_handled_fs(abi);
}

static uint64_t path_access(const struct resolved_path *path, int abi)
{
	bool directory = S_ISDIR(path->mode);

	return landlock_access(directory ? path->subtree : path->self, directory, abi);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp((*(const struct resolved_path *const *)a)->path,
		      (*(const struct resolved_path *const *)b)->path);
}

/* The entry whose path is the first @len bytes of @path; for the root, len 1. */
static const struct resolved_path *find_path(const struct resolved_path *const *sorted, size_t n,
					     const char *path, size_t len)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;
		int order = strncmp(sorted[middle]->path, path, len);

		if (order == 0 && sorted[middle]->path[len] == '\0')
			return sorted[middle];
		if (order < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return NULL;
}

/* What the rules on the directories above @path already grant. */
static uint64_t access_from_above(const struct resolved_path *const *sorted, size_t n,
				  const char *path, int abi, const char **ret_from)
{
	uint64_t access = 0;

	for (size_t len = strlen(path); len > 1;) {
		const struct resolved_path *above;

		do
			len--;
		while (len > 0 && path[len] != '/');
		above = find_path(sorted, n, path, len ? len : 1);
		if (above && S_ISDIR(above->mode)) {
			uint64_t more = path_access(above, abi) & ~access;

			if (more)
				*ret_from = above->path;
			access |= more;
		}
	}
	return access;
}

/*
 * A path that has less than a path above it: the mount it is on must say so, since no rule can.
 * Masks are of mode 0, which holds for an agent without capabilities.
 */
static int check_narrower(const struct resolved_path *path, uint64_t excess, const char *from,
			  struct error *err)
{
	const char *missing = NULL;
	struct statfs fs;
	struct stat st;

	if (fstatfs(path->fd, &fs) < 0 || fstat(path->fd, &st) < 0)
		return error_set(err, -errno, "cannot look at %s: %s", path->path, strerror(errno));
	if (!S_ISDIR(path->mode))
		excess &= RIGHTS_OF_FILES;
	if ((st.st_mode & 07777) == 0 && (fs.f_flags & MOUNT_IS_RDONLY))
		return 0;
	if ((excess & RIGHTS_OF_WRITING) && !(fs.f_flags & MOUNT_IS_RDONLY))
		missing = "written";
	else if ((excess & LANDLOCK_FS_EXECUTE) && !(fs.f_flags & MOUNT_IS_NOEXEC))
		missing = "executed";
	else if (excess & (LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR))
		missing = "read";
	if (!missing)
		return 0;
	return error_set(err, -EPERM,
			 "%s must not be %s, but %s above it may, and no mount of the sandbox "
			 "takes that away: Landlock alone cannot enforce this policy",
			 path->path, missing, from);
}

static int add_rule(int ruleset, const struct resolved_path *path, uint64_t access,
		    struct error *err)
{
	struct path_beneath_attr attr = {.allowed_access = access, .parent_fd = path->fd};

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0)
		return error_set(err, -errno, "Landlock refuses a rule for %s: %s", path->path,
				 strerror(errno));
	return 0;
}

int landlock_build(const struct resolved *resolved, int *ret_fd, struct error *err)
{
	_cleanup_free_ const struct resolved_path **sorted = NULL;
	_cleanup_close_ int ruleset = -1;
	struct ruleset_attr attr = {};
	int abi = landlock_abi();
	size_t rules = 0;
	int r;

	if (abi <= 0)
		return error_set(err, -EOPNOTSUPP,
				 "this kernel has no Landlock: add `landlock` to lsm= on the "
				 "kernel's command line (see openshell doctor)");
	sorted = calloc(resolved->len + 1, sizeof(*sorted));
	if (!sorted)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < resolved->len; i++)
		sorted[i] = &resolved->path[i];
	qsort(sorted, resolved->len, sizeof(*sorted), compare_paths);

	attr.handled_access_fs = landlock_handled_fs(abi);
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	/* TCP stays unhandled: the cgroup programs know destinations, Landlock only ports. */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
			       abi >= 6 ? sizeof(attr) : sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return error_set(err, -errno, "Landlock refuses a ruleset at ABI %d: %s", abi,
				 strerror(errno));

	for (size_t i = 0; i < resolved->len; i++) {
		const struct resolved_path *path = sorted[i];
		uint64_t access = path_access(path, abi), above;
		const char *from = "/";

		above = access_from_above(sorted, resolved->len, path->path, abi, &from);
		if (above & ~access) {
			r = check_narrower(path, above & ~access, from, err);
			if (r < 0)
				return r;
		}
		if ((access & ~above) == 0)
			continue;
		r = add_rule(ruleset, path, access, err);
		if (r < 0)
			return r;
		rules++;
	}
	if (rules == 0)
		return error_set(err, -ENOENT,
				 "the policy lists no path that exists: nothing in "
				 "this sandbox could be read or executed");
	*ret_fd = TAKE_FD(ruleset);
	return 0;
}

int landlock_restrict(int ruleset_fd)
{
	unsigned int flags = landlock_abi() >= 7 ? RESTRICT_LOG_NEW_EXEC_ON : 0;

	return syscall(SYS_landlock_restrict_self, ruleset_fd, flags) < 0 ? -errno : 0;
}
