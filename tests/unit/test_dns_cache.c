/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/dns_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SECOND 1000000000ull

static struct dns_cache cache;

static int empty(void **state)
{
	memset(&cache, 0, sizeof(cache));
	return 0;
}

static struct dns_name name_of(const char *text)
{
	struct dns_name name = {.length = (uint8_t)strlen(text)};

	memcpy(name.text, text, name.length);
	return name;
}

static void put(const char *text, enum worker_name_status status, uint32_t ttl, uint8_t number,
		uint64_t now)
{
	struct worker_name answer = {
		.status = status,
		.ttl = ttl,
		.has = number ? WORKER_NAME_HAS_IPV4 | WORKER_NAME_HAS_IPV6 : 0,
		.ipv4 = {198, 18, 0, number},
		.ipv6 = {0xfd, 0x6f, [15] = number},
	};
	struct dns_name name = name_of(text);
	const struct dns_cache_entry *entry = dns_cache_put(&cache, &name, &answer, now);

	assert_non_null(entry);
	assert_int_equal(entry->status, status);
}

static const struct dns_cache_entry *find(const char *text, uint64_t now)
{
	struct dns_name name = name_of(text);

	return dns_cache_find(&cache, &name, now);
}

static void an_answer_lives_for_its_ttl(void **state)
{
	const struct dns_cache_entry *entry;

	assert_null(find("a.example", 0));
	put("a.example", WORKER_NAME_FOUND, 10, 7, 5 * SECOND);
	assert_null(find("b.example", 5 * SECOND));
	assert_null(find("a.exampl", 5 * SECOND));
	entry = find("a.example", 5 * SECOND);
	assert_non_null(entry);
	assert_int_equal(entry->status, WORKER_NAME_FOUND);
	assert_memory_equal(entry->ipv4, "\xc6\x12\x00\x07", 4);
	assert_int_equal(entry->ipv6[15], 7);
	assert_int_equal(dns_cache_ttl(entry, 5 * SECOND), 10);
	assert_int_equal(dns_cache_ttl(entry, 5 * SECOND + 1), 10);
	assert_int_equal(dns_cache_ttl(entry, 14 * SECOND), 1);
	assert_int_equal(dns_cache_ttl(entry, 15 * SECOND), 0);
	assert_non_null(find("a.example", 15 * SECOND - 1));
	assert_null(find("a.example", 15 * SECOND));

	/* A later answer replaces the earlier one, in its place. */
	put("a.example", WORKER_NAME_FOUND, 10, 8, 20 * SECOND);
	put("a.example", WORKER_NAME_FOUND, UINT32_MAX, 9, 21 * SECOND);
	entry = find("a.example", 21 * SECOND);
	assert_int_equal(entry->ipv4[3], 9);
	assert_int_equal(dns_cache_ttl(entry, 21 * SECOND), DNS_CACHE_MAX_SECONDS);
	put("zero.example", WORKER_NAME_FOUND, 0, 9, 21 * SECOND);
	assert_null(find("zero.example", 21 * SECOND));
}

static void negative_answers_have_their_times(void **state)
{
	put("refused.example", WORKER_NAME_REFUSED, 5, 0, 0);
	put("none.example", WORKER_NAME_NONE, 5, 0, 0);
	put("long.example", WORKER_NAME_NONE, 86400, 0, 0);
	put("none0.example", WORKER_NAME_NONE, 0, 0, 0);
	put("failed.example", WORKER_NAME_FAILED, 500, 0, 0);
	put("limited.example", WORKER_NAME_LIMITED, 500, 0, 0);
	assert_non_null(find("failed.example", SECOND - 1));
	assert_null(find("failed.example", SECOND));
	assert_null(find("limited.example", SECOND));
	assert_non_null(find("none0.example", SECOND - 1));
	assert_null(find("none0.example", SECOND));
	assert_non_null(find("none.example", 5 * SECOND - 1));
	assert_null(find("none.example", 5 * SECOND));
	assert_non_null(find("long.example", (DNS_CACHE_NONE_SECONDS - 1) * SECOND));
	assert_null(find("long.example", DNS_CACHE_NONE_SECONDS * SECOND));
	assert_non_null(find("refused.example", SECOND - 1));
	assert_null(find("refused.example", SECOND));
}

/* Names that all belong in one set. */
static void colliding(size_t n, char text[32])
{
	struct dns_name first = name_of("c0.example");
	size_t set = dns_cache_hash(&first) % DNS_CACHE_SETS, found = 0;

	for (unsigned int i = 0;; i++) {
		struct dns_name name;

		snprintf(text, 32, "c%u.example", i);
		name = name_of(text);
		if (dns_cache_hash(&name) % DNS_CACHE_SETS == set && found++ == n)
			return;
	}
}

static void the_least_recently_used_goes(void **state)
{
	char text[32];

	/* Just before the tick wraps around. */
	cache.tick = UINT32_MAX - DNS_CACHE_WAYS - 1;
	for (size_t i = 0; i < DNS_CACHE_WAYS; i++) {
		colliding(i, text);
		put(text, WORKER_NAME_REFUSED, 0, 0, 0);
	}
	colliding(0, text);
	assert_non_null(find(text, 1));
	for (size_t i = 0; i < DNS_CACHE_WAYS - 1; i++) {
		colliding(DNS_CACHE_WAYS + i, text);
		put(text, WORKER_NAME_REFUSED, 0, 0, 0);
		colliding(1 + i, text);
		assert_null(find(text, 1));
		colliding(0, text);
		assert_non_null(find(text, 1));
	}
}

static void what_expired_goes_first(void **state)
{
	char text[32];

	for (size_t i = 0; i < DNS_CACHE_WAYS; i++) {
		colliding(i, text);
		put(text, WORKER_NAME_FOUND, i == 5 ? 1 : 100, 1, 0);
	}
	colliding(DNS_CACHE_WAYS, text);
	put(text, WORKER_NAME_FOUND, 100, 1, 2 * SECOND);
	for (size_t i = 0; i <= DNS_CACHE_WAYS; i++) {
		colliding(i, text);
		assert_true(!find(text, 2 * SECOND) == (i == 5));
	}
}

/* Whatever is put in, what comes out is what was put in last under that name. */
static void a_flood_confuses_nothing(void **state)
{
	size_t kept = 0;
	char text[32];

	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "f%u.example", i);
		put(text, WORKER_NAME_FOUND, 100, (uint8_t)(i % 250 + 1), 0);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		const struct dns_cache_entry *entry;

		snprintf(text, sizeof(text), "f%u.example", i);
		entry = find(text, 1);
		if (!entry)
			continue;
		kept++;
		assert_int_equal(entry->ipv4[3], i % 250 + 1);
	}
	assert_in_range(kept, DNS_CACHE_SETS * DNS_CACHE_WAYS * 9 / 10,
			DNS_CACHE_SETS * DNS_CACHE_WAYS);
}

static void addresses_have_names(void **state)
{
	uint8_t ipv4[16] = {[10] = 0xff, 0xff, 198, 18, 0, 7};
	uint8_t ipv6[16] = {0xfd, 0x6f, [15] = 7};
	const struct dns_name *name;

	assert_null(dns_cache_reverse(&cache, ipv4));
	put("a.example", WORKER_NAME_FOUND, 10, 6, 0);
	put("b.example", WORKER_NAME_FOUND, 10, 7, 0);
	put("c.example", WORKER_NAME_REFUSED, 10, 0, 0);
	name = dns_cache_reverse(&cache, ipv4);
	assert_non_null(name);
	assert_memory_equal(name->text, "b.example", name->length);
	assert_ptr_equal(dns_cache_reverse(&cache, ipv6), name);
	ipv4[15] = ipv6[15] = 8;
	assert_null(dns_cache_reverse(&cache, ipv4));
	assert_null(dns_cache_reverse(&cache, ipv6));
	/* Zeros are in every entry that has no address. */
	assert_null(dns_cache_reverse(&cache, (uint8_t[16]){0}));
	assert_null(dns_cache_reverse(&cache, (uint8_t[16]){[10] = 0xff, 0xff}));
}

static void a_flush_forgets_everything(void **state)
{
	uint8_t ipv4[16] = {[10] = 0xff, 0xff, 198, 18, 0, 7};

	put("a.example", WORKER_NAME_FOUND, 10, 7, 0);
	put("b.example", WORKER_NAME_REFUSED, 10, 0, 0);
	dns_cache_flush(&cache);
	assert_null(find("a.example", 1));
	assert_null(find("b.example", 1));
	assert_null(dns_cache_reverse(&cache, ipv4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_answer_lives_for_its_ttl, empty),
		cmocka_unit_test_setup(negative_answers_have_their_times, empty),
		cmocka_unit_test_setup(the_least_recently_used_goes, empty),
		cmocka_unit_test_setup(what_expired_goes_first, empty),
		cmocka_unit_test_setup(a_flood_confuses_nothing, empty),
		cmocka_unit_test_setup(addresses_have_names, empty),
		cmocka_unit_test_setup(a_flush_forgets_everything, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
