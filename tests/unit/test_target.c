/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct target target;
static char *buffer, *raw;

/* In allocations of their own sizes: one byte too far is seen. */
static enum target_error parse_bytes(const char *data, size_t size, bool encoded_slash)
{
	free(raw);
	free(buffer);
	raw = malloc(size ? size : 1);
	buffer = malloc(size ? size : 1);
	memcpy(raw, data, size);
	return target_parse((struct text){raw, (uint32_t)size}, encoded_slash, buffer, size,
			    &target);
}

static enum target_error parse(const char *string, bool encoded_slash)
{
	return parse_bytes(string, strlen(string), encoded_slash);
}

static void is(const char *id, struct text text, const char *string)
{
	if (!text_is(text, string))
		fail_msg("%s: \"%.*s\" is not \"%s\"", id, (int)text.size, text.data, string);
}

static void paths_have_one_form(void **state)
{
	static const struct {
		const char *raw, *path;
	} rows[] = {
		{"/", "/"},
		{"/a", "/a"},
		{"/a/b/", "/a/b/"},
		{"/a.b/..c/...", "/a.b/..c/..."},
		{"/.a/a./a..", "/.a/a./a.."},
		{"//", "/"},
		{"//a//b///c//", "/a/b/c/"},
		{"///", "/"},
		{"/.", "/"},
		{"/./", "/"},
		{"/a/.", "/a/"},
		{"/a/./b", "/a/b"},
		{"/././a", "/a"},
		{"/a/..", "/"},
		{"/a/../", "/"},
		{"/a/../b", "/b"},
		{"/a/b/../../c", "/c"},
		{"/a/b/..", "/a/"},
		{"/a//../b", "/b"},
		{"/a/.//../b", "/b"},
		{"/%61/%62", "/a/b"},
		{"/%7Euser/%7e", "/~user/~"},
		{"/%2e", "/"},
		{"/a/%2e%2e/b", "/b"},
		{"/a/.%2E/b", "/b"},
		{"/a/%2E./b", "/b"},
		{"/a/%2e/b", "/a/b"},
		{"/%2d%5f%2E%30%39%41%5A", "/-_.09AZ"},
		{"/%20%22%3c%3E", "/%20%22%3C%3E"},
		{"/%3f%23", "/%3F%23"},
		{"/%25", "/%25"},
		/* Twice encoded stays so: decoded once, and never again. */
		{"/%252e%252e/a", "/%252e%252e/a"},
		{"/%252F", "/%252F"},
		{"/%25%32%65", "/%252e"},
		{"/%255c", "/%255c"},
		{"/%2525252e", "/%2525252e"},
		{"/%c3%a9", "/%C3%A9"},
		{"/%e2%82%ac", "/%E2%82%AC"},
		{"/%f0%9f%98%80", "/%F0%9F%98%80"},
		{"/%ed%9f%bf%ee%80%80%f4%8f%bf%bf", "/%ED%9F%BF%EE%80%80%F4%8F%BF%BF"},
		/* Full-width dots and slashes are no dots and slashes. */
		{"/a/%ef%bc%8e%ef%bc%8e/b", "/a/%EF%BC%8E%EF%BC%8E/b"},
		{"/a%ef%bc%8fb", "/a%EF%BC%8Fb"},
		{"/a;b/c", "/a;b/c"},
		{"/a;b=c;d/e;f", "/a;b=c;d/e;f"},
		{"/a;", "/a;"},
		{"/a;..", "/a;.."},
		{"/a;x=../b", "/a;x=../b"},
		{"/a...;b", "/a...;b"},
		{"/...;b", "/...;b"},
		{"/a;b/./c", "/a;b/c"},
		{"/a;b/c/../d", "/a;b/d"},
		{"/%3a%40%21%24%26%27%28%29%2a%2b%2c%3d", "/%3A%40%21%24%26%27%28%29%2A%2B%2C%3D"},
		{"/:@!$&'()*+,=", "/:@!$&'()*+,="},
		{"/[a]{b}|c^", "/[a]{b}|c^"},
		{"/http://a/b", "/http:/a/b"},
		{"/*", "/*"},
		{"*", "*"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char again[256];
		enum target_error error = parse(rows[i].raw, false);

		if (error)
			fail_msg("%s: %s", rows[i].raw, target_error_text(error));
		is(rows[i].raw, target.path, rows[i].path);
		assert_false(target.has_query);
		/* What is canonical stays as it is. */
		memcpy(again, target.path.data, target.path.size);
		error = parse_bytes(again, target.path.size, false);
		assert_int_equal(error, TARGET_OK);
		is(rows[i].raw, target.path, rows[i].path);
	}
}

static void what_has_two_readings_is_refused(void **state)
{
	static const struct {
		const char *raw;
		enum target_error error;
	} rows[] = {
		{"", TARGET_FORM},
		{"a", TARGET_FORM},
		{"**", TARGET_FORM},
		{"*/", TARGET_FORM},
		{"?a", TARGET_FORM},
		{"%2fa", TARGET_FORM},
		{"http://a/", TARGET_FORM},
		{"\\a", TARGET_FORM},
		{"/a b", TARGET_CHARACTER},
		{"/a\tb", TARGET_CHARACTER},
		{"/a\rb", TARGET_CHARACTER},
		{"/a\nb", TARGET_CHARACTER},
		{"/a\x7f", TARGET_CHARACTER},
		{"/\xc3\xa9", TARGET_CHARACTER},
		{"/\xc0\xaf", TARGET_CHARACTER},
		{"/a\\b", TARGET_CHARACTER},
		{"/..\\a", TARGET_CHARACTER},
		{"/a#b", TARGET_CHARACTER},
		{"/a<b", TARGET_CHARACTER},
		{"/a>b", TARGET_CHARACTER},
		{"/a\"b", TARGET_CHARACTER},
		{"/a`b", TARGET_CHARACTER},
		{"/a?b c", TARGET_CHARACTER},
		{"/a?b#c", TARGET_CHARACTER},
		{"/a?\x01", TARGET_CHARACTER},
		{"/a?\xc3\xa9", TARGET_CHARACTER},
		{"/%", TARGET_ESCAPE},
		{"/%2", TARGET_ESCAPE},
		{"/%2/", TARGET_ESCAPE},
		{"/%g0", TARGET_ESCAPE},
		{"/%0g", TARGET_ESCAPE},
		{"/%%32%65", TARGET_ESCAPE},
		{"/%2%65", TARGET_ESCAPE},
		{"/%u002e%u002e/", TARGET_ESCAPE},
		{"/%U002e", TARGET_ESCAPE},
		{"/%00", TARGET_ESCAPE},
		{"/a%00.png", TARGET_ESCAPE},
		{"/%0d%0aX:", TARGET_ESCAPE},
		{"/%09", TARGET_ESCAPE},
		{"/%1f", TARGET_ESCAPE},
		{"/%7f", TARGET_ESCAPE},
		{"/a?b%", TARGET_OK},
		{"/%2f", TARGET_ENCODED_SLASH},
		{"/a%2Fb", TARGET_ENCODED_SLASH},
		{"/a/..%2fb", TARGET_ENCODED_SLASH},
		{"/%5c", TARGET_ENCODED_SLASH},
		{"/..%5C..%5Ca", TARGET_ENCODED_SLASH},
		{"/..;/a", TARGET_PARAMETER},
		{"/a/..;/b", TARGET_PARAMETER},
		{"/a/..;x=1/b", TARGET_PARAMETER},
		{"/a/..;", TARGET_PARAMETER},
		{"/.;/a", TARGET_PARAMETER},
		{"/a/.;x/b", TARGET_PARAMETER},
		{"/a/%2e%2e;/b", TARGET_PARAMETER},
		{"/a/%2e;/b", TARGET_PARAMETER},
		{"/a/..%3b/b", TARGET_PARAMETER},
		{"/a/%2e.%3Bx/b", TARGET_PARAMETER},
		{"/a;/../b", TARGET_PARAMETER},
		{"/a;x/../b", TARGET_PARAMETER},
		{"/a;x/b/../../c", TARGET_PARAMETER},
		{"/a%3bx/../b", TARGET_PARAMETER},
		{"/a;x/%2e%2e", TARGET_PARAMETER},
		{"/;/a", TARGET_PARAMETER},
		{"/;x/admin", TARGET_PARAMETER},
		{"/a/;", TARGET_PARAMETER},
		{"/%3bx/admin", TARGET_PARAMETER},
		{"/..", TARGET_ABOVE_ROOT},
		{"/../a", TARGET_ABOVE_ROOT},
		{"/./../a", TARGET_ABOVE_ROOT},
		{"//../a", TARGET_ABOVE_ROOT},
		{"/a/../..", TARGET_ABOVE_ROOT},
		{"/a/../../b", TARGET_ABOVE_ROOT},
		{"/%2e%2e/a", TARGET_ABOVE_ROOT},
		{"/%2e%2E", TARGET_ABOVE_ROOT},
		{"/%c0%af", TARGET_UTF8},
		{"/%c0%ae%c0%ae/", TARGET_UTF8},
		{"/%c1%9c", TARGET_UTF8},
		{"/%e0%80%af", TARGET_UTF8},
		{"/%e0%9f%bf", TARGET_UTF8},
		{"/%f0%80%80%af", TARGET_UTF8},
		{"/%f0%8f%bf%bf", TARGET_UTF8},
		{"/%f4%90%80%80", TARGET_UTF8},
		{"/%f8%88%80%80%80", TARGET_UTF8},
		{"/%fc%80%80%80%80%af", TARGET_UTF8},
		{"/%ff", TARGET_UTF8},
		{"/%80", TARGET_UTF8},
		{"/%bf", TARGET_UTF8},
		{"/%e9", TARGET_UTF8},
		{"/%c3", TARGET_UTF8},
		{"/%c3a", TARGET_UTF8},
		{"/%c3/%a9", TARGET_UTF8},
		{"/%c3%2e", TARGET_UTF8},
		{"/%c3%c3", TARGET_UTF8},
		{"/%e2%82", TARGET_UTF8},
		{"/%e2%82%", TARGET_UTF8},
		{"/%ed%a0%80", TARGET_UTF8},
		{"/%ed%bf%bf", TARGET_UTF8},
		{"/%ed%a0%bd%ed%b8%80", TARGET_UTF8},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct target before = {.path = TEXT("before")};
		enum target_error error;

		target = before;
		error = parse(rows[i].raw, false);
		if (error != rows[i].error)
			fail_msg("%s: %s, not %s", rows[i].raw, target_error_text(error),
				 target_error_text(rows[i].error));
		if (error)
			is(rows[i].raw, target.path, "before");
	}
	assert_int_equal(parse_bytes("/\0", 2, false), TARGET_CHARACTER);
	assert_int_equal(parse_bytes("/a?\0", 4, false), TARGET_CHARACTER);
}

static void encoded_slashes_stand_where_allowed(void **state)
{
	static const struct {
		const char *raw, *path;
		enum target_error error;
	} rows[] = {
		{"/a%2fb/c", "/a%2Fb/c", TARGET_OK},
		{"/%2F", "/%2F", TARGET_OK},
		{"/http%3A%2F%2fa%2F", "/http%3A%2F%2Fa%2F", TARGET_OK},
		{"/a%2F.b%2F...%2Fc..", "/a%2F.b%2F...%2Fc..", TARGET_OK},
		{"/a%2Fb/c/../d", "/a%2Fb/d", TARGET_OK},
		{"/%5c", NULL, TARGET_ENCODED_SLASH},
		{"/..%2Fa", NULL, TARGET_ENCODED_SLASH},
		{"/a/..%2fb", NULL, TARGET_ENCODED_SLASH},
		{"/a%2F..", NULL, TARGET_ENCODED_SLASH},
		{"/a%2F../b", NULL, TARGET_ENCODED_SLASH},
		{"/a%2f%2e%2e%2fb", NULL, TARGET_ENCODED_SLASH},
		{"/a%2F.%2Fb", NULL, TARGET_ENCODED_SLASH},
		{"/.%2Fb", NULL, TARGET_ENCODED_SLASH},
		{"/a%2Fb/../c", NULL, TARGET_ENCODED_SLASH},
		{"/a;x%2F..%2Fb", NULL, TARGET_ENCODED_SLASH},
		{"/a%2F..;x", NULL, TARGET_PARAMETER},
		{"/a%2F;x", NULL, TARGET_PARAMETER},
		{"/a%2F..%3bx", NULL, TARGET_PARAMETER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum target_error error = parse(rows[i].raw, true);

		if (error != rows[i].error)
			fail_msg("%s: %s, not %s", rows[i].raw, target_error_text(error),
				 target_error_text(rows[i].error));
		if (!error)
			is(rows[i].raw, target.path, rows[i].path);
	}
}

static void queries_are_as_sent(void **state)
{
	assert_int_equal(parse("/a?", false), TARGET_OK);
	assert_true(target.has_query);
	assert_int_equal(target.query.size, 0);
	assert_int_equal(parse("/a/../b?c=%2e&d=/../%2F?\\", false), TARGET_OK);
	is("path", target.path, "/b");
	is("query", target.query, "c=%2e&d=/../%2F?\\");
	/* An escaped question mark begins none. */
	assert_int_equal(parse("/a%3fb", false), TARGET_OK);
	assert_false(target.has_query);
	assert_int_equal(parse("/?/../..", false), TARGET_OK);
	is("path", target.path, "/");
}

static void long_targets_are_refused(void **state)
{
	static char data[HTTP_TARGET_MAX + 1], room[HTTP_TARGET_MAX];
	struct text text = {data, HTTP_TARGET_MAX};

	memset(data, 'a', sizeof(data));
	data[0] = '/';
	assert_int_equal(target_parse(text, false, room, sizeof(room), &target), TARGET_OK);
	assert_int_equal(target_parse(text, false, room, sizeof(room) - 1, &target), TARGET_LONG);
	text.size++;
	assert_int_equal(target_parse(text, false, room, sizeof(room) + 1, &target), TARGET_LONG);
}

static void other_readings_are_shown(void **state)
{
	static const struct {
		const char *path, *other;
	} rows[] = {
		{"/a/b", NULL},
		{"/a.b/", NULL},
		{"*", NULL},
		{"/users/%40me", "/users/@me"},
		{"/admin;x/users", "/admin/users"},
		{"/admin%3Bx/users", "/admin/users"},
		{"/admin;x=%2Fy;z/users", "/admin/y/users"},
		{"/a%2Fb", "/a/b"},
		{"/a%2F%2Fb/%2Fc", "/a/b/c"},
		{"/%252e", "/%2e"},
		{"/%C3%A9", "/\xc3\xa9"},
		{"/a;", "/a"},
	};
	char room[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct text path = {rows[i].path, (uint32_t)strlen(rows[i].path)}, other;
		int r = target_other_reading(path, room, path.size, &other);

		assert_int_equal(r, rows[i].other != NULL);
		if (r)
			is(rows[i].path, other, rows[i].other);
		assert_int_equal(target_other_reading(path, room, path.size - 1, &other), -E2BIG);
	}
	assert_int_equal(target_other_reading(TEXT("/%"), room, sizeof(room), &(struct text){0}),
			 -EBADMSG);
}

static void query_is(const char *query, const char *expected)
{
	struct text text = {query, (uint32_t)strlen(query)}, key, value;
	char all[256] = "", room[64];
	uint32_t place = 0;
	int r;

	while ((r = target_query_next(text, &place, room, sizeof(room), &key, &value)) == 1) {
		size_t at = strlen(all);

		snprintf(all + at, sizeof(all) - at, "<%.*s><%.*s>", (int)key.size, key.data,
			 (int)value.size, value.data);
	}
	if (r)
		snprintf(all, sizeof(all), "%s", r == -EBADMSG ? "bad" : "long");
	assert_string_equal(all, expected);
}

static void queries_are_taken_apart(void **state)
{
	query_is("", "");
	query_is("&&", "");
	query_is("a", "<a><>");
	query_is("a=", "<a><>");
	query_is("=a", "<><a>");
	query_is("a=b&c=d", "<a><b><c><d>");
	query_is("&a=b&&c&", "<a><b><c><>");
	query_is("a=b=c", "<a><b=c>");
	query_is("a=1&a=2&%61=3", "<a><1><a><2><a><3>");
	query_is("a+b=c+d%2B", "<a b><c d+>");
	query_is("a%3Db%26=c%26d", "<a=b&><c&d>");
	query_is("%252e=%252e", "<%2e><%2e>");
	query_is("a;b=c", "<a;b><c>");
	query_is("a=%", "bad");
	query_is("a=%4", "bad");
	query_is("%zz=1", "bad");
	query_is("a=0123456789012345678901234567890123456789012345678901234567890123", "long");
	query_is("a=012345678901234567890123456789012345678901234567890123456789012",
		 "<a><012345678901234567890123456789012345678901234567890123456789012>");
}

static int tear_down(void **state)
{
	free(raw);
	free(buffer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_have_one_form),
		cmocka_unit_test(what_has_two_readings_is_refused),
		cmocka_unit_test(encoded_slashes_stand_where_allowed),
		cmocka_unit_test(queries_are_as_sent),
		cmocka_unit_test(long_targets_are_refused),
		cmocka_unit_test(other_readings_are_shown),
		cmocka_unit_test(queries_are_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
