/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_fields.h"

static const char *const words_compatibility[] = {"best_effort", "hard_requirement", NULL};
static const char *const words_tls[] = {"skip", "terminate", "passthrough", NULL};
static const char *const words_enforcement[] = {"enforce", "audit", NULL};
static const char *const words_persisted[] = {"deny", "allow_registered", NULL};
static const char *const words_signing[] = {"sigv4", "sigv4:body", "sigv4:no_body", NULL};
static const char *const words_on_error[] = {"fail_closed", "fail_open", NULL};
static const char *const words_operation[] = {"query", "mutation", "subscription", "*", NULL};

const char *const policy_words_protocol[] = {"tcp", "rest",	"websocket", "graphql",
					     "mcp", "json-rpc", "sql",	     NULL};
const char *const policy_words_access[] = {"read-only", "read-write", "full", NULL};
const char *const policy_words_mcp_version[] = {"2025-03-26", "2025-06-18", "2025-11-25",
						"2026-07-28", NULL};

/* What a client may send, over all revisions: for spotting a misspelt method. */
const char *const policy_words_mcp_method[] = {"initialize",
					       "ping",
					       "tools/list",
					       "tools/call",
					       "resources/list",
					       "resources/templates/list",
					       "resources/read",
					       "resources/subscribe",
					       "resources/unsubscribe",
					       "prompts/list",
					       "prompts/get",
					       "completion/complete",
					       "logging/setLevel",
					       "notifications/cancelled",
					       "notifications/initialized",
					       "notifications/progress",
					       "notifications/roots/list_changed",
					       "notifications/tasks/status",
					       "tasks/get",
					       "tasks/result",
					       "tasks/list",
					       "tasks/cancel",
					       "server/discover",
					       "subscriptions/listen",
					       NULL};

/* RFC 9110 section 9, RFC 5789, WebDAV's RFC 4918 and its relatives. */
const char *const policy_words_http_method[] = {
	"GET",	 "HEAD",   "POST",   "PUT",	 "PATCH",     "DELETE", "OPTIONS", "TRACE", "COPY",
	"MOVE",	 "LOCK",   "LINK",   "PROPFIND", "PROPPATCH", "MKCOL",	"UNLOCK",  "BIND",  "ACL",
	"QUERY", "REPORT", "SEARCH", "PURGE",	 "UNLINK",    "MERGE",	NULL};

#define AT(type, member) .offset = offsetof(struct type, member)
#define STRING(type, key, ...)                                                                     \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_STRING, AT(type, key), ##__VA_ARGS__             \
	}
#define BOOL(type, key)                                                                            \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_BOOL, AT(type, key)                              \
	}
#define NUMBER(type, key, low, high)                                                               \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_NUMBER, AT(type, key), .min = (low),             \
		.max = (high)                                                                      \
	}
#define ENUM(type, key, list)                                                                      \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_ENUM, AT(type, key), .words = (list)             \
	}
#define STRINGS(type, key, ...)                                                                    \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_STRINGS, AT(type, key), ##__VA_ARGS__            \
	}
#define SUB(holder, type, key, of, ...)                                                            \
	{                                                                                          \
		.name = #key, .kind = POLICY_KIND_##holder, AT(type, key), .object = (of),         \
		##__VA_ARGS__                                                                      \
	}
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define REQUIRED	    .flags = POLICY_FIELD_REQUIRED
#define NULL_OK		    .flags = POLICY_FIELD_NULL_OK
#define NOT_EMPTY(sentence) .flags = POLICY_FIELD_NOT_EMPTY, .note = (sentence)

static const struct policy_object object_filesystem = {
	.name = "filesystem_policy",
	.size = sizeof(struct policy_filesystem),
	.fields = (const struct policy_field[]){
		BOOL(policy_filesystem, include_workdir),
		STRINGS(policy_filesystem, read_only, NULL_OK),
		STRINGS(policy_filesystem, read_write, NULL_OK),
		STRINGS(policy_filesystem, deny),
		END,
	}};

static const struct policy_object object_landlock = {
	.name = "landlock",
	.size = sizeof(struct policy_landlock),
	.fields = (const struct policy_field[]){
		ENUM(policy_landlock, compatibility, words_compatibility),
		END,
	}};

static const struct policy_object object_process = {.name = "process",
						    .size = sizeof(struct policy_process),
						    .fields = (const struct policy_field[]){
							    STRING(policy_process, run_as_user),
							    STRING(policy_process, run_as_group),
							    END,
						    }};

static const struct policy_object object_exec = {
	.name = "exec_policy",
	.size = sizeof(struct policy_exec),
	.fields = (const struct policy_field[]){
		STRINGS(policy_exec, allow,
			NOT_EMPTY("it would let nothing be executed; leave 'allow' out to let "
				  "everything readable be executed")),
		STRINGS(policy_exec, deny),
		BOOL(policy_exec, allow_writable),
		END,
	}};

#define L7_FIELDS                                                                                  \
	STRING(policy_l7_rule, method), STRING(policy_l7_rule, path),                              \
		STRING(policy_l7_rule, command),                                                   \
		SUB(MATCHERS, policy_l7_rule, query, NULL,                                         \
		    NOT_EMPTY("it would constrain nothing; leave 'query' out")),                   \
		ENUM(policy_l7_rule, operation_type, words_operation),                             \
		STRING(policy_l7_rule, operation_name),                                            \
		STRINGS(policy_l7_rule, fields,                                                    \
			NOT_EMPTY(                                                                 \
				"it would match no operation; leave 'fields' out to match all")),  \
		SUB(MATCHER, policy_l7_rule, tool, NULL),                                          \
		SUB(PARAMS, policy_l7_rule, params, NULL,                                          \
		    NOT_EMPTY("it would constrain nothing; leave 'params' out"))

static const struct policy_object object_allow_body = {
	.name = "an allow rule",
	.size = sizeof(struct policy_l7_rule),
	.fields = (const struct policy_field[]){L7_FIELDS, END}};

static const struct policy_object object_deny_rule = {
	.name = "a deny rule",
	.size = sizeof(struct policy_l7_rule),
	.fields = (const struct policy_field[]){
		L7_FIELDS,
		{.name = "allow",
		 .kind = POLICY_KIND_REFUSED,
		 .note = "'allow' wraps entries of 'rules' only; a deny rule lists its matchers "
			 "directly"},
		{.name = "deny",
		 .kind = POLICY_KIND_REFUSED,
		 .note = "a deny rule lists its matchers directly, without 'deny'"},
		END,
	}};

static const struct policy_object object_rule_entry = {
	.name = "an entry of rules",
	.size = sizeof(struct policy_allow),
	.fields = (const struct policy_field[]){
		SUB(OBJECT, policy_allow, allow, &object_allow_body, REQUIRED),
		{.name = "deny",
		 .kind = POLICY_KIND_REFUSED,
		 .note = "entries of 'rules' only allow; move this to 'deny_rules'"},
		END,
	}};

static const struct policy_object object_graphql_operation = {
	.name = "a persisted query",
	.size = sizeof(struct policy_graphql_operation),
	.fields = (const struct policy_field[]){
		ENUM(policy_graphql_operation, operation_type, words_operation),
		STRING(policy_graphql_operation, operation_name),
		STRINGS(policy_graphql_operation, fields),
		END,
	}};

static const struct policy_object object_mcp = {
	.name = "mcp",
	.size = sizeof(struct policy_mcp),
	.fields = (const struct policy_field[]){
		NUMBER(policy_mcp, max_body_bytes, 1, POLICY_BODY_BYTES_MAX),
		BOOL(policy_mcp, strict_tool_names),
		BOOL(policy_mcp, allow_all_known_mcp_methods),
		STRINGS(policy_mcp, versions,
			NOT_EMPTY("it would accept no revision; leave 'versions' out for the "
				  "default")),
		END,
	}};

static const struct policy_object object_json_rpc = {
	.name = "json_rpc",
	.size = sizeof(struct policy_json_rpc),
	.fields = (const struct policy_field[]){
		NUMBER(policy_json_rpc, max_body_bytes, 1, POLICY_BODY_BYTES_MAX),
		END,
	}};

static const struct policy_object object_binding = {
	.name = "credential_binding",
	.size = sizeof(struct policy_credential_binding),
	.fields = (const struct policy_field[]){
		STRING(policy_credential_binding, provider, REQUIRED),
		END,
	}};

static const struct policy_object object_endpoint = {
	.name = "an endpoint",
	.size = sizeof(struct policy_endpoint),
	.fields = (const struct policy_field[]){
		STRING(policy_endpoint, host),
		NUMBER(policy_endpoint, port, 1, 65535),
		{.name = "ports",
		 .kind = POLICY_KIND_NUMBERS,
		 AT(policy_endpoint, ports),
		 .min = 1,
		 .max = 65535,
		 NOT_EMPTY("it would admit no connection")},
		STRING(policy_endpoint, path),
		STRINGS(policy_endpoint, allowed_ips,
			NOT_EMPTY("it would admit no address; leave 'allowed_ips' out to take "
				  "what the name resolves to")),
		ENUM(policy_endpoint, protocol, policy_words_protocol),
		ENUM(policy_endpoint, tls, words_tls),
		ENUM(policy_endpoint, enforcement, words_enforcement),
		ENUM(policy_endpoint, access, policy_words_access),
		SUB(LIST, policy_endpoint, rules, &object_rule_entry,
		    NOT_EMPTY("it would deny every request; write a rule, or 'access'")),
		SUB(LIST, policy_endpoint, deny_rules, &object_deny_rule,
		    NOT_EMPTY("it would deny nothing; leave 'deny_rules' out")),
		BOOL(policy_endpoint, allow_encoded_slash),
		ENUM(policy_endpoint, persisted_queries, words_persisted),
		SUB(MAP, policy_endpoint, graphql_persisted_queries, &object_graphql_operation),
		NUMBER(policy_endpoint, graphql_max_body_bytes, 1, POLICY_BODY_BYTES_MAX),
		NUMBER(policy_endpoint, json_rpc_max_body_bytes, 1, POLICY_BODY_BYTES_MAX),
		SUB(OBJECT, policy_endpoint, mcp, &object_mcp),
		SUB(OBJECT, policy_endpoint, json_rpc, &object_json_rpc),
		BOOL(policy_endpoint, websocket_credential_rewrite),
		BOOL(policy_endpoint, request_body_credential_rewrite),
		ENUM(policy_endpoint, credential_signing, words_signing),
		STRING(policy_endpoint, signing_service),
		STRING(policy_endpoint, signing_region),
		SUB(OBJECT, policy_endpoint, credential_binding, &object_binding),
		BOOL(policy_endpoint, allow_uninspected_credentials),
		{.name = "advisor_proposed",
		 .kind = POLICY_KIND_REFUSED,
		 .note = "'advisor_proposed' is set by the gateway, never by a policy file"},
		{.name = "provider_credentialed",
		 .kind = POLICY_KIND_REFUSED,
		 .note = "'provider_credentialed' is set by the gateway, never by a policy file"},
		END,
	}};

static const struct policy_object object_binary = {.name = "a binary",
						   .size = sizeof(struct policy_binary),
						   .fields = (const struct policy_field[]){
							   STRING(policy_binary, path, REQUIRED),
							   BOOL(policy_binary, harness),
							   END,
						   }};

static const struct policy_object object_rule = {
	.name = "a network policy",
	.size = sizeof(struct policy_rule),
	.fields = (const struct policy_field[]){
		STRING(policy_rule, name),
		SUB(LIST, policy_rule, endpoints, &object_endpoint, NULL_OK),
		SUB(LIST, policy_rule, binaries, &object_binary, NULL_OK),
		END,
	}};

static const struct policy_object object_selector = {
	.name = "a middleware's endpoints",
	.size = sizeof(struct policy_selector),
	.fields = (const struct policy_field[]){
		STRINGS(policy_selector, include, NOT_EMPTY("the middleware would never run")),
		STRINGS(policy_selector, exclude),
		END,
	}};

static const struct policy_object object_middleware = {
	.name = "a middleware",
	.size = sizeof(struct policy_middleware),
	.fields = (const struct policy_field[]){
		STRING(policy_middleware, name),
		STRING(policy_middleware, middleware, REQUIRED),
		NUMBER(policy_middleware, order, INT32_MIN, INT32_MAX),
		{.name = "config", .kind = POLICY_KIND_JSON, AT(policy_middleware, config)},
		ENUM(policy_middleware, on_error, words_on_error),
		SUB(OBJECT, policy_middleware, endpoints, &object_selector, REQUIRED),
		END,
	}};

const struct policy_object policy_object_file = {
	.name = "the policy's top level",
	.size = sizeof(struct policy),
	.fields = (const struct policy_field[]){
		NUMBER(policy, version, 1, 1),
		{.name = "filesystem_policy",
		 .kind = POLICY_KIND_OBJECT,
		 AT(policy, filesystem),
		 .object = &object_filesystem,
		 NULL_OK},
		SUB(OBJECT, policy, landlock, &object_landlock, NULL_OK),
		SUB(OBJECT, policy, process, &object_process, NULL_OK),
		{.name = "exec_policy",
		 .kind = POLICY_KIND_OBJECT,
		 AT(policy, exec),
		 .object = &object_exec},
		{.name = "network_policies",
		 .kind = POLICY_KIND_MAP,
		 AT(policy, rules),
		 .object = &object_rule,
		 NULL_OK},
		{.name = "network_middlewares",
		 .kind = POLICY_KIND_MAP,
		 AT(policy, middlewares),
		 .object = &object_middleware,
		 NULL_OK},
		END,
	}};

const struct policy_object *const policy_objects[] = {
	&policy_object_file, &object_filesystem,
	&object_landlock,    &object_process,
	&object_exec,	     &object_rule,
	&object_endpoint,    &object_binary,
	&object_allow_body,  &object_graphql_operation,
	&object_mcp,	     &object_json_rpc,
	&object_binding,     &object_middleware,
	&object_selector,    NULL};
