/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider's response on its way to the agent: never the key, and counted. It is passed on as it
 * comes; only bytes that may be the beginning of a key are kept until more is known. Bounded memory
 * whatever comes: what cannot be read (another encoding, lines that never end, JSON that is none)
 * is passed on uncounted. The worker's loop.
 */
#pragma once

#include "common/arena.h"
#include "proxy/http.h"
#include "proxy/inference.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The head for the agent: without cookies, authentication, alternative services, and fields
 * that hold one of the route's secrets. Changes @head in place.
 */
void inference_response_head(const struct inference_route *route, struct http_head *head);

/* True for text/event-stream and application/vnd.amazon.eventstream: it is passed on as a stream.
 */
bool inference_response_is_stream(const struct http_head *head);

struct inference_tap;

/*
 * @head: the response's. Allocates little, more when it is needed. Keeps @route's secrets,
 * borrowed. -ENOMEM.
 */
int inference_tap_new(const struct inference_route *route, inference_api api,
		      const struct http_head *head, struct inference_tap **ret_tap);
void inference_tap_free(struct inference_tap *tap);

/*
 * @size bytes came, the last of all if @end. What may be passed on now is @ret_out[0], @ret_out[1],
 * in that order, valid until the next call. -EACCES: a secret is in it; nothing more may be passed
 * on, and what of these bytes could is in @ret_out. -ENOMEM: likewise, nothing. Of a compressed
 * body nothing can be added to what was passed on: one that broke can only be cut off.
 */
int inference_tap_data(struct inference_tap *tap, const uint8_t *data, size_t size, bool end,
		       struct text ret_out[2]);

struct inference_usage {
	uint32_t input, output; /* tokens */
	bool known;		/* by the provider; else estimated from sizes */
};

/*
 * What the response said so far. @request_size: bytes of the request's body, for an estimate (four
 * bytes are a token).
 */
struct inference_usage inference_tap_usage(const struct inference_tap *tap, size_t request_size);

/* Whether what was passed on ends in the middle of a line, of server-sent events that are not
 * compressed. */
bool inference_tap_in_line(const struct inference_tap *tap);
