/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parent for test sandboxes beside the agents' own: on that one a policy may be in force, which
 * would deny what these tests do.
 */
#pragma once

#include "common/cleanup.h"
#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TEST_PARENT "openshell-test"

static inline int test_tree_open(struct cgroup_tree *ret_tree, struct error *err)
{
	struct cgroup_tree tree = CGROUP_TREE_EMPTY;
	_cleanup_close_ int root = -1;
	int r = cgroup_mounts_load(&tree.mounts, err);

	if (r < 0)
		return r;
	root = open(tree.mounts.v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || (mkdirat(root, TEST_PARENT, 0755) < 0 && errno != EEXIST))
		return error_set(err, -errno, "no cgroup v2 that can be written");
	tree.agents_fd = openat(root, TEST_PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree.agents_fd < 0)
		return error_set(err, -errno, "cannot open a cgroup of the tests' own");
	r = cgroup_id(tree.agents_fd, &tree.agents_id);
	if (r < 0)
		return error_set(err, r, "cannot learn a cgroup's id");
	*ret_tree = tree;
	return 0;
}

/* Removes the parent too, if no other test is below it. */
static inline void test_tree_close(struct cgroup_tree *tree)
{
	_cleanup_close_ int root = open(tree->mounts.v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cgroup_tree_close(tree);
	unlinkat(root, TEST_PARENT, AT_REMOVEDIR);
}
