/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/confine.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/filter.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* NO_SETUID_FIXUP stays off: with it on, another uid would keep the capabilities. */
#define SECUREBITS                                                                                 \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |                    \
	 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |                                   \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

#define MIB ((rlim_t)1 << 20)

struct limit {
	int resource;
	rlim_t max;
};

static const struct limit common_limits[] = {
	{RLIMIT_CORE, 0},    {RLIMIT_FSIZE, 0},	 {RLIMIT_NPROC, 0},
	{RLIMIT_MEMLOCK, 0}, {RLIMIT_RTPRIO, 0}, {RLIMIT_MSGQUEUE, 0},
};

/*
 * Room for 10,000 connections of agents and as many to servers. An idle one with TLS costs some
 * 15 KiB, all of them 300 MiB; twice that is left for those in use: buffers of 16 KiB each way
 * where a record is half read or half written, and what requests keep.
 */
static const struct limit worker_limits[] = {
	{RLIMIT_NOFILE, 65536},
	{RLIMIT_AS, 1024 * MIB},
};

/* Address space, of which a few MiB are ever touched. */
static const struct limit resolver_limits[] = {
	{RLIMIT_NOFILE, 4096},
	{RLIMIT_AS, 64 * MIB},
};

static int set_capabilities(uint32_t low)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static bool has_capabilities(uint32_t low)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];

	return !syscall(SYS_capget, &header, have) && have[0].effective == low &&
	       have[0].permitted == low && !have[0].inheritable && !have[1].effective &&
	       !have[1].permitted && !have[1].inheritable;
}

static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* Past the kernel's last capability. */
		if (errno == EINVAL && cap > 0)
			break;
		return -errno;
	}
	return 0;
}

/* Not to be outlived: the signal, and a look whether the parent had gone before it was asked for.
 */
static int die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int confine_zygote(void)
{
	uint32_t keep = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;
	int r = die_with(getppid());

	if (!r)
		r = drop_bounding_set();
	if (r)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0 ||
	    syscall(SYS_setgroups, 0, NULL) < 0)
		return -errno;
	r = set_capabilities(keep);
	if (r)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    chdir("/") < 0)
		return -errno;
	umask(077);
	/* Read here, where files may be opened: gmtime_r() does it in whoever is first. */
	tzset();
	return has_capabilities(keep) ? 0 : -EPERM;
}

static int limit(const struct limit *limits, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct rlimit have, want = {limits[i].max, limits[i].max};

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &have) < 0)
			return -errno;
		if (want.rlim_max > have.rlim_max)
			want.rlim_cur = want.rlim_max = have.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &want) < 0)
			return -errno;
	}
	return 0;
}

static int limit_all(uint32_t role)
{
	int r = limit(common_limits, ARRAY_LEN(common_limits));

	if (r)
		return r;
	return role == WORKER_ROLE_WORKER ? limit(worker_limits, ARRAY_LEN(worker_limits))
					  : limit(resolver_limits, ARRAY_LEN(resolver_limits));
}

static bool is_confined(uid_t uid)
{
	uid_t user[3];
	gid_t group[3];

	if (getresuid(&user[0], &user[1], &user[2]) < 0 ||
	    getresgid(&group[0], &group[1], &group[2]) < 0 || getgroups(0, NULL) != 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (user[i] != uid || group[i] != uid)
			return false;
	return has_capabilities(0) && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	       prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == SECUREBITS &&
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static int allow_reading(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	long r;

	/* What is not there now will not be read. */
	if (rule.parent_fd < 0)
		return 0;
	r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	safe_close(rule.parent_fd);
	return r < 0 ? -errno : 0;
}

/*
 * The resolver opens files by itself, because resolv.conf changes. Of all that every user of the
 * host may read it needs little: the directories of its two files, and where such files are links
 * to. A kernel without Landlock leaves it what its uid may read.
 */
static int limit_files(void)
{
	static const char *const readable[] = {"/etc", "/run", "/dev/urandom"};
	static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts"};
	const struct landlock_ruleset_attr attr = {
		/* All of the first ABI: every right in the word up to MAKE_SYM. */
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	_cleanup_close_ int ruleset = -1;
	char path[PATH_MAX];
	int r = 0;

	/* The oldest form of the structure, which is all that is wanted of it. */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(__u64), 0);
	if (ruleset < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	for (size_t i = 0; i < ARRAY_LEN(readable) && !r; i++)
		r = allow_reading(ruleset, readable[i]);
	for (size_t i = 0; i < ARRAY_LEN(files) && !r; i++)
		if (realpath(files[i], path))
			r = allow_reading(ruleset, path);
	if (!r && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r;
}

int confine_child(uint32_t role, uid_t uid, pid_t zygote)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog program = {.filter = code};
	int r = limit_all(role);

	if (r)
		return r;
	if (!uid || uid == (uid_t)-1)
		return -EINVAL;
	/* The raw calls: this process has one thread, and glibc's would look for others. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, uid, uid, uid) < 0 ||
	    syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	r = set_capabilities(0);
	if (r)
		return r;
	/* A change of identity has taken back the parent-death signal. */
	r = die_with(zygote);
	if (r)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (!is_confined(uid))
		return -EPERM;
	if (role == WORKER_ROLE_RESOLVER) {
		r = limit_files();
		if (r)
			return r;
	}
	r = filter_assemble((enum worker_role)role, code, &program.len);
	if (r)
		return r;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
