/* SPDX-License-Identifier: Apache-2.0 */
/* From the model of a policy to its message, guided by the tables of its keys. */
#include "common/policy_wire.h"

#include "common/cleanup.h"
#include "common/policy_fields.h"
#include "common/struct_json.h"

#include <errno.h>
#include <string.h>

static ProtobufCMessage *new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = malloc(type->sizeof_message);

	if (message)
		protobuf_c_message_init(type, message);
	return message;
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *type,
						const char *key)
{
	if (type == &openshell__sandbox__v1__sandbox_policy__descriptor &&
	    !strcmp(key, "filesystem_policy"))
		key = "filesystem";
	return protobuf_c_message_descriptor_get_field_by_name(type, key);
}

static void *place_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)((uint8_t *)message + field->quantifier_offset) = field->id;
	return (uint8_t *)message + field->offset;
}

static int set_string(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		      const char *text)
{
	char **place = place_of(message, field);

	if (!text || !*text)
		return 0;
	*place = strdup(text);
	return *place ? 0 : -ENOMEM;
}

/* Room for @count elements; what is in it counts only as *ret_count rises. */
static void *new_items(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		       size_t count, size_t size, size_t **ret_count)
{
	void **items = place_of(message, field);

	*ret_count = (size_t *)((uint8_t *)message + field->quantifier_offset);
	if (count)
		*items = calloc(count, size);
	return *items;
}

static int set_strings(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		       const struct policy_strings *strings)
{
	size_t *count;
	char **items = new_items(message, field, strings->count, sizeof(*items), &count);

	for (size_t i = 0; i < strings->count; i++) {
		char *copy =
			items && strings->items[i].value ? strdup(strings->items[i].value) : NULL;

		if (!copy)
			return -ENOMEM;
		items[(*count)++] = copy;
	}
	return 0;
}

static int set_numbers(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		       const struct policy_numbers *numbers)
{
	size_t *count;
	uint32_t *items = new_items(message, field, numbers->count, sizeof(*items), &count);

	if (numbers->count && !items)
		return -ENOMEM;
	for (size_t i = 0; i < numbers->count; i++)
		items[(*count)++] = (uint32_t)numbers->items[i].value;
	return 0;
}

static int fill_matcher(ProtobufCMessage *message, const struct policy_matcher *matcher)
{
	if (matcher->globs.count == 1)
		return set_string(message, field_of(message->descriptor, "glob"),
				  matcher->globs.items[0].value);
	return set_strings(message, field_of(message->descriptor, "any"), &matcher->globs);
}

static int fill(ProtobufCMessage *message, const struct policy_object *object, const void *model);

/* The message of one element: a matcher, or an object of the tables. */
static int fill_element(ProtobufCMessage *message, const struct policy_field *field,
			const void *model)
{
	if (field->kind == POLICY_KIND_MATCHERS || field->kind == POLICY_KIND_PARAMS ||
	    field->kind == POLICY_KIND_MATCHER)
		return fill_matcher(message, model);
	return fill(message, field->object, model);
}

static int set_message(ProtobufCMessage *message, const ProtobufCFieldDescriptor *wire,
		       const struct policy_field *field, const void *model)
{
	ProtobufCMessage **place = place_of(message, wire);

	*place = new_message(wire->descriptor);
	return *place ? fill_element(*place, field, model) : -ENOMEM;
}

static int set_list(ProtobufCMessage *message, const ProtobufCFieldDescriptor *wire,
		    const struct policy_field *field, const struct policy_list *list)
{
	bool map = field->kind != POLICY_KIND_LIST;
	size_t size = field->object ? field->object->size : sizeof(struct policy_matcher), *count;
	ProtobufCMessage **items = new_items(message, wire, list->count, sizeof(*items), &count);

	for (size_t i = 0; i < list->count; i++) {
		const struct policy_head *model = (const void *)((uint8_t *)list->items + i * size);
		ProtobufCMessage *item = items ? new_message(wire->descriptor) : NULL;
		int r;

		if (!item)
			return -ENOMEM;
		items[(*count)++] = item;
		if (!map) {
			r = fill_element(item, field, model);
		} else {
			r = set_string(item, field_of(item->descriptor, "key"), model->key);
			if (!r)
				r = set_message(item, field_of(item->descriptor, "value"), field,
						model);
		}
		if (r)
			return r;
	}
	return 0;
}

static int set_json(ProtobufCMessage *message, const ProtobufCFieldDescriptor *wire,
		    const char *text)
{
	Google__Protobuf__Struct **place = place_of(message, wire);
	json_t *json = json_loads(text, 0, NULL);
	int r = json ? struct_from_json(json, place) : -EINVAL;

	json_decref(json);
	return r;
}

static int set_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *wire,
		     const struct policy_field *field, const void *model)
{
	switch (field->kind) {
	case POLICY_KIND_STRING:
		return set_string(message, wire, ((const struct policy_string *)model)->value);
	case POLICY_KIND_BOOL:
		*(protobuf_c_boolean *)place_of(message, wire) =
			((const struct policy_bool *)model)->value;
		return 0;
	case POLICY_KIND_NUMBER:
		*(uint32_t *)place_of(message, wire) =
			(uint32_t)((const struct policy_number *)model)->value;
		return 0;
	case POLICY_KIND_ENUM: {
		int value = ((const struct policy_enum *)model)->value;

		return value ? set_string(message, wire, field->words[value - 1]) : 0;
	}
	case POLICY_KIND_STRINGS:
		return set_strings(message, wire, model);
	case POLICY_KIND_NUMBERS:
		return set_numbers(message, wire, model);
	case POLICY_KIND_OBJECT:
	case POLICY_KIND_MATCHER:
		return set_message(message, wire, field, model);
	case POLICY_KIND_LIST:
	case POLICY_KIND_MAP:
	case POLICY_KIND_MATCHERS:
	case POLICY_KIND_PARAMS:
		return set_list(message, wire, field, model);
	case POLICY_KIND_JSON:
		return set_json(message, wire, ((const struct policy_string *)model)->value);
	case POLICY_KIND_REFUSED:
		return 0;
	}
	return -EINVAL;
}

/* A key without a place in the message would be lost: there is none, test_policy_wire sees it. */
static int fill(ProtobufCMessage *message, const struct policy_object *object, const void *model)
{
	for (const struct policy_field *field = object->fields; field->name; field++) {
		const struct policy_place *at =
			(const void *)((const uint8_t *)model + field->offset);
		const ProtobufCFieldDescriptor *wire;
		int r;

		/* Every kind opens with its place. */
		if (field->kind == POLICY_KIND_REFUSED || at->line <= 0)
			continue;
		wire = field_of(message->descriptor, field->name);
		if (!wire)
			return -EOPNOTSUPP;
		r = set_field(message, wire, field, at);
		if (r)
			return r;
	}
	return 0;
}

int policy_to_wire(const struct policy *policy, Openshell__Sandbox__V1__SandboxPolicy **ret_message,
		   struct error *err)
{
	ProtobufCMessage *message =
		new_message(&openshell__sandbox__v1__sandbox_policy__descriptor);
	int r = message ? fill(message, &policy_object_file, policy) : -ENOMEM;

	if (r) {
		if (message)
			protobuf_c_message_free_unpacked(message, NULL);
		return error_set(err, r, "the policy cannot be sent: %s", strerror(-r));
	}
	*ret_message = (Openshell__Sandbox__V1__SandboxPolicy *)message;
	return 0;
}
