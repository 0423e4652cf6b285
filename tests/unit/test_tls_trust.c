/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_fixture.h"

#include "proxy/tls_trust.h"

#define AUTHORITIES 5

static struct authority authority[AUTHORITIES];
static EVP_PKEY *key;

/* Whether a certificate of @signer passes, by a store that was made once for several of them. */
static int verify(X509_STORE *store, const struct authority *signer)
{
	X509 *x = certify(signer, key, "one.example", "DNS:one.example", NULL);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int r;

	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
	X509_verify_cert(ctx);
	r = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_free(x);
	return r;
}

static X509_STORE *read_pem(BIO *bio, size_t want)
{
	X509_STORE *store = NULL;
	size_t count = 0;
	char *pem;
	long size = BIO_get_mem_data(bio, &pem);

	assert_int_equal(tls_trust_store_new((const uint8_t *)pem, (size_t)size, &store, &count),
			 0);
	assert_int_equal(count, want);
	BIO_free(bio);
	return store;
}

static void each_is_found_when_it_is_asked_for(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509_STORE *store;

	/* All but the last. */
	for (int i = 0; i < AUTHORITIES - 1; i++) {
		BIO_puts(bio, "# a comment\nwords: -----BEGIN\n");
		pem_append(bio, authority[i].certificate);
	}
	store = read_pem(bio, AUTHORITIES - 1);
	/* Nothing is in it before. */
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 0);
	for (int i = AUTHORITIES - 1; i-- > 0;) {
		assert_int_equal(verify(store, &authority[i]), X509_V_OK);
		assert_int_equal(verify(store, &authority[i]), X509_V_OK);
	}
	assert_int_equal(verify(store, &authority[AUTHORITIES - 1]),
			 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), AUTHORITIES - 1);
	X509_STORE_free(store);
}

/* As nearly all servers have it: they send what is between. */
static void a_chain_ends_at_an_authority(void **state)
{
	struct authority between = {};
	BIO *bio = BIO_new(BIO_s_mem());
	STACK_OF(X509) *sent = sk_X509_new_null();
	X509_STORE *store;
	X509 *leaf;

	authority_make(&between, "Between");
	X509_free(between.certificate);
	between.certificate = certify(&authority[1], between.key, "Between", NULL, NULL);
	extend(authority[1].certificate, between.certificate, NID_basic_constraints,
	       "critical,CA:TRUE");
	assert_true(X509_sign(between.certificate, authority[1].key, EVP_sha256()) > 0);
	leaf = certify(&between, key, "one.example", "DNS:one.example", NULL);
	for (int i = 0; i < 3; i++)
		pem_append(bio, authority[i].certificate);
	store = read_pem(bio, 3);
	for (int i = 0; i < 2; i++) {
		X509_STORE_CTX *ctx = X509_STORE_CTX_new();

		assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, sent), 1);
		assert_int_equal(X509_verify_cert(ctx), i);
		X509_STORE_CTX_free(ctx);
		assert_int_equal(sk_X509_push(sent, between.certificate), i + 1);
	}
	sk_X509_free(sent);
	X509_free(leaf);
	X509_STORE_free(store);
	authority_free(&between);
}

/* An authority that got a new key, and is there with both. */
static void two_of_one_name_are_both_found(void **state)
{
	struct authority twin[2];
	BIO *bio = BIO_new(BIO_s_mem());
	X509_STORE *store;

	for (int i = 0; i < 2; i++) {
		authority_make(&twin[i], "Twin");
		pem_append(bio, twin[i].certificate);
	}
	store = read_pem(bio, 2);
	assert_int_equal(verify(store, &twin[1]), X509_V_OK);
	assert_int_equal(verify(store, &twin[0]), X509_V_OK);
	X509_STORE_free(store);
	authority_free(&twin[0]);
	authority_free(&twin[1]);
}

static void one_that_comes_again_counts_once(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509_STORE *store;

	pem_append(bio, authority[0].certificate);
	assert_int_equal(PEM_write_bio_X509_AUX(bio, authority[0].certificate), 1);
	pem_append(bio, authority[1].certificate);
	pem_append(bio, authority[0].certificate);
	store = read_pem(bio, 2);
	assert_int_equal(verify(store, &authority[0]), X509_V_OK);
	assert_int_equal(verify(store, &authority[1]), X509_V_OK);
	X509_STORE_free(store);
}

static void what_is_broken_is_passed_over(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509_STORE *store;

	BIO_puts(bio, "-----BEGIN CERTIFICATE-----\nnot base64 at all!\n"
		      "-----END CERTIFICATE-----\n");
	pem_append(bio, authority[0].certificate);
	BIO_puts(bio, "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n");
	BIO_puts(bio, "-----BEGIN X509 CRL-----\nMAMCAQA=\n-----END X509 CRL-----\n");
	pem_append(bio, authority[1].certificate);
	BIO_puts(bio, "-----BEGIN CERTIFICATE-----\nMAMCAQ");
	store = read_pem(bio, 2);
	assert_int_equal(verify(store, &authority[0]), X509_V_OK);
	assert_int_equal(verify(store, &authority[1]), X509_V_OK);
	assert_int_equal(verify(store, &authority[2]),
			 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	X509_STORE_free(store);
}

/* Its name can be read, and nothing behind it. */
static void a_name_alone_is_no_authority(void **state)
{
	unsigned char *der = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	int size = i2d_X509(authority[0].certificate, &der);
	X509_STORE *store;

	/* The tag of the key's algorithm, right behind the subject, is another. */
	for (int i = size - 1; i > 0; i--) {
		static const unsigned char spki[] = {0x30, 0x59, 0x30, 0x13};

		if (i + 4 <= size && !memcmp(der + i, spki, 4)) {
			der[i] = 0x31;
			break;
		}
	}
	assert_true(PEM_write_bio(bio, PEM_STRING_X509, "", der, size) > 0);
	OPENSSL_free(der);
	store = read_pem(bio, 1);
	assert_int_equal(verify(store, &authority[0]),
			 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 0);
	X509_STORE_free(store);
}

static void has_bounds(void **state)
{
	X509_STORE *store = NULL;
	size_t count = 5;

	assert_int_equal(
		tls_trust_store_new((const uint8_t *)"", TLS_TRUST_SIZE_MAX + 1, &store, &count),
		-E2BIG);
	assert_int_equal(tls_trust_store_new((const uint8_t *)"", 0, &store, &count), -EBADMSG);
	assert_int_equal(tls_trust_store_new((const uint8_t *)"text\n", 5, &store, &count),
			 -EBADMSG);
	assert_null(store);
	assert_int_equal(count, 5);
	assert_int_equal(ERR_peek_error(), 0);
}

static int setup(void **state)
{
	for (int i = 0; i < AUTHORITIES; i++) {
		char name[] = "Authority 0";

		name[10] = (char)('0' + i);
		authority_make(&authority[i], name);
	}
	return tls_x509_key(&key);
}

static int teardown(void **state)
{
	for (int i = 0; i < AUTHORITIES; i++)
		authority_free(&authority[i]);
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_when_it_is_asked_for),
		cmocka_unit_test(a_chain_ends_at_an_authority),
		cmocka_unit_test(two_of_one_name_are_both_found),
		cmocka_unit_test(one_that_comes_again_counts_once),
		cmocka_unit_test(what_is_broken_is_passed_over),
		cmocka_unit_test(a_name_alone_is_no_authority),
		cmocka_unit_test(has_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
