/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/jwt.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <stdio.h>
#include <string.h>

#define ES256_HALF 32

static void free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

int jwt_decode(const char *text, size_t size, uint8_t **ret_data, size_t *ret_size)
{
	_cleanup_free_ uint8_t *data = malloc(size * 3 / 4 + 1);
	uint32_t bits = 0;
	size_t n = 0, have = 0;

	if (!data)
		return -ENOMEM;
	if (size % 4 == 1)
		return -EBADMSG;
	for (size_t i = 0; i < size; i++) {
		int v = value_of(text[i]);

		if (v < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			data[n++] = (uint8_t)(bits >> have);
			bits &= (1u << have) - 1;
		}
	}
	/* One text for one value: what is left over must be nothing. */
	if (bits)
		return -EBADMSG;
	*ret_data = TAKE_PTR(data);
	*ret_size = n;
	return 0;
}

static char *encode(const uint8_t *data, size_t size)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *text = malloc(size * 4 / 3 + 4), *at = text;
	uint32_t bits = 0;
	size_t have = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		have += 8;
		while (have >= 6) {
			have -= 6;
			*at++ = alphabet[bits >> have & 63];
		}
	}
	if (have)
		*at++ = alphabet[bits << (6 - have) & 63];
	*at = 0;
	return text;
}

static int refuse(struct error *err, const char *why)
{
	return error_set(err, -EBADMSG, "the token is none: %s", why);
}

static json_t *parse_object(const char *text, size_t size)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t length;
	json_t *json;

	if (jwt_decode(text, size, &data, &length))
		return NULL;
	json = json_loadb((const char *)data, length, JSON_REJECT_DUPLICATES, NULL);
	if (json && json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

int jwt_parse(const char *token, size_t size, struct jwt *ret_jwt, struct error *err)
{
	const char *end = token + size, *first, *second;
	struct jwt jwt = {};

	if (size > JWT_MAX)
		return refuse(err, "it is too long");
	first = memchr(token, '.', size);
	second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return refuse(err, "it does not have three parts");
	jwt.header = parse_object(token, (size_t)(first - token));
	jwt.claims = parse_object(first + 1, (size_t)(second - first - 1));
	jwt.algorithm = json_string_value(json_object_get(jwt.header, "alg"));
	jwt.key_id = json_string_value(json_object_get(jwt.header, "kid"));
	jwt.signed_size = (size_t)(second - token);
	if (!jwt.header || !jwt.claims || !jwt.algorithm || json_object_get(jwt.header, "crit") ||
	    jwt_decode(second + 1, (size_t)(end - second - 1), &jwt.signature,
		       &jwt.signature_size)) {
		jwt_clear(&jwt);
		return refuse(err, "a part of it is malformed");
	}
	*ret_jwt = jwt;
	return 0;
}

void jwt_clear(struct jwt *jwt)
{
	json_decref(jwt->header);
	json_decref(jwt->claims);
	free(jwt->signature);
	*jwt = (struct jwt){};
}

/* JWS has two numbers of 32 bytes where OpenSSL wants them in DER. */
static int es256_to_der(const struct jwt *jwt, uint8_t **ret_der, size_t *ret_size)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r, *s;
	int n;

	if (!sig || jwt->signature_size != 2 * ES256_HALF) {
		ECDSA_SIG_free(sig);
		return -EACCES;
	}
	r = BN_bin2bn(jwt->signature, ES256_HALF, NULL);
	s = BN_bin2bn(jwt->signature + ES256_HALF, ES256_HALF, NULL);
	if (!r || !s || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(sig);
		return -ENOMEM;
	}
	*ret_der = NULL;
	n = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	if (n <= 0)
		return -ENOMEM;
	*ret_size = (size_t)n;
	return 0;
}

static bool verified(const struct jwt *jwt, const char *token, EVP_PKEY *key, const EVP_MD *md,
		     const uint8_t *signature, size_t size)
{
	_cleanup_(free_context) EVP_MD_CTX *c = EVP_MD_CTX_new();

	return c && EVP_DigestVerifyInit(c, NULL, md, NULL, key) == 1 &&
	       EVP_DigestVerify(c, signature, size, (const uint8_t *)token, jwt->signed_size) == 1;
}

/* The key says which algorithm it is for; the token has to say the same. */
int jwt_verify(const struct jwt *jwt, const char *token, EVP_PKEY *key, struct error *err)
{
	uint8_t *der;
	size_t size;
	bool good = false;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_ED25519:
		good = !strcmp(jwt->algorithm, "EdDSA") &&
		       verified(jwt, token, key, NULL, jwt->signature, jwt->signature_size);
		break;
	case EVP_PKEY_RSA:
		good = !strcmp(jwt->algorithm, "RS256") && EVP_PKEY_get_bits(key) >= 2048 &&
		       verified(jwt, token, key, EVP_sha256(), jwt->signature, jwt->signature_size);
		break;
	case EVP_PKEY_EC:
		if (!strcmp(jwt->algorithm, "ES256") && EVP_PKEY_get_bits(key) == 256 &&
		    !es256_to_der(jwt, &der, &size)) {
			good = verified(jwt, token, key, EVP_sha256(), der, size);
			OPENSSL_free(der);
		}
		break;
	default:
		break;
	}
	if (!good)
		return error_set(err, -EACCES, "the token's signature is wrong");
	return 0;
}

int jwt_in_time(const struct jwt *jwt, int64_t now_s, int64_t skew_s, struct error *err)
{
	const json_t *exp = json_object_get(jwt->claims, "exp");
	const json_t *nbf = json_object_get(jwt->claims, "nbf");

	if (!json_is_number(exp))
		return error_set(err, -EACCES, "the token never expires: it has no exp");
	if (json_number_value(exp) <= (double)(now_s - skew_s))
		return error_set(err, -EACCES, "the token has expired");
	if (nbf && (!json_is_number(nbf) || json_number_value(nbf) > (double)(now_s + skew_s)))
		return error_set(err, -EACCES, "the token is not valid yet");
	return 0;
}

const char *jwt_text(const struct jwt *jwt, const char *claim)
{
	return json_string_value(json_object_get(jwt->claims, claim));
}

bool jwt_is_for(const struct jwt *jwt, const char *audience)
{
	const json_t *aud = json_object_get(jwt->claims, "aud"), *item;
	size_t i;

	if (json_is_string(aud))
		return !strcmp(json_string_value(aud), audience);
	json_array_foreach(aud, i,
			   item) if (json_is_string(item) &&
				     !strcmp(json_string_value(item), audience)) return true;
	return false;
}

static char *encode_json(const json_t *json)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);

	return text ? encode((const uint8_t *)text, strlen(text)) : NULL;
}

int jwt_sign(EVP_PKEY *key, const char *key_id, const json_t *claims, char **ret_token,
	     struct error *err)
{
	_cleanup_(free_context) EVP_MD_CTX *c = EVP_MD_CTX_new();
	json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "EdDSA", "typ", "JWT", "kid", key_id);
	_cleanup_free_ char *head = header ? encode_json(header) : NULL;
	_cleanup_free_ char *body = encode_json(claims);
	_cleanup_free_ char *text = NULL, *tail = NULL;
	uint8_t signature[64];
	size_t size = sizeof(signature);

	json_decref(header);
	if (!c || !head || !body || asprintf(&text, "%s.%s", head, body) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (EVP_DigestSignInit(c, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(c, signature, &size, (const uint8_t *)text, strlen(text)) != 1)
		return error_set(err, -EIO, "a token cannot be signed");
	tail = encode(signature, size);
	if (!tail || asprintf(ret_token, "%s.%s", text, tail) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}
