/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/denial.h"

#include "common/cleanup.h"
#include "proxy/exchange_internal.h"

#include <jansson.h>
#include <string.h>

/* What is not UTF-8 is left out rather than sent as something else. */
static void add(json_t *object, const char *key, const char *text, size_t size)
{
	json_t *value = json_stringn(text, size);

	if (value)
		json_object_set_new(object, key, value);
}

static void add_text(json_t *object, const char *key, const char *text)
{
	add(object, key, text, strlen(text));
}

static const char *detail_of(const struct exchange *ex, const struct exchange_denial *denial)
{
	if (!strcmp(denial->error, "policy_denied"))
		return "the sandbox's policy does not allow this request";
	if (!strcmp(denial->error, "upstream_unreachable"))
		return "the server could not be reached";
	if (!strncmp(denial->error, "credential_", 11))
		return "a credential may not be sent there";
	return denial->reason;
}

static void add_rule(json_t *object, const struct exchange *ex)
{
	const struct l7_verdict *verdict = &ex->verdict;
	char next[512];

	add_text(object, "policy", verdict->policy ? verdict->policy : "");
	add_text(object, "rule", verdict->rule);
	json_object_set_new(object, "rule_missing", json_boolean(!verdict->rule[0]));
	if (verdict->rule[0])
		snprintf(next, sizeof(next),
			 "a deny rule of policy %s forbids it: only a change of the policy helps",
			 verdict->policy ? verdict->policy : "-");
	else
		snprintf(next, sizeof(next),
			 "add to network_policies.%s a rule that allows %.*s %.*s on %s:%u",
			 verdict->policy ? verdict->policy : "<name>", (int)ex->request.method.size,
			 ex->request.method.data,
			 (int)(ex->target.path.size > 256 ? 256 : ex->target.path.size),
			 ex->target.path.data ? ex->target.path.data : "", ex->origin->host,
			 ex->origin->port);
	json_object_set_new(object, "next_steps", json_pack("[s]", next));
}

int denial_body(struct exchange *ex, const struct exchange_denial *denial, struct text *ret_text)
{
	json_t *object = json_object();
	struct text path = ex->target.path;
	_cleanup_free_ char *text = NULL;
	char *copy;
	size_t size;

	if (!object)
		return -ENOMEM;
	add_text(object, "error", denial->error);
	add_text(object, "detail", detail_of(ex, denial));
	add_text(object, "reason", denial->reason);
	if (ex->verdict.protocol)
		add_text(object, "protocol", ex->verdict.protocol);
	add(object, "method", ex->request.method.data, ex->request.method.size);
	if (path.data)
		add(object, "path", path.data, path.size);
	add_text(object, "host", ex->origin->host);
	json_object_set_new(object, "port", json_integer(ex->origin->port));
	add_text(object, "binary", ex->origin->binary);
	if (!strcmp(denial->error, "policy_denied"))
		add_rule(object, ex);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!text)
		return -ENOMEM;
	size = strlen(text);
	copy = arena_copy(ex->arena, text, size + 1);
	if (!copy)
		return -ENOMEM;
	copy[size] = '\n';
	*ret_text = (struct text){copy, (uint32_t)size + 1};
	return 0;
}
