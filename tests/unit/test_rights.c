/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define X (OS_RIGHT_EXEC | OS_RIGHT_LIBRARY)

static void below_needs_a_whole_component(void **state)
{
	assert_true(rights_path_below("/usr/bin", "/usr"));
	assert_true(rights_path_below("/usr", "/usr"));
	assert_true(rights_path_below("/usr", "/"));
	assert_false(rights_path_below("/usr2", "/usr"));
	assert_false(rights_path_below("/", "/usr"));
}

static void nearest_decides_and_deny_wins(void **state)
{
	const struct rights_rule rules[] = {
		{"/w", RIGHTS_READ_WRITE},	 {"/w/ro", RIGHTS_READ_ONLY},
		{"/w/ro/rw", RIGHTS_READ_WRITE}, {"/w/no", RIGHTS_DENY},
		{"/w/no/rw", RIGHTS_READ_WRITE}, {"/tie", RIGHTS_READ_WRITE},
		{"/tie", RIGHTS_READ_ONLY},
	};
	const struct rights_input in = {
		.rule = rules, .rules = ARRAY_LEN(rules), .exec_allow_writable = true};

	assert_int_equal(rights_at(&in, "/w/a").subtree, OS_RIGHTS_WRITE | X);
	assert_int_equal(rights_at(&in, "/w/ro/a").subtree, OS_RIGHTS_READ | X);
	assert_int_equal(rights_at(&in, "/w/ro/rw").subtree, OS_RIGHTS_WRITE | X);
	assert_int_equal(rights_at(&in, "/w/no").self, 0);
	assert_int_equal(rights_at(&in, "/w/no/rw/x").subtree, 0);
	assert_int_equal(rights_at(&in, "/tie").self, OS_RIGHTS_READ | X);
	assert_int_equal(rights_at(&in, "/elsewhere").subtree, 0);
	assert_int_equal(rights_at(&in, "/w2").subtree, 0);
}

static void exec_policy_narrows(void **state)
{
	const struct rights_rule rules[] = {{"/usr", RIGHTS_READ_ONLY},
					    {"/w", RIGHTS_READ_WRITE},
					    {"/usr/lib/ld.so", RIGHTS_LOADER}};
	const struct rights_exec allow[] = {{"/usr/bin", true}, {"/usr/lib/tool", false}};
	const struct rights_exec deny[] = {{"/usr/bin/nc", false}, {"/usr/bin/evil", true}};
	struct rights_input in = {.rule = rules,
				  .rules = ARRAY_LEN(rules),
				  .exec_allow = allow,
				  .exec_allows = ARRAY_LEN(allow),
				  .exec_deny = deny,
				  .exec_denies = ARRAY_LEN(deny),
				  .exec_allow_present = true,
				  .exec_allow_writable = true};

	assert_int_equal(rights_at(&in, "/usr/bin").subtree, OS_RIGHTS_READ | X);
	assert_int_equal(rights_at(&in, "/usr/bin/nc").self, OS_RIGHTS_READ);
	assert_int_equal(rights_at(&in, "/usr/bin/evil/x").self, OS_RIGHTS_READ);
	assert_int_equal(rights_at(&in, "/usr/lib").subtree, OS_RIGHTS_READ | OS_RIGHT_LIBRARY);
	assert_int_equal(rights_at(&in, "/usr/lib/tool").self, OS_RIGHTS_READ | X);
	assert_int_equal(rights_at(&in, "/usr/lib/tool").subtree,
			 OS_RIGHTS_READ | OS_RIGHT_LIBRARY);
	assert_int_equal(rights_at(&in, "/w").subtree, OS_RIGHTS_WRITE | OS_RIGHT_LIBRARY);
	in.exec_allow_present = false;
	assert_int_equal(rights_at(&in, "/usr/lib/ld.so").self, OS_RIGHTS_READ | OS_RIGHT_LIBRARY);
	assert_int_equal(rights_at(&in, "/w").subtree, OS_RIGHTS_WRITE | X);
	in.exec_allow_writable = false;
	assert_int_equal(rights_at(&in, "/w").subtree, OS_RIGHTS_WRITE);
	assert_int_equal(rights_at(&in, "/usr").subtree, OS_RIGHTS_READ | X);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(below_needs_a_whole_component),
		cmocka_unit_test(nearest_decides_and_deny_wins),
		cmocka_unit_test(exec_policy_narrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
