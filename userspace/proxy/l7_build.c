/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/l7_internal.h"

#include <errno.h>

struct build {
	struct arena *arena;
	const PB(Endpoint) * endpoint;
	struct error *err;
};

static int refuse(const struct build *build, int code, const char *what)
{
	if (code == -ENOMEM)
		return error_set(build->err, code, "no memory for the rules of requests");
	return error_set(build->err, code, "rule '%s' of the policy has %s", build->endpoint->rule,
			 what);
}

static int build_globs(const struct build *build, char **patterns, size_t count,
		       enum l7_reading reading, const struct l7_glob **ret_globs)
{
	struct l7_glob *globs;

	if (!count)
		return 0;
	globs = arena_alloc_array(build->arena, count, sizeof(*globs));
	if (!globs)
		return refuse(build, -ENOMEM, NULL);
	for (size_t i = 0; i < count; i++) {
		int r = l7_glob_new(build->arena, patterns[i], L7_GLOB_TEXT, reading, &globs[i]);

		if (r < 0)
			return refuse(build, r, "a malformed glob");
	}
	*ret_globs = globs;
	return 0;
}

static int build_query(const struct build *build, const PB(L7Rule) * message, struct l7_rule *rule)
{
	struct l7_matcher *query;

	if (!message->n_query)
		return 0;
	query = arena_alloc_array(build->arena, message->n_query, sizeof(*query));
	if (!query)
		return refuse(build, -ENOMEM, NULL);
	for (size_t i = 0; i < message->n_query; i++) {
		const PB(Matcher) *matcher = message->query[i];
		int r;

		query[i].key = (struct text){matcher->key, (uint32_t)strlen(matcher->key)};
		query[i].globs = matcher->n_globs;
		r = build_globs(build, matcher->globs, matcher->n_globs, rule->reading,
				&query[i].glob);
		if (r < 0)
			return r;
	}
	rule->queries = message->n_query;
	rule->query = query;
	return 0;
}

static int build_one_glob(const struct build *build, const char *pattern, enum l7_glob_of of,
			  enum l7_reading reading, struct l7_glob *ret_glob)
{
	int r = l7_glob_new(build->arena, pattern, of, reading, ret_glob);

	return r < 0 ? refuse(build, r, "a malformed glob") : 0;
}

/* A GET rule is for HEAD too. */
static unsigned int rule_methods(const char *method)
{
	unsigned int bit =
		*method ? l7_method_bit((struct text){method, (uint32_t)strlen(method)}, false) : 0;

	if (!strcmp(method, "*"))
		return L7_METHOD_ANY;
	return bit == L7_METHOD_GET ? bit | L7_METHOD_HEAD : bit;
}

static int build_rule(const struct build *build, const PB(L7Rule) * message,
		      enum l7_reading reading, struct l7_rule *rule)
{
	PB(Protocol) protocol = build->endpoint->protocol;
	bool called = protocol == PB_ENUM(PROTOCOL__PROTOCOL_MCP) ||
		      protocol == PB_ENUM(PROTOCOL__PROTOCOL_JSON_RPC);
	int r = 0;

	*rule = (struct l7_rule){
		.reading = reading,
		.method = {message->method, (uint32_t)strlen(message->method)},
		.any_method = !strcmp(message->method, "*"),
		.methods = rule_methods(message->method),
		.has_path = *message->path,
		.operation = message->operation_type,
		.has_name = *message->operation_name,
		.fields = message->n_fields,
		.tools = message->n_tools,
	};
	rule->text = l7_rule_text(build->arena, protocol, message, reading);
	if (!rule->text)
		return refuse(build, -ENOMEM, NULL);
	if (called && !rule->any_method && !*message->method)
		return refuse(build, -EINVAL, "a rule without a method");
	if (rule->has_path)
		r = build_one_glob(build, message->path, L7_GLOB_PATH, reading, &rule->path);
	if (!r && rule->has_name)
		r = build_one_glob(build, message->operation_name, L7_GLOB_TEXT, reading,
				   &rule->name);
	/* JSON-RPC has no globs, so a character with a meaning in them cannot be in its methods. */
	if (!r && called && !rule->any_method)
		r = build_one_glob(build, message->method, L7_GLOB_TEXT, reading, &rule->called);
	if (!r)
		r = build_query(build, message, rule);
	if (!r)
		r = build_globs(build, message->fields, message->n_fields, reading, &rule->field);
	if (!r)
		r = build_globs(build, message->tools, message->n_tools, reading, &rule->tool);
	return r;
}

static int build_rules(const struct build *build, PB(L7Rule) * *messages, size_t count,
		       enum l7_reading reading, const struct l7_rule **ret_rules)
{
	struct l7_rule *rules;

	if (!count)
		return 0;
	rules = arena_alloc_array(build->arena, count, sizeof(*rules));
	if (!rules)
		return refuse(build, -ENOMEM, NULL);
	for (size_t i = 0; i < count; i++) {
		int r = build_rule(build, messages[i], reading, &rules[i]);

		if (r < 0)
			return r;
	}
	*ret_rules = rules;
	return 0;
}

static int build_cidrs(const struct build *build, struct l7_endpoint *endpoint)
{
	size_t count = build->endpoint->n_allowed_ips;
	struct policy_cidr *cidr;

	if (*build->endpoint->host)
		return 0;
	if (!count)
		return refuse(build, -EINVAL, "an endpoint without a host or addresses");
	cidr = arena_alloc_array(build->arena, count, sizeof(*cidr));
	if (!cidr)
		return refuse(build, -ENOMEM, NULL);
	for (size_t i = 0; i < count; i++)
		if (policy_cidr_parse(build->endpoint->allowed_ips[i], &cidr[i]) < 0)
			return refuse(build, -EINVAL, "an address that is none");
	endpoint->cidrs = count;
	endpoint->cidr = cidr;
	return 0;
}

/* Its characters that are not wildcards, as policy_check_overlap.c counts them. */
static size_t specificity(const char *path)
{
	size_t count = 0;

	for (; *path; path++)
		count += *path != '*';
	return count;
}

static void note_kinds(struct l7_endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->allows; i++) {
		endpoint->names_tools |= endpoint->allow[i].tools > 0;
		endpoint->reads_operations |= endpoint->allow[i].operation > 0;
	}
	for (size_t i = 0; i < endpoint->denies; i++)
		endpoint->reads_operations |= endpoint->deny[i].operation > 0;
}

static bool has_no_rules(const PB(Endpoint) * endpoint)
{
	return endpoint->protocol == PB_ENUM(PROTOCOL__PROTOCOL_TCP) ||
	       endpoint->protocol == PB_ENUM(PROTOCOL__PROTOCOL_INFERENCE);
}

int l7_endpoint_build(struct arena *arena, const PB(CompiledPolicy) * policy, uint32_t index,
		      struct l7_endpoint *ret_endpoint, struct error *err)
{
	const PB(Endpoint) *message = policy->endpoints[index];
	struct build build = {arena, message, err};
	struct l7_endpoint endpoint = {.policy = message,
				       .index = index,
				       .has_path = *message->path,
				       .specificity = specificity(message->path),
				       .next = L7_NO_ENDPOINT};
	int r;

	if (message->binary_set >= OS_RULE_SETS)
		return refuse(&build, -EINVAL, "a set of binaries that there cannot be");
	if (message->protocol > PB_ENUM(PROTOCOL__PROTOCOL_INFERENCE) ||
	    !message->l7 != has_no_rules(message))
		return refuse(&build, -EINVAL, "a protocol that its rules do not fit");
	r = build_cidrs(&build, &endpoint);
	if (!r && endpoint.has_path)
		r = build_one_glob(&build, message->path, L7_GLOB_PATH, L7_READING_ALLOW,
				   &endpoint.narrow);
	if (!r && endpoint.has_path)
		r = build_one_glob(&build, message->path, L7_GLOB_PATH, L7_READING_DENY,
				   &endpoint.wide);
	if (!r && message->l7) {
		endpoint.allows = message->l7->n_allow;
		endpoint.denies = message->l7->n_deny;
		r = build_rules(&build, message->l7->allow, message->l7->n_allow, L7_READING_ALLOW,
				&endpoint.allow);
		if (!r)
			r = build_rules(&build, message->l7->deny, message->l7->n_deny,
					L7_READING_DENY, &endpoint.deny);
	}
	if (r < 0)
		return r;
	note_kinds(&endpoint);
	*ret_endpoint = endpoint;
	return 0;
}
