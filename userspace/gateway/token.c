/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of sandboxes: a new one for an old one, while that is good. */
#include "gateway/authority.h"
#include "gateway/handlers.h"
#include "gateway/sandbox_record.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_S 3600

/* A sandbox that was deleted gets none, however long its old one was good for. */
static int make(struct request *request, char **ret_token, int64_t *ret_expires_ms,
		struct error *err)
{
	struct sandbox_record record = {};
	int r = sandbox_record_get_id(request->gateway, request->principal->subject, &record, err);

	if (!r && record.stored->deleting)
		r = error_set(err, -EBUSY, "the sandbox is being deleted");
	sandbox_record_clear(&record);
	if (r == -ENOENT)
		return error_set(err, -EACCES, "the sandbox is no more");
	return r ? r
		 : authority_issue(request->gateway->authority, request->principal->subject,
				   TOKEN_S, ret_token, ret_expires_ms, err);
}

static void wipe(char *token)
{
	OPENSSL_cleanse(token, strlen(token));
	free(token);
}

static void issue(struct request *request)
{
	Openshell__V1__IssueSandboxTokenResponse response =
		OPENSHELL__V1__ISSUE_SANDBOX_TOKEN_RESPONSE__INIT;
	struct error err = {};

	if (make(request, &response.token, &response.expires_at_ms, &err)) {
		request_fail_error(request, &err);
		return;
	}
	request_reply(request, &response.base);
	wipe(response.token);
}

static void refresh(struct request *request)
{
	const Openshell__V1__RefreshSandboxTokenRequest *message = (const void *)request->message;
	Openshell__V1__RefreshSandboxTokenResponse response =
		OPENSHELL__V1__REFRESH_SANDBOX_TOKEN_RESPONSE__INIT;
	struct error err = {};

	if (message->n_extension_service_names) {
		request_fail(request, GRPC_NOT_FOUND, "this gateway has no extension services");
		return;
	}
	if (make(request, &response.token, &response.expires_at_ms, &err)) {
		request_fail_error(request, &err);
		return;
	}
	request_reply(request, &response.base);
	wipe(response.token);
}

const struct handler token_handlers[] = {
	{RPC_ISSUE_SANDBOX_TOKEN, issue},
	{RPC_REFRESH_SANDBOX_TOKEN, refresh},
	{},
};
