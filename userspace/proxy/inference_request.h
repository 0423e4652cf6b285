/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to inference.local, as its route's provider wants it: another path, the configured
 * model, the provider's key, and nothing of the agent's but what is listed. Pure; the worker's
 * loop. Fails closed: a body that is not one JSON object that every parser reads alike is refused.
 */
#pragma once

#include "common/arena.h"
#include "proxy/http.h"
#include "proxy/inference.h"
#include "proxy/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inference_body {
	struct text json;  /* as it came */
	struct text model; /* that the agent asks for, without escapes; "" if it names none */
	bool stream;	   /* "stream": true */
	/* Where things are, for inference_body_write(). */
	struct text model_value, version_value;
};

/*
 * Read @size bytes, borrowed for as long as *@ret_body is used. @scratch: for
 * json_view_check(), and free again. -EBADMSG with the end of a sentence in *@ret_why; -E2BIG: the
 * model's name is longer than INFERENCE_MODEL_MAX; -ENOMEM.
 */
int inference_body_read(const uint8_t *data, size_t size, void *scratch, size_t scratch_size,
			struct arena *arena, struct inference_body *ret_body, const char **ret_why);

/*
 * The body for @route, in @arena: all of the agent's but the model, and what the dialect wants.
 * -ENOMEM, -E2BIG.
 */
int inference_body_write(const struct inference_route *route, const struct inference_body *body,
			 struct arena *arena, struct text *ret_json);

/*
 * The head for @route: method, target, authority; from @agent's fields content-type, accept,
 * accept-encoding (of what it names, the encodings that can be looked into: gzip, deflate,
 * identity), user-agent and those that the route passes, never one that authenticates, is a cookie,
 * or concerns the connection; and the route's own. A content-type that is not JSON becomes JSON, as
 * which the body was read. Of the query, parameters that are keys are left out, and all of it for
 * Bedrock and Vertex. @body is what will be sent, NULL for none;
 * @stream as the agent asked. Signed if the route says so, at @now (seconds since 1970).
 * -ENOMEM, -E2BIG: more than HTTP_FIELDS_MAX fields or a target longer than HTTP_TARGET_MAX; what
 * sigv4_sign() says. @ret_head is untouched on failure; its texts are the arena's, the agent's and
 * the route's.
 */
int inference_head_write(const struct inference_route *route, const struct inference_call *call,
			 const struct target *target, const struct http_head *agent,
			 const struct text *body, bool stream, int64_t now, struct arena *arena,
			 struct http_head *ret_head);
