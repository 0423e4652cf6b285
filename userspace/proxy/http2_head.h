/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields as HTTP/2 has them, pseudo-header fields first (RFC 9113 section 8), into struct http_head
 * or trailers. One struct http2_fields takes one header block after the other; what it gives out
 * points into it.
 *
 * No I/O, any thread, one owner. Fails closed: what section 8.2 and 8.3 call malformed is refused,
 * and so is what nghttp2 refuses too, so that nothing rests on its version.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that one header block may decode to (names, values, 32 for each field) before its sender
 * loses the connection: past HTTP_HEAD_MAX fields are decoded only to keep HPACK's state.
 */
#define HTTP2_BLOCK_MAX (8 * HTTP_HEAD_MAX)

enum http2_block {
	HTTP2_REQUEST,
	HTTP2_RESPONSE,
	HTTP2_TRAILERS,
};

enum http2_refusal {
	HTTP2_FINE = 0,
	HTTP2_MALFORMED,
	HTTP2_HEAD_LONG,   /* 431: more than HTTP_HEAD_MAX bytes or HTTP_FIELDS_MAX fields */
	HTTP2_TARGET_LONG, /* 414 */
};

struct http2_fields;

int http2_fields_new(struct http2_fields **ret_fields);
void http2_fields_free(struct http2_fields *fields);

/* A block begins: what was there before is forgotten. */
void http2_fields_begin(struct http2_fields *fields, enum http2_block block);

/*
 * The block's next field. 0 even if it is bad, which http2_fields_end() says; -E2BIG: past
 * HTTP2_BLOCK_MAX; -ENOMEM.
 */
int http2_fields_add(struct http2_fields *fields, const uint8_t *name, size_t name_size,
		     const uint8_t *value, size_t value_size);

/*
 * The block ended; @tls: a request's scheme has to be https, else http; @end: the message ends with
 * it. *ret_head is valid until the next http2_fields_begin(); trailers are its fields.
 */
enum http2_refusal http2_fields_end(struct http2_fields *fields, bool tls, bool end,
				    const struct http_head **ret_head);

/*
 * Whether the field concerns one connection alone and is malformed in HTTP/2 (RFC 9113 section
 * 8.2.2).
 */
bool http2_field_forbidden(struct text name, struct text value);
