/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CA's certificate and those that it signs have in common: made field by field with
 * OpenSSL, RFC 5280. One thread. Every function returns 0, -ENOMEM or -EIO (OpenSSL failed), and
 * leaves OpenSSL's error queue empty.
 */
#pragma once

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define TLS_DAY (24 * 60 * 60) /* seconds */

/* Start OpenSSL without its configuration file, once; idempotent. Opens nothing. */
int tls_openssl_init(void);

/* Version 3, a random serial number, valid from a day before @now for @days, for @key. */
int tls_x509_new(EVP_PKEY *key, long days, time_t now, X509 **ret_certificate);

/* Append to the subject: @field is "CN" or "O". */
int tls_x509_subject(X509 *certificate, const char *field, const char *value);

/* An extension as openssl-x509v3_config(5) writes it; key identifiers are those of the two. */
int tls_x509_extension(X509 *issuer, X509 *subject, int nid, const char *value,
		       X509_EXTENSION **ret_extension);

/* A new key on P-256. */
int tls_x509_key(EVP_PKEY **ret_key);

static inline void tls_x509_freep(X509 **x)
{
	X509_free(*x);
}

static inline void tls_pkey_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

#define _cleanup_x509_ __attribute__((cleanup(tls_x509_freep)))
#define _cleanup_pkey_ __attribute__((cleanup(tls_pkey_freep)))
