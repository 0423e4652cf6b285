/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/binaries_globs.h"

#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "supervisor/resolve_open.h"

#include <limits.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

static void globs_cleanup(struct binaries_globs *globs)
{
	binaries_globs_free(globs);
}

/*
 * @glob with the directories that it spells out resolved. As it is where they do not exist yet: a
 * link that is made there later leads to a path that does not match. NULL: no memory, or dropped,
 * because it is relative or the directory is really called something that reads as a pattern.
 */
static char *resolved_glob(int root_fd, const char *glob, bool *ret_dropped)
{
	size_t fixed = strcspn(glob, "*?[");
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;
	char directory[PATH_MAX];
	char *text = NULL;

	*ret_dropped = glob[0] != '/';
	if (*ret_dropped)
		return NULL;
	while (fixed && glob[fixed - 1] != '/')
		fixed--;
	if (fixed < 2 || fixed >= sizeof(directory))
		return strdup(glob);
	memcpy(directory, glob, fixed - 1);
	directory[fixed - 1] = '\0';
	if (resolve_open(root_fd, directory, true, &fd, &path))
		return strdup(glob);
	if (policy_glob_is_pattern(path)) {
		*ret_dropped = true;
		return NULL;
	}
	return asprintf(&text, "%s%s", strcmp(path, "/") ? path : "", glob + fixed - 1) < 0 ? NULL
											    : text;
}

int binaries_globs_build(const PB(CompiledPolicy) * policy, int root_fd,
			 struct binaries_globs *ret_globs, struct error *err)
{
	_cleanup_(globs_cleanup) struct binaries_globs globs = {};
	size_t total = 0;

	for (size_t i = 0; i < policy->n_binary_sets; i++)
		total += policy->binary_sets[i]->n_globs;
	if (total) {
		globs.glob = calloc(total, sizeof(*globs.glob));
		if (!globs.glob)
			return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < policy->n_binary_sets && i < OS_RULE_SETS; i++) {
		const PB(BinarySet) *set = policy->binary_sets[i];

		for (size_t k = 0; k < set->n_globs; k++) {
			bool dropped;
			char *glob = resolved_glob(root_fd, set->globs[k], &dropped);

			if (dropped)
				continue;
			if (!glob)
				return error_set(err, -ENOMEM, "out of memory");
			globs.glob[globs.len++] =
				(struct binaries_glob){.glob = glob, .set = (uint32_t)i};
		}
	}
	*ret_globs = globs;
	globs = (struct binaries_globs){};
	return 0;
}

struct os_rule_mask binaries_globs_match(const struct binaries_globs *globs, const char *path)
{
	struct os_rule_mask mask = {};

	for (size_t i = 0; i < globs->len; i++)
		if (policy_glob_match(globs->glob[i].glob, path, '/', 0))
			mask.word[globs->glob[i].set / 64] |= UINT64_C(1)
							      << globs->glob[i].set % 64;
	return mask;
}

void binaries_globs_free(struct binaries_globs *globs)
{
	for (size_t i = 0; i < globs->len; i++)
		free(globs->glob[i].glob);
	free(globs->glob);
	*globs = (struct binaries_globs){};
}
