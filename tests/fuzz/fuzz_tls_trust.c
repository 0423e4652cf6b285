/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be trusted, read by its names alone: a certificate that OpenSSL reads at the beginning
 * is found by its subject, and any name finds one that has it, or none.
 */
#include "proxy/tls_trust.h"
#include "proxy/tls_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>

/* The way of a chain's verification. */
static bool look_up(X509_STORE *store, const X509_NAME *name)
{
	bool any;

	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_OBJECT *found;

	if (!ctx || !X509_STORE_CTX_init(ctx, store, NULL, NULL))
		abort();
	found = X509_STORE_CTX_get_obj_by_subject(ctx, X509_LU_X509, name);
	if (found && X509_NAME_cmp(X509_get_subject_name(X509_OBJECT_get0_X509(found)), name))
		abort();
	any = found != NULL;
	X509_OBJECT_free(found);
	X509_STORE_CTX_free(ctx);
	return any;
}

static void compare(X509_STORE *store, const uint8_t *data, size_t size)
{
	BIO *bio = BIO_new_mem_buf(data, (int)size);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	if (x) {
		look_up(store, X509_get_issuer_name(x));
		if (!look_up(store, X509_get_subject_name(x)))
			abort();
	}
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	X509_STORE *store = NULL;
	size_t count = 0;
	int r;

	if (tls_openssl_init())
		abort();
	r = tls_trust_store_new(data, size, &store, &count);
	if ((r == 0) != (store != NULL) || (r == 0) != (count > 0) || count > TLS_TRUST_MAX)
		abort();
	if (ERR_peek_error())
		abort();
	if (store)
		compare(store, data, size);
	X509_STORE_free(store);
	return 0;
}
