/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static Openshell__Compiled__V1__CompiledPolicy *compile(const char *text)
{
	Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	struct error err = {};

	if (policy_load_buffer("test.yaml", text, strlen(text), &policy, NULL, &err) < 0 ||
	    policy_compile(policy, &compiled, &err) < 0)
		fail_msg("%d:%d: %s", err.line, err.col, err.message);
	return compiled;
}

static void digest_of(const char *text, uint8_t ret_digest[POLICY_DIGEST_SIZE])
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = compile(text);
	struct error err = {};

	assert_int_equal(policy_digest(compiled, ret_digest, &err), 0);
}

#define ENDPOINT_A                                                                                 \
	"{host: a.example.org, ports: [443, 80], protocol: rest, enforcement: enforce,\n"          \
	"     rules: [{allow: {method: get, path: /x, query: {b: y, a: {any: [q, p]}}}},\n"        \
	"             {allow: {method: PUT, path: /y}}]}"
#define ENDPOINT_B "{host: 10.0.0.1, port: 22, allowed_ips: [10.0.0.0/8, 192.168.0.0/16]}"

static void meaning_alone_makes_the_digest(void **state)
{
	uint8_t first[POLICY_DIGEST_SIZE], second[POLICY_DIGEST_SIZE];

	digest_of("version: 1\n"
		  "filesystem_policy: {read_only: [/usr, /lib], read_write: [/tmp]}\n"
		  "network_policies:\n"
		  "  a: {endpoints: [" ENDPOINT_A "], binaries: [{path: /b}, {path: /a}]}\n"
		  "  b: {endpoints: [" ENDPOINT_B "], binaries: [{path: /**}]}\n",
		  first);
	digest_of("# the same, written by somebody else\n"
		  "network_policies:\n"
		  "  b:\n"
		  "    binaries: [{path: /usr/bin/x}, {path: '**', harness: true}]\n"
		  "    endpoints: [{ports: [22], host: '::ffff:10.0.0.1',\n"
		  "                 allowed_ips: [192.168.0.0/16, 10.0.0.0/8, 10.0.0.0/8]}]\n"
		  "  a:\n"
		  "    name: a\n"
		  "    binaries: [{path: /a}, {path: /./b}, {path: /b}]\n"
		  "    endpoints:\n"
		  "      - host: A.example.org\n"
		  "        ports: [80, 443]\n"
		  "        protocol: rest\n"
		  "        enforcement: enforce\n"
		  "        rules:\n"
		  "          - allow: {path: /y, method: put}\n"
		  "          - allow: {path: /x, method: GET, query: {a: {any: [p, q]}, b: y}}\n"
		  "filesystem_policy: {read_write: [/tmp/], read_only: [/lib, /usr/, /usr]}\n"
		  "landlock: {compatibility: best_effort}\n"
		  "version: 1\n",
		  second);
	assert_memory_equal(first, second, POLICY_DIGEST_SIZE);
}

/* Each of these must change the digest of the one before it. */
static void every_change_of_meaning_changes_the_digest(void **state)
{
	static const char *const policies[] = {
		"version: 1\n",
		"version: 1\nfilesystem_policy: {}\n",
		"version: 1\nfilesystem_policy: {read_only: [/a]}\n",
		"version: 1\nfilesystem_policy: {read_write: [/a]}\n",
		"version: 1\nfilesystem_policy: {deny: [/a]}\n",
		"version: 1\nlandlock: {compatibility: hard_requirement}\n",
		"version: 1\nprocess: {run_as_user: sandbox}\n",
		"version: 1\nprocess: {run_as_group: sandbox}\n",
		"version: 1\nexec_policy: {}\n",
		"version: 1\nexec_policy: {allow: [/a]}\n",
		"version: 1\nexec_policy: {deny: [/a]}\n",
		"version: 1\nexec_policy: {allow_writable: false}\n",
		"version: 1\nnetwork_policies: {a: {endpoints: [{host: a.b, port: 1}]}}\n",
		"version: 1\nnetwork_policies: {a: {endpoints: [{host: a.b, port: 2}]}}\n",
		"version: 1\nnetwork_policies: {a: {endpoints: [{host: a.b, port: 2, tls: "
		"skip}]}}\n",
		"version: 1\nnetwork_policies: {b: {endpoints: [{host: a.b, port: 2}]}}\n",
		"version: 1\nnetwork_policies: {b: {endpoints: [{host: a.b, port: 2}],"
		" binaries: [{path: /a}]}}\n",
		"version: 1\nnetwork_policies: {b: {endpoints: [{host: a.b, port: 2}],"
		" binaries: [{path: '/a*'}]}}\n",
		"version: 1\nnetwork_policies: {b: {endpoints: [{host: a.b, port: 2, protocol: "
		"rest,"
		" access: full}]}}\n",
		"version: 1\nnetwork_policies: {b: {endpoints: [{host: a.b, port: 2, protocol: "
		"rest,"
		" access: full, enforcement: enforce}]}}\n",
	};
	uint8_t digests[ARRAY_LEN(policies)][POLICY_DIGEST_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		digest_of(policies[i], digests[i]);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(digests[i], digests[j], POLICY_DIGEST_SIZE);
	}
}

static void paths_and_exec(void **state)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled =
		compile("version: 1\n"
			"filesystem_policy:\n"
			"  include_workdir: true\n"
			"  read_only: [/usr//lib/, /srv]\n"
			"  read_write: [/srv/data, /srv, /gone]\n"
			"  deny: [/gone, /srv/.env]\n"
			"exec_policy: {allow: [/usr/bin/**, /bin//sh], allow_writable: false}\n"
			"process: {run_as_user: \"1500\"}\n");
	static const struct {
		const char *path;
		int access;
	} wanted[] = {
		{"/gone", 3}, {"/srv", 1}, {"/srv/.env", 3}, {"/srv/data", 2}, {"/usr/lib", 1}};

	assert_true(compiled->include_workdir);
	assert_int_equal(compiled->n_paths, ARRAY_LEN(wanted));
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		assert_string_equal(compiled->paths[i]->path, wanted[i].path);
		assert_int_equal(compiled->paths[i]->access, wanted[i].access);
	}
	assert_true(compiled->exec->allow_present);
	assert_false(compiled->exec->allow_writable);
	assert_string_equal(compiled->exec->allow[0], "/bin/sh");
	assert_string_equal(compiled->exec->allow[1], "/usr/bin/**");
	assert_string_equal(compiled->run_as_user, "1500");
	assert_string_equal(compiled->run_as_group, "");
}

static void rules_share_binary_sets(void **state)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = compile(
		"version: 1\n"
		"network_policies:\n"
		"  c: {endpoints: [{host: c.d, port: 1}], binaries: [{path: /**}, {path: /x}]}\n"
		"  b: {endpoints: [{host: b.d, port: 1}], binaries: [{path: /y}, {path: '/z/*'}]}\n"
		"  a: {endpoints: [{host: a.d, port: 1}], binaries: [{path: '/z/*'}, {path: /y}]}\n"
		"  unused: {binaries: [{path: /nobody}]}\n");
	const Openshell__Compiled__V1__BinarySet *set;

	assert_int_equal(compiled->n_binary_sets, 2);
	assert_int_equal(compiled->n_endpoints, 3);
	assert_string_equal(compiled->endpoints[0]->rule, "a");
	assert_int_equal(compiled->endpoints[0]->binary_set, compiled->endpoints[1]->binary_set);
	set = compiled->binary_sets[compiled->endpoints[0]->binary_set];
	assert_int_equal(set->n_exact, 1);
	assert_string_equal(set->exact[0], "/y");
	assert_string_equal(set->globs[0], "/z/*");
	assert_true(compiled->binary_sets[compiled->endpoints[2]->binary_set]->any);
}

static void too_many_binary_sets(void **state)
{
	_cleanup_policy_ struct policy *policy = NULL;
	Openshell__Compiled__V1__CompiledPolicy *compiled = (void *)-1;
	_cleanup_free_ char *text = malloc(300 * 100);
	struct error err = {};
	size_t used;

	assert_non_null(text);
	used = (size_t)snprintf(text, 100, "version: 1\nnetwork_policies:\n");
	for (int i = 0; i < 257; i++)
		used += (size_t)snprintf(text + used, 100,
					 "  r%d: {endpoints: [{host: h%d.d, port: 1}], "
					 "binaries: [{path: /b%d}]}\n",
					 i, i, i);
	assert_int_equal(policy_load_buffer("x.yaml", text, used, &policy, NULL, &err), 0);
	assert_int_equal(policy_compile(policy, &compiled, &err), -E2BIG);
	assert_ptr_equal(compiled, (void *)-1);
	assert_int_equal(err.line, 3);
	assert_non_null(strstr(err.message, "257 different lists of binaries"));
}

static void endpoints_are_canonical(void **state)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled =
		compile("version: 1\n"
			"network_policies:\n"
			"  a:\n"
			"    name: shown\n"
			"    endpoints:\n"
			"      - {host: '2001:DB8::0:1', port: 443}\n"
			"      - {port: 8080, allowed_ips: [10.0.0.7, '::ffff:10.1.0.0/112']}\n"
			"      - {host: '*.X.example', ports: [2, 1, 2]}\n"
			"    binaries: [{path: /c}]\n");
	const Openshell__Compiled__V1__Endpoint *endpoint = compiled->endpoints[0];

	assert_string_equal(endpoint->host, "");
	assert_int_equal(endpoint->n_allowed_ips, 2);
	assert_string_equal(endpoint->allowed_ips[0], "10.0.0.7/32");
	assert_string_equal(endpoint->allowed_ips[1], "10.1.0.0/16");
	assert_string_equal(endpoint->rule_name, "shown");
	endpoint = compiled->endpoints[1];
	assert_string_equal(endpoint->host, "*.x.example");
	assert_true(endpoint->host_is_wildcard);
	assert_int_equal(endpoint->n_ports, 2);
	assert_int_equal(endpoint->ports[0], 1);
	endpoint = compiled->endpoints[2];
	assert_string_equal(endpoint->host, "2001:db8::1");
	assert_true(endpoint->host_is_address);
	assert_null(endpoint->l7);
	assert_int_equal(endpoint->protocol, 0);
	assert_false(endpoint->audit);
}

static void inspection_is_complete(void **state)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = compile(
		"version: 1\n"
		"network_policies:\n"
		"  a:\n"
		"    endpoints:\n"
		"      - host: m.example\n"
		"        port: 443\n"
		"        path: /**\n"
		"        protocol: mcp\n"
		"        mcp: {allow_all_known_mcp_methods: true, max_body_bytes: 7}\n"
		"        rules: [{allow: {tool: b}}, {allow: {params: {name: {any: [d, c]}}}}]\n"
		"        deny_rules: [{method: tools/call, tool: x}]\n"
		"        credential_binding: {provider: work}\n"
		"    binaries: [{path: /c}]\n"
		"network_middlewares:\n"
		"  second: {middleware: m, order: 2, endpoints: {include: [B.x, a.x]}}\n"
		"  first: {middleware: m, order: -2, on_error: fail_open,\n"
		"          config: {b: [1, 0.5, yes, null], a: {}}, endpoints: {include: "
		"[a.x]}}\n");
	const Openshell__Compiled__V1__Endpoint *endpoint = compiled->endpoints[0];
	const Openshell__Compiled__V1__L7 *l7 = endpoint->l7;

	assert_true(endpoint->audit);
	assert_string_equal(endpoint->path, "");
	assert_string_equal(endpoint->credential_provider, "work");
	assert_int_equal(l7->max_body_bytes, 7);
	assert_true(l7->strict_tool_names);
	assert_true(l7->all_known_mcp_methods);
	assert_int_equal(l7->n_mcp_versions, 1);
	assert_string_equal(l7->mcp_versions[0], "2025-11-25");
	assert_int_equal(l7->n_allow, 2);
	for (size_t i = 0; i < l7->n_allow; i++)
		assert_string_equal(l7->allow[i]->method, "tools/call");
	assert_string_equal(l7->deny[0]->tools[0], "x");
	assert_string_equal(compiled->middlewares[0]->key, "first");
	assert_true(compiled->middlewares[0]->fail_open);
	assert_string_equal(compiled->middlewares[0]->config,
			    "{\"a\":{},\"b\":[1,0.5,\"yes\",null]}");
	assert_string_equal(compiled->middlewares[1]->include[0], "a.x");
	assert_string_equal(compiled->middlewares[1]->include[1], "b.x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meaning_alone_makes_the_digest),
		cmocka_unit_test(every_change_of_meaning_changes_the_digest),
		cmocka_unit_test(paths_and_exec),
		cmocka_unit_test(rules_share_binary_sets),
		cmocka_unit_test(too_many_binary_sets),
		cmocka_unit_test(endpoints_are_canonical),
		cmocka_unit_test(inspection_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
