/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_rpc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static uint8_t scratch[65536];

static void batch(void **state)
{
	static const char body[] =
		"[{\"jsonrpc\": \"2.0\", \"id\": \"x\", \"method\": \"tools\\/call\", "
		"\"params\": {\"name\": \"a\\u0062\"}}, {\"jsonrpc\": \"2.0\", \"method\": \"n\"}, "
		"{\"jsonrpc\": \"2.0\", \"id\": 7, \"result\": null}]";
	struct json_rpc_message message;
	struct json_rpc rpc;
	const char *why = NULL;
	struct text name;

	assert_int_equal(json_rpc_open((const uint8_t *)body, strlen(body), scratch,
				       sizeof(scratch), &rpc, &why),
			 0);
	assert_int_equal(json_rpc_next(&rpc, &message, &why), 1);
	assert_int_equal(message.kind, JSON_RPC_REQUEST);
	assert_true(text_is(message.method, "tools/call"));
	assert_int_equal(json_rpc_param(&rpc, &message, "name", &name, &why), 0);
	assert_true(text_is(name, "ab"));
	assert_true(text_is(message.method, "tools/call"));
	assert_int_equal(json_rpc_param(&rpc, &message, "other", &name, &why), -EBADMSG);
	assert_int_equal(json_rpc_param(&rpc, &message, "NAME", &name, &why), -EBADMSG);
	assert_int_equal(json_rpc_next(&rpc, &message, &why), 1);
	assert_int_equal(message.kind, JSON_RPC_NOTIFICATION);
	assert_int_equal(message.params.size, 0);
	assert_int_equal(json_rpc_next(&rpc, &message, &why), 1);
	assert_int_equal(message.kind, JSON_RPC_ANSWER);
	assert_int_equal(json_rpc_next(&rpc, &message, &why), 0);
}

static void long_batch(void **state)
{
	static char body[65536] = "[";
	struct json_rpc_message message;
	const char *why = NULL;
	struct json_rpc rpc;
	size_t size = 1;
	int n = 0, r;

	for (int i = 0; i <= JSON_RPC_BATCH_MAX; i++)
		size += (size_t)snprintf(body + size, sizeof(body) - size,
					 "%s{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", i ? "," : "");
	body[size++] = ']';
	assert_int_equal(
		json_rpc_open((const uint8_t *)body, size, scratch, sizeof(scratch), &rpc, &why),
		0);
	while ((r = json_rpc_next(&rpc, &message, &why)) > 0)
		n++;
	assert_int_equal(n, JSON_RPC_BATCH_MAX);
	assert_int_equal(r, -EBADMSG);
	assert_non_null(strstr(why, "too many"));
}

static void names(void **state)
{
	char longest[130];

	memset(longest, 'a', sizeof(longest));
	assert_true(json_rpc_is_strict_name(TEXT("aZ09_.-")));
	assert_false(json_rpc_is_strict_name(TEXT("")));
	assert_false(json_rpc_is_strict_name(TEXT("a b")));
	assert_false(json_rpc_is_strict_name(TEXT("a/b")));
	assert_false(json_rpc_is_strict_name(TEXT("a@")));
	assert_false(json_rpc_is_strict_name(TEXT("a{")));
	assert_false(json_rpc_is_strict_name(TEXT("\303\251")));
	assert_true(json_rpc_is_strict_name((struct text){longest, 128}));
	assert_false(json_rpc_is_strict_name((struct text){longest, 129}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch),
		cmocka_unit_test(long_batch),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
