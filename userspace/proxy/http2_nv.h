/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads and trailers as nghttp2 takes them to be sent: pseudo-header fields, then fields, without
 * those that concern one connection alone. What is written points into the head; nghttp2 copies it
 * when it is submitted.
 *
 * Pure; any thread. -E2BIG: more than a header block may have.
 */
#pragma once

#include "proxy/http.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

/* Bytes of one head to be sent: credentials may have made it longer than it came. */
#define HTTP2_SEND_HEAD_MAX 60000

struct http2_nv {
	size_t count;
	size_t size; /* bytes of names and values */
	char number[24], status[8];
	nghttp2_nv nv[HTTP_FIELDS_MAX + 6];
};

int http2_nv_request(const struct http_head *head, bool tls, struct http2_nv *ret_nv);

int http2_nv_response(const struct http_head *head, struct http2_nv *ret_nv);

int http2_nv_trailers(const struct http_field *field, size_t fields, struct http2_nv *ret_nv);
