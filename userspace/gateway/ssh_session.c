/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ssh_session.h"

#include "common/cleanup.h"
#include "gateway/authority.h"
#include "gateway/config.h"
#include "gateway/public_address.h"
#include "gateway/sandbox_phase.h"
#include "gateway/sandbox_record.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SESSION_S    (24 * 3600)
#define TOKEN_BYTES  32
#define TOKEN_SIZE   (2 * TOKEN_BYTES + 1)
#define SESSIONS_MAX 256 /* of one sandbox */

static void to_hex(const uint8_t *bytes, size_t size, char *ret_hex)
{
	for (size_t i = 0; i < size; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
}

static int hash(const char *token, char ret_hex[TOKEN_SIZE])
{
	uint8_t digest[32];

	if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	to_hex(digest, sizeof(digest), ret_hex);
	return 0;
}

static int insert(struct gateway *gateway, const char *sandbox_id, const char *name,
		  int64_t expires_ms, struct error *err)
{
	Openshell__V1__SshSession session = OPENSHELL__V1__SSH_SESSION__INIT;
	struct store_object object = {
		.kind = STORE_SSH_SESSION,
		.workspace = (char *)sandbox_id,
		.name = (char *)name,
	};
	uint8_t packed[256];
	uint64_t count;
	char id[37];
	int r = store_count(gateway->store, STORE_SSH_SESSION, sandbox_id, &count, err);

	if (r)
		return r;
	if (count >= SESSIONS_MAX)
		return error_set(err, -ENOSPC, "the sandbox has %d SSH sessions: revoke some",
				 SESSIONS_MAX);
	store_make_id(id);
	session.sandbox_id = (char *)sandbox_id;
	session.expires_at_ms = expires_ms;
	object.id = id;
	object.payload = packed;
	object.payload_size = protobuf_c_message_pack(&session.base, packed);
	return store_insert(gateway->store, &object, err);
}

/* Those whose time is over make room. */
static int forget_expired(struct gateway *gateway, const char *sandbox_id, struct error *err)
{
	const struct store_query query = {.kind = STORE_SSH_SESSION, .workspace = sandbox_id};
	int64_t oldest = ((int64_t)time(NULL) - SESSION_S) * 1000;
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++)
		if (list.items[i].created_ms < oldest)
			r = store_delete(gateway->store, STORE_SSH_SESSION, list.items[i].id, 0,
					 err);
	store_list_clear(&list);
	return r;
}

void ssh_session_create(struct request *request)
{
	const Openshell__V1__CreateSshSessionRequest *message = (const void *)request->message;
	Openshell__V1__CreateSshSessionResponse response =
		OPENSHELL__V1__CREATE_SSH_SESSION_RESPONSE__INIT;
	uint8_t random[TOKEN_BYTES];
	char token[TOKEN_SIZE], name[TOKEN_SIZE];
	struct public_address address;
	struct sandbox_record record = {};
	struct error err = {};
	int r = sandbox_record_get_id(request->gateway, message->sandbox_id, &record, &err);

	if (!r && record.stored->deleting)
		r = error_set(&err, -EBUSY, "the sandbox is being deleted");
	sandbox_record_clear(&record);
	if (!r && RAND_bytes(random, sizeof(random)) != 1)
		r = error_set(&err, -EIO, "no random numbers for a token");
	if (!r) {
		to_hex(random, sizeof(random), token);
		r = hash(token, name) ? error_set(&err, -EIO, "no hash of a token") : 0;
	}
	if (!r)
		r = forget_expired(request->gateway, message->sandbox_id, &err);
	if (!r) {
		response.expires_at_ms = ((int64_t)time(NULL) + SESSION_S) * 1000;
		r = insert(request->gateway, message->sandbox_id, name, response.expires_at_ms,
			   &err);
	}
	if (r) {
		request_fail_error(request, &err);
	} else {
		public_address_get(request->gateway, &address);
		response.sandbox_id = message->sandbox_id;
		response.token = token;
		response.gateway_host = address.host;
		response.gateway_port = address.port;
		response.gateway_scheme = (char *)address.scheme;
		request_reply(request, &response.base);
	}
	OPENSSL_cleanse(token, sizeof(token));
	OPENSSL_cleanse(random, sizeof(random));
}

/* By its token alone: which sandbox it is for comes out of the store. */
static int find(struct gateway *gateway, const char *token, struct store_object *ret_object,
		Openshell__V1__SshSession **ret_session, struct error *err)
{
	const struct store_query query = {.kind = STORE_SSH_SESSION};
	char name[TOKEN_SIZE];
	struct store_list list;
	int r;

	if (strlen(token) != TOKEN_SIZE - 1 || hash(token, name))
		return error_set(err, -ENOENT, "there is no such SSH session");
	r = store_list(gateway->store,
		       &(struct store_query){.kind = query.kind, .name_prefix = name}, &list, err);
	if (r)
		return r;
	if (list.count == 1) {
		*ret_session = openshell__v1__ssh_session__unpack(NULL, list.items[0].payload_size,
								  list.items[0].payload);
		*ret_object = list.items[0];
		list.items[0] = (struct store_object){};
	}
	store_list_clear(&list);
	if (!ret_object->id || !*ret_session) {
		store_object_clear(ret_object);
		return error_set(err, -ENOENT, "there is no such SSH session");
	}
	return 0;
}

int ssh_session_check(struct gateway *gateway, const char *token, const char *sandbox_id,
		      struct error *err)
{
	Openshell__V1__SshSession *session = NULL;
	struct store_object object = {};
	int r = find(gateway, token, &object, &session, NULL);

	if (!r && (strcmp(session->sandbox_id, sandbox_id) != 0 ||
		   session->expires_at_ms <= (int64_t)time(NULL) * 1000))
		r = -EACCES;
	if (session)
		openshell__v1__ssh_session__free_unpacked(session, NULL);
	store_object_clear(&object);
	if (!r)
		return 0;
	return error_set(
		err, -EACCES,
		"the SSH session's token is not good for this sandbox: it has expired, was "
		"revoked, or never was; make one with CreateSshSession");
}

void ssh_session_revoke(struct request *request)
{
	const Openshell__V1__RevokeSshSessionRequest *message = (const void *)request->message;
	Openshell__V1__RevokeSshSessionResponse response =
		OPENSHELL__V1__REVOKE_SSH_SESSION_RESPONSE__INIT;
	struct gateway *gateway = request->gateway;
	struct sandbox_record record = {};
	Openshell__V1__SshSession *session = NULL;
	struct store_object object = {};
	struct error err = {};
	int r = find(gateway, message->token, &object, &session, &err);

	/* Which workspace it is about is known only now. */
	if (!r)
		r = sandbox_record_get_id(gateway, session->sandbox_id, &record, &err);
	if (!r)
		r = authority_allows(gateway->authority, request->principal, request->method,
				     record.object.workspace, NULL, &err);
	if (!r)
		r = store_delete(gateway->store, STORE_SSH_SESSION, object.id, 0, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.revoked = true;
		request_reply(request, &response.base);
	}
	sandbox_record_clear(&record);
	if (session)
		openshell__v1__ssh_session__free_unpacked(session, NULL);
	store_object_clear(&object);
}
