/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/l7_glob.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct arena *arena;

static bool match(const char *pattern, const char *string, enum l7_reading reading)
{
	struct text text = {string, (uint32_t)strlen(string)};
	struct l7_pairs pairs = l7_pairs_of(text);
	struct l7_glob glob;
	bool matches;

	assert_int_equal(l7_glob_new(arena, pattern, L7_GLOB_PATH, reading, &glob), 0);
	matches = l7_glob_match(&glob, text);
	/* the quick look never says no to what matches */
	assert_true(!matches || l7_glob_may_match(&glob, &pairs));
	return matches;
}

static void readings(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool allow, deny;
	} rows[] = {
		{"/a", "/a", true, true},
		{"/a", "/ab", false, false},
		{"/a*", "/a", true, true},
		{"/a*", "/a/b", false, true},
		{"/a/**", "/a/b/c", true, true},
		{"/a/**", "/a", false, false},
		{"/a**", "/a/b", false, true},
		{"/**a/x", "/b/a/x", false, true},
		{"/**/x", "/a/b/x", true, true},
		{"/**/x", "/x", false, false},
		{"**", "", true, true},
		{"**/x", "/a/x", true, true},
		{"/[*]**", "/*a", true, true},
		{"/[!a]*", "/bc", true, true},
		{"/[!a]", "//", false, false},
		{"/?", "//", false, false},
		{"/*/*/c", "/a/b/c", true, true},
		{"/*/c", "/a/b/c", false, true},
		{"/a*b*c", "/abbbbc", true, true},
		{"/a*b*c", "/abbbbd", false, false},
		{"/*a*/*b", "/xax/xb", true, true},
		{"/*a*/*b", "/xx/axb", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (match(rows[i].pattern, rows[i].text, L7_READING_ALLOW) != rows[i].allow)
			fail_msg("%s allows %s", rows[i].pattern, rows[i].text);
		if (match(rows[i].pattern, rows[i].text, L7_READING_DENY) != rows[i].deny)
			fail_msg("%s denies %s", rows[i].pattern, rows[i].text);
	}
}

static void escapes(void **state)
{
	char buffer[64];
	struct l7_glob glob;
	struct text plain = l7_path_plain(TEXT("/%40%C3%A9%2F%2a%25%3b%"), false, buffer);

	assert_true(text_is(plain, "/@\303\251%2F*%25%3B%"));
	assert_true(match("/%40/%2a", "/@/*", L7_READING_ALLOW));
	assert_false(match("/%40/%2a", "/@/x", L7_READING_ALLOW));
	assert_true(match("/%5bx", "/[x", L7_READING_DENY));
	assert_true(match("/a%2fb", "/a%2Fb", L7_READING_DENY));
	assert_true(match("/[%]40", "/%40", L7_READING_DENY));
	assert_int_equal(l7_glob_new(arena, "/%40[", L7_GLOB_PATH, L7_READING_DENY, &glob),
			 -EINVAL);
	assert_int_equal(l7_glob_new(arena, "/***", L7_GLOB_PATH, L7_READING_DENY, &glob), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings),
		cmocka_unit_test(escapes),
	};
	int r;

	arena = arena_new(1 << 20);
	r = arena ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	arena_free(arena);
	return r;
}
