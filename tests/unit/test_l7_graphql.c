/* SPDX-License-Identifier: Apache-2.0 */
#include "l7_fixture.h"

#define GRAPHQL "path: /graphql, protocol: graphql, enforcement: enforce, "

#define RULES                                                                                      \
	GRAPHQL "rules: [{allow: {operation_type: query}}, {allow: {operation_type: mutation, "    \
		"operation_name: 'Create*', fields: [createIssue, 'add*']}}], "                    \
		"deny_rules: [{operation_type: query, fields: [secrets]}]"

#define POST(body_, ...)                                                                           \
	{                                                                                          \
		"POST", "/graphql", JSON, body_, __VA_ARGS__                                       \
	}

static void operations(void **state)
{
	ROWS(RULES, POST("{\"query\": \"{viewer {login}}\"}", L7_ALLOWED, "allow query"),
	     POST("{\"query\": \"query A($x: Int = 1) @d {a: viewer(id: $x) {secrets}}\"}",
		  L7_ALLOWED, "allow query"),
	     POST("{\"query\": \"{viewer secrets}\"}", L7_DENIED, "deny query {secrets}",
		  "p denies query of field viewer, secrets"),
	     POST("{\"query\": \"{harmless: secrets}\"}", L7_DENIED, "deny query {secrets}"),
	     POST("{\"query\": \"{secrets: viewer}\"}", L7_ALLOWED, "allow query"),
	     POST("{\"query\": \"{...F} fragment F on Query {...on Query {...G}} "
		  "fragment G on Query {secrets}\"}",
		  L7_DENIED, "deny query {secrets}"),
	     POST("{\"query\": \"{a @skip(if: true) secrets @include(if: false)}\"}", L7_DENIED),
	     POST("{\"query\": \"mutation CreateA {createIssue(x: {y: [1.5e3 \\\"s\\\"]}) {id} "
		  "addLabel}\"}",
		  L7_ALLOWED, "allow mutation Create* {add* createIssue}"),
	     POST("{\"query\": \"mutation CreateA {createIssue deleteIssue}\"}", L7_DENIED, "",
		  "p does not allow mutation CreateA of field createIssue, deleteIssue"),
	     POST("{\"query\": \"mutation {createIssue}\"}", L7_DENIED),
	     POST("{\"query\": \"mutation DeleteA {createIssue}\"}", L7_DENIED),
	     POST("{\"query\": \"subscription {viewer}\"}", L7_DENIED));
}

static void presets(void **state)
{
	ROWS(GRAPHQL "access: read-only",
	     POST("{\"query\": \"{a}\"}", L7_ALLOWED, "access read-only"),
	     POST("{\"query\": \"mutation {a}\"}", L7_DENIED),
	     POST("{\"query\": \"subscription {a}\"}", L7_DENIED));
	ROWS(GRAPHQL "access: read-write", POST("{\"query\": \"{a}\"}", L7_ALLOWED),
	     POST("{\"query\": \"mutation {a}\"}", L7_ALLOWED),
	     POST("{\"query\": \"subscription {a}\"}", L7_DENIED));
	ROWS(GRAPHQL "access: full", POST("{\"query\": \"subscription {a}\"}", L7_ALLOWED),
	     POST("{\"query\": \"what?\"}", L7_DENIED));
}

static void chosen_operation(void **state)
{
	ROWS(RULES,
	     POST("{\"query\": \"query A {a} mutation B {b}\", \"operationName\": \"A\"}",
		  L7_ALLOWED),
	     POST("{\"query\": \"query A {a} mutation B {b}\", \"operationName\": \"B\"}",
		  L7_DENIED, "", "mutation B of field b"),
	     POST("{\"query\": \"query A {a} mutation B {b}\"}", L7_DENIED, NULL,
		  "does not say which"),
	     POST("{\"query\": \"query A {a} query B {b}\", \"operationName\": null}", L7_DENIED),
	     POST("{\"query\": \"query A {a}\", \"operationName\": null}", L7_ALLOWED),
	     POST("{\"query\": \"query A {a}\", \"operationName\": \"B\"}", L7_DENIED),
	     POST("{\"query\": \"query A {a}\", \"operationName\": \"\"}", L7_DENIED),
	     POST("{\"query\": \"{a} mutation B {b}\", \"operationName\": \"B\"}", L7_DENIED, NULL,
		  "anonymous"));
}

static void batches(void **state)
{
	ROWS(RULES, POST("[{\"query\": \"{a}\"}, {\"query\": \"{b}\"}]", L7_ALLOWED),
	     POST("[{\"query\": \"{a}\"}, {\"query\": \"mutation {b}\"}]", L7_DENIED),
	     POST("[{\"query\": \"{a}\"}, {}]", L7_DENIED, NULL, "has no query"),
	     POST("[]", L7_DENIED, NULL, "empty batch"),
	     POST("[1]", L7_DENIED, NULL, "is no object"),
	     POST("[[{\"query\": \"{a}\"}]]", L7_DENIED), POST("\"{a}\"", L7_DENIED));
}

/* Two servers must not find two requests in one body. */
static void two_meanings(void **state)
{
	ROWS(RULES,
	     POST("{\"query\": \"{a}\", \"query\": \"mutation {b}\"}", L7_DENIED, NULL,
		  "a name twice"),
	     POST("{\"query\": \"{a}\", \"\\u0071uery\": \"mutation {b}\"}", L7_DENIED, NULL,
		  "a name twice"),
	     POST("{\"\\u0071uery\": \"mutation {b}\"}", L7_DENIED, NULL, "mutation of field b"),
	     POST("{\"query\": \"{a}\", \"Query\": \"mutation {b}\"}", L7_DENIED, NULL,
		  "letter case"),
	     POST("{\"query\": \"{a}\", \"operationname\": \"B\"}", L7_DENIED, NULL, "letter case"),
	     POST("{\"query\": \"{a}\", \"exten\305\277ions\": {}}", L7_DENIED, NULL,
		  "letter case"),
	     POST("\357\273\277{\"query\": \"{a}\"}", L7_DENIED, NULL, "not JSON"),
	     POST("{\"query\": \"\\ufeff{a}\"}", L7_DENIED),
	     POST("{\"query\": \"{a}\", \"x\": \"\\ud800\"}", L7_DENIED, NULL, "surrogate"),
	     POST("{\"query\": \"{a}\", \"x\": \"\377\"}", L7_DENIED, NULL, "UTF-8"),
	     POST("{\"query\": \"{a}\\u0000\"}", L7_DENIED, NULL, "control character"),
	     POST("{\"query\": [\"{a}\"]}", L7_DENIED, NULL, "no string"),
	     POST("{\"query\": \"{a}\"} x", L7_DENIED, NULL, "after its end"));
	ROWS(RULES, {"POST", "/graphql", NULL, "{\"query\": \"{a}\"}", L7_DENIED, NULL, "type"},
	     {"POST", "/graphql", "content-type: application/x-www-form-urlencoded",
	      "{\"query\": \"{a}\"}", L7_DENIED, NULL, "not of type"},
	     {"POST", "/graphql", JSON "\n" JSON, "{\"query\": \"{a}\"}", L7_DENIED, NULL,
	      "two types"},
	     {"POST", "/graphql", JSON ";charset=utf-16", "{\"query\": \"{a}\"}", L7_DENIED},
	     {"POST", "/graphql", JSON "; Charset=UTF-8", "{\"query\": \"{a}\"}", L7_ALLOWED},
	     {"POST", "/graphql", JSON "\ncontent-encoding: gzip", "x", L7_DENIED, NULL,
	      "compressed"},
	     {"POST", "/graphql?query=mutation%7Bb%7D", JSON, "{\"query\": \"{a}\"}", L7_DENIED,
	      NULL, "in its URL"},
	     {"POST", "/graphql?Operationname=B", JSON, "{\"query\": \"{a}\"}", L7_DENIED},
	     {"POST", "/graphql?v=1&x", JSON, "{\"query\": \"{a}\"}", L7_ALLOWED},
	     {"POST", "/graphql", JSON "\nx-http-method-override: GET", "{\"query\": \"{a}\"}",
	      L7_DENIED});
}

static void in_the_url(void **state)
{
	ROWS(RULES, {"GET", "/graphql?query=%7Ba%7D", .outcome = L7_ALLOWED, .rule = "allow query"},
	     {"GET", "/graphql?query={a}&variables={}&operationName=", .outcome = L7_DENIED},
	     {"GET", "/graphql?query=query+A{a}+mutation+B{b}&operationName=B",
	      .outcome = L7_DENIED, .reason = "mutation B"},
	     {"GET", "/graphql?query=query+A{a}+mutation+B{b}&operationName=A",
	      .outcome = L7_ALLOWED},
	     {"GET", "/graphql?query={a}&query=mutation{b}", .outcome = L7_DENIED,
	      .reason = "twice"},
	     {"GET", "/graphql?query={a}&QUERY=mutation{b}", .outcome = L7_DENIED},
	     {"GET", "/graphql?query={a}&q%75ery=mutation{b}", .outcome = L7_DENIED},
	     {"GET", "/graphql?query={a}%ff", .outcome = L7_DENIED, .reason = "UTF-8"},
	     {"GET", "/graphql?query={a}%f", .outcome = L7_DENIED, .reason = "cannot be read"},
	     {"GET", "/graphql", .outcome = L7_DENIED, .reason = "has no query"},
	     {"GET", "/graphql?query={a}", NULL, "{\"query\": \"mutation {b}\"}", L7_DENIED, NULL,
	      "has a body"},
	     {"HEAD", "/graphql?query={a}", .outcome = L7_DENIED, .reason = "no operation"},
	     {"PUT", "/graphql", JSON, "{\"query\": \"{a}\"}", L7_DENIED});
}

#define HASH "4cc8d5d2c9e3d2c6a0a0b3c2f0e9d7a5b1c4e8f7a6d5c4b3a2918070605040f0"

static void persisted_queries(void **state)
{
	ROWS(RULES, POST("{\"id\": \"abc\"}", L7_DENIED, NULL, "no registered query abc"),
	     POST("{\"extensions\": {\"persistedQuery\": {\"sha256Hash\": \"" HASH "\"}}}",
		  L7_DENIED, NULL, "no registered query"));
	ROWS(GRAPHQL "persisted_queries: allow_registered, graphql_persisted_queries: "
		     "{abc: {operation_type: query, operation_name: Viewer, fields: [viewer]}, "
		     "bare: {operation_type: query}, 'sha256:" HASH
		     "': {operation_type: mutation, fields: [drop]}}, "
		     "rules: [{allow: {operation_type: query, operation_name: 'V*'}}, "
		     "{allow: {operation_type: query, fields: [a]}}]",
	     POST("{\"id\": \"abc\"}", L7_ALLOWED, "allow query V*"),
	     POST("{\"documentId\": \"abc\", \"operationName\": \"Viewer\"}", L7_ALLOWED),
	     POST("{\"id\": \"abc\", \"operationName\": \"Other\"}", L7_DENIED),
	     POST("{\"id\": \"abcd\"}", L7_DENIED), POST("{\"id\": 5}", L7_DENIED),
	     POST("{\"id\": \"abc\", \"doc_id\": \"abc\"}", L7_DENIED, NULL, "two ids"),
	     POST("{\"id\": \"abc\", \"query\": \"{a}\"}", L7_DENIED, NULL, "both"),
	     /* nothing is known of its fields, so nothing that asks for them allows it */
	     POST("{\"id\": \"bare\"}", L7_DENIED, ""),
	     POST("{\"extensions\": {\"persistedQuery\": {\"version\": 1, \"sha256Hash\": \"" HASH
		  "\"}}}",
		  L7_DENIED, "", "mutation of field drop"),
	     {"GET", "/graphql?extensions={%22persistedQuery%22:{%22sha256Hash%22:%22" HASH "%22}}",
	      .outcome = L7_DENIED, .reason = "mutation of field drop"},
	     {"GET", "/graphql?id=abc", .outcome = L7_ALLOWED},
	     {"GET", "/graphql?id=abc&extensions={%22a%22:1,%22a%22:2}", .outcome = L7_DENIED,
	      .reason = "twice"},
	     /* offering a query for later: sha256("{a}") */
	     POST("{\"query\": \"{a}\", \"extensions\": {\"persistedQuery\": {\"sha256Hash\": "
		  "\"8b6b2a4a4d6a4a0e\"}}}",
		  L7_DENIED, NULL, "hash of another one"),
	     POST("{\"query\": \"{a}\", \"extensions\": {\"persistedQuery\": {\"sha256Hash\": "
		  "\"460c3a93211614ac783c0f1d1bbbcb45a6da87d6421b5c0771772588f1015ff8\"}}}",
		  L7_ALLOWED, "allow query {a}"),
	     POST("{\"query\": \"{a}\", \"extensions\": {\"persistedquery\": {}}}", L7_DENIED, NULL,
		  "letter case"));
	ROWS(GRAPHQL "persisted_queries: allow_registered, graphql_persisted_queries: "
		     "{bare: {operation_type: query}}, access: full, "
		     "deny_rules: [{operation_type: query, fields: [secrets]}]",
	     POST("{\"id\": \"bare\"}", L7_DENIED, "deny query {secrets}"));
}

static void limits(void **state)
{
	struct l7_row row = {"POST", "/graphql", JSON, NULL, L7_DENIED};
	static char body[100000];
	size_t size;

	memset(body, ' ', sizeof(body) - 1);
	memcpy(body, "{\"query\": \"{a}\"}", 16);
	row.body = body;
	row.reason = "longer than the 65536 bytes";
	fixture_rows(RULES, &row, 1);
	body[65536] = '\0';
	row.outcome = L7_ALLOWED;
	row.reason = NULL;
	fixture_rows(RULES, &row, 1);
	fixture_rows(GRAPHQL "graphql_max_body_bytes: 70000, access: full", &row, 1);
	body[65536] = ' ';
	row.outcome = L7_AUDIT;
	fixture_rows("protocol: graphql, enforcement: audit, access: full", &row, 1);
	size = (size_t)snprintf(body, sizeof(body), "{\"query\": \"");
	for (int i = 0; i < 100; i++)
		size += (size_t)snprintf(body + size, sizeof(body) - size, "{a");
	row.outcome = L7_DENIED;
	row.reason = "too deeply";
	snprintf(body + size, sizeof(body) - size, "\"}");
	fixture_rows(RULES, &row, 1);
	size = (size_t)snprintf(body, sizeof(body), "{\"query\": \"{");
	for (int i = 0; i < 300; i++)
		size += (size_t)snprintf(body + size, sizeof(body) - size, "a%d ", i);
	row.reason = "too many fields";
	snprintf(body + size, sizeof(body) - size, "}\"}");
	fixture_rows(RULES, &row, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations),	     cmocka_unit_test(presets),
		cmocka_unit_test(chosen_operation),  cmocka_unit_test(batches),
		cmocka_unit_test(two_meanings),	     cmocka_unit_test(in_the_url),
		cmocka_unit_test(persisted_queries), cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
