/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's own certificate authority: what its agent is told to trust, and what signs the
 * certificates that the worker shows instead of a server's (tls_leaf.h). It outlives a worker,
 * because agents keep what they were told, but its key is never anywhere but in the memory of the
 * sandbox's worker and in one page that the zygote has for it, shared, without a name and
 * unreadable to the zygote itself: the first worker fills it, the next takes from it. A worker
 * unmaps it before it hears its agent, so that one which the agent has broken cannot change what
 * the next will find; a resolver unmaps it first thing.
 *
 * A page has one writer at a time: the zygote forks a worker when the one before has gone. One
 * thread. Fails closed: a page that holds something else than a CA is refused, and the worker ends.
 */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_CA_DER_MAX	    1024 /* WORKER_CA_MAX */
#define TLS_TICKET_KEY_SIZE 80	 /* a name, a key for HMAC and one for AES, as OpenSSL wants them */

struct tls_ca_store;
struct tls_ca;

/* The page, empty and not to be read in this process; inherited by fork(). -ENOMEM. */
int tls_ca_store_new(struct tls_ca_store **ret_store);
/* Take it out of this process; others keep it. NULL is valid. */
void tls_ca_store_free(struct tls_ca_store *store);

/*
 * What is in @store, or, if nobody has filled it yet, a new CA, which is in it from then on.
 * -EBADMSG: what is in it is no CA of ours, or its key is another's; -ENOMEM; -EIO: OpenSSL failed.
 * @store is not needed afterwards.
 */
int tls_ca_open(struct tls_ca_store *store, struct tls_ca **ret_ca);
void tls_ca_free(struct tls_ca *ca);

/* The certificate, in DER; at most TLS_CA_DER_MAX bytes that live as long as @ca. */
void tls_ca_der(const struct tls_ca *ca, const uint8_t **ret_der, size_t *ret_size);

/* Borrowed. The keys of session tickets are here because agents keep tickets too. */
X509 *tls_ca_certificate(const struct tls_ca *ca);
EVP_PKEY *tls_ca_key(const struct tls_ca *ca);
const uint8_t *tls_ca_ticket_key(const struct tls_ca *ca);
