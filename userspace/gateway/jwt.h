/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens in compact form (RFC 7519, RFC 7515): taken apart and checked, and made for
 * sandboxes. Pure functions over bytes, but for the keys. Fails closed: only EdDSA, RS256 and
 * ES256, and only the one that the key is for; no critical extensions; no claim twice.
 */
#pragma once

#include "common/error.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JWT_MAX 16384 /* bytes of a token */

struct jwt {
	json_t *header, *claims;
	const char *algorithm, *key_id; /* of the header; key_id NULL = none */
	size_t signed_size;		/* bytes of the token that are signed */
	uint8_t *signature;
	size_t signature_size;
};

/* Take apart, nothing is verified. -EBADMSG with a sentence. */
int jwt_parse(const char *token, size_t size, struct jwt *ret_jwt, struct error *err);
void jwt_clear(struct jwt *jwt);

/* Whether @key signed it. -EACCES. */
int jwt_verify(const struct jwt *jwt, const char *token, EVP_PKEY *key, struct error *err);

/*
 * Whether it is in its time: `exp` is wanted, `nbf` is looked at, @skew_s is forgiven. @now_s:
 * seconds since 1970. -EACCES.
 */
int jwt_in_time(const struct jwt *jwt, int64_t now_s, int64_t skew_s, struct error *err);

/* A claim that is a string, or NULL. */
const char *jwt_text(const struct jwt *jwt, const char *claim);

/* Whether `aud`, a string or an array, has @audience. */
bool jwt_is_for(const struct jwt *jwt, const char *audience);

/* Sign @claims with an Ed25519 key (RFC 8037). */
int jwt_sign(EVP_PKEY *key, const char *key_id, const json_t *claims, char **ret_token,
	     struct error *err);

/* base64url without padding (RFC 4648, 5). -EBADMSG. free() what comes. */
int jwt_decode(const char *text, size_t size, uint8_t **ret_data, size_t *ret_size);
