/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/agent_reach.h"

#include "common/cleanup.h"
#include "common/rights.h"

#include <limits.h>
#include <string.h>

#define COMPILED(name) Openshell__Compiled__V1__##name
#define ACCESS(name)   OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_##name

struct reach {
	struct rights_rule *rules;
	size_t count;
};

static void reach_clear(struct reach *reach)
{
	for (size_t i = 0; i < reach->count; i++)
		free((char *)reach->rules[i].path);
	free(reach->rules);
}

/* The sandbox has its own in their places, so that listing them opens nothing of the host's. */
static bool is_own(const char *path)
{
	return !strcmp(path, "/tmp") || !strcmp(path, "/var/tmp") || !strcmp(path, "/dev/shm");
}

/* Links in a policy's paths are followed, as they are when it is enforced. */
static int add(struct reach *reach, const char *path, enum rights_access access)
{
	char *real;

	if (is_own(path))
		return 0;
	real = realpath(path, NULL);
	if (!real)
		real = strdup(path);
	if (!real)
		return -ENOMEM;
	reach->rules[reach->count++] = (struct rights_rule){real, access};
	return 0;
}

static int gather(const COMPILED(CompiledPolicy) * policy, const char *workdir, struct reach *reach)
{
	static const enum rights_access access[] = {[ACCESS(READ_ONLY)] = RIGHTS_READ_ONLY,
						    [ACCESS(READ_WRITE)] = RIGHTS_READ_WRITE,
						    [ACCESS(DENY)] = RIGHTS_DENY};
	int r = 0;

	reach->rules = calloc(policy->n_paths + 1, sizeof(*reach->rules));
	if (!reach->rules)
		return -ENOMEM;
	if (policy->include_workdir)
		r = add(reach, workdir, RIGHTS_READ_WRITE);
	for (size_t i = 0; !r && i < policy->n_paths; i++)
		r = add(reach, policy->paths[i]->path, access[policy->paths[i]->access]);
	return r;
}

static bool writes(const struct reach *reach, const char *path)
{
	const struct rights_input input = {.rule = reach->rules, .rules = reach->count};

	return rights_at(&input, path).self & OS_RIGHTS_WRITE & ~OS_RIGHTS_READ;
}

/* The directory decides who may put another file in a file's place. */
static bool writes_at(const struct reach *reach, const char *path)
{
	_cleanup_free_ char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash)
		return true;
	slash[slash == directory] = '\0';
	return writes(reach, path) || writes(reach, directory);
}

bool agent_reach_writes(const COMPILED(CompiledPolicy) * policy, const char *workdir,
			const char *path)
{
	_cleanup_(reach_clear) struct reach reach = {};
	_cleanup_free_ char *real = realpath(path, NULL), *directory = NULL, *named = NULL;
	const char *slash = strrchr(path, '/');

	directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	if (!real || !directory)
		return true;
	/* The name itself, in a directory without links: it may be a link. */
	named = realpath(directory, NULL);
	free(directory);
	directory = named;
	named = NULL;
	if (!directory || asprintf(&named, "%s/%s", strcmp(directory, "/") ? directory : "",
				   slash ? slash + 1 : path) < 0)
		return true;
	if (gather(policy, workdir, &reach) < 0)
		return true;
	return writes_at(&reach, real) || writes_at(&reach, named);
}
