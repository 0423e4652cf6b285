/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy.h"

#include <string.h>

/* How wide one element of a repeated field is in memory; only the kinds that our messages have. */
static size_t element_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static json_t *element_to_json(const ProtobufCFieldDescriptor *field, const void *element)
{
	const ProtobufCEnumValue *value;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return json_string(*(char *const *)element);
	case PROTOBUF_C_TYPE_MESSAGE:
		return policy_message_to_json(*(ProtobufCMessage *const *)element);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)element);
	case PROTOBUF_C_TYPE_ENUM:
		value = protobuf_c_enum_descriptor_get_value(field->descriptor,
							     *(const int *)element);
		return value ? json_string(value->name) : json_integer(*(const int *)element);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
		return json_integer(*(const int32_t *)element);
	case PROTOBUF_C_TYPE_INT64:
		return json_integer(*(const int64_t *)element);
	case PROTOBUF_C_TYPE_UINT64:
		return json_integer((json_int_t) * (const uint64_t *)element);
	default:
		return json_integer(*(const uint32_t *)element);
	}
}

static json_t *list_to_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const unsigned char *base = (const unsigned char *)message;
	size_t count = *(const size_t *)(base + field->quantifier_offset);
	const unsigned char *items = *(unsigned char *const *)(base + field->offset);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
				      element_to_json(field, items + i * element_size(field)));
	return list;
}

json_t *policy_message_to_json(const ProtobufCMessage *message)
{
	const unsigned char *base = (const unsigned char *)message;
	json_t *json = json_object();

	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const void *member = base + field->offset;

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			json_object_set_new(json, field->name, list_to_json(message, field));
		else if (field->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)member)
			continue;
		else
			json_object_set_new(json, field->name, element_to_json(field, member));
	}
	return json;
}
