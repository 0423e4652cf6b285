/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_check.h"
#include "common/policy_glob.h"

#include <string.h>

#define RULE_KEY_MAX 256

/* Keys name rules in events and in the gateway's merges. */
static void check_key(const struct policy_head *head, const char *what, struct diagnostics *diag)
{
	if (strlen(head->key) > RULE_KEY_MAX)
		policy_error(diag, head->at, "rule.key", "the key of %s is longer than %d bytes",
			     what, RULE_KEY_MAX);
	if (!strncmp(head->key, "_provider_", 10))
		policy_error(diag, head->at, "rule.key",
			     "key '%s': names that begin with '_provider_' are the gateway's own",
			     head->key);
}

static bool has_parent_step(const char *path)
{
	for (const char *c = strstr(path, ".."); c; c = strstr(c + 1, ".."))
		if ((c == path || c[-1] == '/') && (!c[2] || c[2] == '/'))
			return true;
	return false;
}

static void check_binary(const struct policy_binary *binary, struct diagnostics *diag)
{
	const struct policy_string *path = &binary->path;

	if (!path->value)
		return;
	if (path->value[0] != '/' && strcmp(path->value, "**") && strncmp(path->value, "**/", 3))
		policy_error(diag, path->at, "binary.path",
			     "binary '%s' must be an absolute path or a glob of one", path->value);
	else if (has_parent_step(path->value))
		policy_error(diag, path->at, "binary.path", "binary '%s' contains '..'",
			     path->value);
	else if (strlen(path->value) > POLICY_PATH_BYTES_MAX)
		policy_error(diag, path->at, "binary.path", "a binary's path has at most %d bytes",
			     POLICY_PATH_BYTES_MAX);
	else if (strlen(path->value) > 1 && path->value[strlen(path->value) - 1] == '/')
		policy_error(diag, path->at, "binary.path",
			     "binary '%s' is a directory: add '**' to mean all that is below it",
			     path->value);
	else
		policy_check_glob(path, path->value, diag);
}

static void check_rule(const struct policy_rule *rule, struct diagnostics *diag)
{
	const struct policy_endpoint *endpoints = rule->endpoints.items;
	const struct policy_binary *binaries = rule->binaries.items;

	check_key(&rule->head, "a network policy", diag);
	for (size_t i = 0; i < rule->endpoints.count; i++)
		policy_check_endpoint(&endpoints[i], diag);
	for (size_t i = 0; i < rule->binaries.count; i++)
		check_binary(&binaries[i], diag);
	if (rule->binaries.count > POLICY_BINARIES_MAX)
		policy_error(diag, rule->binaries.at, "rule.binaries",
			     "%zu binaries in one network policy: at most %d", rule->binaries.count,
			     POLICY_BINARIES_MAX);
	if (!rule->endpoints.count)
		policy_warning(diag, rule->head.at, "rule.endpoints",
			       "network policy '%s' has no endpoints: it admits nothing",
			       rule->head.key);
	else if (!rule->binaries.count)
		policy_warning(diag, rule->head.at, "rule.binaries",
			       "network policy '%s' has no binaries: it admits nobody",
			       rule->head.key);
}

void policy_check_rules(const struct policy *policy, struct diagnostics *diag)
{
	const struct policy_rule *rules = policy->rules.items;
	size_t endpoints = 0;

	for (size_t i = 0; i < policy->rules.count; i++) {
		check_rule(&rules[i], diag);
		endpoints += rules[i].endpoints.count;
	}
	if (endpoints > POLICY_ENDPOINTS_MAX)
		policy_error(diag, policy->rules.at, "rule.count",
			     "%zu endpoints in all network policies: at most %d", endpoints,
			     POLICY_ENDPOINTS_MAX);
}
