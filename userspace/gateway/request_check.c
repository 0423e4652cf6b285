/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/request_check.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum rule {
	RULE_TEXT, /* any UTF-8 */
	RULE_NAME, /* empty or a DNS-1123 label */
	RULE_LABELS,
	RULE_ENVIRONMENT,
	RULE_SUBJECT, /* who: printable, no spaces */
	RULE_LINE,    /* no control characters */
};

/* By the field's name, wherever it is; a type of message where a name means something else. */
static const struct {
	const char *message, *field;
	enum rule rule;
} rules[] = {
	{"openshell.sandbox.v1.NetworkPolicyRule", "name", RULE_LINE},
	{"openshell.sandbox.v1.NetworkMiddlewareConfig", "name", RULE_LINE},
	{"openshell.v1.ProviderProfileCredential", "name", RULE_LINE},
	{"openshell.v1.ProviderCredentialRefreshMaterial", "name", RULE_LINE},
	{"openshell.v1.ProviderProfile", "name", RULE_LINE},
	{NULL, "name", RULE_NAME},
	{NULL, "sandbox", RULE_NAME},
	{NULL, "sandbox_name", RULE_NAME},
	{NULL, "provider_name", RULE_NAME},
	{NULL, "service", RULE_NAME},
	{NULL, "workspace", RULE_NAME},
	{NULL, "route_name", RULE_LINE},
	{NULL, "profile_workspace", RULE_NAME},
	{NULL, "labels", RULE_LABELS},
	{NULL, "environment", RULE_ENVIRONMENT},
	{NULL, "principal_subject", RULE_SUBJECT},
	{NULL, "label_selector", RULE_LINE},
	{NULL, "setting_key", RULE_LINE},
	{NULL, "model_id", RULE_LINE},
	{NULL, "image", RULE_LINE},
};

static enum rule rule_of(const ProtobufCMessageDescriptor *message, const char *field)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (!strcmp(rules[i].field, field) &&
		    (!rules[i].message || !strcmp(rules[i].message, message->name)))
			return rules[i].rule;
	return RULE_TEXT;
}

bool request_is_name(const char *text)
{
	size_t n = strlen(text);

	return n && n <= REQUEST_NAME_MAX && text[0] != '-' && text[n - 1] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Strict: no overlong forms, no surrogates, nothing past U+10FFFF (RFC 3629). */
static bool is_utf8(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	while (*p) {
		uint32_t c = *p++, least;
		int more;

		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c < 0xe0) {
			more = 1;
			least = 0x80;
			c &= 0x1f;
		} else if (c >= 0xe0 && c < 0xf0) {
			more = 2;
			least = 0x800;
			c &= 0x0f;
		} else if (c >= 0xf0 && c < 0xf5) {
			more = 3;
			least = 0x10000;
			c &= 0x07;
		} else {
			return false;
		}
		while (more--) {
			if ((*p & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*p++ & 0x3f);
		}
		if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static int refuse(struct error *err, const char *field, const char *why)
{
	return error_set(err, -EINVAL, "%s: %s", field, why);
}

static int check_string(const char *field, const char *text, enum rule rule, struct error *err)
{
	if (strnlen(text, REQUEST_TEXT_MAX + 1) > REQUEST_TEXT_MAX)
		return refuse(err, field, "the text is longer than 64 KiB");
	if (!is_utf8(text))
		return refuse(err, field, "the text is not UTF-8");
	if (rule == RULE_NAME && *text && !request_is_name(text))
		return refuse(err, field,
			      "a name has 1 to 63 lower-case letters, digits and '-', and neither "
			      "begins nor ends with '-'");
	if (rule == RULE_LINE && (has_control(text) || strlen(text) > 1024))
		return refuse(err, field, "control characters, or more than 1,024 bytes");
	if (rule == RULE_SUBJECT && (has_control(text) || strlen(text) > 200))
		return refuse(err, field, "control characters, or more than 200 bytes");
	return 0;
}

static bool is_label_text(const char *text, const char *more, size_t max)
{
	static const char alnum[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(text);
	char allowed[80];

	snprintf(allowed, sizeof(allowed), "%s%s", alnum, more);
	return n <= max && strspn(text, allowed) == n &&
	       (!n || (strchr(alnum, text[0]) && strchr(alnum, text[n - 1])));
}

static int check_label(const char *key, const char *value, struct error *err)
{
	if (!*key || !is_label_text(key, "-_./", 253))
		return refuse(err, "labels",
			      "a key has letters, digits, '-', '_', '.' and '/', at most 253");
	if (!is_label_text(value, "-_.", 63))
		return refuse(err, "labels",
			      "a value has letters, digits, '-', '_' and '.', at most 63");
	return 0;
}

/* The value is not named: it may be a secret. */
static int check_variable(const char *key, struct error *err)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	if (!*key || !strchr(first, *key) || strspn(key, all) != strlen(key) || strlen(key) > 256)
		return refuse(err, "environment",
			      "a variable's name has letters, digits and '_', and does not begin "
			      "with a digit");
	if (!strncmp(key, "OPENSHELL_", 10))
		return refuse(err, "environment", "names that start with OPENSHELL_ are ours");
	return 0;
}

/* An entry of a map from text to text. */
static int check_entry(enum rule rule, const ProtobufCMessage *entry, struct error *err)
{
	const ProtobufCMessageDescriptor *d = entry->descriptor;
	const char *key, *value;

	if (d->n_fields != 2 || d->fields[0].type != PROTOBUF_C_TYPE_STRING ||
	    d->fields[1].type != PROTOBUF_C_TYPE_STRING)
		return 0;
	key = *(char *const *)((const uint8_t *)entry + d->fields[0].offset);
	value = *(char *const *)((const uint8_t *)entry + d->fields[1].offset);
	if (rule == RULE_LABELS)
		return check_label(key, value, err);
	return rule == RULE_ENVIRONMENT ? check_variable(key, err) : 0;
}

static int check(const ProtobufCMessage *message, int depth, struct error *err);

static int check_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		       const void *value, int depth, struct error *err)
{
	enum rule rule = rule_of(message->descriptor, field->name);

	if (field->type == PROTOBUF_C_TYPE_STRING) {
		const char *text = *(char *const *)value;

		return text ? check_string(field->name, text, rule, err) : 0;
	}
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *inner = *(ProtobufCMessage *const *)value;
		int r = inner ? check(inner, depth + 1, err) : 0;

		return r || !inner ? r : check_entry(rule, inner, err);
	}
	return 0;
}

static size_t items_max(enum rule rule)
{
	if (rule == RULE_LABELS)
		return REQUEST_LABELS_MAX;
	return rule == RULE_ENVIRONMENT ? REQUEST_ENV_MAX : REQUEST_ITEMS_MAX;
}

static int check_repeated(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			  int depth, struct error *err)
{
	size_t count = *(const size_t *)((const uint8_t *)message + field->quantifier_offset);
	const uint8_t *items = *(uint8_t *const *)((const uint8_t *)message + field->offset);

	if (count > items_max(rule_of(message->descriptor, field->name)))
		return refuse(err, field->name, "too many");
	if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	for (size_t i = 0; i < count; i++) {
		int r = check_value(message, field, items + i * sizeof(void *), depth, err);

		if (r)
			return r;
	}
	return 0;
}

static int check(const ProtobufCMessage *message, int depth, struct error *err)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const uint8_t *base = (const uint8_t *)message;

	if (depth > REQUEST_DEPTH_MAX)
		return error_set(err, -EINVAL, "the request is nested too deeply");
	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		int r;

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			r = check_repeated(message, field, depth, err);
		else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
			 *(const uint32_t *)(base + field->quantifier_offset) != field->id)
			r = 0;
		else
			r = check_value(message, field, base + field->offset, depth, err);
		if (r)
			return r;
	}
	return 0;
}

int request_check(const ProtobufCMessage *message, struct error *err)
{
	return check(message, 0, err);
}
