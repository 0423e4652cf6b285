/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc.h"

#include "common/cleanup.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

const struct rpc_method *rpc_find(const char *path)
{
	for (size_t i = 0; i < RPC_COUNT; i++)
		if (!strcmp(rpc_methods[i].path, path))
			return &rpc_methods[i];
	return NULL;
}

static bool is_secret(const ProtobufCMessageDescriptor *message, const char *field)
{
	for (const struct rpc_secret *s = rpc_secrets; s->message; s++)
		if (s->message == message && !strcmp(s->field, field))
			return true;
	return false;
}

static void empty_string(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
}

static void scrub(ProtobufCMessage *message, bool secret);

/* One value: a field's own, or an element of a repeated one. */
static void scrub_value(const ProtobufCFieldDescriptor *field, void *value, bool secret)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		if (*(ProtobufCMessage **)value)
			scrub(*(ProtobufCMessage **)value, secret);
		break;
	case PROTOBUF_C_TYPE_STRING:
		if (secret)
			empty_string(value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		if (secret) {
			ProtobufCBinaryData *bytes = value;

			if (bytes->len)
				OPENSSL_cleanse(bytes->data, bytes->len);
			bytes->len = 0;
		}
		break;
	default:
		break;
	}
}

/* protoc-c has no maps: an entry is a message with `key` and `value`. */
static bool is_map_entry(const ProtobufCMessageDescriptor *d)
{
	size_t n = strlen(d->name);

	return n > 5 && !strcmp(d->name + n - 5, "Entry") && d->n_fields == 2 &&
	       !strcmp(d->fields[0].name, "key") && !strcmp(d->fields[1].name, "value");
}

static void scrub_repeated(const ProtobufCFieldDescriptor *field, uint8_t *base, bool secret)
{
	size_t count = *(size_t *)(base + field->quantifier_offset);
	uint8_t *items = *(uint8_t **)(base + field->offset);
	size_t size =
		field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);

	if (field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING &&
	    field->type != PROTOBUF_C_TYPE_BYTES)
		return;
	for (size_t i = 0; i < count; i++)
		scrub_value(field, items + i * size, secret);
}

static void scrub(ProtobufCMessage *message, bool secret)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	uint8_t *base = (uint8_t *)message;

	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		bool hide = secret ? !is_map_entry(d) || strcmp(field->name, "key")
				   : is_secret(d, field->name);

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			scrub_repeated(field, base, hide);
		else if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
			 *(uint32_t *)(base + field->quantifier_offset) == field->id)
			scrub_value(field, base + field->offset, hide);
	}
}

void rpc_scrub(ProtobufCMessage *message)
{
	scrub(message, false);
}
