/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/middleware_regex.h"
#include "common/cleanup.h"
#include "common/middleware_config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_MAX_KIB 8192
#define DEPTH_MAX    20000

struct span {
	size_t start, end;
};

struct regex {
	struct middleware_config *config;
	pcre2_code *code[MIDDLEWARE_PATTERNS_MAX];
	pcre2_match_context *context;
	pcre2_match_data *match;
	uint64_t steps; /* left of the pattern that runs */
	struct span span[REGEX_MATCHES];
};

static int count_step(pcre2_callout_block *block, void *data)
{
	struct regex *regex = data;

	if (!regex->steps)
		return PCRE2_ERROR_CALLOUT;
	regex->steps--;
	return 0;
}

static void cleanup_regexp(struct regex **regex)
{
	regex_free(*regex);
}

int regex_new(const char *config, struct regex **ret_regex, struct error *err)
{
	_cleanup_(cleanup_regexp) struct regex *regex = calloc(1, sizeof(*regex));
	int r;

	if (!regex)
		return error_set(err, -ENOMEM, "not enough memory for a middleware");
	r = middleware_config_parse(config, &regex->config, err);
	for (size_t i = 0; !r && i < regex->config->patterns_len; i++)
		r = middleware_pattern_compile(&regex->config->patterns[i], &regex->code[i], err);
	if (r < 0)
		return r;
	regex->context = pcre2_match_context_create(NULL);
	regex->match = pcre2_match_data_create(1, NULL);
	if (!regex->context || !regex->match)
		return error_set(err, -ENOMEM, "not enough memory for a middleware");
	pcre2_set_callout(regex->context, count_step, regex);
	pcre2_set_heap_limit(regex->context, HEAP_MAX_KIB);
	pcre2_set_depth_limit(regex->context, DEPTH_MAX);
	*ret_regex = TAKE_PTR(regex);
	return 0;
}

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	for (size_t i = 0; i < MIDDLEWARE_PATTERNS_MAX; i++)
		pcre2_code_free(regex->code[i]);
	pcre2_match_data_free(regex->match);
	pcre2_match_context_free(regex->context);
	middleware_config_free(regex->config);
	free(regex);
}

unsigned int regex_where(const struct regex *regex)
{
	return regex->config->where;
}

size_t regex_body_max(const struct regex *regex)
{
	return regex->config->max_body_bytes;
}

/* The next match from @from on: 1, 0, -EIO. */
static int search(struct regex *regex, const pcre2_code *code, struct text text, size_t from,
		  uint32_t options, struct span *ret)
{
	PCRE2_SIZE *found;
	int r = pcre2_match(code, (PCRE2_SPTR)text.data, text.size, from, options, regex->match,
			    regex->context);

	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r < 0)
		return -EIO;
	found = pcre2_get_ovector_pointer(regex->match);
	/* \K in a lookaround could say so; and nothing may be taken twice. */
	if (found[0] > found[1] || found[0] < from || found[1] > text.size)
		return -EIO;
	*ret = (struct span){found[0], found[1]};
	return 1;
}

/* All matches, in order; how many, or -EIO. */
static int search_all(struct regex *regex, const pcre2_code *code, struct text text)
{
	size_t from = 0;
	int count = 0, r;

	while (from <= text.size) {
		struct span span;

		r = search(regex, code, text, from, PCRE2_NOTEMPTY, &span);
		if (r < 0)
			return r;
		if (!r)
			break;
		if (count == REGEX_MATCHES)
			return -EIO;
		regex->span[count++] = span;
		from = span.end;
	}
	return count;
}

static int redact(const struct regex *regex, const char *replacement, int count,
		  struct arena *arena, struct text *text)
{
	size_t len = strlen(replacement), size = text->size + (size_t)count * len, from = 0;
	char *out, *end;

	for (int i = 0; i < count; i++)
		size -= regex->span[i].end - regex->span[i].start;
	out = end = arena_alloc(arena, size);
	if (!out)
		return -ENOMEM;
	for (int i = 0; i < count; i++) {
		size_t before = regex->span[i].start - from;

		memcpy(end, text->data + from, before);
		memcpy(end + before, replacement, len);
		end += before + len;
		from = regex->span[i].end;
	}
	memcpy(end, text->data + from, text->size - from);
	*text = (struct text){out, (uint32_t)size};
	return 0;
}

static int apply(struct regex *regex, size_t number, struct arena *arena, struct text *text)
{
	const struct middleware_pattern *pattern = &regex->config->patterns[number];
	struct span span;
	int r;

	regex->steps = REGEX_STEPS + (uint64_t)text->size * REGEX_STEPS_BYTE;
	if (pattern->deny) {
		r = search(regex, regex->code[number], *text, 0, PCRE2_NOTEMPTY, &span);
		return r > 0 ? -EACCES : r;
	}
	r = search_all(regex, regex->code[number], *text);
	return r > 0 ? redact(regex, pattern->replacement, r, arena, text) : r;
}

int regex_apply(struct regex *regex, unsigned int place, struct text text, struct arena *arena,
		struct text *ret_text, const char **ret_name)
{
	for (size_t i = 0; text.size && i < regex->config->patterns_len; i++) {
		int r;

		if (!(regex->config->patterns[i].where & place))
			continue;
		r = apply(regex, i, arena, &text);
		if (r < 0) {
			*ret_name = regex->config->patterns[i].name;
			return r;
		}
	}
	*ret_text = text;
	return 0;
}
