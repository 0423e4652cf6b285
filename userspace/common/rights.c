/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rights.h"

#include <string.h>

bool rights_path_below(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	if (n == 1 && ancestor[0] == '/')
		return path[0] == '/';
	return !strncmp(path, ancestor, n) && (path[n] == '\0' || path[n] == '/');
}

/* The nearest read_only or read_write rule at or above @path; on a tie the stricter. */
static const struct rights_rule *nearest(const struct rights_input *input, const char *path)
{
	const struct rights_rule *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < input->rules; i++) {
		const struct rights_rule *rule = &input->rule[i];
		size_t len = strlen(rule->path);

		if (rule->access != RIGHTS_READ_ONLY && rule->access != RIGHTS_READ_WRITE)
			continue;
		if (!rights_path_below(path, rule->path))
			continue;
		if (!best || len > best_len ||
		    (len == best_len && rule->access == RIGHTS_READ_ONLY)) {
			best = rule;
			best_len = len;
		}
	}
	return best;
}

static bool covered(const struct rights_input *input, const char *path, enum rights_access access)
{
	for (size_t i = 0; i < input->rules; i++)
		if (input->rule[i].access == access && rights_path_below(path, input->rule[i].path))
			return true;
	return false;
}

/* True if a list says something about @path itself, or with @below about everything below it. */
static bool exec_match(const struct rights_exec *list, size_t len, const char *path, bool below)
{
	for (size_t i = 0; i < len; i++) {
		if (list[i].subtree ? rights_path_below(path, list[i].path)
				    : !below && !strcmp(path, list[i].path))
			return true;
	}
	return false;
}

static uint32_t exec_rights(const struct rights_input *input, const char *path, bool writable,
			    bool below)
{
	uint32_t rights = OS_RIGHT_EXEC | OS_RIGHT_LIBRARY;

	if (exec_match(input->exec_deny, input->exec_denies, path, below))
		return 0;
	if (writable && !input->exec_allow_writable)
		return 0;
	if (input->exec_allow_present &&
	    !exec_match(input->exec_allow, input->exec_allows, path, below))
		rights &= ~OS_RIGHT_EXEC;
	return rights;
}

struct os_anchor rights_at(const struct rights_input *input, const char *path)
{
	const struct rights_rule *rule = nearest(input, path);
	struct os_anchor anchor = {0, 0};
	uint32_t base;
	bool writable;

	if (!rule || covered(input, path, RIGHTS_DENY))
		return anchor;
	writable = rule->access == RIGHTS_READ_WRITE;
	base = writable ? OS_RIGHTS_WRITE : OS_RIGHTS_READ;
	anchor.subtree = base | exec_rights(input, path, writable, true);
	anchor.self = base | exec_rights(input, path, writable, false);
	if (covered(input, path, RIGHTS_LOADER)) {
		anchor.subtree &= ~OS_RIGHT_EXEC;
		anchor.self &= ~OS_RIGHT_EXEC;
	}
	return anchor;
}
