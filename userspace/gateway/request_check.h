/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request is well-formed, whatever it asks for: text is UTF-8 and has an end, names are
 * DNS-1123 labels (RFC 1123, 2.1), maps and lists have limits, environments have variables that may
 * be set. Pure; never changes the message. Fails closed.
 */
#pragma once

#include "common/error.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#define REQUEST_NAME_MAX   63
#define REQUEST_TEXT_MAX   65536 /* bytes of a string */
#define REQUEST_ITEMS_MAX  10000 /* of a list */
#define REQUEST_LABELS_MAX 64
#define REQUEST_ENV_MAX	   256
#define REQUEST_DEPTH_MAX  32

/* -EINVAL with a sentence that names the field. */
int request_check(const ProtobufCMessage *message, struct error *err);

/* A DNS-1123 label. */
bool request_is_name(const char *text);
