/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/message_json.h"

#include "common/cleanup.h"
#include "common/struct_json.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static json_t *bytes_to_json(const ProtobufCBinaryData *bytes)
{
	_cleanup_free_ unsigned char *text = malloc(bytes->len * 4 / 3 + 8);

	if (!text)
		return NULL;
	EVP_EncodeBlock(text, bytes->data, (int)bytes->len);
	return json_string((char *)text);
}

static json_t *value_to_json(const ProtobufCFieldDescriptor *field, const void *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return json_string(*(char *const *)value);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)value);
	case PROTOBUF_C_TYPE_UINT32:
		return json_integer(*(const uint32_t *)value);
	case PROTOBUF_C_TYPE_INT32:
		return json_integer(*(const int32_t *)value);
	case PROTOBUF_C_TYPE_UINT64:
		return json_integer((json_int_t) * (const uint64_t *)value);
	case PROTOBUF_C_TYPE_INT64:
		return json_integer(*(const int64_t *)value);
	case PROTOBUF_C_TYPE_FLOAT:
		return json_real(*(const float *)value);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_real(*(const double *)value);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_to_json(value);
	case PROTOBUF_C_TYPE_ENUM: {
		const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
			field->descriptor, *(const int *)value);

		return v ? json_string(v->name) : json_integer(*(const int *)value);
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		return message_to_json(*(ProtobufCMessage *const *)value);
	default:
		return json_null();
	}
}

static bool is_unset(const ProtobufCFieldDescriptor *field, const void *value)
{
	static const uint64_t zero;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !*(char *const *)value || !**(char *const *)value;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(ProtobufCMessage *const *)value;
	case PROTOBUF_C_TYPE_BYTES:
		return !((const ProtobufCBinaryData *)value)->len;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return !memcmp(value, &zero, 8);
	default:
		return !memcmp(value, &zero, 4);
	}
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	default:
		return 8;
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

static json_t *repeated_to_json(const ProtobufCFieldDescriptor *field, const uint8_t *base)
{
	size_t count = *(const size_t *)(base + field->quantifier_offset);
	const uint8_t *items = *(uint8_t *const *)(base + field->offset);
	bool map = is_map(field);
	json_t *json = map ? json_object() : json_array();

	for (size_t i = 0; i < count; i++) {
		const uint8_t *item = items + i * size_of(field->type);
		const ProtobufCMessage *entry;
		const ProtobufCMessageDescriptor *d;
		int r;

		if (!map) {
			r = json_array_append_new(json, value_to_json(field, item));
		} else {
			entry = *(ProtobufCMessage *const *)item;
			d = entry->descriptor;
			r = json_object_set_new(
				json,
				*(char *const *)((const uint8_t *)entry + d->fields[0].offset),
				value_to_json(&d->fields[1],
					      (const uint8_t *)entry + d->fields[1].offset));
		}
		if (r) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

json_t *message_to_json(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const uint8_t *base = (const uint8_t *)message;
	json_t *json;

	if (d == &google__protobuf__struct__descriptor)
		return struct_to_json((const void *)message);
	json = json_object();
	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
		json_t *value;

		if (oneof && *(const uint32_t *)(base + field->quantifier_offset) != field->id)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			if (!*(const size_t *)(base + field->quantifier_offset))
				continue;
			value = repeated_to_json(field, base);
		} else {
			if (!oneof && is_unset(field, base + field->offset))
				continue;
			value = value_to_json(field, base + field->offset);
		}
		if (!value || json_object_set_new(json, field->name, value)) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}
