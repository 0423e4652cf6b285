/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "supervisor/route_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define PB(name) Openshell__Worker__V1__##name
#define SECOND	 UINT64_C(1000000000)
#define MANY	 40

static struct route_table table;

struct routes {
	PB(Inference) inference;
	PB(InferenceRoute) route[MANY], *routes[MANY];
};

static void routes_init(struct routes *r)
{
	openshell__worker__v1__inference__init(&r->inference);
	r->inference.routes = r->routes;
}

static void routes_add(struct routes *r, const char *host, uint32_t port)
{
	size_t i = r->inference.n_routes++;

	openshell__worker__v1__inference_route__init(&r->route[i]);
	r->routes[i] = &r->route[i];
	r->route[i].host = (char *)host;
	r->route[i].port = port;
}

static struct route_host *find(const char *host, uint16_t port)
{
	return route_table_find(&table, host, strlen(host), port);
}

static void address_of(const char *text, uint8_t ret[16])
{
	struct policy_cidr cidr;

	assert_int_equal(policy_address_parse(text, &cidr), 0);
	memcpy(ret, cidr.address, 16);
}

/* Addresses with spaces between them. */
static void tell(const char *name, const char *addresses, uint32_t ttl, uint64_t now)
{
	struct worker_found found = {.status = WORKER_NAME_FOUND, .ttl = ttl};
	char copy[256], *rest = copy, *text;

	snprintf(copy, sizeof(copy), "%s", addresses);
	while ((text = strsep(&rest, " ")))
		address_of(text, found.address[found.count++]);
	route_table_found(&table, name, strlen(name), &found, now);
}

static void tell_status(const char *name, enum worker_name_status status, uint64_t now)
{
	const struct worker_found found = {.status = (uint16_t)status, .ttl = 10};

	route_table_found(&table, name, strlen(name), &found, now);
}

/* The first address to try, as text, or an error's name. */
static const char *where(const char *host, uint16_t port, uint64_t now)
{
	static char text[POLICY_CIDR_TEXT_MAX];
	struct route_host *found = find(host, port);
	struct names_addresses addresses = {};
	struct policy_cidr cidr = {.prefix = 128};
	int r = found ? route_host_where(found, now, &addresses) : -EPERM;

	if (r == -EPERM)
		return "no route";
	if (r == -EINPROGRESS)
		return "look up";
	if (r == -EACCES)
		return "never";
	if (r)
		return r == -ENOENT ? "none" : r == -EAGAIN ? "failed" : "?";
	assert_true(addresses.len);
	memcpy(cidr.address, addresses.item[0], 16);
	return policy_cidr_format(&cidr, true, text);
}

static void only_what_a_route_names(void **state)
{
	struct routes r = {};
	char longest[300];

	memset(longest, 'a', sizeof(longest));
	longest[254] = '\0';
	routes_init(&r);
	routes_add(&r, "api.example.org", 443);
	routes_add(&r, "api.example.org", 443);
	routes_add(&r, "api.example.org", 8443);
	routes_add(&r, "127.0.0.1", 11434);
	routes_add(&r, "2001:db8::1", 443);
	routes_add(&r, "", 443);
	routes_add(&r, "no port.example", 0);
	routes_add(&r, "b.example.org", 65536 + 443);
	routes_add(&r, "Not.A.Name", 443);
	routes_add(&r, longest, 443);
	route_table_set(&table, &r.inference);
	assert_int_equal(table.len, 3);
	assert_string_equal(where("api.example.org", 443, 1), "look up");
	assert_string_equal(where("api.example.org", 8443, 1), "look up");
	assert_string_equal(where("api.example.org", 80, 1), "no route");
	assert_string_equal(where("api.example.or", 443, 1), "no route");
	assert_string_equal(where("b.example.org", 443, 1), "no route");
	assert_string_equal(where("127.0.0.1", 11434, 1), "127.0.0.1");
	assert_string_equal(where("127.0.0.1", 443, 1), "no route");
	assert_string_equal(where("2001:db8::1", 443, 1), "2001:db8::1");
	route_table_set(&table, NULL);
	assert_string_equal(where("127.0.0.1", 11434, 1), "no route");
}

static void there_are_no_more_than_there_may_be(void **state)
{
	char host[MANY][32];
	struct routes r = {};

	routes_init(&r);
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(host[i], sizeof(host[i]), "h%u.example.org", i);
		routes_add(&r, host[i], 443);
	}
	route_table_set(&table, &r.inference);
	assert_int_equal(table.len, INFERENCE_ROUTES_MAX);
	assert_string_equal(where("h31.example.org", 443, 1), "look up");
	assert_string_equal(where("h32.example.org", 443, 1), "no route");
	/* And so many ports of one. */
	for (uint32_t i = 0; i < MANY; i++) {
		r.route[i].host = host[0];
		r.route[i].port = 1000 + i;
	}
	route_table_set(&table, &r.inference);
	assert_int_equal(table.len, 1);
	assert_string_equal(where("h0.example.org", 1031, 1), "look up");
	assert_string_equal(where("h0.example.org", 1032, 1), "no route");
}

static void set_one(const char *host)
{
	struct routes r = {};

	routes_init(&r);
	routes_add(&r, host, 443);
	route_table_set(&table, &r.inference);
}

static void addresses_are_taken_by_turns_and_grow_old(void **state)
{
	set_one("a.example.org");
	tell("a.example.org", "192.0.2.1 2001:db8::2 10.0.0.3", 3600, SECOND);
	assert_string_equal(where("a.example.org", 443, SECOND), "192.0.2.1");
	assert_string_equal(where("a.example.org", 443, SECOND), "2001:db8::2");
	assert_string_equal(where("a.example.org", 443, SECOND), "10.0.0.3");
	/* Another policy, the same host: what is known stays. */
	set_one("a.example.org");
	assert_string_equal(where("a.example.org", 443, 60 * SECOND), "192.0.2.1");
	assert_string_equal(where("a.example.org", 443, 61 * SECOND), "look up");
	/* Who cannot say takes nothing away, for a while. */
	tell_status("a.example.org", WORKER_NAME_FAILED, 61 * SECOND);
	assert_string_equal(where("a.example.org", 443, 61 * SECOND), "2001:db8::2");
	assert_string_equal(where("a.example.org", 443, 66 * SECOND), "look up");
	tell_status("a.example.org", WORKER_NAME_FAILED, 4000 * SECOND);
	assert_string_equal(where("a.example.org", 443, 4000 * SECOND), "failed");
	tell("a.example.org", "192.0.2.9", 0, 5000 * SECOND);
	assert_string_equal(where("a.example.org", 443, 5000 * SECOND), "192.0.2.9");
	assert_string_equal(where("a.example.org", 443, 5001 * SECOND), "look up");
	tell_status("a.example.org", WORKER_NAME_NONE, 5001 * SECOND);
	assert_string_equal(where("a.example.org", 443, 5001 * SECOND), "none");
	/* What nobody asked for is nobody's. */
	tell("b.example.org", "192.0.2.1", 60, SECOND);
	assert_string_equal(where("b.example.org", 443, SECOND), "no route");
	set_one("b.example.org");
	assert_string_equal(where("b.example.org", 443, SECOND), "look up");
}

static void some_addresses_are_never_a_route(void **state)
{
	static const char *const never[] = {
		"0.0.0.0",	     "::",
		"169.254.169.254",   "::ffff:169.254.169.254",
		"fe80::1",	     "224.0.0.1",
		"ff02::1",	     "255.255.255.255",
		"100.100.100.200",   "168.63.129.16",
		"192.0.0.192",	     "fd00:ec2::254",
		"127.64.0.1",	     "127.127.255.255",
		"::ffff:127.64.0.9", "64:ff9b::a9fe:a9fe",
		"198.18.0.1",
	};
	static const char *const fine[] = {
		"127.0.0.1", "127.63.255.255", "127.128.0.0",  "::1",
		"10.0.0.1",  "192.168.1.1",    "fd12:3456::1", "192.0.2.1",
	};

	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		uint8_t address[16];

		address_of(never[i], address);
		if (!route_address_never(address))
			fail_msg("%s is a route's", never[i]);
		set_one(never[i]);
		assert_string_equal(where(never[i], 443, 1), "never");
	}
	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		uint8_t address[16];

		address_of(fine[i], address);
		if (route_address_never(address))
			fail_msg("%s is no route's", fine[i]);
	}
	set_one("a.example.org");
	tell("a.example.org", "169.254.169.254 127.0.0.1", 60, SECOND);
	assert_string_equal(where("a.example.org", 443, SECOND), "127.0.0.1");
	assert_string_equal(where("a.example.org", 443, SECOND), "127.0.0.1");
	tell("a.example.org", "169.254.169.254 198.18.0.4", 60, SECOND);
	assert_string_equal(where("a.example.org", 443, SECOND), "never");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_a_route_names),
		cmocka_unit_test(there_are_no_more_than_there_may_be),
		cmocka_unit_test(addresses_are_taken_by_turns_and_grow_old),
		cmocka_unit_test(some_addresses_are_never_a_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
