/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the agent runs as. First that applies, for user and group each on its own:
 * 1. the policy's process.run_as_user / run_as_group;
 * 2. the user who ran sudo (SUDO_UID, SUDO_GID), with the groups that user has, but never group 0;
 * 3. the account `sandbox` of the host, or where there is none, uid and gid IDENTITY_FALLBACK.
 * Reads the user database; one thread. Fails closed: never uid or gid 0, and a name that is not
 * known is an error, not a fallback.
 */
#pragma once

#include "common/error.h"

#include <stddef.h>
#include <sys/types.h>

#define IDENTITY_NAME "sandbox"

/* Outside of what distributions, systemd and container engines hand out (60578-61183 are free). */
#define IDENTITY_FALLBACK 60606

#define IDENTITY_GROUPS_MAX 256

struct identity {
	uid_t uid; /* never 0 */
	gid_t gid; /* never 0 */
	gid_t groups[IDENTITY_GROUPS_MAX];
	size_t groups_len;
	char name[64];	 /* the account's, or the number */
	char home[256];	 /* the account's home directory, "/" for one that is not in the database */
	char shell[256]; /* the account's, or /bin/sh */
};

/* What to go by; a member that is NULL or "" is not given. */
struct identity_request {
	const char *run_as_user, *run_as_group; /* policy: `sandbox` or a number */
	const char *sudo_uid, *sudo_gid;	/* of the environment */
};

/* -EINVAL: no number, or one that stands for root or nobody; -ENOENT: no such account. */
int identity_resolve(const struct identity_request *request, struct identity *ret_identity,
		     struct error *err);
