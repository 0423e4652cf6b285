/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any message of ours as JSON: fields by their names in the proto files, what is not set left out,
 * 64-bit numbers as numbers, bytes in base64, enums by their names, secrets empty. Pure; any
 * thread.
 */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* NULL: out of memory, or text that is not UTF-8. */
json_t *message_to_json(const ProtobufCMessage *message);
