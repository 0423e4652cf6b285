/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/privileges.h"
#include "common/cleanup.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/*
 * Every bit that may be locked is, and root's uid means nothing. NO_SETUID_FIXUP stays off: with
 * it on, the change of uid below would keep the capabilities.
 */
#define SECUREBITS                                                                                 \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |                    \
	 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |                                   \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static const struct {
	const char *name;
	int resource;
	rlim_t soft, hard;
} limits[] = {
	{"core", RLIMIT_CORE, 0, 0},
	/* Soft as everywhere: select() breaks above it, and who needs more raises it. */
	{"nofile", RLIMIT_NOFILE, 1024, 524288},
	/* Counted per uid over the whole host, so it has to leave room for a user's own work. */
	{"nproc", RLIMIT_NPROC, 16384, 16384},
	{"memlock", RLIMIT_MEMLOCK, 8 << 20, 8 << 20},
	{"msgqueue", RLIMIT_MSGQUEUE, 819200, 819200},
	{"rtprio", RLIMIT_RTPRIO, 0, 0},
	{"nice", RLIMIT_NICE, 0, 0},
};

int privileges_limit(struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit have, want = {limits[i].soft, limits[i].hard};

		if (getrlimit(limits[i].resource, &have) == 0) {
			if (want.rlim_max > have.rlim_max)
				want.rlim_max = have.rlim_max;
			if (want.rlim_cur > want.rlim_max)
				want.rlim_cur = want.rlim_max;
			if (setrlimit(limits[i].resource, &want) == 0)
				continue;
		}
		return error_set(err, -errno, "cannot set the resource limit '%s': %s",
				 limits[i].name, strerrordesc_np(errno));
	}
	return 0;
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

static int set_capabilities_empty(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {};

	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* The raw calls change this thread only, which is all there is in init. */
static int become(const struct privileges *to)
{
	if (syscall(SYS_setgroups, to->groups_len, to->groups) < 0 ||
	    syscall(SYS_setresgid, to->gid, to->gid, to->gid) < 0 ||
	    syscall(SYS_setresuid, to->uid, to->uid, to->uid) < 0)
		return -errno;
	return 0;
}

static bool is_dropped(const struct privileges *to)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != to->uid || gid[i] != to->gid || uid[i] == 0 || gid[i] == 0)
			return false;
	if (syscall(SYS_capget, &header, have) < 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (have[i].effective | have[i].permitted | have[i].inheritable)
			return false;
	return prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	       prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == SECUREBITS &&
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int privileges_drop(const struct privileges *to, struct error *err)
{
	int r;

	if (to->uid == 0 || to->gid == 0 || to->uid == (uid_t)-1 || to->gid == (gid_t)-1)
		return error_set(err, -EINVAL, "an agent never runs as uid or gid %s",
				 to->uid == 0 || to->gid == 0 ? "0" : "-1");
	r = drop_bounding_set();
	if (r < 0)
		return error_set(err, r, "cannot drop the capability bounding set: %s",
				 strerrordesc_np(-r));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot clear the ambient capabilities: %s",
				 strerrordesc_np(errno));
	if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot lock the securebits: %s",
				 strerrordesc_np(errno));
	r = become(to);
	if (r < 0)
		return error_set(err, r, "cannot become uid %u gid %u: %s", to->uid, to->gid,
				 strerrordesc_np(-r));
	r = set_capabilities_empty();
	if (r < 0)
		return error_set(err, r, "cannot give up capabilities: %s", strerrordesc_np(-r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot set no_new_privs: %s",
				 strerrordesc_np(errno));
	if (!is_dropped(to))
		return error_set(err, -EPERM,
				 "privileges were dropped, but the kernel still reports some");
	return 0;
}
