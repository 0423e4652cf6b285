/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_fixture.h"

#include "proxy/tls_leaf.h"

#include <openssl/x509v3.h>

static struct tls_ca_store *store;
static struct tls_ca *ca;

static X509 *get(struct tls_leaves *leaves, const char *host, time_t now)
{
	X509 *x = NULL;

	assert_int_equal(tls_leaves_get(leaves, host, now, &x), 0);
	assert_non_null(x);
	return x;
}

/* As a client that checks everything: X509_V_OK, or why not. */
static int verify(X509 *x, const char *name, const char *address)
{
	X509_STORE *trusted = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int r;

	assert_int_equal(X509_STORE_add_cert(trusted, tls_ca_certificate(ca)), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, trusted, x, NULL), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER), 1);
	if (name)
		assert_int_equal(X509_VERIFY_PARAM_set1_host(param, name, 0), 1);
	if (address)
		assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(param, address), 1);
	X509_verify_cert(ctx);
	r = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(trusted);
	return r;
}

static void is_for_its_host_alone(void **state)
{
	static const char *const addresses[] = {"192.0.2.7", "2001:db8::7"};
	struct tls_leaves *leaves;
	time_t now = time(NULL);
	int days, seconds;
	X509 *x;

	assert_int_equal(tls_leaves_new(ca, 4, &leaves), 0);
	x = get(leaves, "api.one.example", now);
	assert_int_equal(verify(x, "api.one.example", NULL), X509_V_OK);
	assert_int_equal(verify(x, "one.example", NULL), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(verify(x, "x.api.one.example", NULL), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	assert_true(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), NULL));
	assert_int_equal(days, 1);
	assert_true(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)));
	assert_true(days >= 89 && days <= 90);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		x = get(leaves, addresses[i], now);
		assert_int_equal(verify(x, NULL, addresses[i]), X509_V_OK);
		assert_int_equal(verify(x, addresses[i], NULL), X509_V_ERR_HOSTNAME_MISMATCH);
		assert_int_equal(verify(x, NULL, "192.0.2.8"), X509_V_ERR_IP_ADDRESS_MISMATCH);
	}
	tls_leaves_free(leaves);
}

static void a_long_name_is_not_in_the_subject(void **state)
{
	char host[TLS_LEAF_HOST_MAX + 2] = "";
	struct tls_leaves *leaves;
	X509 *x = NULL;

	assert_int_equal(tls_leaves_new(ca, 4, &leaves), 0);
	/* 64 characters fit, 65 do not. */
	memset(host, 'a', 58);
	host[40] = '.';
	strncat(host, ".examp", 7);
	x = get(leaves, host, time(NULL));
	assert_int_equal(verify(x, host, NULL), X509_V_OK);
	assert_true(X509_NAME_get_index_by_NID(X509_get_subject_name(x), NID_commonName, -1) >= 0);
	strncat(host, "l", 2);
	x = get(leaves, host, time(NULL));
	assert_int_equal(verify(x, host, NULL), X509_V_OK);
	assert_int_equal(X509_NAME_get_index_by_NID(X509_get_subject_name(x), NID_commonName, -1),
			 -1);
	assert_true(X509_NAME_entry_count(X509_get_subject_name(x)) > 0);
	memset(host, 'a', TLS_LEAF_HOST_MAX);
	for (size_t i = 50; i < TLS_LEAF_HOST_MAX; i += 50)
		host[i] = '.';
	x = get(leaves, host, time(NULL));
	assert_int_equal(verify(x, host, NULL), X509_V_OK);
	host[TLS_LEAF_HOST_MAX] = 'a';
	x = NULL;
	assert_int_equal(tls_leaves_get(leaves, host, time(NULL), &x), -EINVAL);
	assert_int_equal(tls_leaves_get(leaves, "", time(NULL), &x), -EINVAL);
	assert_null(x);
	tls_leaves_free(leaves);
}

static void serial(X509 *x, uint8_t data[16])
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(x);

	assert_int_equal(ASN1_STRING_length(number), 16);
	memcpy(data, ASN1_STRING_get0_data(number), 16);
}

static void the_least_recently_used_makes_room(void **state)
{
	uint8_t one[16], two[16], three[16], now_is[16];
	struct tls_leaves *leaves;
	time_t now = time(NULL);

	assert_int_equal(tls_leaves_new(ca, 2, &leaves), 0);
	serial(get(leaves, "one.example", now), one);
	serial(get(leaves, "two.example", now), two);
	assert_memory_not_equal(one, two, 16);
	serial(get(leaves, "one.example", now), now_is);
	assert_memory_equal(one, now_is, 16);
	/* Two goes, one stays. */
	serial(get(leaves, "three.example", now), three);
	serial(get(leaves, "one.example", now), now_is);
	assert_memory_equal(one, now_is, 16);
	serial(get(leaves, "two.example", now), now_is);
	assert_memory_not_equal(two, now_is, 16);
	serial(get(leaves, "three.example", now), now_is);
	assert_memory_not_equal(three, now_is, 16);
	tls_leaves_free(leaves);
}

static void is_made_anew_before_it_expires(void **state)
{
	struct tls_leaves *leaves;
	time_t now = time(NULL);
	uint8_t first[16], then[16];

	assert_int_equal(tls_leaves_new(ca, 2, &leaves), 0);
	serial(get(leaves, "one.example", now), first);
	serial(get(leaves, "one.example", now + 29 * TLS_DAY), then);
	assert_memory_equal(first, then, 16);
	serial(get(leaves, "one.example", now + 31 * TLS_DAY), then);
	assert_memory_not_equal(first, then, 16);
	/* Back to a time at which the second is not valid. */
	serial(get(leaves, "one.example", now), first);
	assert_memory_not_equal(first, then, 16);
	tls_leaves_free(leaves);
}

static void capacity_has_bounds(void **state)
{
	struct tls_leaves *leaves = NULL;

	assert_int_equal(tls_leaves_new(ca, 0, &leaves), -EINVAL);
	assert_int_equal(tls_leaves_new(ca, TLS_LEAF_HOSTS + 1, &leaves), -EINVAL);
	assert_null(leaves);
}

static int setup(void **state)
{
	return tls_ca_store_new(&store) || tls_ca_open(store, &ca);
}

static int teardown(void **state)
{
	tls_ca_free(ca);
	tls_ca_store_free(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_for_its_host_alone),
		cmocka_unit_test(a_long_name_is_not_in_the_subject),
		cmocka_unit_test(the_least_recently_used_makes_room),
		cmocka_unit_test(is_made_anew_before_it_expires),
		cmocka_unit_test(capacity_has_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
