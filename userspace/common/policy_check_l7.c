/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allow and deny rules. What a rule may say depends on the endpoint's protocol: one table of
 * matchers per protocol, then each protocol's own constraints.
 */
#include "common/policy_check.h"
#include "common/policy_fields.h"
#include "common/policy_glob.h"
#include "common/policy_words.h"

#include <ctype.h>
#include <string.h>

enum matcher {
	MATCHER_METHOD = 1u << 0,
	MATCHER_PATH = 1u << 1,
	MATCHER_COMMAND = 1u << 2,
	MATCHER_QUERY = 1u << 3,
	MATCHER_OPERATION_TYPE = 1u << 4,
	MATCHER_OPERATION_NAME = 1u << 5,
	MATCHER_FIELDS = 1u << 6,
	MATCHER_TOOL = 1u << 7,
	MATCHER_PARAMS = 1u << 8,
};

#define MATCHERS_REQUEST (MATCHER_METHOD | MATCHER_PATH | MATCHER_QUERY)
#define MATCHERS_GRAPHQL (MATCHER_OPERATION_TYPE | MATCHER_OPERATION_NAME | MATCHER_FIELDS)

struct protocol_rules {
	unsigned int allowed, required;
};

static const struct protocol_rules protocol_rules[] = {
	[POLICY_PROTOCOL_REST] = {MATCHERS_REQUEST, MATCHER_METHOD | MATCHER_PATH},
	[POLICY_PROTOCOL_WEBSOCKET] = {MATCHERS_REQUEST | MATCHERS_GRAPHQL, 0},
	[POLICY_PROTOCOL_GRAPHQL] = {MATCHERS_GRAPHQL, MATCHER_OPERATION_TYPE},
	[POLICY_PROTOCOL_MCP] = {MATCHER_METHOD | MATCHER_TOOL | MATCHER_PARAMS, 0},
	[POLICY_PROTOCOL_JSON_RPC] = {MATCHER_METHOD, MATCHER_METHOD},
	[POLICY_PROTOCOL_SQL] = {MATCHER_COMMAND, MATCHER_COMMAND},
};

struct l7_check {
	const struct policy_endpoint *endpoint;
	struct diagnostics *diag;
};

struct given_matcher {
	unsigned int bit;
	const char *name;
	struct policy_place at;
};

#define MATCHER_COUNT 9

static void list_matchers(const struct policy_l7_rule *rule, struct given_matcher *ret_matchers)
{
	const struct given_matcher all[MATCHER_COUNT] = {
		{MATCHER_METHOD, "method", rule->method.at},
		{MATCHER_PATH, "path", rule->path.at},
		{MATCHER_COMMAND, "command", rule->command.at},
		{MATCHER_QUERY, "query", rule->query.at},
		{MATCHER_OPERATION_TYPE, "operation_type", rule->operation_type.at},
		{MATCHER_OPERATION_NAME, "operation_name", rule->operation_name.at},
		{MATCHER_FIELDS, "fields", rule->fields.at},
		{MATCHER_TOOL, "tool", rule->tool.head.at},
		{MATCHER_PARAMS, "params", rule->params.at},
	};

	memcpy(ret_matchers, all, sizeof(all));
}

static unsigned int given_matchers(const struct policy_l7_rule *rule)
{
	struct given_matcher matchers[MATCHER_COUNT];
	unsigned int given = 0;

	list_matchers(rule, matchers);
	for (size_t i = 0; i < MATCHER_COUNT; i++)
		given |= matchers[i].at.line ? matchers[i].bit : 0;
	return given;
}

static void check_matchers(const struct l7_check *check, const struct policy_l7_rule *rule)
{
	const struct protocol_rules *rules = &protocol_rules[check->endpoint->protocol.value];
	struct given_matcher matchers[MATCHER_COUNT];

	list_matchers(rule, matchers);
	for (size_t i = 0; i < MATCHER_COUNT; i++) {
		const struct given_matcher *matcher = &matchers[i];

		if (matcher->at.line && !(rules->allowed & matcher->bit))
			policy_error(check->diag, matcher->at, "rule.matcher",
				     "'%s' matches nothing in protocol %s", matcher->name,
				     policy_protocol_name(check->endpoint));
		if (!matcher->at.line && (rules->required & matcher->bit))
			policy_error(check->diag, rule->head.at, "rule.matcher",
				     "a rule of protocol %s needs '%s'",
				     policy_protocol_name(check->endpoint), matcher->name);
	}
}

/* RFC 9110 section 5.6.2, less the characters that only confuse. */
static bool is_method(const char *text)
{
	if (!isalpha((unsigned char)*text))
		return false;
	while (isalnum((unsigned char)*text) || *text == '-' || *text == '_')
		text++;
	return !*text;
}

static bool is_word(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcasecmp(*words, text))
			return true;
	return false;
}

static void check_http_method(const struct l7_check *check, const struct policy_string *method)
{
	const char *near;

	if (!method->value || !strcmp(method->value, "*"))
		return;
	if (!is_method(method->value)) {
		policy_error(
			check->diag, method->at, "rule.method",
			"method '%s' is not a method: write one, such as GET, or \"*\" for all",
			method->value);
	} else if (!strcasecmp(method->value, "WEBSOCKET_TEXT")) {
		policy_error(check->diag, method->at, "rule.method",
			     "method WEBSOCKET_TEXT needs protocol websocket");
	} else if (!is_word(method->value, policy_words_http_method)) {
		near = policy_word_nearest(method->value, policy_words_http_method);
		if (near)
			policy_warning(check->diag, method->at, "rule.method",
				       "method '%s' is unusual (did you mean '%s'?)", method->value,
				       near);
	}
}

static void check_path(const struct l7_check *check, const struct policy_string *path)
{
	const char *stars;

	if (!path->value)
		return;
	if (path->value[0] != '/' && strncmp(path->value, "**", 2)) {
		policy_error(check->diag, path->at, "rule.path",
			     "path '%s' must begin with '/' or '**'", path->value);
		return;
	}
	if (!policy_check_glob(path, path->value, check->diag))
		return;
	for (stars = strstr(path->value, "**"); stars; stars = strstr(stars + 2, "**"))
		if ((stars != path->value && stars[-1] != '/') || (stars[2] && stars[2] != '/')) {
			policy_warning(check->diag, path->at, "rule.path",
				       "'**' beside other characters in '%s' is read as '*' where "
				       "it would allow more",
				       path->value);
			return;
		}
}

static void check_globs(const struct l7_check *check, const struct policy_strings *globs,
			const char *name)
{
	for (size_t i = 0; i < globs->count; i++)
		policy_check_glob(&globs->items[i], name, check->diag);
}

static void check_query(const struct l7_check *check, const struct policy_list *query)
{
	const struct policy_matcher *matchers = query->items;

	for (size_t i = 0; i < query->count; i++)
		check_globs(check, &matchers[i].globs, matchers[i].head.key);
}

/* GraphQL's Name: https://spec.graphql.org/October2021/#Name, as a glob. */
static void check_graphql_name(const struct l7_check *check, const struct policy_string *name,
			       const char *what)
{
	if (!name->value || !policy_check_glob(name, what, check->diag))
		return;
	for (const char *c = name->value; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_*?[]!^-", *c)) {
			policy_error(check->diag, name->at, "rule.graphql",
				     "'%s' cannot be '%s': a GraphQL name or a glob of one", what,
				     name->value);
			return;
		}
	if (!*name->value)
		policy_error(check->diag, name->at, "rule.graphql", "'%s' is empty", what);
}

static void check_graphql(const struct l7_check *check, const struct policy_l7_rule *rule)
{
	check_graphql_name(check, &rule->operation_name, "operation_name");
	for (size_t i = 0; i < rule->fields.count; i++)
		check_graphql_name(check, &rule->fields.items[i], "fields");
}

static void check_websocket(const struct l7_check *check, const struct policy_l7_rule *rule)
{
	unsigned int given = given_matchers(rule);
	const char *method = rule->method.value;

	if ((given & MATCHERS_REQUEST) && (given & MATCHERS_GRAPHQL)) {
		policy_error(check->diag, rule->head.at, "rule.websocket",
			     "a websocket rule matches either the connection (method, path, query) "
			     "or GraphQL operations, not both");
		return;
	}
	if (given & MATCHERS_GRAPHQL) {
		if (!(given & MATCHER_OPERATION_TYPE))
			policy_error(check->diag, rule->head.at, "rule.websocket",
				     "a GraphQL rule needs 'operation_type'");
		return;
	}
	if (!(given & MATCHER_METHOD) || !(given & MATCHER_PATH))
		policy_error(check->diag, rule->head.at, "rule.websocket",
			     "a websocket rule needs 'method' and 'path', or 'operation_type'");
	if (method && strcasecmp(method, "GET") && strcasecmp(method, "WEBSOCKET_TEXT") &&
	    strcmp(method, "*"))
		policy_error(check->diag, rule->method.at, "rule.websocket",
			     "method '%s' of a websocket rule must be GET, WEBSOCKET_TEXT or \"*\"",
			     method);
}

static void check_json_rpc(const struct l7_check *check, const struct policy_string *method)
{
	if (method->value && !*method->value)
		policy_error(check->diag, method->at, "rule.method", "'method' is empty");
	else if (method->value && strcmp(method->value, "*") &&
		 policy_glob_is_pattern(method->value))
		policy_error(check->diag, method->at, "rule.method",
			     "method '%s' must be exact, or \"*\" for all: JSON-RPC methods are "
			     "not globs",
			     method->value);
}

static bool is_tool_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > 128)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}

static bool mcp_is_strict(const struct policy_endpoint *endpoint)
{
	const struct policy_bool *strict = &endpoint->mcp.strict_tool_names;

	return !policy_given(*strict) || strict->value;
}

static void check_tool(const struct l7_check *check, const struct policy_strings *globs)
{
	for (size_t i = 0; i < globs->count; i++) {
		const struct policy_string *glob = &globs->items[i];
		bool pattern = policy_glob_is_pattern(glob->value);

		if (!policy_check_glob(glob, "tool", check->diag))
			continue;
		if (pattern && !mcp_is_strict(check->endpoint))
			policy_error(check->diag, glob->at, "rule.tool",
				     "tool '%s' is a glob, which needs 'strict_tool_names: true'",
				     glob->value);
		else if (!pattern && mcp_is_strict(check->endpoint) && !is_tool_name(glob->value))
			policy_error(
				check->diag, glob->at, "rule.tool",
				"tool '%s' can never match: with strict tool names a name is 1 "
				"to 128 letters, digits, '_', '.' or '-'",
				glob->value);
	}
}

static void check_mcp_method(const struct l7_check *check, const struct policy_string *method)
{
	const char *near;

	if (!method->value)
		return;
	if (!*method->value)
		policy_error(check->diag, method->at, "rule.method", "'method' is empty");
	else if (!policy_glob_is_pattern(method->value)) {
		near = policy_word_nearest(method->value, policy_words_mcp_method);
		if (near && strcmp(near, method->value))
			policy_warning(check->diag, method->at, "rule.method",
				       "method '%s' is not one of MCP's own (did you mean '%s'?)",
				       method->value, near);
	} else if (strncmp(method->value, "tools/", 6)) {
		policy_error(check->diag, method->at, "rule.method",
			     "method '%s' must be exact: MCP allows a glob in tools/* only",
			     method->value);
	} else {
		policy_check_glob(method, method->value, check->diag);
	}
}

static void check_mcp(const struct l7_check *check, const struct policy_l7_rule *rule)
{
	const struct policy_matcher *params = rule->params.items;
	bool all_known = check->endpoint->mcp.allow_all_known_mcp_methods.value;
	bool by_tool = policy_given(rule->tool.head) || rule->params.count;

	check_mcp_method(check, &rule->method);
	check_tool(check, &rule->tool.globs);
	for (size_t i = 0; i < rule->params.count; i++) {
		if (strcmp(params[i].head.key, "name"))
			policy_error(check->diag, params[i].head.at, "rule.params",
				     "'params.%s' would not be enforced: only 'params.name', the "
				     "tool, is matched",
				     params[i].head.key);
		else
			check_tool(check, &params[i].globs);
	}
	if (policy_given(rule->tool.head) && policy_given(rule->params))
		policy_error(check->diag, rule->params.at, "rule.params",
			     "'tool' and 'params' say the same thing: write 'tool'");
	if (!policy_given(rule->method) && !(all_known && by_tool))
		policy_error(check->diag, rule->head.at, "rule.matcher",
			     "a rule of protocol mcp needs 'method'");
	if (by_tool && rule->method.value && strcmp(rule->method.value, "tools/call"))
		policy_error(check->diag, rule->method.at, "rule.tool",
			     "'tool' matches in 'method: tools/call' only, not in '%s'",
			     rule->method.value);
}

static void check_rule(const struct l7_check *check, const struct policy_l7_rule *rule)
{
	check_matchers(check, rule);
	switch (check->endpoint->protocol.value) {
	case POLICY_PROTOCOL_REST:
		check_http_method(check, &rule->method);
		check_path(check, &rule->path);
		check_query(check, &rule->query);
		break;
	case POLICY_PROTOCOL_WEBSOCKET:
		check_websocket(check, rule);
		check_path(check, &rule->path);
		check_query(check, &rule->query);
		check_graphql(check, rule);
		break;
	case POLICY_PROTOCOL_GRAPHQL:
		check_graphql(check, rule);
		break;
	case POLICY_PROTOCOL_MCP:
		check_mcp(check, rule);
		break;
	case POLICY_PROTOCOL_JSON_RPC:
		check_json_rpc(check, &rule->method);
		break;
	case POLICY_PROTOCOL_SQL:
		if (rule->command.value && !is_method(rule->command.value) &&
		    strcmp(rule->command.value, "*"))
			policy_error(check->diag, rule->command.at, "rule.command",
				     "command '%s' must be one word, such as SELECT, or \"*\"",
				     rule->command.value);
		break;
	default:
		break;
	}
}

/* A rule for all of tools/call beside rules for some tools makes those say nothing. */
static void check_tool_shadowing(const struct l7_check *check)
{
	const struct policy_allow *rules = check->endpoint->rules.items;
	const struct policy_allow *broad = NULL, *narrow = NULL;

	for (size_t i = 0; i < check->endpoint->rules.count; i++) {
		const struct policy_l7_rule *rule = &rules[i].allow;

		if (policy_given(rule->tool.head) || rule->params.count)
			narrow = &rules[i];
		else if (rule->method.value &&
			 policy_glob_match(rule->method.value, "tools/call", '/', 0))
			broad = &rules[i];
	}
	if (broad && narrow)
		policy_error(check->diag, broad->head.at, "rule.tool",
			     "this rule allows every tool, so the rule for single tools in line %d "
			     "would have no effect: keep one of them",
			     narrow->head.at.line);
}

static void check_persisted(const struct l7_check *check)
{
	const struct policy_endpoint *endpoint = check->endpoint;
	const struct policy_list *list = &endpoint->graphql_persisted_queries;
	const struct policy_graphql_operation *operations = list->items;
	bool registered = endpoint->persisted_queries.value == POLICY_PERSISTED_ALLOW_REGISTERED;

	for (size_t i = 0; i < list->count; i++) {
		if (!policy_given(operations[i].operation_type))
			policy_error(check->diag, operations[i].head.at, "endpoint.persisted",
				     "persisted query '%s' needs 'operation_type'",
				     operations[i].head.key);
		else if (operations[i].operation_type.value == POLICY_OPERATION_ANY)
			policy_error(check->diag, operations[i].operation_type.at,
				     "endpoint.persisted",
				     "a persisted query has one 'operation_type': query, mutation "
				     "or subscription");
		check_graphql_name(check, &operations[i].operation_name, "operation_name");
		for (size_t j = 0; j < operations[i].fields.count; j++)
			check_graphql_name(check, &operations[i].fields.items[j], "fields");
	}
	if (registered && !list->count)
		policy_warning(check->diag, endpoint->persisted_queries.at, "endpoint.persisted",
			       "no query is registered in 'graphql_persisted_queries', so none is "
			       "allowed");
	if (list->count && !registered)
		policy_warning(check->diag, list->at, "endpoint.persisted",
			       "the registered queries are denied too without "
			       "'persisted_queries: allow_registered'");
}

static void check_limits(const struct l7_check *check)
{
	const struct policy_endpoint *endpoint = check->endpoint;
	const struct policy_strings *versions = &endpoint->mcp.versions;
	struct policy_place other = policy_given(endpoint->mcp.max_body_bytes)
					    ? endpoint->mcp.max_body_bytes.at
					    : endpoint->json_rpc.max_body_bytes.at;

	if (policy_given(endpoint->json_rpc_max_body_bytes) && other.line)
		policy_error(check->diag, other, "endpoint.body-limit",
			     "'max_body_bytes' and 'json_rpc_max_body_bytes' set the same limit: "
			     "keep one");
	for (size_t i = 0; i < versions->count; i++) {
		const char *version = versions->items[i].value;

		if (!is_word(version, policy_words_mcp_version))
			policy_error(check->diag, versions->items[i].at, "endpoint.mcp-version",
				     "'%s' is not an MCP revision that can be inspected: "
				     "2025-03-26, 2025-06-18, 2025-11-25 or 2026-07-28",
				     version);
	}
}

void policy_check_l7(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct l7_check check = {endpoint, diag};
	const struct policy_allow *rules = endpoint->rules.items;
	const struct policy_l7_rule *deny_rules = endpoint->deny_rules.items;

	if (!policy_is_inspected(endpoint))
		return;
	for (size_t i = 0; i < endpoint->rules.count; i++)
		if (policy_given(rules[i].allow.head))
			check_rule(&check, &rules[i].allow);
	for (size_t i = 0; i < endpoint->deny_rules.count; i++)
		check_rule(&check, &deny_rules[i]);
	if (endpoint->protocol.value == POLICY_PROTOCOL_MCP)
		check_tool_shadowing(&check);
	check_persisted(&check);
	check_limits(&check);
}
