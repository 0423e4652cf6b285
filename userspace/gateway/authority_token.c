/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of sandboxes: EdDSA JWTs, signed by a key of the store's. */
#include "gateway/authority_internal.h"

#include "common/cleanup.h"
#include "gateway/jwt.h"
#include "gateway/store.h"
#include "stored.pb-c.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ISSUER	 "openshell-gateway"
#define AUDIENCE "openshell-sandbox"
#define KEY_NAME "sandbox-tokens"
#define KEY_SIZE 32
#define SKEW_S	 5

static int use_key(struct authority *authority, const Openshell__Stored__V1__SigningKey *stored,
		   struct error *err)
{
	if (stored->private_key.len != KEY_SIZE || strlen(stored->key_id) != 36)
		return error_set(err, -EBADMSG, "the store's signing key is damaged");
	authority->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						      stored->private_key.data, KEY_SIZE);
	if (!authority->key)
		return error_set(err, -EIO, "the store's signing key cannot be used");
	memcpy(authority->key_id, stored->key_id, sizeof(authority->key_id));
	return 0;
}

static int make_key(struct authority *authority, struct error *err)
{
	Openshell__Stored__V1__SigningKey stored = OPENSHELL__STORED__V1__SIGNING_KEY__INIT;
	struct store_object object = {
		.kind = STORE_SECRET, .workspace = (char *)"", .name = (char *)KEY_NAME};
	uint8_t key[KEY_SIZE], packed[256];
	char id[37];
	int r;

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return error_set(err, -EIO, "no random numbers for a key");
	store_make_id(id);
	stored.key_id = id;
	stored.private_key = (ProtobufCBinaryData){KEY_SIZE, key};
	stored.created_at_ms = (int64_t)time(NULL) * 1000;
	object.id = id;
	object.payload = packed;
	object.payload_size = protobuf_c_message_pack(&stored.base, packed);
	r = store_insert(authority->gateway->store, &object, err);
	if (!r)
		r = use_key(authority, &stored, err);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(packed, sizeof(packed));
	return r;
}

int authority_key_load(struct authority *authority, struct error *err)
{
	Openshell__Stored__V1__SigningKey *stored;
	struct store_object object;
	int r = store_get(authority->gateway->store, STORE_SECRET, "", KEY_NAME, &object, err);

	if (r == -ENOENT)
		return make_key(authority, err);
	if (r)
		return r;
	stored = openshell__stored__v1__signing_key__unpack(NULL, object.payload_size,
							    object.payload);
	store_object_clear(&object);
	if (!stored)
		return error_set(err, -EBADMSG, "the store's signing key is damaged");
	r = use_key(authority, stored, err);
	OPENSSL_cleanse(stored->private_key.data, stored->private_key.len);
	openshell__stored__v1__signing_key__free_unpacked(stored, NULL);
	return r;
}

int authority_issue(struct authority *authority, const char *sandbox_id, uint32_t seconds,
		    char **ret_token, int64_t *ret_expires_ms, struct error *err)
{
	int64_t now = time(NULL);
	char id[37];
	json_t *claims;
	int r;

	store_make_id(id);
	claims = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", ISSUER, "aud", AUDIENCE, "sub",
			   sandbox_id, "iat", (json_int_t)now, "exp", (json_int_t)(now + seconds),
			   "jti", id);
	if (!claims)
		return error_set(err, -ENOMEM, "out of memory");
	r = jwt_sign(authority->key, authority->key_id, claims, ret_token, err);
	json_decref(claims);
	if (!r)
		*ret_expires_ms = (now + seconds) * 1000;
	return r;
}

bool authority_is_sandbox_token(const char *token)
{
	struct jwt jwt;
	const char *issuer;
	bool ours;

	if (jwt_parse(token, strlen(token), &jwt, NULL))
		return false;
	issuer = jwt_text(&jwt, "iss");
	ours = issuer && !strcmp(issuer, ISSUER);
	jwt_clear(&jwt);
	return ours;
}

static int read_claims(const struct jwt *jwt, struct principal *principal, struct error *err)
{
	const char *issuer = jwt_text(jwt, "iss"), *subject = jwt_text(jwt, "sub");

	if (!issuer || strcmp(issuer, ISSUER) || !jwt_is_for(jwt, AUDIENCE) || !subject ||
	    strlen(subject) != 36)
		return error_set(err, -EACCES, "the token is not one of a sandbox");
	principal->subject = strdup(subject);
	if (!principal->subject)
		return error_set(err, -ENOMEM, "out of memory");
	principal->kind = PRINCIPAL_SANDBOX;
	principal->provider = "sandbox";
	return 0;
}

int authority_verify_sandbox(struct authority *authority, const char *token,
			     struct principal *principal, struct error *err)
{
	struct jwt jwt;
	int r = jwt_parse(token, strlen(token), &jwt, err);

	if (r)
		return r;
	if (!jwt.key_id || strcmp(jwt.key_id, authority->key_id))
		r = error_set(err, -EACCES, "the token is of another gateway");
	if (!r)
		r = jwt_verify(&jwt, token, authority->key, err);
	if (!r)
		r = jwt_in_time(&jwt, time(NULL), SKEW_S, err);
	if (!r)
		r = read_claims(&jwt, principal, err);
	jwt_clear(&jwt);
	return r;
}
