/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates that a worker shows to its agent in place of the servers': one for each host,
 * made when the host is first asked for and kept, the least recently used making room. All have one
 * key, which lives as long as the worker.
 *
 * One thread. Fails closed: without a certificate there is no handshake.
 */
#pragma once

#include "proxy/tls_ca.h"

#include <time.h>

#define TLS_LEAF_HOSTS	  256
#define TLS_LEAF_HOST_MAX 253

struct tls_leaves;

/* @capacity: hosts kept, 1 to TLS_LEAF_HOSTS. Borrows @ca. -ENOMEM, -EIO, -EINVAL. */
int tls_leaves_new(struct tls_ca *ca, size_t capacity, struct tls_leaves **ret_leaves);
void tls_leaves_free(struct tls_leaves *leaves);

/*
 * The certificate for @host, a canonical name or the canonical text of an address, valid at @now
 * and for some weeks from then. Borrowed, until the next call. -EINVAL: a name that cannot be in a
 * certificate; -ENOMEM, -EIO.
 */
int tls_leaves_get(struct tls_leaves *leaves, const char *host, time_t now, X509 **ret_certificate);

/* Borrowed. */
EVP_PKEY *tls_leaves_key(const struct tls_leaves *leaves);
