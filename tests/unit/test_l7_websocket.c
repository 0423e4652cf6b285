/* SPDX-License-Identifier: Apache-2.0 */
#include "l7_fixture.h"

#define WEBSOCKET "protocol: websocket, enforcement: enforce, "

enum kind {
	UPGRADE,
	TEXT_MESSAGE,
	BINARY_MESSAGE,
	PLAIN,
};

struct row {
	enum kind kind;
	const char *target, *message;
	enum l7_outcome outcome;
	const char *reason;
};

static void ask(const struct l7_set *set, const struct row *row, struct l7_verdict *verdict)
{
	struct l7_row request = {"GET", row->target};
	static struct fixture_target target;
	static uint8_t scratch[262144];
	struct http_head head;

	fixture_head(&request, &head);
	fixture_target(set, row->target, &target);
	switch (row->kind) {
	case UPGRADE:
	case PLAIN:
		l7_request(set, &head, &target.target, row->kind == UPGRADE, verdict);
		return;
	case TEXT_MESSAGE:
		l7_websocket_text(set, &head, &target.target, (const uint8_t *)row->message,
				  row->message ? strlen(row->message) : 0, scratch, sizeof(scratch),
				  verdict);
		return;
	case BINARY_MESSAGE:
		l7_websocket_binary(set, &head, &target.target, verdict);
	}
}

static void rows(const char *endpoints, const struct row *row, size_t count)
{
	struct l7_fixture fixture = {0};
	struct l7_verdict verdict;
	struct l7_set set;

	fixture_endpoints(&fixture, endpoints);
	fixture_select(&fixture, &set);
	for (; count--; row++) {
		struct l7_row expected = {"GET",	row->target, NULL,	 row->message,
					  row->outcome, NULL,	     row->reason};

		ask(&set, row, &verdict);
		fixture_expect(&expected, &verdict);
	}
	fixture_free(&fixture);
}

#undef ROWS
#define ROWS(endpoints, ...)                                                                       \
	do {                                                                                       \
		const struct row _rows[] = {__VA_ARGS__};                                          \
		rows(endpoints, _rows, ARRAY_LEN(_rows));                                          \
	} while (0)

static void rules(void **state)
{
	ROWS(WEBSOCKET
	     "rules: [{allow: {method: GET, path: /rt, query: {model: 'gpt-*'}}}, "
	     "{allow: {method: WEBSOCKET_TEXT, path: /rt}}, "
	     "{allow: {method: '*', path: '/all/**'}}, {allow: {method: GET, path: /r}}], "
	     "deny_rules: [{method: WEBSOCKET_TEXT, path: '/all/not/*'}]",
	     {UPGRADE, "/rt?model=gpt-4", NULL, L7_ALLOWED}, {UPGRADE, "/rt", NULL, L7_DENIED},
	     {PLAIN, "/rt?model=gpt-4", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/rt", "hello", L7_ALLOWED},
	     {BINARY_MESSAGE, "/rt", NULL, L7_DENIED, "WEBSOCKET_BINARY /rt"},
	     {UPGRADE, "/all/x", NULL, L7_ALLOWED}, {TEXT_MESSAGE, "/all/x", "hello", L7_ALLOWED},
	     {BINARY_MESSAGE, "/all/x", NULL, L7_ALLOWED},
	     {UPGRADE, "/all/not/x", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/all/not/x", "hello", L7_DENIED, "p denies WEBSOCKET_TEXT"},
	     {BINARY_MESSAGE, "/all/not/x/y", NULL, L7_DENIED}, {UPGRADE, "/r", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/r", "hello", L7_DENIED, "p does not allow WEBSOCKET_TEXT /r"});
}

static void presets(void **state)
{
	ROWS(WEBSOCKET "access: read-only", {UPGRADE, "/x", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/x", "hello", L7_DENIED}, {BINARY_MESSAGE, "/x", NULL, L7_DENIED});
	ROWS(WEBSOCKET "access: read-write", {UPGRADE, "/x", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/x", "hello", L7_ALLOWED}, {BINARY_MESSAGE, "/x", NULL, L7_ALLOWED});
	ROWS("protocol: websocket, enforcement: audit, access: read-only",
	     {TEXT_MESSAGE, "/x", "hello", L7_AUDIT});
}

/* Other protocols on the way of an upgrade. */
static void other_protocols(void **state)
{
	ROWS("protocol: rest, enforcement: enforce, rules: [{allow: {method: GET, path: /x}}]",
	     {UPGRADE, "/x", NULL, L7_ALLOWED}, {TEXT_MESSAGE, "/x", "hello", L7_DENIED},
	     {BINARY_MESSAGE, "/x", NULL, L7_DENIED});
	ROWS("protocol: rest, enforcement: enforce, websocket_credential_rewrite: true, "
	     "rules: [{allow: {method: GET, path: /x}}], deny_rules: [{method: '*', path: /y}]",
	     {TEXT_MESSAGE, "/x", "hello", L7_ALLOWED}, {TEXT_MESSAGE, "/y", "hello", L7_DENIED});
	ROWS("protocol: rest, enforcement: enforce, access: full",
	     {UPGRADE, "/x", NULL, L7_ALLOWED}, {TEXT_MESSAGE, "/x", "hello", L7_ALLOWED},
	     {BINARY_MESSAGE, "/x", NULL, L7_ALLOWED});
	ROWS("protocol: graphql, enforcement: enforce, access: full",
	     {UPGRADE, "/x", NULL, L7_DENIED, "needs protocol websocket"});
	ROWS("protocol: mcp, enforcement: enforce, mcp: {allow_all_known_mcp_methods: true}",
	     {UPGRADE, "/x", NULL, L7_DENIED, "needs protocol websocket"});
	ROWS("allow_uninspected_credentials: true", {UPGRADE, "/x", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/x", "hello", L7_ALLOWED}, {BINARY_MESSAGE, "/x", NULL, L7_ALLOWED});
}

#define SUBSCRIBE(query)                                                                           \
	"{\"id\": \"1\", \"type\": \"subscribe\", \"payload\": {\"query\": \"" query "\"}}"

static void operations(void **state)
{
	ROWS(WEBSOCKET "rules: [{allow: {method: GET, path: /g}}, {allow: {operation_type: "
		       "subscription, fields: [order]}}], deny_rules: [{operation_type: mutation}]",
	     {UPGRADE, "/g", NULL, L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"connection_init\", \"payload\": {}}", L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"ping\"}", L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"complete\", \"id\": \"1\"}", L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("subscription {order}"), L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("subscription {other}"), L7_DENIED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("mutation {order}"), L7_DENIED, "p denies mutation"},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("{order}"), L7_DENIED},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"start\", \"payload\": {\"query\": \"{a}\"}}",
	      L7_DENIED, "query of field a"},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"subscribe\"}", L7_DENIED},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"next\"}", L7_DENIED, "unknown type"},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"ping\", \"type\": \"start\"}", L7_DENIED, "twice"},
	     {TEXT_MESSAGE, "/g", "{\"type\": \"ping\", \"Type\": \"start\"}", L7_DENIED},
	     {TEXT_MESSAGE, "/g", "hello", L7_DENIED}, {TEXT_MESSAGE, "/g", "", L7_DENIED},
	     {BINARY_MESSAGE, "/g", NULL, L7_DENIED, "text messages only"});
	ROWS(WEBSOCKET "access: full, deny_rules: [{operation_type: mutation}]",
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("subscription {order}"), L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("mutation {order}"), L7_DENIED},
	     {TEXT_MESSAGE, "/g", "hello", L7_DENIED});
	ROWS(WEBSOCKET "access: read-write, deny_rules: [{operation_type: query, fields: [x]}]",
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("{order}"), L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("subscription {order}"), L7_DENIED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("{x}"), L7_DENIED});
	ROWS(WEBSOCKET "rules: [{allow: {method: WEBSOCKET_TEXT, path: '**'}}], "
		       "deny_rules: [{operation_type: mutation}]",
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("{order}"), L7_ALLOWED},
	     {TEXT_MESSAGE, "/g", SUBSCRIBE("mutation {order}"), L7_DENIED});
}

static void expect_inspects(const char *endpoints, const char *raw, bool wanted,
			    uint32_t wanted_max)
{
	static struct fixture_target target;
	struct l7_fixture fixture = {0};
	struct l7_set set;
	uint32_t max;

	fixture_endpoints(&fixture, endpoints);
	fixture_select(&fixture, &set);
	fixture_target(&set, raw, &target);
	assert_int_equal(l7_websocket_inspects(&set, &target.target, &max), wanted);
	assert_int_equal(max, wanted_max);
	fixture_free(&fixture);
}

static void when_messages_are_judged(void **state)
{
	const char *both = "path: /g, " WEBSOCKET "graphql_max_body_bytes: 1000, access: full, "
			   "deny_rules: [{operation_type: mutation}]\n"
			   "protocol: rest, enforcement: enforce, access: full";

	expect_inspects(WEBSOCKET "access: full", "/x", false, 0);
	expect_inspects(WEBSOCKET "access: read-only", "/x", true, 0);
	expect_inspects(WEBSOCKET "rules: [{allow: {method: '*', path: /x}}]", "/x", false, 0);
	expect_inspects(WEBSOCKET "rules: [{allow: {method: WEBSOCKET_TEXT, path: /x}}]", "/x",
			true, 0);
	expect_inspects(both, "/g", true, 1000);
	expect_inspects(both, "/x", false, 0);
}

static void long_messages(void **state)
{
	static const struct target target = {.path = TEXT("/g")};
	struct l7_fixture fixture = {0};
	struct l7_verdict verdict;
	struct l7_set set;

	fixture_endpoints(&fixture, WEBSOCKET "graphql_max_body_bytes: 1000, access: full, "
					      "deny_rules: [{operation_type: mutation}]");
	fixture_select(&fixture, &set);
	l7_websocket_text(&set, NULL, &target, NULL, 1001, NULL, 0, &verdict);
	assert_int_equal(verdict.outcome, L7_DENIED);
	assert_non_null(strstr(verdict.reason, "the message is longer than the 1000 bytes"));
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(presets),
		cmocka_unit_test(other_protocols),
		cmocka_unit_test(operations),
		cmocka_unit_test(when_messages_are_judged),
		cmocka_unit_test(long_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
