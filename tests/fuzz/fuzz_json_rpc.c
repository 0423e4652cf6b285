/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body: whatever our reader takes, another parser takes too, and finds the same messages in it;
 * what that one takes, ours takes but for its own limits.
 */
#include "common/cleanup.h"
#include "proxy/json_rpc.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void expect_string(const json_t *json, struct text text)
{
	expect(json_is_string(json) && json_string_length(json) == text.size &&
	       !memcmp(json_string_value(json), text.data, text.size));
}

static void compare(struct json_rpc *rpc, const struct json_rpc_message *message, json_t *json)
{
	json_t *params = json_object_get(json, "params");
	const char *why = NULL;
	struct text name;

	expect(json_is_object(json) &&
	       !strcmp(json_string_value(json_object_get(json, "jsonrpc")), "2.0"));
	if (message->kind == JSON_RPC_ANSWER) {
		expect(!json_object_get(json, "method") && json_object_get(json, "id"));
		expect(!json_object_get(json, "result") == !!json_object_get(json, "error"));
		return;
	}
	expect_string(json_object_get(json, "method"), message->method);
	expect(!message->params.size == !params);
	expect((message->kind == JSON_RPC_REQUEST) == !!json_object_get(json, "id"));
	if (json_rpc_param(rpc, message, "name", &name, &why) == 0)
		expect_string(json_object_get(params, "name"), name);
	else
		expect(why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t scratch_size = 2 * size + 65536;
	_cleanup_free_ uint8_t *scratch = malloc(scratch_size);
	struct json_rpc_message message;
	json_error_t error;
	const char *why = NULL;
	struct json_rpc rpc;
	size_t index = 0;
	json_t *json;
	int r;

	if (!scratch)
		return 0;
	json = json_loadb((const char *)data, size,
			  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	r = json_view_check(data, size, scratch, scratch_size, &why);
	expect(r || json || json_error_code(&error) == json_error_numeric_overflow);
	expect(!r || why);
	/* Ours is stricter in this only; the other one takes a NUL for the end. */
	if (r && json)
		expect(strstr(why, "deeply") || strstr(why, "too many names") ||
		       memchr(data, '\0', size));
	if (!json)
		return 0;
	r = json_rpc_open(data, size, scratch, scratch_size, &rpc, &why);
	while (!r && json_rpc_next(&rpc, &message, &why) > 0) {
		json_t *item = rpc.batch ? json_array_get(json, index++) : json;

		compare(&rpc, &message, item);
	}
	json_decref(json);
	return 0;
}
