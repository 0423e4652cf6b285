/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dispatch.h"

#include "common/cleanup.h"
#include "gateway/authority.h"
#include "gateway/handlers.h"
#include "gateway/journal.h"
#include "gateway/request_check.h"
#include "gateway/request_scope.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call until its handler has it. */
struct incoming {
	struct gateway *gateway;
	struct grpc_call *call;
	struct principal principal;
	bool known, asking;
};

static const struct handler *const groups[] = {
	health_handlers, sandbox_handlers,   exec_handlers,	access_handlers,
	log_handlers,	 policy_handlers,    provider_handlers, inference_handlers,
	token_handlers,	 workspace_handlers, node_handlers,
};

static const struct handler *find_handler(enum rpc_id method)
{
	static const struct handler *by_method[RPC_COUNT];
	static bool filled;

	if (!filled) {
		for (size_t i = 0; i < ARRAY_LEN(groups); i++)
			for (const struct handler *h = groups[i]; h->call; h++)
				by_method[h->method] = h;
		filled = true;
	}
	return by_method[method];
}

/* A workspace that is gone takes nothing more; nobody learns of others' by their names. */
static int workspace_exists(struct gateway *gateway, const struct rpc_method *method,
			    const struct request_scope *scope, struct error *err)
{
	struct store_object object;
	int r;

	if (scope->everywhere || method->role == RPC_ROLE_NONE || scope->sandbox_id)
		return 0;
	r = store_get(gateway->store, STORE_WORKSPACE, "", scope->workspace, &object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no workspace '%s'", scope->workspace);
	if (!r)
		store_object_clear(&object);
	return r;
}

static int admit(struct incoming *in, const struct rpc_method *method,
		 const ProtobufCMessage *message, struct request_scope *scope, struct error *err)
{
	struct gateway *gateway = in->gateway;
	int r = request_check(message, err);

	if (!r)
		r = request_scope_find(gateway, method, message, scope, err);
	/* A sandbox is told no more of others than that it may not. */
	if (r == -ENOENT && in->principal.kind == PRINCIPAL_SANDBOX)
		return error_set(err, -EACCES, "the token is of another sandbox");
	if (!r)
		r = authority_allows(gateway->authority, &in->principal, method,
				     scope->everywhere ? NULL : scope->workspace, scope->sandbox_id,
				     err);
	return r ? r : workspace_exists(gateway, method, scope, err);
}

static void free_incoming(struct incoming *in)
{
	principal_clear(&in->principal);
	free(in);
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct incoming *in = arg;
	const struct rpc_method *method = grpc_call_method(call);
	const struct handler *handler = find_handler(method->id);
	struct request_scope scope = {};
	struct request request = {
		.gateway = in->gateway,
		.call = call,
		.method = method,
		.principal = &in->principal,
		.message = message,
		.workspace = scope.workspace,
	};
	struct error err = {};
	int r = admit(in, method, message, &scope, &err);

	if (r) {
		if (r == -EACCES)
			journal(JOURNAL_WARN, "refused %s to %s: %s", method->path,
				in->principal.subject ? in->principal.subject : "nobody",
				err.message);
		grpc_call_finish(call, grpc_code_of_errno(r), err.message);
		return;
	}
	if (!handler) {
		grpc_call_finish(call, GRPC_UNIMPLEMENTED,
				 "this gateway does not have that method yet");
		return;
	}
	handler->call(&request);
	if (request.taken)
		free_incoming(in);
	else if (!request.answered)
		grpc_call_finish(call, GRPC_INTERNAL, "the gateway has no answer to that");
}

static void on_known(void *arg, int code, const char *message, struct principal *principal)
{
	struct incoming *in = arg;

	in->asking = false;
	if (code != GRPC_OK) {
		grpc_call_finish(in->call, code, message);
		return;
	}
	in->known = true;
	in->principal = *principal;
	*principal = (struct principal){};
	grpc_call_resume(in->call);
}

/* Only a stream comes here without a message. */
static void on_half_closed(void *arg, struct grpc_call *call)
{
	grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "the stream ended before its first message");
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct incoming *in = arg;

	if (in->asking)
		authority_forget(in->gateway->authority, in);
	free_incoming(in);
}

void dispatch_call(void *arg, struct grpc_call *call)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.half_closed = on_half_closed,
		.ended = on_ended,
	};
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	in->gateway = arg;
	in->call = call;
	in->asking = true;
	/* Nothing of it is read before it is known who says it. */
	grpc_call_pause(call);
	grpc_call_accept(call, &events, in);
	authority_identify(in->gateway->authority, call, on_known, in);
}
