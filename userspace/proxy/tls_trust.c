/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_trust.h"

#include "common/cleanup.h"
#include "proxy/tls_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

struct authority {
	unsigned long name; /* hash of the subject in its canonical form */
	uint32_t size;
	unsigned char *der; /* NULL = it is in the store */
};

struct trust {
	size_t count;
	struct authority *authority;
};

static void trust_free(struct trust *trust)
{
	for (size_t i = 0; trust && i < trust->count; i++)
		OPENSSL_free(trust->authority[i].der);
	if (trust)
		free(trust->authority);
	free(trust);
}

/* Step into (@inside) or over a value with that tag; NULL if there is none before @end. */
static const unsigned char *step(const unsigned char *p, const unsigned char *end, int want_class,
				 int want_tag, bool inside)
{
	int tag, class;
	long length;

	/* Bit 7: an error; bit 0: of indefinite length, which DER has not. */
	if (p >= end || ASN1_get_object(&p, &length, &tag, &class, end - p) & 0x81 ||
	    tag != want_tag || class != want_class)
		return NULL;
	return inside ? p : p + length;
}

/* Certificate, TBSCertificate, subject: RFC 5280 section 4.1. */
static X509_NAME *subject_of(const unsigned char *der, size_t size)
{
	static const int before[] = {V_ASN1_INTEGER, V_ASN1_SEQUENCE, V_ASN1_SEQUENCE,
				     V_ASN1_SEQUENCE}; /* serial, algorithm, issuer, validity */
	const unsigned char *p = der, *end = der + size, *version;

	p = step(p, end, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true);
	p = p ? step(p, end, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, true) : NULL;
	version = p ? step(p, end, V_ASN1_CONTEXT_SPECIFIC, 0, false) : NULL;
	if (version)
		p = version;
	for (size_t i = 0; i < ARRAY_LEN(before) && p; i++)
		p = step(p, end, V_ASN1_UNIVERSAL, before[i], false);
	return p && p < end ? d2i_X509_NAME(NULL, &p, end - p) : NULL;
}

/* Of the certificate alone: "TRUSTED CERTIFICATE" has more behind it. */
static size_t size_of(const unsigned char *der, size_t size)
{
	const unsigned char *end = step(der, der + size, V_ASN1_UNIVERSAL, V_ASN1_SEQUENCE, false);

	return end ? (size_t)(end - der) : 0;
}

static bool is_known(const struct trust *trust, unsigned long name, const unsigned char *der,
		     size_t size)
{
	for (size_t i = 0; i < trust->count; i++) {
		const struct authority *a = &trust->authority[i];

		if (a->name == name && a->size == size && !memcmp(a->der, der, size))
			return true;
	}
	return false;
}

/* Takes @der if it returns 1; 0: no subject, or not the first of its kind; -ENOMEM. */
static int note(struct trust *trust, unsigned char *der, size_t size)
{
	X509_NAME *subject;
	struct authority *grown;
	unsigned long name;
	int ok = 0;

	size = size_of(der, size);
	subject = subject_of(der, size);
	if (!subject)
		return 0;
	name = X509_NAME_hash_ex(subject, NULL, NULL, &ok);
	X509_NAME_free(subject);
	/* A store refuses what it has, without a word: by_subject() must know that it took it. */
	if (!ok || is_known(trust, name, der, size))
		return 0;
	if (trust->count % 64 == 0) {
		grown = reallocarray(trust->authority, trust->count + 64, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		trust->authority = grown;
	}
	trust->authority[trust->count++] =
		(struct authority){.name = name, .size = (uint32_t)size, .der = der};
	return 1;
}

static bool is_certificate(const char *name)
{
	return !strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD) ||
	       !strcmp(name, PEM_STRING_X509_TRUSTED);
}

static int read_all(struct trust *trust, BIO *bio)
{
	for (;;) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long size = 0;
		int r = 0;

		if (!PEM_read_bio(bio, &name, &header, &der, &size)) {
			/* A block that is broken; the next may not be. */
			if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
				return 0;
			ERR_clear_error();
			if (BIO_pending(bio) <= 0)
				return 0;
			continue;
		}
		if (trust->count == TLS_TRUST_MAX)
			r = -E2BIG;
		else if (is_certificate(name) && size > 0)
			r = note(trust, der, (size_t)size);
		OPENSSL_free(name);
		OPENSSL_free(header);
		if (r != 1)
			OPENSSL_free(der);
		if (r < 0)
			return r;
	}
}

/* Into the store it goes, for good, if the name is its subject. */
static X509 *enter(X509_LOOKUP *lookup, struct authority *authority, const X509_NAME *name)
{
	_cleanup_x509_ X509 *x = NULL;
	const unsigned char *p = authority->der;

	x = d2i_X509(NULL, &p, (long)authority->size);
	if (x && X509_NAME_cmp(X509_get_subject_name(x), name))
		return NULL;
	OPENSSL_free(authority->der);
	authority->der = NULL;
	/* The store has a reference of its own. */
	return x && X509_STORE_add_cert(X509_LOOKUP_get_store(lookup), x) ? x : NULL;
}

static int by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name,
		      X509_OBJECT *ret)
{
	struct trust *trust = X509_LOOKUP_get_method_data(lookup);
	unsigned long hash;
	X509 *found = NULL;
	int ok = 0;

	if (type != X509_LU_X509)
		return 0;
	hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);
	if (!ok)
		return 0;
	/* All with that name: which of them signed is for the verifier to find out. */
	for (size_t i = 0; i < trust->count; i++) {
		struct authority *a = &trust->authority[i];
		X509 *x = a->der && a->name == hash ? enter(lookup, a, name) : NULL;

		if (x)
			found = x;
	}
	if (!found || !X509_OBJECT_set1_X509(ret, found))
		return 0;
	/* The caller takes a reference, and never gives back the one in @ret. */
	X509_free(found);
	return 1;
}

static void lookup_free(X509_LOOKUP *lookup)
{
	trust_free(X509_LOOKUP_get_method_data(lookup));
}

static X509_LOOKUP_METHOD *method(void)
{
	static X509_LOOKUP_METHOD *only;

	if (only)
		return only;
	only = X509_LOOKUP_meth_new("authorities by name");
	if (only) {
		X509_LOOKUP_meth_set_get_by_subject(only, by_subject);
		X509_LOOKUP_meth_set_free(only, lookup_free);
	}
	return only;
}

int tls_trust_store_new(const uint8_t *pem, size_t size, X509_STORE **ret_store, size_t *ret_count)
{
	struct trust *trust = NULL;
	X509_STORE *store = NULL;
	X509_LOOKUP *lookup = NULL;
	BIO *bio = NULL;
	size_t count = 0;
	int r = -ENOMEM;

	if (size > TLS_TRUST_SIZE_MAX)
		return -E2BIG;
	trust = calloc(1, sizeof(*trust));
	bio = BIO_new_mem_buf(pem, (int)size);
	if (trust && bio)
		r = read_all(trust, bio);
	BIO_free(bio);
	if (!r) {
		count = trust->count;
		store = X509_STORE_new();
		if (store && method())
			lookup = X509_STORE_add_lookup(store, method());
		r = !lookup ? -ENOMEM : !count ? -EBADMSG : 0;
	}
	if (lookup && X509_LOOKUP_set_method_data(lookup, trust))
		trust = NULL;
	trust_free(trust);
	ERR_clear_error();
	if (r) {
		X509_STORE_free(store);
		return r;
	}
	*ret_store = store;
	*ret_count = count;
	return 0;
}
