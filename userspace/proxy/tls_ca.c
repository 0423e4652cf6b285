/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_ca.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/tls_x509.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NAME	     "OpenShell sandbox CA"
#define DAYS	     3650
#define SCALAR_SIZE  32 /* of a private key on P-256 */
#define POINT_SIZE   65 /* of a public one, not compressed */
#define PAGE	     4096
#define STATE_FILLED 0x6f734341u

/* Of the page: written once, the state last. */
struct tls_ca_store {
	_Atomic uint32_t state; /* 0, or STATE_FILLED */
	uint32_t size;		/* of the certificate */
	uint8_t scalar[SCALAR_SIZE];
	uint8_t ticket[TLS_TICKET_KEY_SIZE];
	uint8_t der[TLS_CA_DER_MAX];
};

_Static_assert(sizeof(struct tls_ca_store) <= PAGE, "one page");
_Static_assert(TLS_CA_DER_MAX <= WORKER_CA_MAX, "the supervisor is told all of it");

struct tls_ca {
	X509 *certificate;
	EVP_PKEY *key;
	size_t size;
	uint8_t ticket[TLS_TICKET_KEY_SIZE];
	uint8_t der[TLS_CA_DER_MAX];
};

int tls_ca_store_new(struct tls_ca_store **ret_store)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -ENOMEM;
	/* Never in a core nor, as far as the limit goes, on a swap device. */
	madvise(page, PAGE, MADV_DONTDUMP);
	mlock(page, PAGE);
	if (mprotect(page, PAGE, PROT_NONE) < 0) {
		munmap(page, PAGE);
		return -ENOMEM;
	}
	*ret_store = page;
	return 0;
}

void tls_ca_store_free(struct tls_ca_store *store)
{
	if (store)
		munmap(store, PAGE);
}

void tls_ca_free(struct tls_ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	OPENSSL_clear_free(ca, sizeof(*ca));
}

static inline void ca_freep(struct tls_ca **ca)
{
	tls_ca_free(*ca);
}

static int add(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *extension = NULL;
	int r = tls_x509_extension(x, x, nid, value, &extension);

	if (!r && !X509_add_ext(x, extension, -1))
		r = -ENOMEM;
	X509_EXTENSION_free(extension);
	return r;
}

static int self_sign(EVP_PKEY *key, X509 **ret_certificate)
{
	_cleanup_x509_ X509 *x = NULL;
	int r = tls_x509_new(key, DAYS, time(NULL), &x);

	if (!r)
		r = tls_x509_subject(x, "CN", NAME);
	if (!r && !X509_set_issuer_name(x, X509_get_subject_name(x)))
		r = -ENOMEM;
	/* The identifier of the key comes before the authority's, which is read from it. */
	if (!r)
		r = add(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	if (!r)
		r = add(x, NID_key_usage, "critical,keyCertSign");
	if (!r)
		r = add(x, NID_subject_key_identifier, "hash");
	if (!r && !X509_sign(x, key, EVP_sha256()))
		r = -EIO;
	if (!r)
		*ret_certificate = TAKE_PTR(x);
	return r;
}

static int make(struct tls_ca *ca, uint8_t scalar[SCALAR_SIZE])
{
	unsigned char *der = ca->der;
	BIGNUM *number = NULL;
	int r = tls_x509_key(&ca->key), size;

	if (!r)
		r = self_sign(ca->key, &ca->certificate);
	if (r)
		return r;
	size = i2d_X509(ca->certificate, NULL);
	if (size <= 0 || size > TLS_CA_DER_MAX)
		return -EIO;
	ca->size = (size_t)i2d_X509(ca->certificate, &der);
	if (!EVP_PKEY_get_bn_param(ca->key, OSSL_PKEY_PARAM_PRIV_KEY, &number) ||
	    BN_bn2binpad(number, scalar, SCALAR_SIZE) != SCALAR_SIZE ||
	    RAND_bytes(ca->ticket, sizeof(ca->ticket)) != 1)
		r = -EIO;
	BN_clear_free(number);
	return r;
}

/* The key with that private part; @point is the public one, and not known to belong to it. */
static EVP_PKEY *key_from(const uint8_t scalar[SCALAR_SIZE], const uint8_t point[POINT_SIZE])
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *number = BN_secure_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (build && number && ctx && BN_bin2bn(scalar, SCALAR_SIZE, number) &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_SIZE) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number))
		params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_clear_free(number);
	return key;
}

/* The two halves of @key belong together. */
static bool is_pair(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool pair = ctx && EVP_PKEY_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return pair;
}

/* As self_sign() makes them, and signed by the key that is in it. */
static bool is_ours(X509 *x)
{
	char name[sizeof(NAME) + 1];
	EVP_PKEY *key = X509_get0_pubkey(x);

	return key && EVP_PKEY_is_a(key, "EC") &&
	       X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name,
					 sizeof(name)) == sizeof(NAME) - 1 &&
	       !strcmp(name, NAME) &&
	       X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0 &&
	       X509_check_ca(x) == 1 && X509_get_pathlen(x) == 0 &&
	       X509_get_key_usage(x) == KU_KEY_CERT_SIGN && X509_verify(x, key) == 1;
}

static int take(const struct tls_ca_store *from, struct tls_ca *ca)
{
	const unsigned char *der = ca->der;
	uint8_t point[POINT_SIZE];
	size_t size = 0;

	if (from->size > TLS_CA_DER_MAX)
		return -EBADMSG;
	ca->size = from->size;
	memcpy(ca->der, from->der, ca->size);
	memcpy(ca->ticket, from->ticket, sizeof(ca->ticket));
	ca->certificate = d2i_X509(NULL, &der, (long)ca->size);
	if (!ca->certificate || der != ca->der + ca->size || !is_ours(ca->certificate) ||
	    !EVP_PKEY_get_octet_string_param(X509_get0_pubkey(ca->certificate),
					     OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
					     &size) ||
	    size != sizeof(point))
		return -EBADMSG;
	ca->key = key_from(from->scalar, point);
	return ca->key && is_pair(ca->key) && X509_check_private_key(ca->certificate, ca->key)
		       ? 0
		       : -EBADMSG;
}

static void fill(struct tls_ca_store *store, const struct tls_ca *ca,
		 const uint8_t scalar[SCALAR_SIZE])
{
	store->size = (uint32_t)ca->size;
	memcpy(store->scalar, scalar, SCALAR_SIZE);
	memcpy(store->ticket, ca->ticket, sizeof(store->ticket));
	memcpy(store->der, ca->der, ca->size);
	/* A worker that dies before has left nothing, and the next one makes its own. */
	atomic_store_explicit(&store->state, STATE_FILLED, memory_order_release);
}

int tls_ca_open(struct tls_ca_store *store, struct tls_ca **ret_ca)
{
	__attribute__((cleanup(ca_freep))) struct tls_ca *ca = NULL;
	struct tls_ca_store copy;
	uint32_t state;
	int r = tls_openssl_init();

	if (r)
		return r;
	if (mprotect(store, PAGE, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	ca = OPENSSL_zalloc(sizeof(*ca));
	if (!ca)
		return -ENOMEM;
	/* One look at what others may write. */
	state = atomic_load_explicit(&store->state, memory_order_acquire);
	memcpy(&copy, store, sizeof(copy));
	switch (state) {
	case STATE_FILLED:
		r = take(&copy, ca);
		break;
	case 0:
		r = make(ca, copy.scalar);
		if (!r)
			fill(store, ca, copy.scalar);
		break;
	default:
		r = -EBADMSG;
	}
	OPENSSL_cleanse(&copy, sizeof(copy));
	ERR_clear_error();
	if (!r)
		*ret_ca = TAKE_PTR(ca);
	return r;
}

void tls_ca_der(const struct tls_ca *ca, const uint8_t **ret_der, size_t *ret_size)
{
	*ret_der = ca->der;
	*ret_size = ca->size;
}

X509 *tls_ca_certificate(const struct tls_ca *ca)
{
	return ca->certificate;
}

EVP_PKEY *tls_ca_key(const struct tls_ca *ca)
{
	return ca->key;
}

const uint8_t *tls_ca_ticket_key(const struct tls_ca *ca)
{
	return ca->ticket;
}
