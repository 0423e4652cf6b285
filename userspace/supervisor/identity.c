/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/identity.h"
#include "common/cleanup.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DATABASE_BUFFER 16384

static bool is_given(const char *text)
{
	return text && *text;
}

/* A decimal id that is neither root's nor the kernel's "no id". */
static int parse_id(const char *what, const char *text, uint32_t *ret_id, struct error *err)
{
	uint64_t id = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && id <= UINT32_MAX; p++)
		id = id * 10 + (uint64_t)(*p - '0');
	if (p == text || *p || id > UINT32_MAX)
		return error_set(err, -EINVAL, "%s '%.64s' is neither '%s' nor a number", what,
				 text, IDENTITY_NAME);
	if (id == 0 || id == UINT32_MAX)
		return error_set(err, -EINVAL,
				 "%s %s: an agent never runs as %s; give 1 to 4294967294", what,
				 text, id == 0 ? "root" : "that");
	*ret_id = (uint32_t)id;
	return 0;
}

static int copy_account(const struct passwd *account, struct identity *identity)
{
	if (strlen(account->pw_name) >= sizeof(identity->name) ||
	    strlen(account->pw_dir) >= sizeof(identity->home) ||
	    strlen(account->pw_shell) >= sizeof(identity->shell))
		return -ENAMETOOLONG;
	snprintf(identity->name, sizeof(identity->name), "%s", account->pw_name);
	snprintf(identity->home, sizeof(identity->home), "%s",
		 account->pw_dir[0] == '/' ? account->pw_dir : "/");
	if (account->pw_shell[0])
		snprintf(identity->shell, sizeof(identity->shell), "%s", account->pw_shell);
	identity->uid = account->pw_uid;
	identity->gid = account->pw_gid;
	return 0;
}

/* 1 and the account in @identity, or 0 if there is none. By @name, or by @uid if that is NULL. */
static int find_account(const char *name, uid_t uid, struct identity *identity, struct error *err)
{
	struct passwd account, *found = NULL;
	char buffer[DATABASE_BUFFER];
	int r;

	r = name ? getpwnam_r(name, &account, buffer, sizeof(buffer), &found)
		 : getpwuid_r(uid, &account, buffer, sizeof(buffer), &found);
	/* The C library's many ways to say "none", see getpwnam(3). */
	if (!found)
		return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM
			       ? 0
			       : error_set(err, -r, "cannot read the user database: %s",
					   strerror(r));
	r = copy_account(found, identity);
	if (r < 0)
		return error_set(err, r, "the account of uid %u has too long a name, home or shell",
				 found->pw_uid);
	return 1;
}

static int find_sandbox_group(gid_t *ret_gid, struct error *err)
{
	char buffer[DATABASE_BUFFER];
	struct group group, *found = NULL;

	if (getgrnam_r(IDENTITY_NAME, &group, buffer, sizeof(buffer), &found) == 0 && found) {
		if (found->gr_gid == 0)
			return error_set(err, -EINVAL, "the group '%s' of this host is root's",
					 IDENTITY_NAME);
		*ret_gid = found->gr_gid;
	} else {
		*ret_gid = IDENTITY_FALLBACK;
	}
	return 0;
}

static int use_sandbox_account(struct identity *identity, struct error *err)
{
	int r = find_account(IDENTITY_NAME, 0, identity, err);

	if (r < 0)
		return r;
	if (r == 0) {
		identity->uid = IDENTITY_FALLBACK;
		snprintf(identity->name, sizeof(identity->name), "%s", IDENTITY_NAME);
		return find_sandbox_group(&identity->gid, err);
	}
	if (identity->uid == 0 || identity->gid == 0)
		return error_set(err, -EINVAL,
				 "the account '%s' of this host has root's uid or gid; an agent "
				 "never runs as root: give process.run_as_user in the policy",
				 IDENTITY_NAME);
	return 0;
}

/* An id, with or without an account. The account's primary group is only a default. */
static int use_uid(uid_t uid, struct identity *identity, struct error *err)
{
	int r = find_account(NULL, uid, identity, err);

	if (r < 0)
		return r;
	if (r == 0) {
		identity->uid = uid;
		identity->gid = (gid_t)uid;
		snprintf(identity->name, sizeof(identity->name), "%u", uid);
	}
	if (identity->gid == 0)
		identity->gid = (gid_t)uid;
	return 0;
}

/* The groups of the user who ran sudo; without root's, which no agent has. */
static int use_own_groups(struct identity *identity, struct error *err)
{
	gid_t all[IDENTITY_GROUPS_MAX];
	int len = IDENTITY_GROUPS_MAX;

	if (getgrouplist(identity->name, identity->gid, all, &len) < 0)
		return error_set(err, -E2BIG, "%s is in more than %d groups", identity->name,
				 IDENTITY_GROUPS_MAX);
	for (int i = 0; i < len; i++)
		if (all[i] != 0 && all[i] != (gid_t)-1)
			identity->groups[identity->groups_len++] = all[i];
	return 0;
}

static int choose_user(const struct identity_request *request, struct identity *identity,
		       struct error *err)
{
	uint32_t id;
	int r;

	if (is_given(request->run_as_user)) {
		if (!strcmp(request->run_as_user, IDENTITY_NAME))
			return use_sandbox_account(identity, err);
		r = parse_id("process.run_as_user", request->run_as_user, &id, err);
		return r < 0 ? r : use_uid(id, identity, err);
	}
	/* Root who ran sudo is plain root. */
	if (is_given(request->sudo_uid) && strcmp(request->sudo_uid, "0")) {
		r = parse_id("SUDO_UID", request->sudo_uid, &id, err);
		if (r == 0)
			r = use_uid(id, identity, err);
		if (r == 0 && is_given(request->sudo_gid) && strcmp(request->sudo_gid, "0")) {
			r = parse_id("SUDO_GID", request->sudo_gid, &id, err);
			if (r == 0)
				identity->gid = id;
		}
		/* Groups of its own only where the policy gives no other. */
		if (r == 0 && !is_given(request->run_as_group))
			r = use_own_groups(identity, err);
		return r;
	}
	return use_sandbox_account(identity, err);
}

int identity_resolve(const struct identity_request *request, struct identity *ret_identity,
		     struct error *err)
{
	struct identity identity = {.home = "/", .shell = "/bin/sh"};
	int r;

	r = choose_user(request, &identity, err);
	if (r < 0)
		return r;
	if (is_given(request->run_as_group)) {
		if (!strcmp(request->run_as_group, IDENTITY_NAME)) {
			r = find_sandbox_group(&identity.gid, err);
		} else {
			uint32_t id;

			r = parse_id("process.run_as_group", request->run_as_group, &id, err);
			if (r == 0)
				identity.gid = id;
		}
		if (r < 0)
			return r;
	}
	*ret_identity = identity;
	return 0;
}
