/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/l7_internal.h"

#include "common/cleanup.h"

#include <stdarg.h>
#include <stdio.h>

void l7_allow(struct l7_answer *answer, const char *rule)
{
	answer->outcome = L7_ALLOWED;
	answer->rule = rule;
}

void l7_deny(struct l7_answer *answer, const char *rule, const char *fmt, ...)
{
	va_list args;

	answer->outcome = L7_DENIED;
	answer->rule = rule;
	va_start(args, fmt);
	vsnprintf(answer->reason, sizeof(answer->reason), fmt, args);
	va_end(args);
}

const char *l7_access_text(PB(Access) access)
{
	switch (access) {
	case PB_ENUM(ACCESS__ACCESS_READ_ONLY):
		return "access read-only";
	case PB_ENUM(ACCESS__ACCESS_READ_WRITE):
		return "access read-write";
	case PB_ENUM(ACCESS__ACCESS_FULL):
		return "access full";
	default:
		return "";
	}
}

const char *l7_protocol_text(PB(Protocol) protocol)
{
	static const char *const texts[] = {"tcp", "rest",     "websocket", "graphql",
					    "mcp", "json-rpc", "sql",	    "inference"};

	return (size_t)protocol < ARRAY_LEN(texts) ? texts[protocol] : "unknown";
}

const char *l7_quote(struct text text, char buffer[L7_QUOTED_MAX])
{
	size_t size = text.size < L7_QUOTED_MAX - 4 ? text.size : L7_QUOTED_MAX - 4;

	for (size_t i = 0; i < size; i++) {
		uint8_t c = (uint8_t)text.data[i];

		buffer[i] = c < 0x20 || c > 0x7e || c == '"' ? '?' : (char)c;
	}
	memcpy(buffer + size, size < text.size ? "..." : "", size < text.size ? 4 : 1);
	return buffer;
}

/* Strings with a mark between them, after a first mark: " a|b". */
static const char *join(struct arena *arena, const char *before, const char *first,
			const char *between, size_t count, char **items, const char *last)
{
	for (size_t i = 0; i < count && before; i++)
		before = arena_format(arena, "%s%s%s", before, i ? between : first, items[i]);
	return before && count ? arena_format(arena, "%s%s", before, last) : before;
}

static const char *operation_text(PB(OperationType) operation)
{
	static const char *const texts[] = {"", "query", "mutation", "subscription", "any"};

	return (size_t)operation < ARRAY_LEN(texts) ? texts[operation] : "";
}

const char *l7_rule_text(struct arena *arena, PB(Protocol) protocol, const PB(L7Rule) * rule,
			 enum l7_reading reading)
{
	const char *verb = reading == L7_READING_DENY ? "deny" : "allow", *text;

	if (rule->operation_type) {
		text = arena_format(arena, "%s %s%s%s", verb, operation_text(rule->operation_type),
				    *rule->operation_name ? " " : "", rule->operation_name);
		return join(arena, text, " {", " ", rule->n_fields, rule->fields, "}");
	}
	text = arena_format(arena, "%s %s%s%s", verb,
			    protocol == PB_ENUM(PROTOCOL__PROTOCOL_SQL) ? rule->command
									: rule->method,
			    *rule->path ? " " : "", rule->path);
	text = join(arena, text, " ", "|", rule->n_tools, rule->tools, "");
	for (size_t i = 0; i < rule->n_query && text; i++) {
		const PB(Matcher) *matcher = rule->query[i];

		text = arena_format(arena, "%s%c%s=", text, i ? '&' : '?', matcher->key);
		text = join(arena, text, "", "|", matcher->n_globs, matcher->globs, "");
	}
	return text;
}
