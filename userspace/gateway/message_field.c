/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/message_field.h"

#include <stdint.h>

const ProtobufCFieldDescriptor *message_field(const ProtobufCMessage *message, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

	if (!field || field->label == PROTOBUF_C_LABEL_REPEATED)
		return NULL;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
	    *(const uint32_t *)((const uint8_t *)message + field->quantifier_offset) != field->id)
		return NULL;
	return field;
}

static const void *value_of(const ProtobufCMessage *message, const char *name, ProtobufCType type)
{
	const ProtobufCFieldDescriptor *field = message_field(message, name);

	if (!field || field->type != type)
		return NULL;
	return (const uint8_t *)message + field->offset;
}

const char *message_string(const ProtobufCMessage *message, const char *name)
{
	char *const *text = value_of(message, name, PROTOBUF_C_TYPE_STRING);

	return text && *text && **text ? *text : NULL;
}

bool message_bool(const ProtobufCMessage *message, const char *name)
{
	const protobuf_c_boolean *value = value_of(message, name, PROTOBUF_C_TYPE_BOOL);

	return value && *value;
}

const ProtobufCMessage *message_message(const ProtobufCMessage *message, const char *name)
{
	ProtobufCMessage *const *value = value_of(message, name, PROTOBUF_C_TYPE_MESSAGE);

	return value ? *value : NULL;
}
