/* SPDX-License-Identifier: Apache-2.0 */
/* From a message to the keys of a policy file, and by them to a policy. */
#include "common/policy_wire.h"

#include "common/cleanup.h"
#include "common/struct_json.h"
#include "common/yaml_text.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 24

/* Where a file has another name for it. */
static const char *key_of(const ProtobufCMessageDescriptor *message, const char *field)
{
	if (message == &openshell__sandbox__v1__sandbox_policy__descriptor &&
	    !strcmp(field, "filesystem"))
		return "filesystem_policy";
	return field;
}

static json_t *message_tree(const ProtobufCMessage *message, int depth);

/* A glob, or several of which one has to match. */
static json_t *matcher_tree(const Openshell__Sandbox__V1__L7QueryMatcher *matcher)
{
	json_t *list;

	if (!matcher->n_any)
		return json_string(matcher->glob);
	list = json_array();
	if (*matcher->glob)
		json_array_append_new(list, json_string(matcher->glob));
	for (size_t i = 0; i < matcher->n_any; i++)
		if (json_array_append_new(list, json_string(matcher->any[i]))) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o}", "any", list);
}

static json_t *submessage_tree(const ProtobufCMessage *message, int depth)
{
	if (message->descriptor == &openshell__sandbox__v1__l7_query_matcher__descriptor)
		return matcher_tree((const void *)message);
	if (message->descriptor == &google__protobuf__struct__descriptor)
		return struct_to_json((const void *)message);
	return message_tree(message, depth + 1);
}

/* NULL: it cannot be written; json_null(): it says nothing. */
static json_t *value_tree(const ProtobufCFieldDescriptor *field, const void *value, bool bare,
			  int depth)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING: {
		const char *text = *(char *const *)value;

		return bare && !*text ? json_null() : json_string(text);
	}
	case PROTOBUF_C_TYPE_BOOL: {
		bool set = *(const protobuf_c_boolean *)value;

		return bare && !set ? json_null() : json_boolean(set);
	}
	case PROTOBUF_C_TYPE_UINT32: {
		uint32_t number = *(const uint32_t *)value;

		return bare && !number ? json_null() : json_integer(number);
	}
	case PROTOBUF_C_TYPE_INT32: {
		int32_t number = *(const int32_t *)value;

		return bare && !number ? json_null() : json_integer(number);
	}
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *message = *(ProtobufCMessage *const *)value;

		return message ? submessage_tree(message, depth) : json_null();
	}
	default:
		return NULL;
	}
}

static bool is_map(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *entry = field->descriptor;
	size_t n;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	n = strlen(entry->name);
	return n > 5 && !strcmp(entry->name + n - 5, "Entry") && entry->n_fields == 2;
}

static int add_entry(json_t *object, const ProtobufCMessage *entry, int depth)
{
	const ProtobufCMessageDescriptor *d = entry->descriptor;
	const char *key = *(char *const *)((const uint8_t *)entry + d->fields[0].offset);
	json_t *value = value_tree(&d->fields[1], (const uint8_t *)entry + d->fields[1].offset,
				   false, depth);

	/* On the wire a key may come twice: the last would win, unseen. */
	if (!value || json_object_get(object, key)) {
		json_decref(value);
		return -EINVAL;
	}
	return json_object_set_new(object, key, value) ? -EINVAL : 0;
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_INT32
		       ? sizeof(uint32_t)
		       : sizeof(void *);
}

static json_t *repeated_tree(const ProtobufCFieldDescriptor *field, const uint8_t *base, int depth)
{
	size_t count = *(const size_t *)(base + field->quantifier_offset);
	const uint8_t *items = *(uint8_t *const *)(base + field->offset);
	bool map = is_map(field);
	json_t *tree;
	int r = 0;

	if (!count)
		return json_null();
	tree = map ? json_object() : json_array();
	for (size_t i = 0; !r && i < count; i++) {
		const uint8_t *item = items + i * element_size(field);

		if (map)
			r = add_entry(tree, *(ProtobufCMessage *const *)item, depth);
		else
			r = json_array_append_new(tree, value_tree(field, item, false, depth));
	}
	if (!r)
		return tree;
	json_decref(tree);
	return NULL;
}

static json_t *message_tree(const ProtobufCMessage *message, int depth)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const uint8_t *base = (const uint8_t *)message;
	json_t *tree;

	if (depth > DEPTH_MAX)
		return NULL;
	tree = json_object();
	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
		json_t *value;

		if (oneof && *(const uint32_t *)(base + field->quantifier_offset) != field->id)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			value = repeated_tree(field, base, depth);
		else
			value = value_tree(field, base + field->offset, !oneof, depth);
		if (value && json_is_null(value))
			continue;
		if (!value || json_object_set_new(tree, key_of(d, field->name), value)) {
			json_decref(tree);
			return NULL;
		}
	}
	return tree;
}

json_t *policy_wire_tree(const Openshell__Sandbox__V1__SandboxPolicy *message)
{
	json_t *tree = message_tree(&message->base, 0);

	/* Clients that do not say it mean the only one there is. */
	if (tree && !json_object_get(tree, "version"))
		json_object_set_new(tree, "version", json_integer(1));
	return tree;
}

static int not_text(struct error *err)
{
	return error_set(err, -EINVAL,
			 "the policy has text that is not UTF-8, a key twice, or too deep nesting");
}

int policy_from_wire(const Openshell__Sandbox__V1__SandboxPolicy *message,
		     struct policy **ret_policy, struct error *err)
{
	json_t *tree = policy_wire_tree(message);
	_cleanup_free_ char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
	struct error local = {};
	int r;

	json_decref(tree);
	if (!text)
		return not_text(err);
	r = policy_load_buffer("policy", text, strlen(text), ret_policy, NULL, &local);
	/* Its line and column are of a text that nobody has seen. */
	return r ? error_set(err, r, "the policy is not valid: %s", local.message) : 0;
}

int policy_wire_to_yaml(const Openshell__Sandbox__V1__SandboxPolicy *message, char **ret_text,
			struct error *err)
{
	json_t *tree = policy_wire_tree(message);
	int r = tree ? yaml_text_of_json(tree, ret_text) : not_text(err);

	json_decref(tree);
	return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
}
