/* SPDX-License-Identifier: Apache-2.0 */
#include "l7_fixture.h"

#define MCP "path: /mcp, protocol: mcp, enforcement: enforce, "

#define RULES                                                                                      \
	MCP "mcp: {versions: ['2025-03-26', '2025-11-25']}, rules: [{allow: {method: "             \
	    "initialize}}, {allow: {method: tools/list}}, {allow: {method: tools/call, tool: "     \
	    "{any: [search_web, 'list_*']}}}, {allow: {method: tools/call, params: {name: "        \
	    "read_document}}}], deny_rules: [{method: tools/call, tool: list_secrets}]"

#define POST(body_, ...)                                                                           \
	{                                                                                          \
		"POST", "/mcp", JSON, body_, __VA_ARGS__                                           \
	}
#define CALL(name)                                                                                 \
	"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\", \"params\": {" name "}}"
#define METHOD(name) "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"" name "\"}"
#define INITIALIZE(version)                                                                        \
	"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"initialize\", \"params\": "               \
	"{\"protocolVersion\": \"" version "\"}}"

static void tools(void **state)
{
	ROWS(RULES,
	     POST(CALL("\"name\": \"search_web\", \"arguments\": {\"name\": \"x\"}"), L7_ALLOWED,
		  "allow tools/call list_*|search_web"),
	     POST(CALL("\"name\": \"list_files\""), L7_ALLOWED),
	     POST(CALL("\"name\": \"read_document\""), L7_ALLOWED,
		  "allow tools/call read_document"),
	     POST(CALL("\"name\": \"list_secrets\""), L7_DENIED, "deny tools/call list_secrets",
		  "p denies tools/call list_secrets"),
	     POST(CALL("\"name\": \"list_\\u0073ecrets\""), L7_DENIED,
		  "deny tools/call list_secrets"),
	     POST(CALL("\"name\": \"send_email\""), L7_DENIED, "",
		  "p does not allow tools/call send_email"),
	     POST(CALL("\"name\": \"Search_web\""), L7_DENIED, "", "does not allow"),
	     POST(CALL("\"name\": \"search web\""), L7_DENIED, "", "1 to 128"),
	     POST(CALL("\"name\": \"\""), L7_DENIED, "", "names nothing"),
	     POST(CALL("\"arguments\": {}"), L7_DENIED, "", "names nothing"),
	     POST(CALL("\"name\": \"search_web\", \"name\": \"send_email\""), L7_DENIED, "",
		  "twice"),
	     POST(CALL("\"name\": \"search_web\", \"Name\": \"send_email\""), L7_DENIED, "",
		  "letter case"),
	     POST(CALL("\"name\": [\"search_web\"]"), L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"method\": \"tools/call\", \"params\": "
		  "[\"search_web\"]}",
		  L7_DENIED, "", "no object"),
	     POST(METHOD("tools/call"), L7_DENIED), POST(METHOD("tools/list"), L7_ALLOWED),
	     POST(METHOD("resources/read"), L7_DENIED), POST(METHOD("TOOLS/LIST"), L7_DENIED));
	ROWS(MCP "mcp: {strict_tool_names: false}, rules: [{allow: {method: tools/call, tool: "
		 "'Search the web'}}]",
	     POST(CALL("\"name\": \"Search the web\""), L7_ALLOWED),
	     POST(CALL("\"name\": \"Search the\\nweb\""), L7_DENIED));
	ROWS(MCP "rules: [{allow: {method: 'tools/*'}}], deny_rules: [{method: tools/call, tool: "
		 "'send_*'}]",
	     POST(CALL("\"name\": \"any\""), L7_ALLOWED, "allow tools/*"),
	     POST(CALL("\"name\": \"send_it\""), L7_DENIED), POST(METHOD("tools/list"), L7_ALLOWED),
	     POST(METHOD("tools/a/b"), L7_DENIED), POST(METHOD("prompts/list"), L7_DENIED));
}

static void all_known_methods(void **state)
{
	ROWS(MCP "mcp: {allow_all_known_mcp_methods: true}",
	     POST(CALL("\"name\": \"any\""), L7_ALLOWED, "allow_all_known_mcp_methods"),
	     POST(METHOD("resources/list"), L7_ALLOWED), POST(METHOD("resources/lists"), L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"method\": \"notifications/initialized\"}", L7_ALLOWED));
	ROWS(MCP
	     "mcp: {allow_all_known_mcp_methods: true}, rules: [{allow: {tool: {any: [a, b]}}}]",
	     POST(CALL("\"name\": \"a\""), L7_ALLOWED, "allow tools/call a|b"),
	     POST(CALL("\"name\": \"c\""), L7_DENIED), POST(METHOD("tools/list"), L7_ALLOWED));
}

static void messages(void **state)
{
	ROWS(RULES,
	     POST("[" METHOD("tools/list") "," CALL("\"name\": \"search_web\"") "]", L7_ALLOWED),
	     POST("[" METHOD("tools/list") "," CALL("\"name\": \"send_email\"") "]", L7_DENIED),
	     POST("[]", L7_DENIED, NULL, "empty batch"), POST("[[]]", L7_DENIED),
	     POST("7", L7_DENIED), POST("", L7_DENIED, NULL, "ends too early"),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 3, \"result\": {}}", L7_ALLOWED),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 3, \"error\": {\"code\": 1}}", L7_ALLOWED),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 3, \"error\": {}, \"result\": {}}", L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"result\": {}}", L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\", \"result\": 1}",
		  L7_DENIED, NULL, "both a request and an answer"),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": 5}", L7_DENIED, NULL, "no name"),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": {}, \"method\": \"tools/list\"}", L7_DENIED),
	     POST("{\"id\": 1, \"method\": \"tools/list\"}", L7_DENIED, NULL, "2.0"),
	     POST("{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"tools/list\"}", L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\", \"method\": "
		  "\"x\"}",
		  L7_DENIED, NULL, "twice"),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/list\", \"METHOD\": "
		  "\"x\"}",
		  L7_DENIED, NULL, "letter case"));
}

static void revisions(void **state)
{
	ROWS(RULES, POST(INITIALIZE("2025-11-25"), L7_ALLOWED),
	     POST(INITIALIZE("2025-06-18"), L7_DENIED, NULL, "does not accept revision 2025-06-18"),
	     POST(METHOD("initialize"), L7_DENIED),
	     {"POST", "/mcp", JSON "\nmcp-protocol-version: 2025-03-26", METHOD("tools/list"),
	      L7_ALLOWED},
	     {"POST", "/mcp", JSON "\nmcp-protocol-version: 2024-11-05", METHOD("tools/list"),
	      L7_DENIED},
	     {"POST", "/mcp", JSON "\nmcp-method: tools/list", METHOD("tools/list"), L7_ALLOWED},
	     {"POST", "/mcp", JSON "\nmcp-method: tools/call", METHOD("tools/list"), L7_DENIED},
	     {"POST", "/mcp", JSON "\nmcp-name: search_web", CALL("\"name\": \"search_web\""),
	      L7_ALLOWED},
	     {"POST", "/mcp", JSON "\nmcp-name: send_email", CALL("\"name\": \"search_web\""),
	      L7_DENIED, NULL, "Mcp-Name"});
}

static void sessions(void **state)
{
	ROWS(RULES, {"GET", "/mcp", "accept: text/event-stream", .outcome = L7_ALLOWED},
	     {"GET", "/mcp", .outcome = L7_DENIED, .reason = "text/event-stream"},
	     {"GET", "/mcp", "accept: text/event-stream", "x", L7_DENIED, NULL, "has a body"},
	     {"GET", "/other", "accept: text/event-stream", .outcome = L7_DENIED},
	     {"DELETE", "/mcp", "mcp-session-id: 1", .outcome = L7_ALLOWED},
	     {"DELETE", "/mcp", .outcome = L7_DENIED},
	     {"PUT", "/mcp", JSON, METHOD("tools/list"), L7_DENIED, NULL, "no call"},
	     {"POST", "/mcp", JSON "\nx-http-method: DELETE", METHOD("tools/list"), L7_DENIED},
	     {"POST", "/mcp", "content-type: text/plain", METHOD("tools/list"), L7_DENIED});
}

static void json_rpc(void **state)
{
	const char *endpoint =
		"protocol: json-rpc, enforcement: enforce, json_rpc: {max_body_bytes: 200}, "
		"rules: [{allow: {method: eth_call}}, {allow: {method: eth_get}}], "
		"deny_rules: [{method: eth_get}]";

	ROWS(endpoint, POST(METHOD("eth_call"), L7_ALLOWED, "allow eth_call"),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": null, \"method\": \"eth_call\", \"params\": [1]}",
		  L7_ALLOWED),
	     POST("{\"jsonrpc\": \"2.0\", \"method\": \"eth_call\", \"params\": {\"Name\": 1}}",
		  L7_ALLOWED),
	     POST("{\"jsonrpc\": \"2.0\", \"method\": \"eth_call\", \"params\": 1}", L7_DENIED),
	     POST(METHOD("eth_get"), L7_DENIED, "deny eth_get"),
	     POST(METHOD("eth_send"), L7_DENIED),
	     POST("[" METHOD("eth_call") "," METHOD("eth_send") "]", L7_DENIED),
	     POST("{\"jsonrpc\": \"2.0\", \"id\": 3, \"result\": {}}", L7_DENIED, NULL,
		  "an answer"),
	     {"GET", "/", "accept: text/event-stream", .outcome = L7_DENIED},
	     POST("{\"jsonrpc\": \"2.0\", \"method\": \"eth_call\", \"params\": [\"                "
		  "     "
		  "                                                                              "
		  "                                                                    \"]}",
		  L7_DENIED, NULL, "longer than the 200 bytes"));
	ROWS("protocol: json-rpc, enforcement: enforce, rules: [{allow: {method: '*'}}], "
	     "deny_rules: [{method: rm}]",
	     POST(METHOD("x/y"), L7_ALLOWED), POST(METHOD("rm"), L7_DENIED),
	     POST(METHOD("\\u0072m"), L7_DENIED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tools),    cmocka_unit_test(all_known_methods),
		cmocka_unit_test(messages), cmocka_unit_test(revisions),
		cmocka_unit_test(sessions), cmocka_unit_test(json_rpc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
