/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider profile: which variables hold a service's credentials, and where each may go. YAML,
 * read by the same machinery as policies and as strictly. A profile and everything it points to
 * belong to one arena and go with provider_profile_free(); never changed after loading. Any thread.
 * Fails closed: a file with one error yields no profile.
 */
#pragma once

#include "common/policy.h"
#include "common/provider_key.h"
#include "common/provider_profile_inference.h"

#define PROFILE_CREDENTIALS_MAX 16
#define PROFILE_VARIABLES_MAX	8 /* that one credential is looked for in */
#define PROFILE_BINDINGS_MAX	64
#define PROFILE_NAME_MAX	64 /* bytes of a type, an alias, a provider's name */

struct profile_credential {
	struct policy_head head;
	struct policy_string key;  /* the variable that the agent sees */
	struct policy_strings env; /* where the caller has it, in order; absent = `key` alone */
	struct policy_bool required;
	struct policy_bool signing; /* signs requests: never put in place of a placeholder */
};

struct profile_binding {
	struct policy_head head;
	struct policy_string host, path;
	struct policy_numbers ports;	   /* absent = 443 */
	struct policy_strings credentials; /* absent = all of the profile */
};

struct provider_profile {
	struct policy_head head;
	struct arena *arena;
	const char *file;
	struct policy_number version;
	struct policy_string type, description;
	struct policy_strings aliases;
	struct policy_list credentials;	    /* of struct profile_credential */
	struct policy_list bindings;	    /* of struct profile_binding */
	struct policy_bool named_variables; /* the command line names the variables */
	struct profile_inference inference; /* head.at.line 0: no route can lead there */
};

/*
 * Load and validate a file. Findings go to @diag when it is not NULL; @err gets the first error.
 * 0; -EBADMSG for what is not a valid profile; for a file that cannot be read its errno; -ENOMEM.
 */
int provider_profile_load(const char *path, struct provider_profile **ret_profile,
			  struct diagnostics *diag, struct error *err);

/* As provider_profile_load() for @size bytes that messages call @name. No I/O. */
int provider_profile_parse(const char *name, const void *data, size_t size,
			   struct provider_profile **ret_profile, struct diagnostics *diag,
			   struct error *err);

void provider_profile_free(struct provider_profile *profile);

/* The credential of that key, or NULL. */
const struct profile_credential *profile_credential(const struct provider_profile *profile,
						    const char *key);

/*
 * Find the profile of a type or alias among the files of @directory. -ENOENT with a sentence that
 * names the nearest one, or all; -EBADMSG if any of them is not valid, since it might be the one.
 */
int provider_profile_find(const char *directory, const char *type,
			  struct provider_profile **ret_profile, struct error *err);

/*
 * Where the profiles that belong to this program are: beside the presets where it was installed, or
 * in the source tree that it was built in. -ENOENT.
 */
int provider_profile_directory(char *buf, size_t size, struct error *err);

static inline void cleanup_provider_profile_freep(struct provider_profile **profile)
{
	provider_profile_free(*profile);
}

#define _cleanup_provider_profile_ __attribute__((cleanup(cleanup_provider_profile_freep)))
