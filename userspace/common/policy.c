/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy.h"
#include "common/arena.h"
#include "common/cleanup.h"
#include "common/policy_check.h"
#include "common/policy_decode.h"
#include "common/policy_yaml.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The tree and the model of the largest file stay below this. */
#define ARENA_MAX (256u << 20)

void policy_free(struct policy *policy)
{
	/* The policy itself comes from its arena. */
	if (policy)
		arena_free(policy->arena);
}

static int parse(const char *name, const void *data, size_t size, struct policy **ret_policy,
		 struct diagnostics *diag)
{
	_cleanup_arena_ struct arena *arena = arena_new(ARENA_MAX);
	struct yaml_node *root = NULL;
	struct policy *policy;
	int r;

	if (!arena)
		return -ENOMEM;
	policy = arena_alloc(arena, sizeof(*policy));
	if (!policy)
		return -ENOMEM;
	policy->file = arena_copy(arena, name, strlen(name));
	if (!policy->file)
		return -ENOMEM;
	/* Scalars of the model point into the tree, so both live in one arena. */
	r = yaml_parse(data, size, arena, diag, &root);
	if (r < 0)
		return r;
	r = policy_decode(root, &policy_object_file, policy, arena, diag);
	if (r < 0)
		return r;
	if (root->kind == YAML_KIND_MAPPING) {
		r = policy_check(policy, diag);
		if (r < 0)
			return r;
	}
	if (diag->errors)
		return -EBADMSG;
	policy->arena = TAKE_PTR(arena);
	*ret_policy = policy;
	return 0;
}

int policy_load_buffer(const char *name, const void *data, size_t size, struct policy **ret_policy,
		       struct diagnostics *diag, struct error *err)
{
	_cleanup_diagnostics_ struct diagnostics own = {};
	const struct policy_diagnostic *first;
	int r;

	if (!diag)
		diag = &own;
	r = parse(name, data, size, ret_policy, diag);
	diagnostics_sort(diag);
	if (r == -ENOMEM)
		return error_set_at(err, r, name, 0, 0, "not enough memory for this policy");
	if (r < 0) {
		first = diagnostics_first_error(diag);
		return error_set_at(err, r, name, first ? first->at.line : 0,
				    first ? first->at.col : 0, "%s",
				    first ? first->message : "the policy is not valid");
	}
	return 0;
}

static int check_file(int fd, const char *path, struct diagnostics *diag, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_at(err, -errno, path, 0, 0, "cannot be examined: %s",
				    strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set_at(err, -EISDIR, path, 0, 0,
				    "is a directory; name a policy file in it");
	if (!S_ISREG(st.st_mode))
		return error_set_at(err, -EINVAL, path, 0, 0,
				    "is not a regular file; a policy is read from a file");
	if (st.st_size <= (off_t)POLICY_SIZE_MAX)
		return 0;
	if (diag)
		policy_error(diag, (struct policy_place){1, 1}, "file.size",
			     "larger than %u MiB: too large for a policy", POLICY_SIZE_MAX >> 20);
	return error_set_at(err, -EBADMSG, path, 1, 1, "larger than %u MiB: too large for a policy",
			    POLICY_SIZE_MAX >> 20);
}

int policy_load_file(const char *path, struct policy **ret_policy, struct diagnostics *diag,
		     struct error *err)
{
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0;
	int r;

	/* Without O_NONBLOCK a FIFO without a writer would hold us here. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set_at(err, -errno, path, 0, 0, "cannot be read: %s", strerror(errno));
	r = check_file(fd, path, diag, err);
	if (r < 0)
		return r;
	data = malloc(POLICY_SIZE_MAX + 1);
	if (!data)
		return error_set_at(err, -ENOMEM, path, 0, 0, "not enough memory");
	/* The file may grow meanwhile; one byte past the cap is enough to refuse it. */
	while (size <= POLICY_SIZE_MAX) {
		ssize_t n = read(fd, data + size, POLICY_SIZE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_at(err, -errno, path, 0, 0, "cannot be read: %s",
					    strerror(errno));
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return policy_load_buffer(path, data, size, ret_policy, diag, err);
}

int policy_default(struct policy **ret_policy, struct error *err)
{
	static const char text[] = "version: 1\n";

	return policy_load_buffer("default policy", text, sizeof(text) - 1, ret_policy, NULL, err);
}
