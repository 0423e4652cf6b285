/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of inference*.c share. Pure; the worker's loop. */
#pragma once

#include "common/arena.h"
#include "proxy/http.h"
#include "proxy/inference.h"
#include "proxy/target.h"

#include <stdbool.h>

#define INFERENCE_SECRETS_MAX 16 /* of a route */

/*
 * True for a field that says where a message goes or how it is framed (RFC 9110 section 7.6.1), so
 * that neither an agent nor a route sets it: the codecs do.
 */
bool inference_field_frames(struct text name);

/* The target of a request for @route; see inference_head_write(). -ENOMEM, -E2BIG. */
int inference_target_write(const struct inference_route *route, const struct inference_call *call,
			   const struct target *target, bool stream, struct arena *arena,
			   struct text *ret_target);

/* Whether a head's Content-Type is @type (lower case), with whatever parameters. */
bool inference_type_is(const struct http_head *head, const char *type);
