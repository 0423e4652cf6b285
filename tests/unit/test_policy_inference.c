/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/policy.h"
#include "common/policy_inference.h"
#include "common/policy_proxied.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PB(name) Openshell__Compiled__V1__##name

static PB(CompiledPolicy) * compile(const char *yaml)
{
	_cleanup_policy_ struct policy *policy = NULL;
	PB(CompiledPolicy) * compiled;
	struct error err = {};

	if (policy_load_buffer("test", yaml, strlen(yaml), &policy, NULL, &err))
		fail_msg("%s", err.message);
	assert_int_equal(policy_compile(policy, &compiled, &err), 0);
	return compiled;
}

static void check_endpoint(const PB(CompiledPolicy) * policy, const PB(Endpoint) * endpoint)
{
	assert_true(policy_is_inference(endpoint));
	assert_string_equal(endpoint->rule, INFERENCE_HOST);
	assert_string_equal(endpoint->host, INFERENCE_HOST);
	assert_int_equal(endpoint->n_ports, 1);
	assert_int_equal(endpoint->ports[0], INFERENCE_PORT);
	assert_null(endpoint->l7);
	assert_true(endpoint->binary_set < policy->n_binary_sets);
	assert_true(policy->binary_sets[endpoint->binary_set]->any);
	assert_true(policy_is_proxied(policy, endpoint));
	assert_false(policy_is_hidden(policy, endpoint));
}

/* What is the policy's keeps its number, and its copy is the policy's own again without the last.
 */
static void it_comes_after_what_the_policy_has(void **state)
{
	_cleanup_policy_compiled_ PB(CompiledPolicy) *plain = compile(
		"version: 1\n"
		"network_policies:\n"
		"  z: {endpoints: [{host: z.example.org, port: 443}], binaries: [{path: /bin/z}]}\n"
		"  a: {endpoints: [{host: \"**.example.net\", port: 443}],\n"
		"      binaries: [{path: /bin/a}]}\n"
		"network_middlewares:\n"
		"  g: {middleware: guard, on_error: fail_closed,\n"
		"      endpoints: {include: [inference.local, \"**.example.net\"]}}\n");
	_cleanup_policy_compiled_ PB(CompiledPolicy) *with = NULL;
	struct error err = {};

	assert_int_equal(policy_with_inference(plain, &with, &err), 0);
	assert_int_equal(with->n_endpoints, 3);
	assert_int_equal(with->n_binary_sets, 3);
	assert_string_equal(with->endpoints[0]->rule, plain->endpoints[0]->rule);
	assert_string_equal(with->endpoints[1]->rule, plain->endpoints[1]->rule);
	assert_int_equal(with->endpoints[1]->binary_set, plain->endpoints[1]->binary_set);
	assert_int_equal(with->endpoints[2]->binary_set, 2);
	check_endpoint(with, with->endpoints[2]);
	assert_false(policy_is_inference(with->endpoints[0]));
	assert_int_equal(plain->n_endpoints, 2);
}

static void a_set_for_every_binary_serves(void **state)
{
	_cleanup_policy_compiled_ PB(CompiledPolicy) *plain =
		compile("version: 1\n"
			"network_policies:\n"
			"  a: {endpoints: [{host: a.example.org, port: 443}],\n"
			"      binaries: [{path: \"/**\"}]}\n");
	_cleanup_policy_compiled_ PB(CompiledPolicy) *with = NULL;
	struct error err = {};

	assert_int_equal(policy_with_inference(plain, &with, &err), 0);
	assert_int_equal(with->n_binary_sets, 1);
	check_endpoint(with, with->endpoints[1]);
}

static void a_policy_without_a_network_gets_one(void **state)
{
	_cleanup_policy_compiled_ PB(CompiledPolicy) *plain = compile("version: 1\n");
	_cleanup_policy_compiled_ PB(CompiledPolicy) *with = NULL;
	struct error err = {};

	assert_int_equal(policy_with_inference(plain, &with, &err), 0);
	assert_int_equal(with->n_endpoints, 1);
	check_endpoint(with, with->endpoints[0]);
}

static void there_is_room_for_no_more_sets(void **state)
{
	PB(BinarySet) set[OS_RULE_SETS], *sets[OS_RULE_SETS];
	PB(CompiledPolicy) plain, *with = NULL;
	struct error err = {};

	openshell__compiled__v1__compiled_policy__init(&plain);
	plain.binary_sets = sets;
	plain.n_binary_sets = OS_RULE_SETS;
	for (size_t i = 0; i < OS_RULE_SETS; i++) {
		openshell__compiled__v1__binary_set__init(&set[i]);
		sets[i] = &set[i];
	}
	assert_int_equal(policy_with_inference(&plain, &with, &err), -E2BIG);
	assert_non_null(strstr(err.message, "lists of binaries"));
	assert_null(with);
	set[OS_RULE_SETS - 1].any = true;
	assert_int_equal(policy_with_inference(&plain, &with, &err), 0);
	check_endpoint(with, with->endpoints[0]);
	policy_compiled_free(with);
	with = NULL;
	set[OS_RULE_SETS - 1].any = false;
	plain.n_binary_sets--;
	assert_int_equal(policy_with_inference(&plain, &with, &err), 0);
	assert_int_equal(with->n_binary_sets, OS_RULE_SETS);
	policy_compiled_free(with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_after_what_the_policy_has),
		cmocka_unit_test(a_set_for_every_binary_serves),
		cmocka_unit_test(a_policy_without_a_network_gets_one),
		cmocka_unit_test(there_is_room_for_no_more_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
