/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "supervisor/egress_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PB(name)      Openshell__Compiled__V1__##name
#define MANY	      16
#define PROTOCOL_REST OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST

struct fixture {
	PB(CompiledPolicy) policy;
	PB(Endpoint) endpoint[MANY], *endpoints[MANY];
	PB(BinarySet) set[OS_RULE_SETS + 1], *sets[OS_RULE_SETS + 1];
	uint32_t port[MANY];
	char *range[MANY];
	struct egress_table table;
};

static void set_up(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	openshell__compiled__v1__compiled_policy__init(&f->policy);
	for (size_t i = 0; i < OS_RULE_SETS + 1; i++) {
		openshell__compiled__v1__binary_set__init(&f->set[i]);
		f->sets[i] = &f->set[i];
	}
	f->policy.binary_sets = f->sets;
	f->policy.n_binary_sets = OS_RULE_SETS + 1;
	f->policy.endpoints = f->endpoints;
}

static PB(Endpoint) *
	add(struct fixture *f, const char *host, const char *range, uint32_t port, uint32_t set)
{
	size_t i = f->policy.n_endpoints++;
	PB(Endpoint) *e = &f->endpoint[i];

	openshell__compiled__v1__endpoint__init(e);
	f->endpoints[i] = e;
	e->host = (char *)host;
	e->host_is_address = host[0] && !strchr(host, 'x');
	e->binary_set = set;
	f->port[i] = port;
	e->ports = &f->port[i];
	e->n_ports = 1;
	f->range[i] = (char *)range;
	e->allowed_ips = &f->range[i];
	e->n_allowed_ips = range ? 1 : 0;
	return e;
}

/* The rule bits (of the first 64) that @address and @port get. */
static uint64_t bits(const struct fixture *f, const char *address, uint16_t port)
{
	const struct egress_entry *entry;
	struct policy_cidr cidr;

	assert_int_equal(policy_address_parse(address, &cidr), 0);
	entry = egress_table_find(&f->table, cidr.address, port);
	return entry ? entry->endpoint.rules.word[0] : 0;
}

static void ranges_lend_their_rules_inwards(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f, "", "10.0.0.0/8", 443, 0);
	add(&f, "", "10.1.0.0/16", 443, 1);
	add(&f, "10.1.2.3", NULL, 443, 2);
	add(&f, "", "10.1.0.0/16", 80, 3);
	add(&f, "", "10.1.0.0/16", 443, 4);
	add(&f, "", "10.2.0.0/16", 443, 5);
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(f.table.len, 5);
	assert_int_equal(bits(&f, "10.9.9.9", 443), 1 << 0);
	assert_int_equal(bits(&f, "10.1.9.9", 443), 1 << 0 | 1 << 1 | 1 << 4);
	assert_int_equal(bits(&f, "10.1.2.3", 443), 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4);
	assert_int_equal(bits(&f, "10.2.2.3", 443), 1 << 0 | 1 << 5);
	assert_int_equal(bits(&f, "10.1.2.3", 80), 1 << 3);
	assert_int_equal(bits(&f, "10.1.2.3", 81), 0);
	assert_int_equal(bits(&f, "11.0.0.1", 443), 0);
	egress_table_free(&f.table);
}

static void v4_is_its_mapped_form(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f, "10.0.0.1", NULL, 1, 0);
	add(&f, "", "2001:db8::/32", 1, 1);
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(bits(&f, "::ffff:10.0.0.1", 1), 1);
	assert_int_equal(bits(&f, "2001:db8:ffff::1", 1), 2);
	assert_int_equal(bits(&f, "2001:db9::1", 1), 0);
	egress_table_free(&f.table);
}

static void a_literal_needs_its_allowed_ips(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f, "10.0.0.1", "10.0.0.0/24", 1, 0);
	add(&f, "10.0.1.1", "10.0.0.0/24", 1, 1);
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(f.table.len, 1);
	assert_int_equal(bits(&f, "10.0.0.1", 1), 1);
	assert_int_equal(bits(&f, "10.0.0.2", 1), 0);
	assert_int_equal(bits(&f, "10.0.1.1", 1), 0);
	egress_table_free(&f.table);
}

static void names_are_left_out(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f, "example.com", NULL, 443, 0);
	add(&f, "example.com", "10.0.0.0/8", 443, 0);
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(f.table.len, 0);
	egress_table_free(&f.table);
}

static uint16_t verdict(struct fixture *f, const char *address, uint16_t port)
{
	const struct egress_entry *entry;
	struct policy_cidr cidr;

	assert_int_equal(policy_address_parse(address, &cidr), 0);
	entry = egress_table_find(&f->table, cidr.address, port);
	return entry ? entry->endpoint.verdict : OS_VERDICT_DENY;
}

static void what_one_rule_reads_is_read_for_all(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f, "10.0.0.1", NULL, 443, 0);
	add(&f, "10.0.0.1", NULL, 443, 1)->protocol = PROTOCOL_REST;
	add(&f, "10.0.0.2", NULL, 443, 0)->protocol = PROTOCOL_REST;
	add(&f, "10.0.0.2", NULL, 443, 1);
	add(&f, "10.0.0.3", NULL, 443, 0);
	add(&f, "10.0.0.1", NULL, 444, 0);
	add(&f, "", "10.1.0.0/16", 443, 2)->protocol = PROTOCOL_REST;
	add(&f, "10.1.0.1", NULL, 443, 0);
	add(&f, "", "10.2.0.0/16", 443, 2);
	add(&f, "10.2.0.1", NULL, 443, 0)->protocol = PROTOCOL_REST;
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(verdict(&f, "10.0.0.1", 443), OS_VERDICT_PROXY);
	assert_int_equal(bits(&f, "10.0.0.1", 443), 3);
	assert_int_equal(verdict(&f, "10.0.0.2", 443), OS_VERDICT_PROXY);
	assert_int_equal(verdict(&f, "10.0.0.3", 443), OS_VERDICT_DIRECT);
	assert_int_equal(verdict(&f, "10.0.0.1", 444), OS_VERDICT_DIRECT);
	assert_int_equal(verdict(&f, "10.1.0.1", 443), OS_VERDICT_PROXY);
	assert_int_equal(verdict(&f, "10.1.0.2", 443), OS_VERDICT_PROXY);
	assert_int_equal(verdict(&f, "10.2.0.1", 443), OS_VERDICT_PROXY);
	assert_int_equal(verdict(&f, "10.2.0.2", 443), OS_VERDICT_DIRECT);
	egress_table_free(&f.table);
}

static void what_a_middleware_cannot_see_is_denied(void **state)
{
	struct fixture f;
	Openshell__Compiled__V1__Middleware middleware, *list[1] = {&middleware};
	char *include[1] = {(char *)"10.0.0.1"};

	set_up(&f);
	openshell__compiled__v1__middleware__init(&middleware);
	middleware.include = include;
	middleware.n_include = 1;
	f.policy.middlewares = list;
	f.policy.n_middlewares = 1;
	add(&f, "10.0.0.1", NULL, 443, 0);
	add(&f, "10.0.0.1", NULL, 444, 0)->tls = OPENSHELL__COMPILED__V1__TLS_MODE__TLS_MODE_SKIP;
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	assert_int_equal(verdict(&f, "10.0.0.1", 443), OS_VERDICT_PROXY);
	assert_int_equal(verdict(&f, "10.0.0.1", 444), OS_VERDICT_DENY);
	egress_table_free(&f.table);
}

static void globs_are_asked_about_inwards_too(void **state)
{
	static const struct {
		const char *address;
		uint64_t rules, ask;
	} rows[] = {
		{"10.9.9.9", 1 << 0 | 1 << 1, 1 << 1},
		{"10.1.9.9", 1 << 0 | 1 << 1 | 1 << 2, 1 << 1},
		{"10.1.2.3", 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4, 1 << 1 | 1 << 3},
		{"11.0.0.1", 1 << 0, 0},
	};
	struct fixture f;

	set_up(&f);
	add(&f, "", "10.0.0.0/8", 443, 0);
	add(&f, "", "10.0.0.0/8", 443, 1);
	add(&f, "", "10.1.0.0/16", 443, 2);
	add(&f, "10.1.2.3", NULL, 443, 3);
	add(&f, "10.1.2.3", NULL, 443, 4);
	add(&f, "11.0.0.1", NULL, 443, 0);
	f.set[1].n_globs = f.set[3].n_globs = f.set[4].n_globs = 1;
	f.set[4].any = true; /* nobody is asked about what everybody may */
	assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct egress_entry *entry;
		struct policy_cidr cidr;

		assert_int_equal(policy_address_parse(rows[i].address, &cidr), 0);
		entry = egress_table_find(&f.table, cidr.address, 443);
		assert_non_null(entry);
		assert_int_equal(entry->endpoint.rules.word[0], rows[i].rules);
		assert_int_equal(entry->endpoint.ask.word[0], rows[i].ask);
	}
	egress_table_free(&f.table);
}

static void every_rule_bit(void **state)
{
	for (uint32_t set = 0; set < OS_RULE_SETS; set += 51) {
		struct fixture f;

		set_up(&f);
		add(&f, "10.0.0.1", NULL, 1, set);
		assert_int_equal(egress_table_build(&f.policy, &f.table, NULL), 0);
		assert_int_equal(f.table.entry[0].endpoint.rules.word[set / 64], 1ull << set % 64);
		egress_table_free(&f.table);
	}
}

static void what_no_compiler_writes_is_refused(void **state)
{
	struct error err = {};
	struct fixture f;

	set_up(&f);
	add(&f, "10.0.0.1", NULL, 1, OS_RULE_SETS);
	assert_int_equal(egress_table_build(&f.policy, &f.table, &err), -EINVAL);
	assert_non_null(strstr(err.message, "binary set"));
	set_up(&f);
	add(&f, "10.0.0.1", NULL, 65536, 0);
	assert_int_equal(egress_table_build(&f.policy, &f.table, &err), -EINVAL);
	set_up(&f);
	add(&f, "10.0.0.256", NULL, 1, 0);
	assert_int_equal(egress_table_build(&f.policy, &f.table, &err), -EINVAL);
	set_up(&f);
	add(&f, "", "10.0.0.1/8", 1, 0);
	assert_int_equal(egress_table_build(&f.policy, &f.table, &err), -EINVAL);
	assert_null(f.table.entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_lend_their_rules_inwards),
		cmocka_unit_test(v4_is_its_mapped_form),
		cmocka_unit_test(a_literal_needs_its_allowed_ips),
		cmocka_unit_test(names_are_left_out),
		cmocka_unit_test(what_one_rule_reads_is_read_for_all),
		cmocka_unit_test(what_a_middleware_cannot_see_is_denied),
		cmocka_unit_test(globs_are_asked_about_inwards_too),
		cmocka_unit_test(every_rule_bit),
		cmocka_unit_test(what_no_compiler_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
