/* SPDX-License-Identifier: Apache-2.0 */
#include "l7_fixture.h"

#include "common/policy_inference.h"
#include "compiled_policy.pb-c.h"

#define PB(name) Openshell__Compiled__V1__##name

static const struct os_rule_mask everybody = {{~0ull, ~0ull, ~0ull, ~0ull}};

/* The rules of those endpoints that were selected, such as "a b". */
static const char *selected(const struct l7_fixture *fixture, const char *host, uint16_t port,
			    const struct os_rule_mask *rules)
{
	static char names[1024];
	struct l7_set set;
	size_t size = 0;
	int r = l7_select(fixture->l7, host, port, rules, &set);

	if (r < 0)
		return r == -ENOENT ? "none" : r == -E2BIG ? "too many" : "?";
	for (uint16_t i = 0; i < set.count; i++)
		size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s", i ? " " : "",
					 l7_endpoint_policy(set.endpoint[i])->rule);
	return names;
}

#define RULE(name, endpoint, binary)                                                               \
	"  " name ":\n    endpoints: [" endpoint "]\n    binaries: [{path: " binary "}]\n"

static void selects_by_host_port_and_binary(void **state)
{
	struct os_rule_mask one = {0};
	struct l7_fixture f = {0};
	uint32_t set;

	fixture_load(
		&f,
		"version: 1\nnetwork_policies:\n" RULE(
			"exact", "{host: api.example.org, ports: [443, 8443]}", "/usr/bin/a")
			RULE("star", "{host: '*.example.org', port: 443}", "/usr/bin/a") RULE(
				"part", "{host: 'a*-x.example.org', port: 443}",
				"/usr/bin/b") RULE("deep", "{host: '**.example.org', port: 443}",
						   "/usr/bin/b")
				RULE("inner", "{host: 'x.*.example.org', port: 443}", "/usr/bin/b")
					RULE("v4", "{host: 93.184.216.34, port: 443}", "/usr/bin/a")
						RULE("v6", "{host: '2606:2800::1', port: 443}",
						     "/usr/bin/a")
							RULE("by_address",
							     "{port: 9443, allowed_ips: "
							     "[93.184.0.0/16, '2606:2800::/32']}",
							     "/usr/bin/a"));
	assert_string_equal(selected(&f, "api.example.org", 8443, &everybody), "exact");
	assert_string_equal(selected(&f, "api.example.org", 443, &everybody), "exact deep star");
	assert_string_equal(selected(&f, "a1-x.example.org", 443, &everybody), "deep part star");
	assert_string_equal(selected(&f, "x.y.example.org", 443, &everybody), "deep inner");
	assert_string_equal(selected(&f, "example.org", 443, &everybody), "none");
	assert_string_equal(selected(&f, "api.example.org", 80, &everybody), "none");
	assert_string_equal(selected(&f, "api.example.com", 443, &everybody), "none");
	assert_string_equal(selected(&f, "xexample.org", 443, &everybody), "none");
	assert_string_equal(selected(&f, "93.184.216.34", 443, &everybody), "v4");
	assert_string_equal(selected(&f, "93.184.216.34", 9443, &everybody), "by_address");
	assert_string_equal(selected(&f, "93.185.0.1", 9443, &everybody), "none");
	assert_string_equal(selected(&f, "2606:2800::1", 443, &everybody), "v6");
	assert_string_equal(selected(&f, "2606:2800::7", 9443, &everybody), "by_address");
	/* names are not admitted by address */
	assert_string_equal(selected(&f, "api.example.org", 9443, &everybody), "none");
	assert_string_equal(selected(&f, "", 443, &everybody), "none");

	set = f.compiled->endpoints[0]->binary_set;
	one.word[set / 64] |= 1ull << (set % 64);
	assert_string_equal(selected(&f, "2606:2800::7", 9443, &one), "by_address");
	assert_string_equal(selected(&f, "api.example.org", 443, &one), "exact star");
	one.word[set / 64] = ~one.word[set / 64];
	assert_string_equal(selected(&f, "api.example.org", 443, &one), "deep");
	fixture_free(&f);
}

/* Wildcards never mean it, and no rule admits a request to it: it is answered before. */
static void inference_local_is_nobody_elses(void **state)
{
	static const struct l7_row row = {"POST", "/v1/chat/completions", JSON, "{}", L7_DENIED};
	PB(CompiledPolicy) * plain, *with = NULL;
	struct l7_verdict verdict;
	struct l7_fixture f = {0};
	struct error err = {0};
	struct l7_set set;

	fixture_load(&f, "version: 1\nnetwork_policies:\n" RULE(
				 "wide", "{host: '**.example.local', ports: [80, 443]}", "/**"));
	/* The checks refuse such a pattern. */
	memmove(f.compiled->endpoints[0]->host, "**.local", sizeof("**.local"));
	l7_free(f.l7);
	assert_int_equal(l7_new(f.compiled, &f.l7, &err), 0);
	assert_string_equal(selected(&f, "x.local", 443, &everybody), "wide");
	assert_string_equal(selected(&f, "inference.local", 443, &everybody), "none");
	assert_string_equal(selected(&f, "inference.local", 80, &everybody), "none");
	assert_int_equal(policy_with_inference(f.compiled, &with, &err), 0);
	plain = f.compiled;
	f.compiled = with;
	l7_free(f.l7);
	policy_compiled_free(plain);
	assert_int_equal(l7_new(f.compiled, &f.l7, &err), 0);
	assert_string_equal(selected(&f, "inference.local", 443, &everybody), "inference.local");
	assert_string_equal(selected(&f, "inference.local", 80, &everybody), "none");
	assert_string_equal(selected(&f, "x.inference.local", 443, &everybody), "wide");
	assert_int_equal(l7_select(f.l7, "inference.local", 443, &everybody, &set), 0);
	assert_true(policy_is_inference(l7_endpoint_policy(set.endpoint[0])));
	fixture_ask(&set, &row, false, &verdict);
	fixture_expect(&row, &verdict);
	assert_string_equal(verdict.protocol, "inference");
	fixture_free(&f);
}

static void many_endpoints(void **state)
{
	char lines[4096];
	struct l7_fixture f = {0};
	size_t size = 0;

	for (int i = 0; i < 64; i++)
		size += (size_t)snprintf(lines + size, sizeof(lines) - size,
					 "protocol: rest, access: full, path: /%d\n", i);
	fixture_endpoints(&f, lines);
	assert_int_not_equal(strcmp(selected(&f, "a.example.org", 443, &everybody), "too many"), 0);
	fixture_free(&f);
	snprintf(lines + size, sizeof(lines) - size, "protocol: rest, access: full, path: /x\n");
	fixture_endpoints(&f, lines);
	assert_string_equal(selected(&f, "a.example.org", 443, &everybody), "too many");
	fixture_free(&f);
}

/* The path of the endpoint whose settings hold. */
static void expect_reader(const struct l7_set *set, const char *path, const char *wanted)
{
	struct target target = {.path = fixture_text(path)};

	assert_string_equal(l7_endpoint_policy(l7_endpoint_for(set, &target))->path, wanted);
}

#define READ_ONLY "enforcement: enforce, access: read-only"

static void the_most_specific_path_reads(void **state)
{
	struct l7_fixture f = {0};
	struct l7_set set;

	fixture_endpoints(&f, "protocol: rest, " READ_ONLY "\n"
			      "protocol: rest, " READ_ONLY ", path: '/api/**'\n"
			      "protocol: graphql, " READ_ONLY ", path: /api/graphql\n"
			      "protocol: mcp, enforcement: audit, path: '/m*', "
			      "mcp: {allow_all_known_mcp_methods: true}");
	fixture_select(&f, &set);
	assert_int_equal(set.count, 4);
	expect_reader(&set, "/", "");
	expect_reader(&set, "/api/x", "/api/**");
	expect_reader(&set, "/api/graphql", "/api/graphql");
	expect_reader(&set, "/api/gr%61phql", "/api/graphql");
	expect_reader(&set, "/mcp", "/m*");
	expect_reader(&set, "/m/c/p", "/m*");
	fixture_free(&f);
}

/* Each endpoint that the path selects has to admit the request, by its own protocol. */
static void all_of_them_have_to_admit(void **state)
{
	static const char query[] = "{\"query\": \"{a}\"}",
			  mutation[] = "{\"query\": \"mutation {a}\"}";

	ROWS("protocol: rest, enforcement: enforce, access: read-write\n"
	     "protocol: graphql, " READ_ONLY ", path: /api/graphql\n"
	     "protocol: rest, enforcement: enforce, access: read-write, path: '/api/*', "
	     "deny_rules: [{method: POST, path: '/api/x/*'}]",
	     {"POST", "/y", .outcome = L7_ALLOWED}, {"DELETE", "/y", .outcome = L7_DENIED},
	     {"POST", "/api/y", .outcome = L7_ALLOWED, .rule = "access read-write"},
	     /* selected only if a star crosses: it may deny */
	     {"POST", "/api/x/y", .outcome = L7_DENIED, .rule = "deny POST /api/x/*"},
	     {"POST", "/api/graphql", JSON, query, L7_ALLOWED, "access read-only"},
	     {"POST", "/api/graphql", JSON, mutation, L7_DENIED, "", "mutation of field a"});
	/* and may not admit */
	ROWS("protocol: rest, enforcement: enforce, access: full, path: '/api/*'",
	     {"GET", "/api/x", .outcome = L7_ALLOWED}, {"GET", "/api/x/y", .outcome = L7_DENIED},
	     {"GET", "/api", .outcome = L7_DENIED});
}

static void without_inspection(void **state)
{
	struct l7_row row = {"BREW", "/a%2Fb?x=%f", .outcome = L7_ALLOWED, .rule = ""};
	struct l7_fixture f = {0};
	struct l7_verdict verdict;
	struct l7_set set;

	fixture_endpoints(&f, "tls: skip");
	fixture_select(&f, &set);
	assert_true(l7_allows_encoded_slash(&set));
	fixture_ask(&set, &row, false, &verdict);
	fixture_expect(&row, &verdict);
	assert_string_equal(verdict.protocol, "tcp");
	assert_string_equal(verdict.policy, "p");
	row.method = "TRACE";
	row.outcome = L7_DENIED;
	fixture_ask(&set, &row, false, &verdict);
	fixture_expect(&row, &verdict);
	fixture_free(&f);
}

static void sql_is_not_http(void **state)
{
	ROWS("protocol: sql, enforcement: audit, rules: [{allow: {command: SELECT}}]",
	     {"GET", "/", .outcome = L7_AUDIT,
	      .reason = "p is for protocol sql, and this is HTTP"});
}

/* What the compiler would not have written. */
static void broken_policies(void **state)
{
	struct l7_fixture f = {0};
	struct error err = {0};
	PB(Endpoint) * endpoint;
	struct l7 *l7;
	char *host;

	fixture_endpoints(&f, "protocol: rest, " READ_ONLY);
	endpoint = f.compiled->endpoints[0];
	endpoint->binary_set = OS_RULE_SETS;
	assert_int_equal(l7_new(f.compiled, &l7, &err), -EINVAL);
	endpoint->binary_set = 0;
	endpoint->protocol = OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_TCP;
	assert_int_equal(l7_new(f.compiled, &l7, &err), -EINVAL);
	endpoint->protocol = (PB(Protocol))99;
	assert_int_equal(l7_new(f.compiled, &l7, &err), -EINVAL);
	endpoint->protocol = OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST;
	endpoint->host_is_wildcard = true;
	assert_int_equal(l7_new(f.compiled, &l7, &err), -EINVAL);
	endpoint->host_is_wildcard = false;
	host = endpoint->host;
	endpoint->host = (char *)"";
	assert_int_equal(l7_new(f.compiled, &l7, &err), -EINVAL);
	endpoint->host = host;
	assert_int_equal(l7_new(f.compiled, &l7, &err), 0);
	l7_free(l7);
	l7_free(NULL);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects_by_host_port_and_binary),
		cmocka_unit_test(inference_local_is_nobody_elses),
		cmocka_unit_test(many_endpoints),
		cmocka_unit_test(the_most_specific_path_reads),
		cmocka_unit_test(all_of_them_have_to_admit),
		cmocka_unit_test(without_inspection),
		cmocka_unit_test(sql_is_not_http),
		cmocka_unit_test(broken_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
