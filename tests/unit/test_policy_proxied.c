/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_proxied.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* One endpoint, then middlewares; endpoint and middlewares as YAML. */
static void check(const char *endpoint, const char *middlewares, bool proxied, bool hidden)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_free_ char *text = NULL;
	struct error err = {};

	assert_true(asprintf(&text,
			     "version: 1\nnetwork_policies:\n  r:\n    endpoints: [%s]\n"
			     "    binaries: [{path: /bin/a}]\n%s%s",
			     endpoint, *middlewares ? "network_middlewares:\n" : "",
			     middlewares) > 0);
	if (policy_load_buffer("test", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s: %s", endpoint, err.message);
	assert_int_equal(policy_compile(policy, &compiled, &err), 0);
	assert_int_equal(compiled->n_endpoints, 1);
	if (policy_is_proxied(compiled, compiled->endpoints[0]) != proxied)
		fail_msg("%s is %sproxied", endpoint, proxied ? "not " : "");
	if (policy_is_hidden(compiled, compiled->endpoints[0]) != hidden)
		fail_msg("%s is %shidden", endpoint, hidden ? "not " : "");
}

#define REST ", port: 443, enforcement: enforce, access: full"
#define RPC  ", port: 443, enforcement: enforce, rules: [{allow: {method: a}}]"

static void protocols_that_are_read(void **state)
{
	check("{host: a.example, protocol: rest" REST "}", "", true, false);
	check("{host: a.example, protocol: websocket" REST "}", "", true, false);
	check("{host: a.example, protocol: graphql" REST "}", "", true, false);
	check("{host: a.example, protocol: mcp, port: 443, enforcement: enforce,"
	      " rules: [{allow: {method: tools/list}}]}",
	      "", true, false);
	check("{host: a.example, protocol: json-rpc" RPC "}", "", true, false);
	check("{host: a.example, port: 443}", "", false, false);
	check("{host: a.example, port: 443, protocol: tcp}", "", false, false);
	check("{host: a.example, port: 5432, protocol: sql, enforcement: audit,"
	      " access: read-only}",
	      "", false, false);
}

#define GUARD(include, exclude)                                                                    \
	"  g: {middleware: guard, endpoints: {include: [" include "], exclude: [" exclude "]}}\n"

static void hosts_that_a_middleware_selects(void **state)
{
	check("{host: a.b.example, port: 443}", GUARD("a.b.example", ""), true, false);
	check("{host: a.b.example, port: 443}", GUARD("\"*.b.example\"", ""), true, false);
	check("{host: a.b.example, port: 443}", GUARD("\"**.b.example\"", ""), true, false);
	check("{host: a.b.example, port: 443}", GUARD("c.b.example", ""), false, false);
	check("{host: \"*.b.example\", port: 443}", GUARD("a.b.example", ""), true, false);
	check("{host: \"*.b.example\", port: 443}", GUARD("a.c.b.example", ""), false, false);
	check("{host: 10.1.2.3, port: 443}", GUARD("10.1.2.3", ""), true, false);
	check("{allowed_ips: [10.0.0.0/8], port: 443}", GUARD("10.1.2.3", ""), true, false);
	check("{allowed_ips: [10.0.0.0/8], port: 443}", GUARD("11.1.2.3", ""), false, false);
	check("{allowed_ips: [10.0.0.0/8], port: 443}", GUARD("a.b.example", ""), false, false);
}

static void exclusion_has_to_cover_the_endpoint(void **state)
{
	check("{host: a.b.example, port: 443}", GUARD("\"*.b.example\"", "a.b.example"), false,
	      false);
	check("{host: \"*.b.example\", port: 443}", GUARD("\"*.b.example\"", "a.b.example"), true,
	      false);
	check("{host: \"*.b.example\", port: 443}", GUARD("\"*.b.example\"", "\"**.b.example\""),
	      false, false);
	check("{host: \"**.b.example\", port: 443}", GUARD("\"*.b.example\"", "\"*.b.example\""),
	      true, false);
	check("{host: \"**.c.b.example\", port: 443}", GUARD("a.c.b.example", "\"**.b.example\""),
	      false, false);
}

static void what_cannot_be_looked_at_is_hidden(void **state)
{
	check("{host: a.b.example, port: 443, tls: skip}", GUARD("a.b.example", ""), false, true);
	check("{host: a.b.example, port: 443, tls: skip}", GUARD("c.b.example", ""), false, false);
	check("{host: a.b.example, port: 443, tls: skip}",
	      "  g: {middleware: guard, on_error: fail_open,"
	      " endpoints: {include: [a.b.example]}}\n",
	      false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols_that_are_read),
		cmocka_unit_test(hosts_that_a_middleware_selects),
		cmocka_unit_test(exclusion_has_to_cover_the_endpoint),
		cmocka_unit_test(what_cannot_be_looked_at_is_hidden),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
