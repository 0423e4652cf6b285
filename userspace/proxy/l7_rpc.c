/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON-RPC over HTTP, and MCP's streamable HTTP: messages are POSTed; GET opens the stream on which
 * an MCP server speaks, DELETE ends a session.
 */
#include "proxy/l7_internal.h"

#include "common/policy_fields.h"
#include "proxy/json_rpc.h"

struct judge {
	const struct l7_endpoint *endpoint;
	const struct l7_question *question;
	struct l7_answer *answer;
	bool mcp;
};

static bool is_known_method(struct text method)
{
	for (size_t i = 0; policy_words_mcp_method[i]; i++)
		if (text_is(method, policy_words_mcp_method[i]))
			return true;
	return false;
}

static bool tool_matches(const struct l7_rule *rule, struct text tool)
{
	for (size_t i = 0; i < rule->tools; i++)
		if (l7_glob_match(&rule->tool[i], tool))
			return true;
	return !rule->tools;
}

static bool rule_matches(const struct l7_rule *rule, struct text method, struct text tool)
{
	return (rule->any_method || l7_glob_match(&rule->called, method)) &&
	       tool_matches(rule, tool);
}

static void deny_call(struct judge *judge, const char *rule, struct text method, struct text tool)
{
	char quoted[L7_QUOTED_MAX], quoted_tool[L7_QUOTED_MAX];

	l7_deny(judge->answer, rule, "%s %s %s%s%s", judge->endpoint->policy->rule,
		rule ? "denies" : "does not allow", l7_quote(method, quoted), tool.size ? " " : "",
		l7_quote(tool, quoted_tool));
}

/* Rules for some tools say that the others are not allowed, so those methods are not all of it. */
static bool is_known_allowed(const struct l7_endpoint *endpoint, struct text method)
{
	return endpoint->policy->l7->all_known_mcp_methods && is_known_method(method) &&
	       !(endpoint->names_tools && text_is(method, "tools/call"));
}

static bool judge_call(struct judge *judge, struct text method, struct text tool)
{
	const struct l7_endpoint *endpoint = judge->endpoint;

	for (size_t i = 0; i < endpoint->denies; i++)
		if (rule_matches(&endpoint->deny[i], method, tool)) {
			deny_call(judge, endpoint->deny[i].text, method, tool);
			return false;
		}
	if (is_known_allowed(endpoint, method)) {
		l7_allow(judge->answer, "allow_all_known_mcp_methods");
		return true;
	}
	for (size_t i = 0; i < endpoint->allows; i++)
		if (rule_matches(&endpoint->allow[i], method, tool)) {
			l7_allow(judge->answer, endpoint->allow[i].text);
			return true;
		}
	deny_call(judge, NULL, method, tool);
	return false;
}

static bool is_accepted_version(struct judge *judge, struct text version)
{
	const PB(L7) *l7 = judge->endpoint->policy->l7;
	char quoted[L7_QUOTED_MAX];

	for (size_t i = 0; i < l7->n_mcp_versions; i++)
		if (text_is(version, l7->mcp_versions[i]))
			return true;
	l7_deny(judge->answer, NULL,
		"%s does not accept revision %s of MCP: mcp.versions says which",
		judge->endpoint->policy->rule, l7_quote(version, quoted));
	return false;
}

static bool refuse(struct judge *judge, const char *why)
{
	l7_deny(judge->answer, NULL, "the body %s", why);
	return false;
}

/* Headers that repeat what the body says must not say otherwise: who routes by them believes them.
 */
static bool header_agrees(const struct judge *judge, const char *name, struct text value,
			  bool batch)
{
	const struct http_head *head = judge->question->head;

	for (uint16_t i = 0; i < head->fields; i++)
		if (text_is(head->field[i].name, name) &&
		    (batch || !text_equal(head->field[i].value, value)))
			return false;
	return true;
}

static bool judge_mcp(struct judge *judge, struct json_rpc *rpc,
		      const struct json_rpc_message *message)
{
	struct text tool = {0}, version;
	const char *why;

	if (message->kind == JSON_RPC_ANSWER) {
		l7_allow(judge->answer, NULL);
		return true;
	}
	if (message->params.size && json_view_kind(message->params) != JSON_VIEW_OBJECT)
		return refuse(judge, "has parameters that are no object");
	if (text_is(message->method, "tools/call")) {
		if (json_rpc_param(rpc, message, "name", &tool, &why) < 0)
			return refuse(judge, why);
		if (judge->endpoint->policy->l7->strict_tool_names &&
		    !json_rpc_is_strict_name(tool))
			return refuse(judge, "calls a tool by a name that is not 1 to 128 "
					     "letters, digits, '_', '.' or '-'");
		if (!header_agrees(judge, "mcp-name", tool, rpc->batch))
			return refuse(judge, "calls another tool than the header Mcp-Name says");
	} else if (text_is(message->method, "initialize")) {
		if (json_rpc_param(rpc, message, "protocolVersion", &version, &why) < 0)
			return refuse(judge, why);
		if (!is_accepted_version(judge, version))
			return false;
	}
	if (!header_agrees(judge, "mcp-method", message->method, rpc->batch))
		return refuse(judge, "has another method than the header Mcp-Method says");
	return judge_call(judge, message->method, tool);
}

static bool judge_json_rpc(struct judge *judge, const struct json_rpc_message *message)
{
	if (message->kind == JSON_RPC_ANSWER)
		return refuse(judge, "has an answer, and nothing was asked");
	return judge_call(judge, message->method, (struct text){0});
}

static void judge_body(struct judge *judge)
{
	const struct l7_question *question = judge->question;
	struct json_rpc_message message;
	struct json_rpc rpc;
	const char *why;
	int r;

	if (json_rpc_open(question->body, question->body_size, question->scratch,
			  question->scratch_size, &rpc, &why) < 0) {
		refuse(judge, why);
		return;
	}
	while ((r = json_rpc_next(&rpc, &message, &why)) > 0)
		if (judge->mcp ? !judge_mcp(judge, &rpc, &message)
			       : !judge_json_rpc(judge, &message))
			return;
	if (r < 0)
		refuse(judge, why);
}

static bool accepts_stream(const struct http_head *head)
{
	static const char type[] = "text/event-stream";

	for (uint16_t i = 0; i < head->fields; i++) {
		struct text value = head->field[i].value;

		if (text_is(head->field[i].name, "accept") &&
		    memmem(value.data, value.size, type, sizeof(type) - 1))
			return true;
	}
	return false;
}

static bool has_revision(struct judge *judge)
{
	const struct http_head *head = judge->question->head;

	for (uint16_t i = 0; i < head->fields; i++)
		if (text_is(head->field[i].name, "mcp-protocol-version") &&
		    !is_accepted_version(judge, head->field[i].value))
			return false;
	return true;
}

/* GET and DELETE; true if it was one of them. */
static bool judge_session(struct judge *judge)
{
	const struct l7_question *question = judge->question;
	bool get = text_is(question->method[0], "GET");

	if (!judge->mcp || (!get && !text_is(question->method[0], "DELETE")))
		return false;
	if (l7_has_body(question))
		l7_deny(judge->answer, NULL, "a %s request has a body", get ? "GET" : "DELETE");
	else if (get && !accepts_stream(question->head))
		l7_deny(judge->answer, NULL, "GET without 'Accept: text/event-stream' is not MCP");
	else if (!get && !http_field_find(question->head, "mcp-session-id"))
		l7_deny(judge->answer, NULL, "DELETE without 'Mcp-Session-Id' is not MCP");
	else
		l7_allow(judge->answer, NULL);
	return true;
}

void l7_judge_rpc(const struct l7_endpoint *endpoint, struct l7_question *question,
		  struct l7_answer *answer)
{
	struct judge judge = {
		.endpoint = endpoint,
		.question = question,
		.answer = answer,
		.mcp = endpoint->policy->protocol == PB_ENUM(PROTOCOL__PROTOCOL_MCP),
	};
	char quoted[L7_QUOTED_MAX];

	if (question->methods > 1) {
		l7_deny(answer, NULL, "a header gives another method");
		return;
	}
	if (judge.mcp && !has_revision(&judge))
		return;
	if (judge_session(&judge))
		return;
	if (!text_is(question->method[0], "POST")) {
		l7_deny(answer, NULL, "%s is for protocol %s, and %s is no call",
			endpoint->policy->rule, l7_protocol_text(endpoint->policy->protocol),
			l7_quote(question->method[0], quoted));
		return;
	}
	if (!l7_is_json(question, answer))
		return;
	if (!question->has_body)
		answer->outcome = L7_NEED_BODY;
	else if (!l7_is_too_long(endpoint, question, answer))
		judge_body(&judge);
}
