/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_view.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What is wrong with a text, "" for nothing; with exactly the memory that is enough. */
static const char *check_bytes(const char *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = malloc(size + 1), *scratch = malloc(2 * size + 8);
	const char *why = "?";

	assert_non_null(copy);
	assert_non_null(scratch);
	memcpy(copy, data, size);
	if (!json_view_check(copy, size, scratch, 2 * size + 8, &why))
		return "";
	return why;
}

static const char *check(const char *text)
{
	return check_bytes(text, strlen(text));
}

static void texts(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" [ 1 , -0.5e+7,\t2E1 ] \r\n",
		"\"\"",
		"true",
		"null",
		"-0",
		"{\"a\": {\"b\": [{}, [], \"\"]}, \"c\": false}",
		"\"\\u0041\\ud83d\\ude00\\\\\\/\\\"\\b\\f\\n\\r\\t\"",
		"\"\\u0000\"",
		"\"\304\200\340\240\200\355\237\277\360\220\200\200\364\217\277\277\"",
		"[{\"a\": 1}, {\"a\": 1}]",
		"{\"a\": {\"a\": {\"a\": 1}}}",
	};
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[",
		"[1",
		"[1,",
		"[1,]",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{1:2}",
		"{a:1}",
		"[1 2]",
		"]",
		"}",
		"[}",
		"{]",
		"{}{}",
		"1 1",
		"tru",
		"nul",
		"TRUE",
		"NaN",
		"01",
		"-",
		"1.",
		".5",
		"1e",
		"1e+",
		"+1",
		"0x1",
		"\"",
		"\"\\",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u123g\"",
		"\"\\ud800\"",
		"\"\\udc00\"",
		"\"\\ud800\\u0041\"",
		"\"\t\"",
		"\"\n\"",
		"\"\300\200\"",
		"\"\340\200\200\"",
		"\"\355\240\200\"",
		"\"\364\220\200\200\"",
		"\"\377\"",
		"\"\304\"",
		"\357\273\277{}",
		"{} x",
		"'a'",
		"// x\n1",
		"{\"\\u0000\": 1}",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (*check(good[i]))
			fail_msg("%s: %s", good[i], check(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!*check(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
	assert_string_equal(check_bytes("\"a\0\"", 4), "has a control character in a string");
	assert_string_equal(check_bytes("{}\0", 3), "goes on after its end");
}

static void repeated_names(void **state)
{
	char many[16384] = "{", *out = many + 1;

	assert_string_equal(check("{\"a\": 1, \"b\": 2, \"a\": 3}"),
			    "has a name twice in an object");
	assert_string_equal(check("{\"\\u0061\": 1, \"a\": 3}"), "has a name twice in an object");
	assert_string_equal(check("[{\"x\": {\"\": 1, \"\": 2}}]"),
			    "has a name twice in an object");
	assert_string_equal(check("{\"\360\237\230\200\": 1, \"\\uD83D\\ude00\": 3}"),
			    "has a name twice in an object");
	assert_string_equal(check("{\"a\": 1, \"A\": {\"a\": 1}, \"aa\": 1, \"\": 1}"), "");
	/* names as short as they can be, so that the table is as full as it can be */
	for (int i = 0; i < 2000; i++)
		out += snprintf(out, (size_t)(many + sizeof(many) - out), "%s\"%x\":0",
				i ? "," : "", i);
	memcpy(out, "}", 2);
	assert_string_equal(check(many), "");
	memcpy(out, ",\"7cf\":0}", 10);
	assert_string_equal(check(many), "has a name twice in an object");
}

static void depth(void **state)
{
	char text[2 * JSON_VIEW_DEPTH_MAX + 3] = "";

	memset(text, '[', JSON_VIEW_DEPTH_MAX);
	memset(text + JSON_VIEW_DEPTH_MAX, ']', JSON_VIEW_DEPTH_MAX);
	assert_string_equal(check(text), "");
	memset(text, '[', JSON_VIEW_DEPTH_MAX + 1);
	memset(text + JSON_VIEW_DEPTH_MAX + 1, ']', JSON_VIEW_DEPTH_MAX + 1);
	assert_string_equal(check(text), "is nested too deeply");
}

static void walking(void **state)
{
	static const char data[] =
		" {\"a\": [1, {\"x\": \"]\"}, \"\\\"}\"] , \"b\" :{}, \"c\\u0021\":-1.5e3} ";
	struct text object = json_view_value((const uint8_t *)data, strlen(data)), name, value,
		    item;
	uint32_t place = 0, inner = 0;

	assert_int_equal(json_view_kind(object), JSON_VIEW_OBJECT);
	assert_true(json_view_member(object, &place, &name, &value));
	assert_true(text_is(name, "\"a\""));
	assert_int_equal(json_view_kind(value), JSON_VIEW_ARRAY);
	assert_true(json_view_element(value, &inner, &item) && text_is(item, "1"));
	assert_true(json_view_element(value, &inner, &item) && text_is(item, "{\"x\": \"]\"}"));
	assert_true(json_view_element(value, &inner, &item) && text_is(item, "\"\\\"}\""));
	assert_false(json_view_element(value, &inner, &item));
	assert_true(json_view_member(object, &place, &name, &value));
	assert_true(text_is(name, "\"b\"") && text_is(value, "{}"));
	inner = 0;
	assert_false(json_view_member(value, &inner, &name, &item));
	assert_false(json_view_element(value, &inner, &item));
	assert_true(json_view_member(object, &place, &name, &value));
	assert_true(text_is(name, "\"c\\u0021\"") && text_is(value, "-1.5e3"));
	assert_int_equal(json_view_kind(value), JSON_VIEW_NUMBER);
	assert_false(json_view_member(object, &place, &name, &value));
}

static void strings(void **state)
{
	uint8_t memory[16];
	struct json_view_memory left = {memory, sizeof(memory)};
	struct text string;

	assert_int_equal(json_view_string(TEXT("\"plain\""), &left, &string), 0);
	assert_true(text_is(string, "plain"));
	assert_int_equal(left.size, sizeof(memory));
	assert_int_equal(json_view_string(TEXT("\"\\u00e9\\ud83d\\ude00\""), &left, &string),
			 -E2BIG);
	assert_int_equal(json_view_string(TEXT("\"a\\u00e9\\n\""), &left, &string), 0);
	assert_true(text_is(string, "a\303\251\n"));
	assert_int_equal(left.size, sizeof(memory) - 4);
	assert_int_equal(json_view_string(TEXT("7"), &left, &string), -EINVAL);
	assert_int_equal(json_view_string((struct text){0}, &left, &string), -EINVAL);
}

static void finding(void **state)
{
	struct json_view_want wants[] = {{.name = "query"}, {.name = "operationName"}};
	const char *why = NULL;

	assert_int_equal(json_view_find(TEXT("{\"x\":1,\"quer\\u0079\":2}"), wants, 2, &why), 0);
	assert_true(text_is(wants[0].value, "2"));
	assert_int_equal(wants[1].value.size, 0);
	assert_int_equal(json_view_find(TEXT("{\"OperationName\":1}"), wants, 2, &why), -EBADMSG);
	assert_int_equal(json_view_find(TEXT("{\"QUERY\":1}"), wants, 2, &why), -EBADMSG);
	assert_int_equal(json_view_find(TEXT("[]"), wants, 2, &why), -EINVAL);
	wants[0].name = "tasks";
	assert_int_equal(json_view_find(TEXT("{\"ta\\u017f\342\204\252s\":1}"), wants, 1, &why),
			 -EBADMSG);
	assert_int_equal(json_view_find(TEXT("{\"ta\\u017f\342\204\253s\":1}"), wants, 1, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),   cmocka_unit_test(repeated_names),
		cmocka_unit_test(depth),   cmocka_unit_test(walking),
		cmocka_unit_test(strings), cmocka_unit_test(finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
