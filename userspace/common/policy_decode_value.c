/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_decode_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int decode_one_glob(struct decoder *decoder, const struct yaml_node *node, const char *name,
			   struct policy_matcher *target)
{
	if (node->type != YAML_TYPE_STRING) {
		decode_wrong_kind(decoder, node, name, "a glob in quotes, or a mapping with 'any'");
		return 0;
	}
	if (!decode_text_is_clean(decoder, node->at, name, node->text, node->len))
		return 0;
	target->globs.items = arena_alloc(decoder->arena, sizeof(*target->globs.items));
	if (!target->globs.items)
		return -ENOMEM;
	target->globs.at = node->at;
	target->globs.count = 1;
	target->globs.items[0] = (struct policy_string){node->at, node->text};
	return 0;
}

int decode_matcher(struct decoder *decoder, const struct yaml_node *node, const char *name,
		   struct policy_matcher *target)
{
	target->head.at = node->at;
	if (node->kind == YAML_KIND_SCALAR)
		return decode_one_glob(decoder, node, name, target);
	if (node->kind != YAML_KIND_MAPPING || node->count != 1 ||
	    strcmp(node->first->key, "any")) {
		policy_error(decoder->diag, node->at, "matcher.form",
			     "'%s' must be a glob, or {any: [glob, ...]}", name);
		return 0;
	}
	if (node->first->kind == YAML_KIND_SEQUENCE && !node->first->count)
		policy_error(decoder->diag, node->first->at, "value.empty",
			     "'any' is empty: it would match nothing");
	return decode_strings(decoder, node->first, "any", &target->globs);
}

static int alloc_matchers(struct decoder *decoder, size_t count, struct policy_list *target)
{
	target->items = arena_alloc_array(decoder->arena, count, sizeof(struct policy_matcher));
	return target->items ? 0 : -ENOMEM;
}

int decode_matchers(struct decoder *decoder, const struct yaml_node *node, const char *name,
		    struct policy_list *target)
{
	struct policy_matcher *matcher;

	target->at = node->at;
	if (node->kind != YAML_KIND_MAPPING) {
		decode_wrong_kind(decoder, node, name, "a mapping from a name to a glob");
		return 0;
	}
	if (alloc_matchers(decoder, node->count, target) < 0)
		return -ENOMEM;
	matcher = target->items;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		int r;

		if (!decode_text_is_clean(decoder, child->key_at, name, child->key, child->key_len))
			continue;
		r = decode_matcher(decoder, child, child->key, matcher);
		if (r < 0)
			return r;
		matcher->head.key = child->key;
		matcher->head.at = child->key_at;
		matcher++;
		target->count++;
	}
	return 0;
}

static size_t count_leaves(const struct yaml_node *node)
{
	size_t count = 0;

	if (node->kind != YAML_KIND_MAPPING)
		return 1;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		count += count_leaves(child);
	return count ? count : 1;
}

static bool is_matcher(const struct yaml_node *node)
{
	return node->kind != YAML_KIND_MAPPING ||
	       (node->count == 1 && !strcmp(node->first->key, "any") &&
		node->first->kind == YAML_KIND_SEQUENCE);
}

static int flatten(struct decoder *decoder, const struct yaml_node *node, const char *prefix,
		   struct policy_list *target)
{
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct policy_matcher *matcher;
		const char *key = child->key;
		int r;

		if (!decode_text_is_clean(decoder, child->key_at, "params", child->key,
					  child->key_len))
			continue;
		if (prefix)
			key = arena_format(decoder->arena, "%s.%s", prefix, child->key);
		if (!key)
			return -ENOMEM;
		if (!is_matcher(child)) {
			r = flatten(decoder, child, key, target);
			if (r < 0)
				return r;
			continue;
		}
		matcher = (struct policy_matcher *)target->items + target->count;
		r = decode_matcher(decoder, child, key, matcher);
		if (r < 0)
			return r;
		matcher->head.key = key;
		matcher->head.at = child->key_at;
		target->count++;
	}
	return 0;
}

/* The published form nests parameters as maps; the matcher's key is the path with dots. */
int decode_params(struct decoder *decoder, const struct yaml_node *node, const char *name,
		  struct policy_list *target)
{
	target->at = node->at;
	if (node->kind != YAML_KIND_MAPPING) {
		decode_wrong_kind(decoder, node, name, "a mapping from a parameter to a glob");
		return 0;
	}
	if (alloc_matchers(decoder, count_leaves(node), target) < 0)
		return -ENOMEM;
	return flatten(decoder, node, NULL, target);
}

static json_t *scalar_to_json(const struct yaml_node *node)
{
	switch (node->type) {
	case YAML_TYPE_NULL:
		return json_null();
	case YAML_TYPE_BOOL:
		return json_boolean(node->text[0] == 't' || node->text[0] == 'T');
	case YAML_TYPE_INTEGER: {
		char *end;
		long long value;

		errno = 0;
		value = strtoll(node->text, &end, 10);
		return errno || *end ? NULL : json_integer(value);
	}
	case YAML_TYPE_FLOAT: {
		char *end;
		double value = strtod(node->text, &end);

		return *end ? NULL : json_real(value); /* infinities are no JSON: NULL */
	}
	default:
		return json_stringn(node->text, node->len);
	}
}

/* NULL with @ret_bad set to the node that has no JSON form, or without memory. */
static json_t *to_json(const struct yaml_node *node, const struct yaml_node **ret_bad)
{
	json_t *json;

	if (node->kind == YAML_KIND_SCALAR) {
		json = scalar_to_json(node);
		if (!json)
			*ret_bad = node;
		return json;
	}
	json = node->kind == YAML_KIND_MAPPING ? json_object() : json_array();
	for (const struct yaml_node *child = node->first; child && json; child = child->next) {
		json_t *value = to_json(child, ret_bad);
		int r = !value ? -1
			: node->kind == YAML_KIND_MAPPING
				? json_object_set_new(json, child->key, value)
				: json_array_append_new(json, value);

		if (r < 0) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

int decode_json(struct decoder *decoder, const struct yaml_node *node, const char *name,
		struct policy_string *target)
{
	const struct yaml_node *bad = NULL;
	json_t *json;
	char *text;

	target->at = node->at;
	if (node->kind != YAML_KIND_MAPPING) {
		decode_wrong_kind(decoder, node, name, "a mapping");
		return 0;
	}
	json = to_json(node, &bad);
	if (!json && bad) {
		policy_error(decoder->diag, bad->at, "middleware.config",
			     "'%s' cannot be passed on as JSON", bad->text);
		return 0;
	}
	text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(json);
	if (!text)
		return -ENOMEM;
	target->value = arena_copy(decoder->arena, text, strlen(text));
	free(text);
	return target->value ? 0 : -ENOMEM;
}
