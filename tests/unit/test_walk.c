/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "tests/unit/walk_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define DEPTH_MAX 600

static struct super_block sb = {.s_dev = 7};
static struct inode inodes[DEPTH_MAX];
static struct dentry chain[DEPTH_MAX]; /* chain[0] is the root */

static int make_chain(void **state)
{
	for (int i = 0; i < DEPTH_MAX; i++) {
		inodes[i] = (struct inode){.i_sb = &sb, .i_ino = 100u + (unsigned)i};
		chain[i].d_inode = &inodes[i];
		chain[i].d_parent = &chain[i ? i - 1 : 0];
	}
	host_anchors_len = 0;
	return 0;
}

static void anchor(int depth, __u32 subtree, __u32 self)
{
	struct host_anchor *a = &host_anchors[host_anchors_len++];

	memset(a, 0, sizeof(*a));
	a->key.slot = 3;
	a->key.generation = 9;
	a->key.file.ino = inodes[depth].i_ino;
	a->key.file.dev = sb.s_dev;
	a->key.file.generation = inodes[depth].i_generation;
	a->value.subtree = subtree;
	a->value.self = self;
}

/* Both forms must agree, always. */
static struct walk decide(struct dentry *dentry, __u32 child)
{
	struct walk hot = {.slot = 3, .generation = 9, .child = child}, cold = hot;

	host_walk(&hot, dentry);
	host_walk_cold(&cold, dentry);
	assert_int_equal(hot.held, cold.held);
	assert_int_equal(hot.reason, cold.reason);
	return hot;
}

static void nearest_anchor_decides(void **state)
{
	make_chain(NULL);
	anchor(1, OS_RIGHTS_READ, OS_RIGHT_STAT);
	anchor(3, OS_RIGHTS_WRITE, OS_RIGHTS_READ);
	assert_int_equal(decide(&chain[2], 0).held, OS_RIGHTS_READ);
	assert_int_equal(decide(&chain[1], 0).held, OS_RIGHT_STAT);
	assert_int_equal(decide(&chain[1], 1).held, OS_RIGHTS_READ);
	assert_int_equal(decide(&chain[3], 0).held, OS_RIGHTS_READ);
	assert_int_equal(decide(&chain[9], 0).held, OS_RIGHTS_WRITE);
}

static void nothing_found_is_nothing_granted(void **state)
{
	struct walk walk;

	make_chain(NULL);
	anchor(5, OS_RIGHTS_ALL, OS_RIGHTS_ALL);
	walk = decide(&chain[4], 0);
	assert_int_equal(walk.held, 0);
	assert_int_equal(walk.reason, OS_REASON_NO_ANCHOR);
}

static void every_part_of_the_key_counts(void **state)
{
	struct walk walk = {.slot = 4, .generation = 9};

	make_chain(NULL);
	anchor(1, OS_RIGHTS_ALL, OS_RIGHTS_ALL);
	host_walk(&walk, &chain[2]);
	assert_int_equal(walk.held, 0);
	walk = (struct walk){.slot = 3, .generation = 8};
	host_walk(&walk, &chain[2]);
	assert_int_equal(walk.held, 0);
	inodes[1].i_generation = 1; /* the inode number is reused by another file */
	assert_int_equal(decide(&chain[2], 0).held, 0);
	inodes[1].i_generation = 0;
	sb.s_dev = 8;
	assert_int_equal(decide(&chain[2], 0).held, 0);
	sb.s_dev = 7;
	assert_int_equal(decide(&chain[2], 0).held, OS_RIGHTS_ALL);
}

static void a_new_name_is_what_its_parent_makes_it(void **state)
{
	struct dentry name = {.d_parent = &chain[4]};

	make_chain(NULL);
	anchor(4, OS_RIGHTS_WRITE, OS_RIGHTS_READ);
	assert_int_equal(decide(&name, 0).held, OS_RIGHTS_WRITE);
	assert_int_equal(decide(&name, 1).held, OS_RIGHTS_WRITE);
}

static void too_deep_is_denied(void **state)
{
	struct walk walk;
	int deepest = 0;

	make_chain(NULL);
	anchor(0, OS_RIGHTS_READ, OS_RIGHTS_READ);
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		walk = (struct walk){.slot = 3, .generation = 9};
		host_walk(&walk, &chain[depth]);
		if (walk.held) {
			assert_int_equal(deepest, depth ? depth - 1 : 0);
			deepest = depth;
		} else {
			assert_int_equal(walk.reason, OS_REASON_DEPTH);
		}
	}
	assert_int_equal(deepest, WALK_LEVELS - 1);
}

static void a_file_gains_nothing_by_a_name(void **state)
{
	assert_int_equal(walk_gained(OS_RIGHTS_WRITE, OS_RIGHTS_READ), 0);
	assert_int_equal(walk_gained(OS_RIGHTS_READ, OS_RIGHTS_READ | OS_RIGHT_WRITE),
			 OS_RIGHT_WRITE);
}

static void listed_name(int directory, const char *name, __u32 subtree, __u32 self)
{
	struct host_name *n = &host_names[host_names_len++];

	memset(n, 0, sizeof(*n));
	n->key.slot = 3;
	n->key.generation = 9;
	n->key.directory.ino = inodes[directory].i_ino;
	n->key.directory.dev = sb.s_dev;
	snprintf(n->key.name, sizeof(n->key.name), "%s", name);
	n->value.subtree = subtree;
	n->value.self = self;
}

static void a_listed_name_outlives_its_inode(void **state)
{
	struct dentry missing = {.d_parent = &chain[4], .d_name = {".env"}};
	struct dentry other = {.d_parent = &chain[4], .d_name = {"other"}};
	struct dentry nameless = {.d_parent = &chain[4]};
	struct dentry in_other = {.d_parent = &other, .d_inode = &inodes[9], .d_name = {".env"}};

	make_chain(NULL);
	host_names_len = 0;
	anchor(4, OS_RIGHTS_WRITE | OS_ANCHOR_NAMES, OS_RIGHTS_READ);
	listed_name(4, ".env", 0, 0);
	listed_name(4, "five", OS_RIGHT_STAT, OS_RIGHTS_READ);
	/* a name that nobody has yet, and one next to it */
	assert_int_equal(decide(&missing, 0).held, 0);
	assert_int_equal(decide(&missing, 1).held, 0);
	assert_int_equal(decide(&other, 0).held, OS_RIGHTS_WRITE);
	/* the same name in another directory is another file */
	assert_int_equal(decide(&in_other, 0).held, OS_RIGHTS_WRITE);
	/* another inode under the listed name: itself, and what is below it */
	chain[5].d_name.name = "five";
	chain[6].d_name.name = "six";
	assert_int_equal(decide(&chain[5], 0).held, OS_RIGHTS_READ);
	assert_int_equal(decide(&chain[6], 0).held, OS_RIGHT_STAT);
	for (int depth = 7; depth < 60; depth++)
		assert_int_equal(decide(&chain[depth], 0).held, OS_RIGHT_STAT);
	/* the directory itself keeps its own rights; a name that cannot be read has none */
	assert_int_equal(decide(&chain[4], 0).held, OS_RIGHTS_READ);
	assert_int_equal(decide(&nameless, 0).held, 0);
}

static void a_long_name_is_compared_by_what_fits(void **state)
{
	char name[200] = "", longer[200] = "";
	struct dentry file = {.d_parent = &chain[4], .d_inode = &inodes[9], .d_name = {longer}};

	make_chain(NULL);
	host_names_len = 0;
	memset(name, 'a', 120);
	memset(longer, 'a', 150);
	anchor(4, OS_RIGHTS_WRITE | OS_ANCHOR_NAMES, 0);
	listed_name(4, name, 0, 0);
	assert_int_equal(decide(&file, 0).held, 0);
}

static void one_or_all_of_the_rights(void **state)
{
	const struct walk walk = {.held = OS_RIGHT_LIBRARY | OS_RIGHT_READ};

	assert_true(walk_allows(&walk, OS_RIGHT_EXEC | OS_RIGHT_LIBRARY, 1));
	assert_false(walk_allows(&walk, OS_RIGHT_EXEC | OS_RIGHT_LIBRARY, 0));
	assert_true(walk_allows(&walk, OS_RIGHT_READ, 0));
	assert_false(walk_allows(&walk, OS_RIGHT_WRITE, 1));
	assert_true(walk_allows(&walk, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_anchor_decides),
		cmocka_unit_test(nothing_found_is_nothing_granted),
		cmocka_unit_test(every_part_of_the_key_counts),
		cmocka_unit_test(a_new_name_is_what_its_parent_makes_it),
		cmocka_unit_test(too_deep_is_denied),
		cmocka_unit_test(a_file_gains_nothing_by_a_name),
		cmocka_unit_test(a_listed_name_outlives_its_inode),
		cmocka_unit_test(a_long_name_is_compared_by_what_fits),
		cmocka_unit_test(one_or_all_of_the_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
