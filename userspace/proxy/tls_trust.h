/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What upstream certificates are checked against. A system's bundle has some 150 authorities, and
 * reading them all costs tens of milliseconds and most of a megabyte in each worker, of which it
 * will need a handful: only their names are read, and an authority itself when a chain asks for it.
 *
 * One thread. Fails closed: what cannot be read is not trusted.
 */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_TRUST_SIZE_MAX (8u << 20) /* bytes of PEM */
#define TLS_TRUST_MAX	   4096	      /* certificates */

/*
 * A store that knows the certificates in @pem, and how many there are; other blocks, and
 * certificates whose subject cannot be found, are passed over. Freed with X509_STORE_free(). Keeps
 * nothing of @pem. -E2BIG, -ENOMEM, -EBADMSG: there is none.
 */
int tls_trust_store_new(const uint8_t *pem, size_t size, X509_STORE **ret_store, size_t *ret_count);
