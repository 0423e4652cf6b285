/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a message by their names, for what is the same for many types. Pure. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The field if it is there and not repeated, or NULL. */
const ProtobufCFieldDescriptor *message_field(const ProtobufCMessage *message, const char *name);

/* A string; NULL: no such field, or "". */
const char *message_string(const ProtobufCMessage *message, const char *name);
bool message_bool(const ProtobufCMessage *message, const char *name);

/* A message in it, of a oneof only when it is the one that is set; NULL. */
const ProtobufCMessage *message_message(const ProtobufCMessage *message, const char *name);
