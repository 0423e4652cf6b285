/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"
#include "identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct os_file_id file(uint64_t ino)
{
	return (struct os_file_id){.ino = ino, .dev = 1, .generation = 7};
}

static void exec(struct os_identity *identity, uint64_t ino)
{
	struct os_image exe = {.file = file(ino)};

	identity_exec(identity, &exe);
}

static struct os_identity fork_of(const struct os_identity *parent)
{
	struct os_identity child = *parent;

	identity_fork(&child);
	return child;
}

static bool has(const struct os_identity *identity, uint64_t ino)
{
	struct os_file_id wanted = file(ino);

	for (uint32_t i = 0; i < identity->ancestors; i++)
		if (identity_file_equal(&identity->ancestor[i].file, &wanted))
			return true;
	return false;
}

static void fork_keeps_lineage(void **state)
{
	struct os_identity first = {}, child, grandchild;

	exec(&first, 1);
	assert_int_equal(first.ancestors, 0);
	child = fork_of(&first);
	exec(&child, 2);
	grandchild = fork_of(&child);
	exec(&grandchild, 3);
	assert_true(has(&grandchild, 1));
	assert_true(has(&grandchild, 2));
	assert_int_equal(grandchild.ancestors, 2);
	assert_int_equal(grandchild.exe.file.ino, 3);
	/* the parent's later image is not the child's origin */
	exec(&child, 9);
	assert_false(has(&grandchild, 9));
}

static void exec_in_place_leaves_no_ancestor(void **state)
{
	struct os_identity one = {};

	exec(&one, 1);
	exec(&one, 2);
	assert_int_equal(one.ancestors, 0);
	assert_int_equal(one.exe.file.ino, 2);
}

static void before_any_exec_there_is_no_ancestor(void **state)
{
	struct os_identity init = {}, child = fork_of(&init);

	assert_int_equal(child.ancestors, 0);
	assert_true(identity_file_is_none(&child.exe.file));
}

static void ancestors_are_distinct(void **state)
{
	struct os_identity p = {};

	exec(&p, 1);
	for (int i = 0; i < 40; i++)
		p = fork_of(&p);
	assert_int_equal(p.ancestors, 1);
	assert_int_equal(p.flags, 0);
}

static void the_oldest_stay(void **state)
{
	struct os_identity p = {};

	for (uint64_t i = 1; i <= OS_ANCESTORS_MAX + 3; i++) {
		exec(&p, i);
		p = fork_of(&p);
	}
	assert_int_equal(p.ancestors, OS_ANCESTORS_MAX);
	assert_int_equal(p.flags, OS_IDENTITY_TRUNCATED);
	assert_true(has(&p, 1));
	assert_true(has(&p, OS_ANCESTORS_MAX));
	assert_false(has(&p, OS_ANCESTORS_MAX + 1));
	/* one that is already there is no truncation */
	p.flags = 0;
	exec(&p, 5);
	p = fork_of(&p);
	assert_int_equal(p.flags, 0);
}

/* Inode numbers are reused: every part of the id counts. */
static void identity_is_all_of_the_id(void **state)
{
	struct os_file_id a = file(1), b = a;

	assert_true(identity_file_equal(&a, &b));
	b.generation++;
	assert_false(identity_file_equal(&a, &b));
	b = a;
	b.dev++;
	assert_false(identity_file_equal(&a, &b));
}

static void rules_meet_in_any_word(void **state)
{
	struct os_endpoint endpoint = {.verdict = OS_VERDICT_DIRECT};
	struct endpoint_caller caller = {};

	assert_int_equal(endpoint_decide(NULL, &caller), OS_REASON_NO_ENDPOINT);
	for (unsigned int bit = 0; bit < OS_RULE_SETS; bit++) {
		memset(&endpoint.rules, 0, sizeof(endpoint.rules));
		memset(&caller.rules, 0xff, sizeof(caller.rules));
		assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
		endpoint.rules.word[bit / 64] = 1ull << bit % 64;
		assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NONE);
		caller.rules.word[bit / 64] &= ~(1ull << bit % 64);
		assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
	}
	memset(&caller.rules, 0xff, sizeof(caller.rules));
	memset(&endpoint.rules, 0xff, sizeof(endpoint.rules));
	endpoint.verdict = OS_VERDICT_PROXY; /* the same callers, another way */
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NONE);
	memset(&endpoint.rules, 0, sizeof(endpoint.rules));
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
	memset(&endpoint.rules, 0xff, sizeof(endpoint.rules));
	endpoint.verdict = OS_VERDICT_DENY;
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NO_ENDPOINT);
}

static void changed_binaries_satisfy_nothing(void **state)
{
	struct os_endpoint endpoint = {.verdict = OS_VERDICT_DIRECT, .rules = {.word = {1}}};
	struct os_binary binary = {.rules = {.word = {1}}, .changed = {500}};
	struct os_binary other = {.rules = {.word = {2}}, .changed = {500}};
	struct endpoint_caller caller = {};

	endpoint_add_binary(&caller, &binary, 500);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NONE);
	for (uint64_t time = 499; time <= 501; time += 2) {
		caller = (struct endpoint_caller){};
		endpoint_add_binary(&caller, &binary, time);
		assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_CHANGED);
	}
	/* a caller whose ctime is not known, and unused places of the entry */
	caller = (struct endpoint_caller){};
	endpoint_add_binary(&caller, &binary, 0);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_CHANGED);
	/* that is the reason only if nothing else would have been */
	caller = (struct endpoint_caller){};
	endpoint_add_binary(&caller, &other, 1);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
	endpoint_add_binary(&caller, &binary, 1);
	endpoint_add_binary(&caller, &binary, 500);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NONE);
}

static void content_has_several_times(void **state)
{
	struct os_binary binary = {.changed = {500, 600, 0, 700}};

	assert_true(endpoint_same_content(&binary, 500));
	assert_true(endpoint_same_content(&binary, 600));
	assert_true(endpoint_same_content(&binary, 700));
	assert_false(endpoint_same_content(&binary, 650));
	assert_false(endpoint_same_content(&binary, 0));
	binary = (struct os_binary){.changed = {OS_BINARY_NEVER}};
	assert_false(endpoint_same_content(&binary, 500));
	binary = (struct os_binary){};
	assert_true(endpoint_same_content(&binary, 500));
	assert_true(endpoint_same_content(&binary, 0));
}

static void only_the_unknown_are_asked_about(void **state)
{
	struct os_endpoint endpoint = {
		.verdict = OS_VERDICT_DIRECT, .rules = {.word = {3}}, .ask = {.word = {2}}};
	struct os_binary nothing = {.changed = {500}}, one = {.rules = {.word = {1}}};
	struct endpoint_caller caller = {};

	endpoint_add_binary(&caller, &nothing, 500);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
	endpoint_add_binary(&caller, NULL, 500);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_ASK);
	endpoint_add_binary(&caller, &one, 500);
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_NONE);
	caller = (struct endpoint_caller){};
	endpoint_add_binary(&caller, NULL, 500);
	endpoint.ask.word[0] = 0;
	assert_int_equal(endpoint_decide(&endpoint, &caller), OS_REASON_BINARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_keeps_lineage),
		cmocka_unit_test(exec_in_place_leaves_no_ancestor),
		cmocka_unit_test(before_any_exec_there_is_no_ancestor),
		cmocka_unit_test(ancestors_are_distinct),
		cmocka_unit_test(the_oldest_stay),
		cmocka_unit_test(identity_is_all_of_the_id),
		cmocka_unit_test(rules_meet_in_any_word),
		cmocka_unit_test(changed_binaries_satisfy_nothing),
		cmocka_unit_test(content_has_several_times),
		cmocka_unit_test(only_the_unknown_are_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
