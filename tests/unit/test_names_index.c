/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "names_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The numbers of the endpoints that name @name, in the order found, as text: "0:443 2:443". */
static const char *found(struct fixture *f, const char *name)
{
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	assert_int_equal(names_index_find(&f->index, name, &f->ports), 0);
	for (size_t i = 0; i < f->ports.len; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u:%u", i ? " " : "",
					f->ports.item[i].endpoint->index, f->ports.item[i].port);
	return text;
}

static void names_are_found_by_all_that_name_them(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "api.example.org", 443, 0, NULL);
	fixture_add(&f, "*.example.org", 443, 1, NULL);
	fixture_add(&f, "**.example.org", 80, 2, NULL);
	fixture_add(&f, "a*.example.org", 443, 3, NULL);
	fixture_add(&f, "api.*.example.org", 22, 0, NULL);
	fixture_add(&f, "api.example.org", 22, 1, NULL);
	fixture_add(&f, "*.example.com", 443, 1, NULL);
	assert_int_equal(names_index_build(&f.policy, &f.index, NULL), 0);
	assert_int_equal(f.index.len, 7);
	assert_string_equal(found(&f, "api.example.org"), "5:22 2:80 0:443 1:443 3:443");
	assert_string_equal(found(&f, "www.example.org"), "2:80 1:443");
	assert_string_equal(found(&f, "api.x.example.org"), "4:22 2:80");
	assert_string_equal(found(&f, "a.b.c.example.org"), "2:80");
	assert_string_equal(found(&f, "example.org"), "");
	assert_string_equal(found(&f, "notexample.org"), "");
	assert_string_equal(found(&f, "api.example.org.net"), "");
	assert_string_equal(found(&f, "x.example.com"), "6:443");
	assert_string_equal(found(&f, "x"), "");
	fixture_free(&f);
}

static void several_ports_of_one_endpoint(void **state)
{
	uint32_t ports[] = {22, 80, 443};
	struct fixture f;
	PB(Endpoint) * e;

	fixture_init(&f);
	e = fixture_add(&f, "a.example.org", 1, 0, NULL);
	e->ports = ports;
	e->n_ports = 3;
	fixture_add(&f, "*.example.org", 80, 1, NULL);
	assert_int_equal(names_index_build(&f.policy, &f.index, NULL), 0);
	assert_string_equal(found(&f, "a.example.org"), "0:22 0:80 1:80 0:443");
	assert_int_equal(names_ports_group(&f.ports, 0), 1);
	assert_int_equal(names_ports_group(&f.ports, 1), 2);
	assert_int_equal(names_ports_group(&f.ports, 3), 1);
	fixture_free(&f);
}

static void only_its_own_endpoint_is_inference_local(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "**.local", 443, 0, NULL);
	fixture_add(&f, "inf*.local", 80, 1, NULL);
	fixture_add(&f, "inference.local", 8443, 1, NULL);
	assert_int_equal(names_index_build(&f.policy, &f.index, NULL), 0);
	assert_string_equal(found(&f, "inference.local"), "");
	assert_string_equal(found(&f, "inferences.local"), "1:80 0:443");
	assert_string_equal(found(&f, "x.inference.local"), "0:443");
	names_index_free(&f.index);
	fixture_add(&f, "inference.local", 443, 2, NULL)->protocol =
		OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_INFERENCE;
	assert_int_equal(names_index_build(&f.policy, &f.index, NULL), 0);
	assert_string_equal(found(&f, "inference.local"), "3:443");
	assert_string_equal(found(&f, "x.inference.local"), "0:443");
	assert_true(f.ports.item[0].endpoint->proxied == false);
	fixture_free(&f);
}

static void what_is_not_decided_by_name_is_left_out(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_add(&f, "192.0.2.1", 443, 0, NULL)->host_is_address = true;
	fixture_add(&f, "", 443, 0, "10.0.0.0/8");
	fixture_add(&f, "a.example.org", 443, 0, NULL)->protocol =
		OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST;
	fixture_add(&f, "b.example.org", 443, 5, NULL);
	fixture_add(&f, "c.example.org", 443, 4, NULL);
	assert_int_equal(names_index_build(&f.policy, &f.index, NULL), 0);
	assert_int_equal(f.index.len, 2);
	/* What the proxy reads is found by name as well, and known to be that. */
	assert_string_equal(found(&f, "a.example.org"), "2:443");
	assert_true(f.ports.item[0].endpoint->proxied);
	assert_string_equal(found(&f, "b.example.org"), "");
	assert_string_equal(found(&f, "c.example.org"), "4:443");
	assert_false(f.ports.item[0].endpoint->proxied);
	assert_string_equal(found(&f, "192.0.2.1"), "");
	assert_int_equal(f.index.globs.word[0], 1 << 4);
	fixture_free(&f);
}

static void what_no_compiler_writes_is_refused(void **state)
{
	static const struct {
		const char *host;
		uint32_t port;
		const char *allowed;
	} rows[] = {
		{"A.example.org", 443, NULL},
		{"a.example.org.", 443, NULL},
		{"a b", 443, NULL},
		{"*", 443, NULL},
		{"**", 443, NULL},
		{"a.example.org", 0, NULL},
		{"*.example.org", 65536, NULL},
		{"a.example.org", 443, "10.0.0.1/8"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = {};
		struct fixture f;

		fixture_init(&f);
		fixture_add(&f, rows[i].host, rows[i].port, 0, rows[i].allowed);
		assert_int_equal(names_index_build(&f.policy, &f.index, &err), -EINVAL);
		assert_non_null(strstr(err.message, "compiled policy"));
		assert_null(f.index.endpoint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_by_all_that_name_them),
		cmocka_unit_test(several_ports_of_one_endpoint),
		cmocka_unit_test(only_its_own_endpoint_is_inference_local),
		cmocka_unit_test(what_is_not_decided_by_name_is_left_out),
		cmocka_unit_test(what_no_compiler_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
