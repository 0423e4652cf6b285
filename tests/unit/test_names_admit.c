/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "name.h"
#include "names_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t *address(const char *text)
{
	static struct policy_cidr cidr;

	assert_int_equal(policy_address_parse(text, &cidr), 0);
	return cidr.address;
}

/* What @name's @port is when it is at @addresses. */
static struct names_verdict admit(struct fixture *f, const char *name, uint16_t port,
				  const char *const *addresses)
{
	const struct names_addresses at = fixture_addresses(addresses);
	size_t i = 0;

	if (!f->index.endpoint)
		assert_int_equal(names_index_build(&f->policy, &f->index, NULL), 0);
	assert_int_equal(names_index_find(&f->index, name, &f->ports), 0);
	while (i < f->ports.len && f->ports.item[i].port != port)
		i++;
	assert_true(i < f->ports.len);
	return names_admit(&f->index, &f->ports.item[i], names_ports_group(&f->ports, i), &at);
}

#define AT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void addresses_that_nobody_gets(void **state)
{
	static const char *const never[] = {
		"0.0.0.0",
		"127.0.0.1",
		"127.9.9.9",
		"169.254.169.254",
		"224.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"64:ff9b::7f00:1",
		"::127.0.0.1",
		"64:ff9b::a9fe:a9fe",
		"2002:7f00:1::",
		"198.18.0.1",
		"198.19.255.255",
		"::ffff:198.18.7.7",
		"64:ff9b::c612:1",
		"fd6f:7065:6e73:6865::1",
		"fd6f:7065:6e73:6865:1::",
	};
	static const char *const others[] = {
		"192.0.2.1",   "10.0.0.1", "198.17.255.255",	     "198.20.0.0",
		"2001:db8::1", "fd00::1",  "fd6f:7065:6e73:6866::1",
	};

	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (!names_address_never(address(never[i])))
			fail_msg("%s", never[i]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (names_address_never(address(others[i])))
			fail_msg("%s", others[i]);
}

static void private_in_every_form(void **state)
{
	static const char *const private[] = {
		"10.1.2.3", "172.16.0.1",     "192.168.1.1",	  "100.64.0.1", "fd00::1",
		"fc00::1",  "64:ff9b::a00:1", "2002:c0a8:101::1", "::10.0.0.1",
	};
	static const char *const public[] = {"192.0.2.1", "172.32.0.1", "64:ff9b::808:808",
					     "2001:db8::1"};

	for (size_t i = 0; i < ARRAY_LEN(private); i++)
		if (!names_address_private(address(private[i])))
			fail_msg("%s", private[i]);
	for (size_t i = 0; i < ARRAY_LEN(public); i++)
		if (names_address_private(address(public[i])))
			fail_msg("%s", public[i]);
}

static void private_only_for_names_spelt_out(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "db.example.org", 443, 0, NULL);
	fixture_add(&f, "*.example.com", 443, 1, NULL);
	assert_int_equal(admit(&f, "db.example.org", 443, AT("10.0.0.1", "192.0.2.1")).valid, 3);
	assert_int_equal(admit(&f, "db.example.com", 443, AT("10.0.0.1", "192.0.2.1")).valid, 2);
	assert_int_equal(admit(&f, "db.example.com", 443, AT("64:ff9b::a00:1")).valid, 0);
	assert_int_equal(admit(&f, "db.example.org", 443, AT("127.0.0.1", "169.254.169.254")).valid,
			 0);
	fixture_free(&f);
}

static void allowed_ips_are_all_there_is(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "*.example.org", 443, 0, "10.1.0.0/16");
	fixture_add(&f, "db.example.com", 443, 0, "2001:db8::/32");
	assert_int_equal(
		admit(&f, "x.example.org", 443, AT("10.1.0.1", "10.2.0.1", "192.0.2.1")).valid, 1);
	assert_int_equal(
		admit(&f, "db.example.com", 443, AT("10.1.0.1", "2001:db8:1::1", "2001:db9::1"))
			.valid,
		2);
	fixture_free(&f);
}

static void ports_of_control_planes(void **state)
{
	static const uint16_t ports[] = {2379, 2380, 6443, 10250, 10255};
	struct fixture f;

	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		fixture_add(&f, "a.example.org", ports[i], 0, NULL);
		fixture_add(&f, "b.example.org", ports[i], 0, "192.0.2.0/24");
	}
	fixture_add(&f, "a.example.org", 6444, 0, NULL);
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		assert_int_equal(
			admit(&f, "a.example.org", ports[i], AT("10.0.0.1", "192.0.2.1")).valid, 2);
		assert_int_equal(admit(&f, "b.example.org", ports[i], AT("192.0.2.1")).valid, 0);
	}
	assert_int_equal(admit(&f, "a.example.org", 6444, AT("10.0.0.1")).valid, 1);
	fixture_free(&f);
}

/* A wildcard's binaries must not reach the private address that only the exact name may have. */
static void rules_count_that_admit_every_address(void **state)
{
	struct names_verdict verdict;
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "*.example.org", 443, 1, NULL);
	fixture_add(&f, "db.example.org", 443, 2, NULL);
	fixture_add(&f, "**.example.org", 443, 4, NULL);
	verdict = admit(&f, "db.example.org", 443, AT("192.0.2.1"));
	assert_int_equal(verdict.valid, 1);
	assert_int_equal(verdict.rules.word[0], 1 << 1 | 1 << 2 | 1 << 4);
	assert_int_equal(verdict.ask.word[0], 1 << 4);
	assert_int_equal(verdict.endpoint, 0);
	verdict = admit(&f, "db.example.org", 443, AT("192.0.2.1", "10.0.0.1"));
	assert_int_equal(verdict.valid, 3);
	assert_int_equal(verdict.rules.word[0], 1 << 2);
	assert_int_equal(verdict.ask.word[0], 0);
	assert_int_equal(verdict.endpoint, 1);
	verdict = admit(&f, "db.example.org", 443, AT("127.0.0.1"));
	assert_int_equal(verdict.valid, 0);
	assert_int_equal(verdict.rules.word[0], 1 << 1 | 1 << 2 | 1 << 4);
	fixture_free(&f);
}

/* Two endpoints that admit different addresses, neither all of them: nobody gets through. */
static void rules_that_disagree_admit_nobody(void **state)
{
	struct names_verdict verdict;
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "db.example.org", 443, 0, "10.1.0.0/16");
	fixture_add(&f, "db.example.org", 443, 1, "10.2.0.0/16");
	verdict = admit(&f, "db.example.org", 443, AT("10.1.0.1", "10.2.0.1"));
	assert_int_equal(verdict.valid, 3);
	assert_int_equal(verdict.rules.word[0], 0);
	verdict = admit(&f, "db.example.org", 443, AT("10.2.0.1"));
	assert_int_equal(verdict.rules.word[0], 1 << 1);
	fixture_free(&f);
}

static struct address load(const char *text)
{
	struct address a;

	memcpy(&a, address(text), sizeof(a));
	return a;
}

/* What the kernel does with a connection when the policy changes. */
static void where_a_connection_may_stay(void **state)
{
	const struct address public = load("192.0.2.1"), private = load("10.0.0.1"),
			     hidden = load("64:ff9b::a00:1");
	struct os_name at_public = {.count = 1}, at_private = {.count = 1};
	static const struct {
		const char *host, *allowed;
		uint16_t port, limits;
	} rows[] = {
		{"a.example.org", NULL, 443, 0},
		{"b.example.org", NULL, 6443, OS_ENDPOINT_PUBLIC},
		{"*.example.com", NULL, 443, OS_ENDPOINT_PUBLIC},
		{"c.example.org", "10.0.0.0/8", 443, OS_ENDPOINT_LISTED},
	};
	struct fixture f;

	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fixture_add(&f, rows[i].host, rows[i].port, 0, rows[i].allowed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *name = rows[i].host[0] == '*' ? "x.example.com" : rows[i].host;

		assert_int_equal(admit(&f, name, rows[i].port, AT("10.0.0.1")).limits,
				 rows[i].limits);
	}
	fixture_free(&f);

	memcpy(at_public.real[0], &public, sizeof(public));
	memcpy(at_private.real[0], &private, sizeof(private));
	assert_true(name_keeps(0, NULL, &private));
	assert_true(name_keeps(OS_ENDPOINT_PUBLIC, NULL, &public));
	assert_false(name_keeps(OS_ENDPOINT_PUBLIC, NULL, &private));
	assert_false(name_keeps(OS_ENDPOINT_PUBLIC, &at_public, &private));
	assert_false(name_keeps(OS_ENDPOINT_PUBLIC, &at_private, &hidden));
	assert_true(name_keeps(OS_ENDPOINT_PUBLIC, &at_private, &private));
	assert_false(name_keeps(OS_ENDPOINT_LISTED, NULL, &public));
	assert_false(name_keeps(OS_ENDPOINT_LISTED, &at_private, &public));
	assert_true(name_keeps(OS_ENDPOINT_LISTED, &at_public, &public));
	assert_true(name_keeps(OS_ENDPOINT_LISTED | OS_ENDPOINT_PUBLIC, &at_private, &private));
	assert_false(name_keeps(OS_ENDPOINT_LISTED | OS_ENDPOINT_PUBLIC, &at_private, &public));
}

static void audit_mode_takes_what_is_not_forbidden(void **state)
{
	const struct names_addresses some =
		fixture_addresses(AT("10.0.0.1", "127.0.0.1", "192.0.2.1", "198.18.0.5"));

	assert_int_equal(names_admit_any(&some), 1 << 0 | 1 << 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_nobody_gets),
		cmocka_unit_test(private_in_every_form),
		cmocka_unit_test(private_only_for_names_spelt_out),
		cmocka_unit_test(allowed_ips_are_all_there_is),
		cmocka_unit_test(ports_of_control_planes),
		cmocka_unit_test(rules_count_that_admit_every_address),
		cmocka_unit_test(rules_that_disagree_admit_nobody),
		cmocka_unit_test(where_a_connection_may_stay),
		cmocka_unit_test(audit_mode_takes_what_is_not_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
