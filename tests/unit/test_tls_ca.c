/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_fixture.h"

#include "proxy/tls_ca.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static void is_an_authority_of_ten_years(void **state)
{
	struct tls_ca_store *store;
	struct tls_ca *ca;
	const ASN1_TIME *from, *to;
	int days, seconds;
	const uint8_t *der;
	size_t size;
	X509 *x;

	assert_int_equal(tls_ca_store_new(&store), 0);
	assert_int_equal(tls_ca_open(store, &ca), 0);
	tls_ca_der(ca, &der, &size);
	assert_true(size > 200 && size <= TLS_CA_DER_MAX);
	x = d2i_X509(NULL, &der, (long)size);
	assert_non_null(x);
	assert_int_equal(X509_check_ca(x), 1);
	assert_int_equal(X509_get_pathlen(x), 0);
	assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN);
	assert_int_equal(X509_verify(x, tls_ca_key(ca)), 1);
	assert_true(ASN1_INTEGER_get(X509_get_serialNumber(x)) == -1); /* longer than a long */
	from = X509_get0_notBefore(x);
	to = X509_get0_notAfter(x);
	assert_true(ASN1_TIME_diff(&days, &seconds, from, NULL));
	assert_int_equal(days, 1);
	assert_true(ASN1_TIME_diff(&days, &seconds, NULL, to));
	assert_true(days >= 3649 && days <= 3650);
	X509_free(x);
	tls_ca_free(ca);
	tls_ca_store_free(store);
}

static void two_stores_have_two_authorities(void **state)
{
	struct tls_ca_store *store[2];
	struct tls_ca *ca[2];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(tls_ca_store_new(&store[i]), 0);
		assert_int_equal(tls_ca_open(store[i], &ca[i]), 0);
	}
	assert_int_equal(EVP_PKEY_eq(tls_ca_key(ca[0]), tls_ca_key(ca[1])), 0);
	assert_memory_not_equal(tls_ca_ticket_key(ca[0]), tls_ca_ticket_key(ca[1]),
				TLS_TICKET_KEY_SIZE);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get_serialNumber(tls_ca_certificate(ca[0])),
					      X509_get_serialNumber(tls_ca_certificate(ca[1]))),
			     0);
	for (int i = 0; i < 2; i++) {
		tls_ca_free(ca[i]);
		tls_ca_store_free(store[i]);
	}
}

/* In a process of its own: opens the store and sends the certificate and the ticket's key. */
static size_t opened_by_child(struct tls_ca_store *store, uint8_t *data, size_t size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct tls_ca *ca;
		const uint8_t *der;
		size_t der_size;

		if (tls_ca_open(store, &ca))
			_exit(1);
		tls_ca_store_free(store);
		tls_ca_der(ca, &der, &der_size);
		if (write(fds[1], der, der_size) < 0 ||
		    write(fds[1], tls_ca_ticket_key(ca), TLS_TICKET_KEY_SIZE) < 0)
			_exit(2);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], data + len, size - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return len;
}

static void survives_the_one_who_made_it(void **state)
{
	uint8_t first[2048], second[2048];
	struct tls_ca_store *store;
	size_t size;

	assert_int_equal(tls_ca_store_new(&store), 0);
	size = opened_by_child(store, first, sizeof(first));
	assert_true(size > TLS_TICKET_KEY_SIZE + 200);
	assert_int_equal(opened_by_child(store, second, sizeof(second)), size);
	assert_memory_equal(first, second, size);
	tls_ca_store_free(store);
}

/* Ends a process that reads the page: by the signal, not by a sanitizer's report of it. */
static int end_of_reader(struct tls_ca_store *store, bool unmap)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (unmap)
			tls_ca_store_free(store);
		_exit(*(const volatile uint8_t *)store != 0 ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void is_read_by_nobody_who_did_not_open_it(void **state)
{
	struct tls_ca_store *store;
	struct tls_ca *ca;
	int status;

	assert_int_equal(tls_ca_store_new(&store), 0);
	/* As the zygote, and any child of it before it opens. */
	status = end_of_reader(store, false);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(tls_ca_open(store, &ca), 0);
	/* The control: a child of who has opened it. */
	status = end_of_reader(store, false);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	status = end_of_reader(store, true);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	tls_ca_free(ca);
	tls_ca_store_free(store);
}

static void what_was_changed_is_refused(void **state)
{
	struct tls_ca_store *store;
	struct tls_ca *ca, *again;
	const uint8_t *der, *found;
	size_t size, used;
	uint8_t *bytes;
	int refused = 0;

	assert_int_equal(tls_ca_store_new(&store), 0);
	assert_int_equal(tls_ca_open(store, &ca), 0);
	tls_ca_der(ca, &der, &size);
	bytes = (uint8_t *)store;
	found = memmem(bytes, PAGE, der, size);
	assert_non_null(found);
	used = (size_t)(found - bytes) + size;
	for (size_t i = 0; i < used; i++) {
		int r;

		again = NULL;
		bytes[i] ^= 0x10;
		r = tls_ca_open(store, &again);
		bytes[i] ^= 0x10;
		if (r == 0) {
			/* Only what a key for tickets is, which may be anything. */
			assert_memory_not_equal(tls_ca_ticket_key(again), tls_ca_ticket_key(ca),
						TLS_TICKET_KEY_SIZE);
			assert_int_equal(EVP_PKEY_eq(tls_ca_key(again), tls_ca_key(ca)), 1);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_null(again);
			refused++;
		}
		tls_ca_free(again);
	}
	assert_int_equal(refused, used - TLS_TICKET_KEY_SIZE);
	assert_int_equal(tls_ca_open(store, &again), 0);
	tls_ca_free(again);
	tls_ca_free(ca);
	tls_ca_store_free(store);
}

/* A certificate that is whole, with its own key, but not one that we make. */
static void another_authority_is_refused(void **state)
{
	struct tls_ca_store *store;
	struct tls_ca *ca, *again = NULL;
	struct authority other = {};
	const uint8_t *der;
	unsigned char *made = NULL;
	uint8_t *bytes, *place;
	BIGNUM *number = NULL;
	uint32_t made_size;
	size_t size;

	authority_make(&other, "OpenShell sandbox CB");
	assert_int_equal(tls_ca_store_new(&store), 0);
	assert_int_equal(tls_ca_open(store, &ca), 0);
	tls_ca_der(ca, &der, &size);
	bytes = (uint8_t *)store;
	place = memmem(bytes, PAGE, der, size);
	made_size = (uint32_t)i2d_X509(other.certificate, &made);
	assert_true(made_size < TLS_CA_DER_MAX);
	memcpy(place, made, made_size);
	/* Behind the state: the size and the key's number. */
	memcpy(bytes + 4, &made_size, sizeof(made_size));
	assert_int_equal(EVP_PKEY_get_bn_param(other.key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
	assert_int_equal(BN_bn2binpad(number, bytes + 8, 32), 32);
	BN_free(number);
	assert_int_equal(tls_ca_open(store, &again), -EBADMSG);
	assert_null(again);
	OPENSSL_free(made);
	authority_free(&other);
	tls_ca_free(ca);
	tls_ca_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_an_authority_of_ten_years),
		cmocka_unit_test(two_stores_have_two_authorities),
		cmocka_unit_test(survives_the_one_who_made_it),
		cmocka_unit_test(is_read_by_nobody_who_did_not_open_it),
		cmocka_unit_test(what_was_changed_is_refused),
		cmocka_unit_test(another_authority_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
