/* SPDX-License-Identifier: Apache-2.0 */
/* A sleeping agent in a sandbox, as the benchmarks that link the supervisor start it. */
#pragma once

#include "common/policy.h"
#include "supervisor/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define AGENT_ID 60606

struct agent_policy {
	struct policy *policy;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	uint8_t digest[POLICY_DIGEST_SIZE];
};

static inline void __attribute__((noreturn)) agent_fail(const struct error *err)
{
	char text[ERROR_MESSAGE_MAX + 320];

	fprintf(stderr, "%s\n", error_format(err, text, sizeof(text)));
	exit(1);
}

/* @text NULL: the policy of `run` without a policy file. */
static inline void agent_policy_load(const char *text, struct agent_policy *ret)
{
	struct error err = {};
	int r = text ? policy_load_buffer("bench", text, strlen(text), &ret->policy, NULL, &err)
		     : policy_default(&ret->policy, &err);

	if (!r)
		r = policy_compile(ret->policy, &ret->compiled, &err);
	if (!r)
		r = policy_digest(ret->compiled, ret->digest, &err);
	if (r)
		agent_fail(&err);
}

/* Every sandbox keeps descriptors open, here as in the supervisor. */
static inline void agent_raise_limits(void)
{
	struct rlimit limit = {1 << 20, 1 << 20};

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* @program is in the working directory. */
static inline struct sandbox *agent_start(const struct kernel *kernel, const char *id,
					  const struct agent_policy *policy, const char *program)
{
	char workdir[4096], *argv[] = {(char *)program, (char *)"sleep", NULL}, *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sandbox *sandbox = NULL;
	struct error err = {};
	struct sandbox_spec spec = {
		.id = id,
		.policy = policy->compiled,
		.digest = policy->digest,
		.argv = argv,
		.envp = envp,
		.workdir = getcwd(workdir, sizeof(workdir)),
		.uid = AGENT_ID,
		.gid = AGENT_ID,
		.stdio = {null, null, null},
	};

	if (sandbox_start(kernel, &spec, &sandbox, &err))
		agent_fail(&err);
	close(null);
	return sandbox;
}
