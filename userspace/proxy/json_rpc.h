/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of JSON-RPC 2.0, one or a batch of them, in a request's body; and what MCP puts into
 * them. Texts point into the body or into the scratch memory. Pure; any thread. Fails closed: what
 * two servers could read in two ways is no message (json_view.h).
 */
#pragma once

#include "proxy/json_view.h"

#define JSON_RPC_METHOD_MAX 256
#define JSON_RPC_NAME_MAX   1024 /* of a tool that may be named as it likes */
#define JSON_RPC_BATCH_MAX  256

enum json_rpc_kind {
	JSON_RPC_REQUEST = 1,
	JSON_RPC_NOTIFICATION, /* a request without an id: nobody answers */
	JSON_RPC_ANSWER,       /* a result or an error: to a request that the other end made */
};

struct json_rpc_message {
	enum json_rpc_kind kind;
	struct text method; /* 1 to 256 bytes without control characters; none for an answer */
	struct text params; /* as written; size 0: there are none */
};

struct json_rpc {
	struct text body;
	struct json_view_memory memory;
	uint32_t place;
	uint16_t count; /* so far */
	bool batch;
};

/* -EBADMSG with @ret_why set to a sentence's end. The scratch memory stays lent. */
int json_rpc_open(const uint8_t *body, size_t size, void *scratch, size_t scratch_size,
		  struct json_rpc *ret_rpc, const char **ret_why);

/* 1, 0 at the end, -EBADMSG. There is at least one message. */
int json_rpc_next(struct json_rpc *rpc, struct json_rpc_message *ret_message, const char **ret_why);

/*
 * A member of the parameters that is a string: the `name` of MCP's tools/call, `protocolVersion` of
 * initialize. -EBADMSG if there is none, it is empty, longer than JSON_RPC_NAME_MAX, or has control
 * characters.
 */
int json_rpc_param(struct json_rpc *rpc, const struct json_rpc_message *message, const char *name,
		   struct text *ret_value, const char **ret_why);

/* ^[A-Za-z0-9_.-]{1,128}$ */
bool json_rpc_is_strict_name(struct text name);
