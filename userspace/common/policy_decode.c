/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_decode_internal.h"
#include "common/policy_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t policy_find_template(const char *text, size_t *ret_offset)
{
	for (const char *c = text; *c; c++) {
		const char *end = NULL;

		if (!strncmp(c, "${", 2))
			end = strchr(c, '}');
		else if (!strncmp(c, "{{", 2))
			end = strstr(c, "}}");
		else if (!strncmp(c, "__", 2) && isupper((unsigned char)c[2])) {
			end = c + 2;
			while (isupper((unsigned char)*end) || isdigit((unsigned char)*end) ||
			       (*end == '_' && strncmp(end, "__", 2)))
				end++;
			end = strncmp(end, "__", 2) ? NULL : end + 1;
		}
		if (end) {
			*ret_offset = (size_t)(c - text);
			return (size_t)(end - c) + 1 + (c[0] == '{');
		}
	}
	return 0;
}

static const char *kind_of(const struct yaml_node *node)
{
	if (node->kind == YAML_KIND_SEQUENCE)
		return "a list";
	if (node->kind == YAML_KIND_MAPPING)
		return "a mapping";
	switch (node->type) {
	case YAML_TYPE_NULL:
		return "nothing";
	case YAML_TYPE_BOOL:
		return "a truth value";
	case YAML_TYPE_INTEGER:
		return "a number";
	case YAML_TYPE_FLOAT:
		return "a number with a fraction";
	default:
		return "text";
	}
}

void decode_wrong_kind(struct decoder *decoder, const struct yaml_node *node, const char *name,
		       const char *wanted)
{
	if (node->kind == YAML_KIND_SCALAR && node->type == YAML_TYPE_NULL)
		policy_error(decoder->diag, node->at, "value.missing",
			     "'%s' has no value: it must be %s", name, wanted);
	else
		policy_error(decoder->diag, node->at, "value.kind", "'%s' must be %s, not %s", name,
			     wanted, kind_of(node));
}

bool decode_text_is_clean(struct decoder *decoder, struct policy_place at, const char *name,
			  const char *text, size_t len)
{
	size_t offset, found;

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f)
			continue;
		policy_error(decoder->diag, at, "value.control",
			     "'%s' holds the control character 0x%02x", name,
			     (unsigned char)text[i]);
		return false;
	}
	found = policy_find_template(text, &offset);
	if (found) {
		policy_error(
			decoder->diag, at, "value.template",
			"'%s' still holds the template '%.*s': put its value in before loading",
			name, (int)(found > 64 ? 64 : found), text + offset);
		return false;
	}
	return true;
}

static void decode_string(struct decoder *decoder, const struct yaml_node *node, const char *name,
			  struct policy_string *target)
{
	target->at = node->at;
	if (node->kind != YAML_KIND_SCALAR || node->type == YAML_TYPE_NULL) {
		decode_wrong_kind(decoder, node, name, "text");
		return;
	}
	if (node->type != YAML_TYPE_STRING) {
		policy_error(decoder->diag, node->at, "value.kind",
			     "'%s' must be text, and %s is %s: put it in quotes, \"%s\"", name,
			     node->text, kind_of(node), node->text);
		return;
	}
	if (decode_text_is_clean(decoder, node->at, name, node->text, node->len))
		target->value = node->text;
}

static void decode_bool(struct decoder *decoder, const struct yaml_node *node,
			const struct policy_field *field, struct policy_bool *target)
{
	target->at = node->at;
	if (node->kind != YAML_KIND_SCALAR || node->type != YAML_TYPE_BOOL)
		decode_wrong_kind(decoder, node, field->name, "true or false");
	else
		target->value = tolower((unsigned char)node->text[0]) == 't';
}

static void decode_number(struct decoder *decoder, const struct yaml_node *node,
			  const struct policy_field *field, struct policy_number *target)
{
	char *end;
	long long value;

	target->at = node->at;
	if (node->kind != YAML_KIND_SCALAR || node->type != YAML_TYPE_INTEGER) {
		decode_wrong_kind(decoder, node, field->name, "a whole number");
		return;
	}
	/* YAML 1.1 reads 0443 as octal and 1.2 as decimal; a policy is no place for that. */
	if (node->text[0] == '+' || (node->text[0] == '0' && node->len > 1) ||
	    (!strncmp(node->text, "-0", 2))) {
		policy_error(decoder->diag, node->at, "value.number",
			     "'%s' must be a decimal number without sign or leading zeros, not %s",
			     field->name, node->text);
		return;
	}
	errno = 0;
	value = strtoll(node->text, &end, 10);
	if (!errno && !*end && value >= field->min && value <= field->max)
		target->value = value;
	else if (field->min == field->max)
		policy_error(decoder->diag, node->at, "value.range", "'%s' must be %lld, not %s",
			     field->name, (long long)field->min, node->text);
	else
		policy_error(decoder->diag, node->at, "value.range",
			     "'%s' must be from %lld to %lld, not %s", field->name,
			     (long long)field->min, (long long)field->max, node->text);
}

static const char *join_words(const char *const *words, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; words[i] && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", words[i]);
	return buf;
}

static void decode_enum(struct decoder *decoder, const struct yaml_node *node,
			const struct policy_field *field, struct policy_enum *target)
{
	struct policy_string text = {};
	const char *near;
	char known[256];

	decode_string(decoder, node, field->name, &text);
	target->at = node->at;
	if (!text.value)
		return;
	for (int i = 0; field->words[i]; i++)
		if (!strcmp(field->words[i], text.value))
			target->value = i + 1;
	if (target->value)
		return;
	near = policy_word_nearest(text.value, field->words);
	/* The protocol that people reach for, though the schema has another name for it. */
	if (field->words == policy_words_protocol && !strncasecmp(text.value, "http", 4))
		near = "rest";
	if (near)
		policy_error(decoder->diag, node->at, "value.enum",
			     "'%s' cannot be '%s' (did you mean '%s'?)", field->name, text.value,
			     near);
	else
		policy_error(decoder->diag, node->at, "value.enum",
			     "'%s' cannot be '%s'; it is one of: %s", field->name, text.value,
			     join_words(field->words, known, sizeof(known)));
}

int decode_strings(struct decoder *decoder, const struct yaml_node *node, const char *name,
		   struct policy_strings *target)
{
	size_t i = 0;

	target->at = node->at;
	if (node->kind != YAML_KIND_SEQUENCE) {
		decode_wrong_kind(decoder, node, name, "a list");
		return 0;
	}
	target->items = arena_alloc_array(decoder->arena, node->count, sizeof(*target->items));
	if (!target->items)
		return -ENOMEM;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		decode_string(decoder, child, name, &target->items[i]);
		i += target->items[i].value != NULL;
	}
	target->count = i;
	return 0;
}

static int decode_numbers(struct decoder *decoder, const struct yaml_node *node,
			  const struct policy_field *field, struct policy_numbers *target)
{
	target->at = node->at;
	if (node->kind != YAML_KIND_SEQUENCE) {
		decode_wrong_kind(decoder, node, field->name, "a list of numbers");
		return 0;
	}
	target->items = arena_alloc_array(decoder->arena, node->count, sizeof(*target->items));
	if (!target->items)
		return -ENOMEM;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		decode_number(decoder, child, field, &target->items[target->count++]);
	return 0;
}

static int decode_list(struct decoder *decoder, const struct yaml_node *node,
		       const struct policy_field *field, struct policy_list *target)
{
	const struct policy_object *object = field->object;
	bool is_map = field->kind == POLICY_KIND_MAP;
	unsigned char *item;

	target->at = node->at;
	if (node->kind != (is_map ? YAML_KIND_MAPPING : YAML_KIND_SEQUENCE)) {
		decode_wrong_kind(decoder, node, field->name, is_map ? "a mapping" : "a list");
		return 0;
	}
	item = arena_alloc_array(decoder->arena, node->count, object->size);
	if (!item)
		return -ENOMEM;
	target->items = item;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct policy_head *head = (struct policy_head *)item;
		int r;

		if (is_map && !decode_text_is_clean(decoder, child->key_at, field->name, child->key,
						    child->key_len))
			continue;
		r = policy_decode(child, object, item, decoder->arena, decoder->diag);
		if (r < 0)
			return r;
		if (is_map) {
			head->key = child->key;
			head->at = child->key_at;
		}
		item += object->size;
		target->count++;
	}
	return 0;
}

static int decode_value(struct decoder *decoder, const struct yaml_node *node,
			const struct policy_field *field, void *target)
{
	switch (field->kind) {
	case POLICY_KIND_STRING:
		decode_string(decoder, node, field->name, target);
		return 0;
	case POLICY_KIND_BOOL:
		decode_bool(decoder, node, field, target);
		return 0;
	case POLICY_KIND_NUMBER:
		decode_number(decoder, node, field, target);
		return 0;
	case POLICY_KIND_ENUM:
		decode_enum(decoder, node, field, target);
		return 0;
	case POLICY_KIND_STRINGS:
		return decode_strings(decoder, node, field->name, target);
	case POLICY_KIND_NUMBERS:
		return decode_numbers(decoder, node, field, target);
	case POLICY_KIND_OBJECT:
		return policy_decode(node, field->object, target, decoder->arena, decoder->diag);
	case POLICY_KIND_LIST:
	case POLICY_KIND_MAP:
		return decode_list(decoder, node, field, target);
	case POLICY_KIND_MATCHER:
		return decode_matcher(decoder, node, field->name, target);
	case POLICY_KIND_MATCHERS:
		return decode_matchers(decoder, node, field->name, target);
	case POLICY_KIND_PARAMS:
		return decode_params(decoder, node, field->name, target);
	case POLICY_KIND_JSON:
		return decode_json(decoder, node, field->name, target);
	case POLICY_KIND_REFUSED:
		policy_error(decoder->diag, node->key_at, "key.refused", "%s", field->note);
		return 0;
	}
	return 0;
}

static const struct policy_field *find_field(const struct policy_object *object, const char *name)
{
	for (const struct policy_field *field = object->fields; field->name; field++)
		if (!strcmp(field->name, name))
			return field;
	return NULL;
}

#define FIELDS_MAX 40

static size_t field_names(const struct policy_object *object, const char *ret_names[FIELDS_MAX])
{
	size_t count = 0;

	for (const struct policy_field *field = object->fields;
	     field->name && count < FIELDS_MAX - 1; field++)
		if (field->kind != POLICY_KIND_REFUSED)
			ret_names[count++] = field->name;
	ret_names[count] = NULL;
	return count;
}

static void unknown_key(struct decoder *decoder, const struct yaml_node *node,
			const struct policy_object *object)
{
	const char *names[FIELDS_MAX], *near, *home = NULL;
	char known[400];

	field_names(object, names);
	near = policy_word_nearest(node->key, names);
	for (size_t i = 0; !object->is_foreign && policy_objects[i] && !home; i++)
		if (policy_objects[i] != object && find_field(policy_objects[i], node->key))
			home = policy_objects[i]->name;
	if (near)
		policy_error(decoder->diag, node->key_at, "key.unknown",
			     "unknown key '%s' in %s (did you mean '%s'?)", node->key, object->name,
			     near);
	else if (home)
		policy_error(decoder->diag, node->key_at, "key.unknown",
			     "unknown key '%s' in %s: it belongs in %s", node->key, object->name,
			     home);
	else
		policy_error(decoder->diag, node->key_at, "key.unknown",
			     "unknown key '%s' in %s; known keys: %s", node->key, object->name,
			     join_words(names, known, sizeof(known)));
}

static bool is_empty(const struct yaml_node *node)
{
	return node->kind != YAML_KIND_SCALAR && !node->count;
}

static int decode_field(struct decoder *decoder, const struct yaml_node *child,
			const struct policy_object *object, void *target)
{
	const struct policy_field *field = find_field(object, child->key);

	if (!field) {
		unknown_key(decoder, child, object);
		return 0;
	}
	if ((field->flags & POLICY_FIELD_NULL_OK) && child->kind == YAML_KIND_SCALAR &&
	    child->type == YAML_TYPE_NULL) {
		policy_warning(decoder->diag, child->key_at, "value.missing",
			       "'%s' has no value: read as if it were not there", field->name);
		return 0;
	}
	if ((field->flags & POLICY_FIELD_NOT_EMPTY) && is_empty(child))
		policy_error(decoder->diag, child->at, "value.empty", "'%s' is empty: %s",
			     field->name, field->note);
	return decode_value(decoder, child, field, (unsigned char *)target + field->offset);
}

int policy_decode(const struct yaml_node *node, const struct policy_object *object, void *target,
		  struct arena *arena, struct diagnostics *diag)
{
	struct decoder decoder = {.arena = arena, .diag = diag};
	struct policy_head *head = target;

	head->at = node->at;
	if (node->kind != YAML_KIND_MAPPING) {
		policy_error(diag, node->at, "value.kind", "%s must be a mapping, not %s",
			     object->name, kind_of(node));
		return 0;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		int r = decode_field(&decoder, child, object, target);

		if (r < 0)
			return r;
	}
	for (const struct policy_field *field = object->fields; field->name; field++) {
		bool present = false;

		if (!(field->flags & POLICY_FIELD_REQUIRED))
			continue;
		for (const struct yaml_node *child = node->first; child && !present;
		     child = child->next)
			present = !strcmp(child->key, field->name);
		if (!present)
			policy_error(diag, node->at, "key.required", "%s needs '%s'", object->name,
				     field->name);
	}
	return 0;
}
