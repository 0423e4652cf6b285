/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `openshell run`: what was asked for, worked out, and on its way. Owned by verb_run(); strings of
 * the options point into argv. One thread.
 */
#pragma once

#include "cli/options.h"
#include "cli/run_inference.h"
#include "common/event_writer.h"
#include "common/policy.h"
#include "common/provider.h"
#include "supervisor/identity.h"
#include "supervisor/limits.h"

#include <stdbool.h>

/* Of a sandbox, as --name gives it: letters, digits and `-_.`, the first one no punctuation. */
#define RUN_NAME_MAX 63

struct run_options {
	const char *policy, *workdir, *name, *cpu, *memory, *learn, *log, *log_format;
	struct option_strings env, provider, upstream_ca, inference;
	bool gpu, audit, require_lsm, tty, no_tty, no_verify;
};

#define RUN_ENV_MAX 512

struct run {
	struct run_options options;
	char *const *argv; /* the agent's command */
	char id[40];
	const char *policy_file; /* NULL = the default policy */
	char *policy_text;	 /* for --learn */
	size_t policy_text_len;
	struct policy *policy;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	uint8_t digest[POLICY_DIGEST_SIZE];
	struct identity identity;
	struct limits limits;
	enum event_format log_format;
	struct provider_set *providers; /* NULL without --provider */
	struct run_inference inference; /* its config is NULL without --inference */
	char *workdir;
	bool tty;
	char *env[RUN_ENV_MAX];
	size_t envs;
};
