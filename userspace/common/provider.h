/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The providers of one sandbox: from what the command line asks for and the caller's environment,
 * to placeholders for the agent's environment and credentials for the worker's bundle. Owned by the
 * caller; wiped when freed; one thread. Fails closed: what is missing, malformed, or would be sent
 * where nobody looks yields no providers at all.
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "worker_bundle.pb-c.h"

#include <stddef.h>

struct arena;

#define PROVIDERS_MAX		 32  /* of one sandbox */
#define PROVIDER_CREDENTIALS_MAX 128 /* of all its providers */
#define PROVIDER_BINDINGS_MAX	 256 /* of one credential */
#define PROVIDER_VALUE_MAX	 16384

struct provider_set {
	Openshell__Worker__V1__Credential **credentials; /* sorted by (provider, key) */
	size_t n_credentials;
	char **env; /* "KEY=openshell:resolve:env:KEY", one per key */
	size_t envs;
	/* the caller's variables that were read */
	const char **variables;
	size_t variables_len;
	struct arena *arena;
};

/*
 * What is asked for, `requests`: NAME=TYPE, or TYPE, whose name is the type. A type that takes
 * named variables wants them behind it: NAME=generic:VARIABLE,VARIABLE. Profiles come from
 * @directory.
 * @policy says where generic credentials may go, and is refused where one of them could go
 * unseen. -EINVAL, -ENOENT, -EACCES (uninspected), -E2BIG, -ENOMEM; and errors of the profiles.
 */
int provider_set_new(const char *directory, const char *const *requests, size_t requests_len,
		     const Openshell__Compiled__V1__CompiledPolicy *policy,
		     struct provider_set **ret_set, struct error *err);
void provider_set_free(struct provider_set *set);

struct provider_profile;

/* As it, for one request whose profile is known. */
int provider_set_of_profile(const struct provider_profile *profile, const char *request,
			    const Openshell__Compiled__V1__CompiledPolicy *policy,
			    struct provider_set **ret_set, struct error *err);

/*
 * Whether a request reads like one, before anything is looked up: for wrong usage. -EINVAL with a
 * sentence.
 */
int provider_request_check(const char *request, struct error *err);

/*
 * The first provider that the policy binds an endpoint to and that is not among @requests, or NULL:
 * nothing is wrong with it, but something is probably forgotten. *ret_rule is the endpoint's rule.
 */
const char *provider_forgotten(const char *const *requests, size_t requests_len,
			       const Openshell__Compiled__V1__CompiledPolicy *policy,
			       const char **ret_rule);

/*
 * Overwrite the values of the set's variables in this process's environment, and remove them: what
 * it starts from here on inherits none. Call it when nobody reads them any more.
 */
void provider_set_hide(const struct provider_set *set);

static inline void cleanup_provider_set_freep(struct provider_set **set)
{
	provider_set_free(*set);
}

#define _cleanup_provider_set_ __attribute__((cleanup(cleanup_provider_set_freep)))
