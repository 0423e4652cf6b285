/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_compile_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compile_query(struct arena *arena, const struct policy_list *query, PB(L7Rule) * message)
{
	const struct policy_matcher *matchers = query->items;

	if (!query->count)
		return 0;
	message->query = arena_alloc_array(arena, query->count, sizeof(*message->query));
	if (!message->query)
		return -ENOMEM;
	for (size_t i = 0; i < query->count; i++) {
		PB(Matcher) *matcher = new_message(arena, MATCHER, Matcher);

		if (!matcher)
			return -ENOMEM;
		matcher->key = compile_as_is(arena, matchers[i].head.key);
		if (!matcher->key || compile_strings(arena, &matchers[i].globs, compile_as_is,
						     &matcher->globs, &matcher->n_globs) < 0)
			return -ENOMEM;
		message->query[message->n_query++] = matcher;
	}
	return compile_sort(arena, (ProtobufCMessage **)message->query, &message->n_query);
}

/* `tool` and its lower-level spelling `params.name` are one matcher. */
static int compile_tools(struct arena *arena, const struct policy_l7_rule *rule,
			 PB(L7Rule) * message)
{
	const struct policy_matcher *params = rule->params.items;
	const struct policy_strings *tools = &rule->tool.globs;

	if (rule->params.count)
		tools = &params[0].globs;
	return compile_strings(arena, tools, compile_as_is, &message->tools, &message->n_tools);
}

static char *compile_method(struct arena *arena, const struct policy_endpoint *endpoint,
			    const struct policy_l7_rule *rule)
{
	bool is_http = endpoint->protocol.value == POLICY_PROTOCOL_REST ||
		       endpoint->protocol.value == POLICY_PROTOCOL_WEBSOCKET;

	if (rule->method.value)
		return is_http ? compile_upper(arena, rule->method.value)
			       : compile_as_is(arena, rule->method.value);
	/* Only where all known methods are allowed may a tool's rule leave its method out. */
	if (endpoint->protocol.value == POLICY_PROTOCOL_MCP)
		return compile_as_is(arena, "tools/call");
	return compile_as_is(arena, "");
}

static PB(L7Rule) * compile_rule(struct arena *arena, const struct policy_endpoint *endpoint,
				 const struct policy_l7_rule *rule)
{
	PB(L7Rule) *message = new_message(arena, L7_RULE, L7Rule);

	if (!message)
		return NULL;
	message->method = compile_method(arena, endpoint, rule);
	if (rule->path.value)
		message->path = compile_as_is(arena, rule->path.value);
	if (rule->operation_name.value)
		message->operation_name = compile_as_is(arena, rule->operation_name.value);
	if (rule->command.value)
		message->command = compile_upper(arena, rule->command.value);
	message->operation_type = (PB(OperationType))rule->operation_type.value;
	if (!message->method || !message->path || !message->operation_name || !message->command ||
	    compile_query(arena, &rule->query, message) < 0 ||
	    compile_tools(arena, rule, message) < 0 ||
	    compile_strings(arena, &rule->fields, compile_as_is, &message->fields,
			    &message->n_fields) < 0)
		return NULL;
	return message;
}

static int compile_allow(struct arena *arena, const struct policy_endpoint *endpoint,
			 PB(L7) * message)
{
	const struct policy_allow *rules = endpoint->rules.items;

	message->allow = arena_alloc_array(arena, endpoint->rules.count, sizeof(*message->allow));
	if (!message->allow)
		return -ENOMEM;
	for (size_t i = 0; i < endpoint->rules.count; i++) {
		PB(L7Rule) *rule = compile_rule(arena, endpoint, &rules[i].allow);

		if (!rule)
			return -ENOMEM;
		message->allow[message->n_allow++] = rule;
	}
	return compile_sort(arena, (ProtobufCMessage **)message->allow, &message->n_allow);
}

static int compile_deny(struct arena *arena, const struct policy_endpoint *endpoint,
			PB(L7) * message)
{
	const struct policy_l7_rule *rules = endpoint->deny_rules.items;

	message->deny =
		arena_alloc_array(arena, endpoint->deny_rules.count, sizeof(*message->deny));
	if (!message->deny)
		return -ENOMEM;
	for (size_t i = 0; i < endpoint->deny_rules.count; i++) {
		PB(L7Rule) *rule = compile_rule(arena, endpoint, &rules[i]);

		if (!rule)
			return -ENOMEM;
		message->deny[message->n_deny++] = rule;
	}
	return compile_sort(arena, (ProtobufCMessage **)message->deny, &message->n_deny);
}

static int compile_persisted(struct arena *arena, const struct policy_endpoint *endpoint,
			     PB(L7) * message)
{
	const struct policy_list *list = &endpoint->graphql_persisted_queries;
	const struct policy_graphql_operation *operations = list->items;

	message->persisted_registered =
		endpoint->persisted_queries.value == POLICY_PERSISTED_ALLOW_REGISTERED;
	if (!list->count || !message->persisted_registered)
		return 0;
	message->persisted_queries =
		arena_alloc_array(arena, list->count, sizeof(*message->persisted_queries));
	if (!message->persisted_queries)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const char *name = operations[i].operation_name.value;
		PB(PersistedQuery) *query = new_message(arena, PERSISTED_QUERY, PersistedQuery);

		if (!query)
			return -ENOMEM;
		query->id = compile_as_is(arena, operations[i].head.key);
		if (name)
			query->operation_name = compile_as_is(arena, name);
		query->operation_type = (PB(OperationType))operations[i].operation_type.value;
		if (!query->id || !query->operation_name ||
		    compile_strings(arena, &operations[i].fields, compile_as_is, &query->fields,
				    &query->n_fields) < 0)
			return -ENOMEM;
		message->persisted_queries[message->n_persisted_queries++] = query;
	}
	return compile_sort(arena, (ProtobufCMessage **)message->persisted_queries,
			    &message->n_persisted_queries);
}

static uint32_t body_limit(const struct policy_endpoint *endpoint)
{
	const struct policy_number *given;

	switch (endpoint->protocol.value) {
	case POLICY_PROTOCOL_GRAPHQL:
	case POLICY_PROTOCOL_WEBSOCKET:
		given = &endpoint->graphql_max_body_bytes;
		break;
	case POLICY_PROTOCOL_MCP:
		given = policy_given(endpoint->mcp.max_body_bytes)
				? &endpoint->mcp.max_body_bytes
				: &endpoint->json_rpc_max_body_bytes;
		break;
	case POLICY_PROTOCOL_JSON_RPC:
		given = policy_given(endpoint->json_rpc.max_body_bytes)
				? &endpoint->json_rpc.max_body_bytes
				: &endpoint->json_rpc_max_body_bytes;
		break;
	default:
		return 0;
	}
	return given->value ? (uint32_t)given->value : POLICY_BODY_BYTES_DEFAULT;
}

static int compile_mcp(struct arena *arena, const struct policy_endpoint *endpoint,
		       PB(L7) * message)
{
	const struct policy_mcp *mcp = &endpoint->mcp;
	struct policy_string standard = {.value = POLICY_MCP_VERSION_DEFAULT};
	struct policy_strings versions = {.items = &standard, .count = 1};

	if (endpoint->protocol.value != POLICY_PROTOCOL_MCP)
		return 0;
	message->strict_tool_names =
		!policy_given(mcp->strict_tool_names) || mcp->strict_tool_names.value;
	message->all_known_mcp_methods = mcp->allow_all_known_mcp_methods.value;
	return compile_strings(arena, mcp->versions.count ? &mcp->versions : &versions,
			       compile_as_is, &message->mcp_versions, &message->n_mcp_versions);
}

static int compile_credentials(struct arena *arena, const struct policy_endpoint *endpoint,
			       PB(L7) * message)
{
	message->websocket_credential_rewrite = endpoint->websocket_credential_rewrite.value;
	message->request_body_credential_rewrite = endpoint->request_body_credential_rewrite.value;
	message->credential_signing = (PB(Signing))endpoint->credential_signing.value;
	if (endpoint->signing_service.value)
		message->signing_service = compile_as_is(arena, endpoint->signing_service.value);
	if (endpoint->signing_region.value)
		message->signing_region = compile_as_is(arena, endpoint->signing_region.value);
	return message->signing_service && message->signing_region ? 0 : -ENOMEM;
}

PB(L7) * compile_l7(struct arena *arena, const struct policy_endpoint *endpoint)
{
	PB(L7) *message = new_message(arena, L7, L7);

	if (!message)
		return NULL;
	message->access = (PB(Access))endpoint->access.value;
	message->allow_encoded_slash = endpoint->allow_encoded_slash.value;
	message->max_body_bytes = body_limit(endpoint);
	if (compile_allow(arena, endpoint, message) < 0 ||
	    compile_deny(arena, endpoint, message) < 0 ||
	    compile_persisted(arena, endpoint, message) < 0 ||
	    compile_mcp(arena, endpoint, message) < 0 ||
	    compile_credentials(arena, endpoint, message) < 0)
		return NULL;
	return message;
}

static PB(Middleware) *
	compile_middleware(struct arena *arena, const struct policy_middleware *middleware)
{
	PB(Middleware) *message = new_message(arena, MIDDLEWARE, Middleware);
	const char *name = middleware->name.value;

	if (!message)
		return NULL;
	message->key = compile_as_is(arena, middleware->head.key);
	message->middleware = compile_as_is(arena, middleware->middleware.value);
	if (name && strcmp(name, middleware->head.key))
		message->name = compile_as_is(arena, name);
	if (middleware->config.value)
		message->config = compile_as_is(arena, middleware->config.value);
	message->order = (int32_t)middleware->order.value;
	message->fail_open = middleware->on_error.value == POLICY_ON_ERROR_FAIL_OPEN;
	if (!message->key || !message->middleware || !message->name || !message->config ||
	    compile_strings(arena, &middleware->endpoints.include, compile_host, &message->include,
			    &message->n_include) < 0 ||
	    compile_strings(arena, &middleware->endpoints.exclude, compile_host, &message->exclude,
			    &message->n_exclude) < 0)
		return NULL;
	return message;
}

static int order_compare(const void *a, const void *b)
{
	const PB(Middleware) *x = *(PB(Middleware) *const *)a, *y = *(PB(Middleware) *const *)b;

	return x->order < y->order ? -1 : x->order > y->order;
}

int compile_middlewares(struct arena *arena, const struct policy *policy,
			PB(CompiledPolicy) * compiled)
{
	const struct policy_middleware *middlewares = policy->middlewares.items;
	size_t count = policy->middlewares.count;

	if (!count)
		return 0;
	compiled->middlewares = arena_alloc_array(arena, count, sizeof(*compiled->middlewares));
	if (!compiled->middlewares)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		compiled->middlewares[i] = compile_middleware(arena, &middlewares[i]);
		if (!compiled->middlewares[i])
			return -ENOMEM;
	}
	compiled->n_middlewares = count;
	/* The checks made sure that no two have one order. */
	qsort(compiled->middlewares, count, sizeof(*compiled->middlewares), order_compare);
	return 0;
}
