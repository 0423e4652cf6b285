/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_check.h"
#include "common/cleanup.h"
#include "common/policy_glob.h"

#include <stdlib.h>
#include <string.h>

void policy_path_normalise(const char *path, char *ret_path)
{
	size_t used = 0;

	while (*path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len && !(len == 1 && path[0] == '.')) {
			ret_path[used++] = '/';
			memmove(ret_path + used, path, len);
			used += len;
		}
		path += len;
	}
	if (!used)
		ret_path[used++] = '/';
	ret_path[used] = '\0';
}

static bool has_parent_step(const char *path)
{
	for (const char *c = path; c; c = strchr(c, '/')) {
		c += *c == '/';
		if (!strncmp(c, "..", 2) && (c[2] == '/' || !c[2]))
			return true;
	}
	return false;
}

/* What holds for every path in a policy, glob or not. */
static bool check_path(const struct policy_string *path, const char *name, struct diagnostics *diag)
{
	if (path->value[0] != '/')
		policy_error(diag, path->at, "path.absolute",
			     "path '%s' in '%s' is not absolute: it must begin with '/'",
			     path->value, name);
	else if (has_parent_step(path->value))
		policy_error(diag, path->at, "path.parent",
			     "path '%s' in '%s' contains '..': write where it leads", path->value,
			     name);
	else if (strlen(path->value) > POLICY_PATH_BYTES_MAX)
		policy_error(diag, path->at, "path.length",
			     "a path in '%s' is longer than %d bytes", name, POLICY_PATH_BYTES_MAX);
	else
		return true;
	return false;
}

struct listed {
	const struct policy_string *path;
	char *canonical;
	const char *list;
};

static int listed_compare(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int r = strcmp(x->canonical, y->canonical);

	return r ? r : x->path->at.line - y->path->at.line;
}

static void check_list(const struct policy_strings *paths, const char *name,
		       struct diagnostics *diag)
{
	for (size_t i = 0; i < paths->count; i++) {
		const struct policy_string *path = &paths->items[i];

		if (check_path(path, name, diag) && policy_glob_is_pattern(path->value))
			policy_warning(diag, path->at, "path.glob",
				       "path '%s' in '%s' is taken literally: filesystem paths "
				       "are not globs",
				       path->value, name);
	}
}

static bool is_root(const char *path)
{
	while (*path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len > 1 || (len == 1 && path[0] != '.'))
			return false;
		path += len;
	}
	return true;
}

static void check_root(const struct policy_strings *paths, const char *name, const char *why,
		       struct diagnostics *diag)
{
	for (size_t i = 0; i < paths->count; i++) {
		const char *path = paths->items[i].value;

		if (path[0] == '/' && is_root(path))
			policy_error(diag, paths->items[i].at, "path.root", "'/' in '%s' %s", name,
				     why);
	}
}

static size_t gather(const struct policy_strings *paths, const char *name, struct listed *listed,
		     char **buffer)
{
	for (size_t i = 0; i < paths->count; i++) {
		listed[i] = (struct listed){&paths->items[i], *buffer, name};
		policy_path_normalise(paths->items[i].value, *buffer);
		*buffer += strlen(paths->items[i].value) + 2;
	}
	return paths->count;
}

/* Repetitions are harmless, but one of two different grants cannot be what was meant. */
static void check_repeated(const struct policy_filesystem *fs, struct diagnostics *diag)
{
	const struct policy_strings *lists[] = {&fs->read_only, &fs->read_write, &fs->deny};
	static const char *const names[] = {"read_only", "read_write", "deny"};
	_cleanup_free_ struct listed *listed = NULL;
	_cleanup_free_ char *text = NULL;
	size_t count = 0, bytes = 1, used = 0;
	char *buffer;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		count += lists[i]->count;
		for (size_t j = 0; j < lists[i]->count; j++)
			bytes += strlen(lists[i]->items[j].value) + 2;
	}
	if (count > 2 * POLICY_PATHS_MAX)
		return;
	listed = calloc(count + 1, sizeof(*listed));
	text = buffer = malloc(bytes);
	if (!listed || !text)
		return; /* only warnings are lost */
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		used += gather(lists[i], names[i], listed + used, &buffer);
	qsort(listed, count, sizeof(*listed), listed_compare);
	for (size_t i = 1; i < count; i++) {
		const struct listed *a = &listed[i - 1], *b = &listed[i];

		if (strcmp(a->canonical, b->canonical))
			continue;
		if (a->list == b->list)
			policy_warning(diag, b->path->at, "path.repeated",
				       "path '%s' is in '%s' twice", b->canonical, b->list);
		else
			policy_warning(diag, b->path->at, "path.repeated",
				       "path '%s' is in '%s' and in '%s': %s", b->canonical,
				       a->list, b->list,
				       !strcmp(a->list, "deny") || !strcmp(b->list, "deny")
					       ? "deny wins"
					       : "read_only wins");
	}
}

void policy_check_filesystem(const struct policy *policy, struct diagnostics *diag)
{
	const struct policy_filesystem *fs = &policy->filesystem;

	check_list(&fs->read_only, "read_only", diag);
	check_list(&fs->read_write, "read_write", diag);
	check_list(&fs->deny, "deny", diag);
	check_root(&fs->read_write, "read_write",
		   "would let the sandbox write everywhere: list the directories it needs", diag);
	check_root(&fs->deny, "deny", "would leave the sandbox nothing at all", diag);
	if (fs->read_only.count + fs->read_write.count > POLICY_PATHS_MAX)
		policy_error(diag, fs->head.at, "path.count",
			     "%zu paths in read_only and read_write: at most %d together",
			     fs->read_only.count + fs->read_write.count, POLICY_PATHS_MAX);
	if (fs->deny.count > POLICY_PATHS_MAX)
		policy_error(diag, fs->deny.at, "path.count", "%zu paths in deny: at most %d",
			     fs->deny.count, POLICY_PATHS_MAX);
	check_repeated(fs, diag);
}

static void check_exec_list(const struct policy_strings *list, const char *name,
			    struct diagnostics *diag)
{
	for (size_t i = 0; i < list->count; i++)
		if (check_path(&list->items[i], name, diag))
			policy_check_glob(&list->items[i], list->items[i].value, diag);
	if (list->count > POLICY_PATHS_MAX)
		policy_error(diag, list->at, "exec.count", "%zu entries in '%s': at most %d",
			     list->count, name, POLICY_PATHS_MAX);
}

void policy_check_exec(const struct policy *policy, struct diagnostics *diag)
{
	check_exec_list(&policy->exec.allow, "exec_policy.allow", diag);
	check_exec_list(&policy->exec.deny, "exec_policy.deny", diag);
}

/* Exactly what the published schema takes: the name `sandbox`, or a decimal id that is not root's.
 */
static void check_identity(const struct policy_string *identity, const char *name,
			   struct diagnostics *diag)
{
	const char *value = identity->value;
	unsigned long long id;

	if (!value || !strcmp(value, "sandbox"))
		return;
	if (!*value || value[strspn(value, "0123456789")] || strlen(value) > 10 ||
	    (value[0] == '0' && value[1])) {
		policy_error(diag, identity->at, "process.identity",
			     "'%s' cannot be '%s': write \"sandbox\" or a number from 1 to "
			     "4294967294 in quotes",
			     name, value);
		return;
	}
	id = strtoull(value, NULL, 10);
	if (id == 0)
		policy_error(diag, identity->at, "process.identity",
			     "'%s' cannot be 0: an agent never runs as root", name);
	else if (id > 4294967294ull)
		policy_error(diag, identity->at, "process.identity",
			     "'%s' cannot be %s: the largest id is 4294967294", name, value);
}

void policy_check_process(const struct policy *policy, struct diagnostics *diag)
{
	check_identity(&policy->process.run_as_user, "run_as_user", diag);
	check_identity(&policy->process.run_as_group, "run_as_group", diag);
}
