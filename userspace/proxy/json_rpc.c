/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_rpc.h"

#include "common/cleanup.h"

#include <errno.h>

static int fail(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

int json_rpc_open(const uint8_t *body, size_t size, void *scratch, size_t scratch_size,
		  struct json_rpc *ret_rpc, const char **ret_why)
{
	struct json_rpc rpc = {.memory = {scratch, scratch_size}};
	struct text value;
	int r;

	r = json_view_check(body, size, scratch, scratch_size, ret_why);
	if (r < 0)
		return r;
	rpc.body = json_view_value(body, size);
	rpc.batch = json_view_kind(rpc.body) == JSON_VIEW_ARRAY;
	if (!rpc.batch && json_view_kind(rpc.body) != JSON_VIEW_OBJECT)
		return fail(ret_why, "is neither an object nor a list of them");
	if (rpc.batch && !json_view_element(rpc.body, &rpc.place, &value))
		return fail(ret_why, "is an empty batch");
	rpc.place = 0;
	*ret_rpc = rpc;
	return 0;
}

/* A string of 1 to @max bytes without control characters. */
static int read_name(struct json_rpc *rpc, struct text value, size_t max, struct text *ret_name)
{
	struct text name;

	if (json_view_string(value, &rpc->memory, &name) < 0 || !name.size || name.size > max)
		return -EBADMSG;
	for (uint32_t i = 0; i < name.size; i++)
		if ((uint8_t)name.data[i] < 0x20 || name.data[i] == 0x7f)
			return -EBADMSG;
	*ret_name = name;
	return 0;
}

enum {
	WANT_VERSION,
	WANT_METHOD,
	WANT_PARAMS,
	WANT_ID,
	WANT_RESULT,
	WANT_ERROR,
};

static int read_request(struct json_rpc *rpc, const struct json_view_want *wants,
			struct json_rpc_message *ret_message, const char **ret_why)
{
	enum json_view_kind params = json_view_kind(wants[WANT_PARAMS].value);

	if (wants[WANT_RESULT].value.size || wants[WANT_ERROR].value.size)
		return fail(ret_why, "has a message that is both a request and an answer");
	if (read_name(rpc, wants[WANT_METHOD].value, JSON_RPC_METHOD_MAX, &ret_message->method) < 0)
		return fail(ret_why, "has a 'method' that is no name");
	if (params && params != JSON_VIEW_OBJECT && params != JSON_VIEW_ARRAY)
		return fail(ret_why, "has 'params' that are neither an object nor a list");
	ret_message->params = wants[WANT_PARAMS].value;
	ret_message->kind = wants[WANT_ID].value.size ? JSON_RPC_REQUEST : JSON_RPC_NOTIFICATION;
	return 1;
}

static int read_message(struct json_rpc *rpc, struct text value,
			struct json_rpc_message *ret_message, const char **ret_why)
{
	struct json_view_want wants[] = {
		[WANT_VERSION] = {"jsonrpc"}, [WANT_METHOD] = {"method"},
		[WANT_PARAMS] = {"params"},   [WANT_ID] = {"id"},
		[WANT_RESULT] = {"result"},   [WANT_ERROR] = {"error"},
	};
	struct json_rpc_message message = {0};
	enum json_view_kind id;
	struct text version;
	int r;

	r = json_view_find(value, wants, ARRAY_LEN(wants), ret_why);
	if (r < 0)
		return r == -EINVAL ? fail(ret_why, "has a message that is no object") : r;
	if (json_view_string(wants[WANT_VERSION].value, &rpc->memory, &version) < 0 ||
	    !text_is(version, "2.0"))
		return fail(ret_why, "has a message that does not say \"jsonrpc\": \"2.0\"");
	id = json_view_kind(wants[WANT_ID].value);
	if (id && id != JSON_VIEW_STRING && id != JSON_VIEW_NUMBER && id != JSON_VIEW_NULL)
		return fail(ret_why, "has an 'id' that is neither a string nor a number");
	if (wants[WANT_METHOD].value.size) {
		r = read_request(rpc, wants, &message, ret_why);
		if (r < 0)
			return r;
	} else if (!id || !wants[WANT_RESULT].value.size == !wants[WANT_ERROR].value.size) {
		return fail(ret_why, "has a message that is neither a request nor an answer");
	} else {
		message.kind = JSON_RPC_ANSWER;
	}
	*ret_message = message;
	return 1;
}

int json_rpc_next(struct json_rpc *rpc, struct json_rpc_message *ret_message, const char **ret_why)
{
	struct text value = rpc->body;

	if (rpc->batch ? !json_view_element(rpc->body, &rpc->place, &value) : rpc->count > 0)
		return 0;
	if (rpc->count == JSON_RPC_BATCH_MAX)
		return fail(ret_why, "is a batch of too many messages");
	rpc->count++;
	return read_message(rpc, value, ret_message, ret_why);
}

int json_rpc_param(struct json_rpc *rpc, const struct json_rpc_message *message, const char *name,
		   struct text *ret_value, const char **ret_why)
{
	struct json_view_want want = {.name = name};
	int r;

	r = json_view_find(message->params, &want, 1, ret_why);
	if (r == -EBADMSG)
		return r;
	if (r < 0 || read_name(rpc, want.value, JSON_RPC_NAME_MAX, ret_value) < 0)
		return fail(ret_why, "names nothing in its parameters");
	return 0;
}

bool json_rpc_is_strict_name(struct text name)
{
	for (uint32_t i = 0; i < name.size; i++) {
		char c = name.data[i];

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '_' && c != '.' && c != '-')
			return false;
	}
	return name.size > 0 && name.size <= 128;
}
