/* SPDX-License-Identifier: Apache-2.0 */
#include "common/middleware_config.h"
#include "common/arena.h"
#include "common/cleanup.h"
#include "common/policy_words.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <jansson.h>
#include <pcre2.h>
#include <string.h>

#define ARENA_MAX (2u << 20)
#define TRY_STEPS 100000 /* of a pattern, in an empty text */

/* Shapes of secrets; a placeholder that looks like one is none. */
static const struct {
	const char *name, *pattern;
} well_known[] = {
	{"a private key", "-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----[A-Za-z0-9+/=\\s\\\\]{16,8192}+"
			  "(?:-----END [A-Z ]{0,24}PRIVATE KEY-----)?"},
	{"an AWS access key", "\\b(?:AKIA|ASIA)[A-Z0-9]{16}\\b"},
	{"a GitHub token", "\\bgh[pousr]_[A-Za-z0-9]{36,251}+"},
	{"a GitHub token", "\\bgithub_pat_[A-Za-z0-9_]{22,255}+"},
	{"a GitLab token", "\\bglpat-(?!OPENSHELL-RESOLVE)[A-Za-z0-9_-]{20,255}+"},
	{"a model service's key", "\\bsk-(?!(?:[A-Za-z0-9]+-)*OPENSHELL-RESOLVE)"
				  "[A-Za-z0-9_-]{20,255}+"},
	{"an NVIDIA key", "\\bnvapi-(?!OPENSHELL-RESOLVE)[A-Za-z0-9_-]{20,255}+"},
	{"a Google key", "\\bAIza[A-Za-z0-9_-]{35}\\b"},
	{"a Slack token", "\\bx(?:ox[abeoprs]|app)-(?!OPENSHELL-RESOLVE)[A-Za-z0-9-]{10,255}+"},
	{"a JSON web token", "\\beyJ[A-Za-z0-9_-]{8,4096}+\\.eyJ[A-Za-z0-9_-]{8,8192}+"
			     "\\.[A-Za-z0-9_-]{8,4096}+"},
};

static const char *const words_built_in[] = {MIDDLEWARE_REGEX, NULL};
static const char *const words_mode[] = {"redact", "deny", NULL};
static const char *const words_where[] = {"body", "headers", "query", "path", NULL};
static const char *const keys_config[] = {"mode",	 "patterns",	   "replacement", "where",
					  "ignore_case", "max_body_bytes", NULL};
static const char *const keys_pattern[] = {"pattern", "name",	     "mode", "replacement",
					   "where",   "ignore_case", NULL};

/* What holds for a pattern that does not say otherwise. */
struct parser {
	struct middleware_config *config;
	struct middleware_pattern defaults;
	char place[64]; /* "config", "config.patterns[2]" */
	struct error *err;
};

bool middleware_is_built_in(const char *name)
{
	return !strcmp(name, MIDDLEWARE_REGEX);
}

const char *middleware_nearest(const char *name)
{
	return policy_word_nearest(name, words_built_in);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "not enough memory for a middleware");
}

/* "body, headers, query" */
static const char *join(const char *const *words, char *buf, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; words[i] && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", words[i]);
	return buf;
}

static int is_one_of(struct parser *parser, const char *key, const json_t *value,
		     const char *const *words, unsigned int *ret_index)
{
	const char *word = json_string_value(value), *near;
	char known[256];

	for (unsigned int i = 0; word && words[i]; i++)
		if (!strcmp(word, words[i])) {
			*ret_index = i;
			return 0;
		}
	near = word ? policy_word_nearest(word, words) : NULL;
	if (near)
		return error_set(parser->err, -EINVAL, "%s.%s cannot be '%s' (did you mean '%s'?)",
				 parser->place, key, word, near);
	return error_set(parser->err, -EINVAL, "%s.%s: expected one of %s", parser->place, key,
			 join(words, known, sizeof(known)));
}

static int check_keys(struct parser *parser, json_t *object, const char *const *known)
{
	char list[256];
	const char *key, *near;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		bool found = false;

		for (size_t i = 0; known[i] && !found; i++)
			found = !strcmp(known[i], key);
		if (found)
			continue;
		near = policy_word_nearest(key, known);
		if (near)
			return error_set(parser->err, -EINVAL,
					 "unknown key '%s' in %s (did you mean '%s'?)", key,
					 parser->place, near);
		return error_set(parser->err, -EINVAL, "unknown key '%s' in %s; known keys: %s",
				 key, parser->place, join(known, list, sizeof(list)));
	}
	return 0;
}

/* A text without NULs, as long as @max, in the arena. */
static int read_text(struct parser *parser, const char *key, const json_t *value, size_t max,
		     const char **ret_text)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);
	char *copy;

	if (!text || strlen(text) != size)
		return error_set(parser->err, -EINVAL, "%s.%s: expected text", parser->place, key);
	if (size > max)
		return error_set(parser->err, -EINVAL, "%s.%s: longer than %zu bytes",
				 parser->place, key, max);
	copy = arena_copy(parser->config->arena, text, size);
	if (!copy)
		return no_memory(parser->err);
	*ret_text = copy;
	return 0;
}

static int read_where(struct parser *parser, const json_t *value, unsigned int *ret_where)
{
	unsigned int where = 0, index = 0;
	const json_t *item;
	size_t i;

	if (!json_is_array(value) || !json_array_size(value))
		return error_set(parser->err, -EINVAL,
				 "%s.where: expected a list, such as [body, headers]",
				 parser->place);
	json_array_foreach(value, i, item)
	{
		int r = is_one_of(parser, "where", item, words_where, &index);

		if (r < 0)
			return r;
		where |= 1u << index;
	}
	*ret_where = where;
	return 0;
}

/* What is sent in place of something else must not be able to end a field. */
static int check_replacement(struct parser *parser, const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return error_set(parser->err, -EINVAL,
					 "%s.replacement has a control character", parser->place);
	return 0;
}

/* The keys that a pattern and the whole have in common. */
static int read_common(struct parser *parser, const json_t *object,
		       struct middleware_pattern *pattern)
{
	const json_t *mode = json_object_get(object, "mode");
	const json_t *replacement = json_object_get(object, "replacement");
	const json_t *where = json_object_get(object, "where");
	const json_t *ignore_case = json_object_get(object, "ignore_case");
	unsigned int index = pattern->deny;
	int r = 0;

	if (mode)
		r = is_one_of(parser, "mode", mode, words_mode, &index);
	pattern->deny = index == 1;
	if (!r && replacement)
		r = read_text(parser, "replacement", replacement, MIDDLEWARE_REPLACEMENT_MAX,
			      &pattern->replacement);
	if (!r && replacement)
		r = check_replacement(parser, pattern->replacement);
	if (!r && where)
		r = read_where(parser, where, &pattern->where);
	if (!r && ignore_case && !json_is_boolean(ignore_case))
		r = error_set(parser->err, -EINVAL, "%s.ignore_case: expected true or false",
			      parser->place);
	if (!r && ignore_case)
		pattern->ignore_case = json_is_true(ignore_case);
	return r;
}

int middleware_pattern_compile(const struct middleware_pattern *pattern, pcre2_code **ret_code,
			       struct error *err)
{
	/* A callout at every item is what counts the steps of a match: see middleware_regex.c. */
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
			   PCRE2_AUTO_CALLOUT | (pattern->ignore_case ? PCRE2_CASELESS : 0);
	unsigned char why[128];
	size_t offset = 0;
	pcre2_code *code;
	int number = 0;

	code = pcre2_compile((PCRE2_SPTR)pattern->pattern, PCRE2_ZERO_TERMINATED, options, &number,
			     &offset, NULL);
	if (code) {
		*ret_code = code;
		return 0;
	}
	if (number == PCRE2_ERROR_HEAP_FAILED || number == PCRE2_ERROR_NOMEMORY)
		return no_memory(err);
	pcre2_get_error_message(number, why, sizeof(why));
	return error_set(err, -EINVAL, "'%s' is no regular expression: %s at offset %zu",
			 pattern->pattern, (const char *)why, offset);
}

/* Whether it compiles, and needs at least one character: else it would match between all others. */
static int try_pattern(struct parser *parser, const struct middleware_pattern *pattern)
{
	pcre2_match_context *context = NULL;
	pcre2_match_data *match = NULL;
	pcre2_code *code = NULL;
	int r = middleware_pattern_compile(pattern, &code, parser->err), found = 0;

	if (r == -EINVAL)
		return error_wrap(parser->err, "%s", parser->place);
	if (r < 0)
		return r;
	match = pcre2_match_data_create(1, NULL);
	context = pcre2_match_context_create(NULL);
	if (match && context) {
		pcre2_set_match_limit(context, TRY_STEPS);
		found = pcre2_match(code, (PCRE2_SPTR) "", 0, 0, 0, match, context);
	}
	if (!match || !context)
		r = no_memory(parser->err);
	else if (found >= 0)
		r = error_set(parser->err, -EINVAL, "%s: '%s' matches an empty text", parser->place,
			      pattern->pattern);
	else if (found != PCRE2_ERROR_NOMATCH)
		r = error_set(parser->err, -EINVAL,
			      "%s: '%s' takes too long, even in an empty text", parser->place,
			      pattern->pattern);
	pcre2_match_context_free(context);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	return r;
}

static int add_pattern(struct parser *parser, const struct middleware_pattern *pattern)
{
	struct middleware_config *config = parser->config;
	int r;

	if (!*pattern->pattern)
		return error_set(parser->err, -EINVAL, "%s: an empty pattern", parser->place);
	if ((pattern->where & MIDDLEWARE_PATH) && !pattern->deny)
		return error_set(parser->err, -EINVAL,
				 "%s.where: a path cannot be redacted, since it would be another "
				 "request; use 'mode: deny'",
				 parser->place);
	r = try_pattern(parser, pattern);
	if (r < 0)
		return r;
	config->patterns[config->patterns_len++] = *pattern;
	config->where |= pattern->where;
	return 0;
}

static int read_pattern(struct parser *parser, json_t *item, size_t number)
{
	struct middleware_pattern pattern = parser->defaults;
	const json_t *name, *text = item;
	int r = 0;

	snprintf(parser->place, sizeof(parser->place), "config.patterns[%zu]", number);
	pattern.name = arena_format(parser->config->arena, "pattern %zu", number + 1);
	if (!pattern.name)
		return no_memory(parser->err);
	if (json_is_object(item)) {
		r = check_keys(parser, item, keys_pattern);
		if (!r)
			r = read_common(parser, item, &pattern);
		name = json_object_get(item, "name");
		if (!r && name)
			r = read_text(parser, "name", name, 64, &pattern.name);
		text = json_object_get(item, "pattern");
		if (!r && !text)
			r = error_set(parser->err, -EINVAL, "%s needs 'pattern'", parser->place);
	}
	if (!r)
		r = read_text(parser, "pattern", text, MIDDLEWARE_PATTERN_SIZE_MAX,
			      &pattern.pattern);
	return r ? r : add_pattern(parser, &pattern);
}

static int read_patterns(struct parser *parser, const json_t *list)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list) || !json_array_size(list))
		return error_set(parser->err, -EINVAL,
				 "config.patterns: expected a list of regular expressions; leave "
				 "it out for those of well-known secrets");
	if (json_array_size(list) > MIDDLEWARE_PATTERNS_MAX)
		return error_set(parser->err, -EINVAL, "config.patterns: %zu, at most %d",
				 json_array_size(list), MIDDLEWARE_PATTERNS_MAX);
	json_array_foreach(list, i, item)
	{
		int r = read_pattern(parser, item, i);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_well_known(struct parser *parser)
{
	for (size_t i = 0; i < ARRAY_LEN(well_known); i++) {
		struct middleware_pattern pattern = parser->defaults;
		int r;

		pattern.name = well_known[i].name;
		pattern.pattern = well_known[i].pattern;
		r = add_pattern(parser, &pattern);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_config(struct parser *parser, json_t *root)
{
	const json_t *max = json_object_get(root, "max_body_bytes");
	const json_t *patterns = json_object_get(root, "patterns");
	int r = check_keys(parser, root, keys_config);

	if (!r)
		r = read_common(parser, root, &parser->defaults);
	if (r < 0)
		return r;
	if (max) {
		json_int_t bytes = json_integer_value(max);

		if (!json_is_integer(max) || bytes < 1 || bytes > MIDDLEWARE_BODY_MAX)
			return error_set(parser->err, -EINVAL,
					 "config.max_body_bytes must be from 1 to %u",
					 MIDDLEWARE_BODY_MAX);
		parser->config->max_body_bytes = (size_t)bytes;
	}
	return patterns ? read_patterns(parser, patterns) : add_well_known(parser);
}

static int parse(const char *json, struct middleware_config *config, struct error *err)
{
	struct parser parser = {
		.config = config,
		.defaults = {.replacement = "[REDACTED]", .where = MIDDLEWARE_BODY},
		.place = "config",
		.err = err,
	};
	json_error_t why;
	json_t *root;
	int r;

	root = json_loads(*json ? json : "{}", JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return error_set(err, -EINVAL, "config: %s", why.text);
	r = json_is_object(root) ? read_config(&parser, root)
				 : error_set(err, -EINVAL, "config: expected a mapping");
	json_decref(root);
	return r;
}

int middleware_config_parse(const char *json, struct middleware_config **ret_config,
			    struct error *err)
{
	_cleanup_middleware_config_ struct middleware_config *config = NULL;
	struct arena *arena = arena_new(ARENA_MAX);
	int r;

	config = arena ? arena_alloc(arena, sizeof(*config)) : NULL;
	if (!config) {
		arena_free(arena);
		return no_memory(err);
	}
	config->arena = arena;
	config->max_body_bytes = MIDDLEWARE_BODY_DEFAULT;
	r = parse(json, config, err);
	if (!r)
		*ret_config = TAKE_PTR(config);
	return r;
}

void middleware_config_free(struct middleware_config *config)
{
	/* The configuration itself comes from its arena. */
	if (config)
		arena_free(config->arena);
}
