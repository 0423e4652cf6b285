/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_glob.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static bool path(const char *glob, const char *text)
{
	return policy_glob_match(glob, text, '/', 0);
}

static void stars_and_segments(void **state)
{
	assert_true(path("/usr/bin/*", "/usr/bin/curl"));
	assert_true(path("/usr/bin/*", "/usr/bin/"));
	assert_false(path("/usr/bin/*", "/usr/bin/x/y"));
	assert_false(path("/usr/bin/*", "/usr/bin"));
	assert_true(path("/usr/**", "/usr/bin/x/y"));
	assert_false(path("/usr/**", "/usr"));
	assert_true(path("/**/info/refs*", "/a/b/info/refs?service=x"));
	assert_false(path("/**/info/refs*", "/a/b/info/refs/heads"));
	assert_true(path("/repos/*/*/pulls/*/reviews", "/repos/o/r/pulls/7/reviews"));
	assert_false(path("/repos/*/*/pulls/*/reviews", "/repos/o/r/x/pulls/7/reviews"));
	assert_true(path("*a*b*", "xxaxxbxx"));
	assert_false(path("*a*b*", "xxbxxaxx"));
	assert_true(path("**", ""));
	assert_true(path("", ""));
	assert_false(path("", "x"));
}

static void a_deny_rule_reads_a_star_wider(void **state)
{
	assert_false(policy_glob_match("/admin/*", "/admin/a/b", '/', 0));
	assert_true(policy_glob_match("/admin/*", "/admin/a/b", '/', POLICY_GLOB_CROSS));
	assert_false(policy_glob_match("/admin/?", "/admin//", '/', POLICY_GLOB_CROSS));
}

static void sets(void **state)
{
	assert_true(path("/x[a-c]y", "/xby"));
	assert_false(path("/x[a-c]y", "/xdy"));
	assert_true(path("/x[!a-c]y", "/xdy"));
	assert_false(path("/x[!a-c]y", "/x/y"));
	assert_false(path("/x?y", "/x/y"));
	assert_true(path("[]]", "]"));
	assert_true(path("[a-]", "-"));
	assert_false(path("[z-a]", "m"));
	assert_false(path("[abc", "a"));
	assert_true(path("\xc3\xbc*", "\xc3\xbc"
				      "ber"));
}

static void malformed_globs_are_named(void **state)
{
	assert_null(policy_glob_check("/**/*.[ch]?"));
	assert_null(policy_glob_check(""));
	assert_non_null(strstr(policy_glob_check("/a[b"), "without its"));
	assert_non_null(strstr(policy_glob_check("/a***"), "***"));
	assert_non_null(strstr(policy_glob_check("[z-a]"), "backwards"));
	assert_true(policy_glob_is_pattern("/a?"));
	assert_false(policy_glob_is_pattern("/a]b{c}"));
}

static void lengths_are_bounded(void **state)
{
	char text[POLICY_GLOB_MAX + 2];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(path("**", text));
	assert_non_null(policy_glob_check(text));
	text[POLICY_GLOB_MAX] = '\0';
	assert_true(path("**", text));
	assert_true(path(text, text));
	/* what makes backtracking matchers take for ever */
	assert_false(path("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static int meet(const char *a, const char *b)
{
	size_t steps = 1 << 20;
	int r = policy_glob_overlap(a, b, '/', 0, &steps), reverse;

	reverse = policy_glob_overlap(b, a, '/', 0, &steps);
	assert_int_equal(r, reverse);
	return r;
}

static void overlaps(void **state)
{
	size_t steps = 8;

	assert_int_equal(meet("/a/*", "/*/b"), 1);
	assert_int_equal(meet("/a/*", "/b/*"), 0);
	assert_int_equal(meet("/a*", "/*b/c"), 0);
	assert_int_equal(meet("/a**", "/*b/c"), 1);
	assert_int_equal(meet("/[a-f]", "/[f-k]"), 1);
	assert_int_equal(meet("/[a-e]", "/[f-k]"), 0);
	assert_int_equal(meet("/?", "/"), 0);
	assert_int_equal(meet("", "*"), 1);
	assert_int_equal(meet("/x", "/x"), 1);
	assert_int_equal(meet("[broken", "**"), 0);
	assert_int_equal(policy_glob_overlap("/abcdef", "/abcdef", '/', 0, &steps), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stars_and_segments),
		cmocka_unit_test(a_deny_rule_reads_a_star_wider),
		cmocka_unit_test(sets),
		cmocka_unit_test(malformed_globs_are_named),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
