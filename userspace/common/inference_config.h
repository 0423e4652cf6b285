/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where requests to https://inference.local go: from the command line or an `inference:` file, the
 * profiles of providers and the caller's environment, to what the worker is told (`Inference` of
 * proto/worker_bundle.proto). Owned by the caller, wiped when freed; one thread. Fails closed: one
 * error yields nothing.
 *
 *	--inference provider=NAME,model=MODEL[,base-url=URL][,name=..][,timeout=S][,..]
 *	--inference FILE	YAML, `version: 1` and `inference:` with `routes` and `limits`
 *
 * A NAME is that of a --provider, whose credentials are used, or a type, whose credentials are then
 * looked for in the environment as --provider would, and given to routes alone.
 */
#pragma once

#include "common/error.h"
#include "common/policy.h"
#include "common/provider.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

struct inference_config;

/* Whether an option reads like one, before anything is looked up. -EINVAL with a sentence. */
int inference_request_check(const char *request, struct error *err);

/* True if @request is a file's name and not a route itself: it has no '='. */
bool inference_request_is_file(const char *request);

struct inference_source {
	const char *const *requests; /* those of the command line, all routes, or one file */
	size_t requests_len;
	const char *const *providers; /* the --provider options */
	size_t providers_len;
	const char *directory; /* of profiles */
	/*
	 * Credentials that were read before, to be used again: at a refresh the environment has
	 * been wiped. NULL at first.
	 */
	const struct inference_config *before;
};

/*
 * -EINVAL, -ENOENT (a provider's variable is not set), -EBADMSG (the file is not valid; findings
 * go to @diag when it is not NULL), -E2BIG, -ENOMEM; for a file that cannot be read its errno.
 */
int inference_config_new(const struct inference_source *source,
			 struct inference_config **ret_config, struct diagnostics *diag,
			 struct error *err);
void inference_config_free(struct inference_config *config);

/* For the worker's bundle; revision is 0. Lives as long as @config. */
const Openshell__Worker__V1__Inference *inference_config_get(const struct inference_config *config);

/*
 * Overwrite the variables that were read in this process's environment, and remove them; see
 * provider_set_hide().
 */
void inference_config_hide(const struct inference_config *config);

static inline void cleanup_inference_config_freep(struct inference_config **config)
{
	inference_config_free(*config);
}

#define _cleanup_inference_config_ __attribute__((cleanup(cleanup_inference_config_freep)))
