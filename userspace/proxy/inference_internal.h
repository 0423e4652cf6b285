/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of inference*.c share. Pure; the worker's loop. */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>

#define INFERENCE_SECRETS_MAX 16 /* of a route */

/*
 * True for a field that says where a message goes or how it is framed (RFC 9110 section 7.6.1), so
 * that neither an agent nor a route sets it: the codecs do.
 */
bool inference_field_frames(struct text name);
