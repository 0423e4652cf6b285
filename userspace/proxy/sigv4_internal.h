/* SPDX-License-Identifier: Apache-2.0 */
/* Between sigv4.c, which signs, and sigv4_canonical.c, which writes what is signed. */
#pragma once

#include "proxy/sigv4.h"

/* A text that grows to a cap; `failed` sticks, so it is looked at once. */
struct sigv4_buffer {
	char *data;
	size_t size, max;
	bool failed;
};

void sigv4_put(struct sigv4_buffer *buffer, const char *data, size_t size);
void sigv4_put_string(struct sigv4_buffer *buffer, const char *string);

/* Services that read a path as it is, and want the hash of the payload in a field. */
bool sigv4_is_storage(const char *service);

/* The path as signed. */
void sigv4_put_path(struct sigv4_buffer *buffer, struct text path, bool storage);

/*
 * A query with every name and value encoded in the one way there is, in the order it came in, which
 * is how it is sent; without the X-Amz-* parameters of a signed URL if @strip.
 */
void sigv4_put_query(struct sigv4_buffer *buffer, struct text query, bool strip);

/* The same, sorted, of a query that sigv4_put_query() wrote. False: too many parameters. */
bool sigv4_put_sorted_query(struct sigv4_buffer *buffer, struct text query);

/* The fields that are signed, `name:value` lines, and their names in between `;`. */
void sigv4_put_fields(struct sigv4_buffer *buffer, const struct http_head *head);
void sigv4_put_names(struct sigv4_buffer *buffer, const struct http_head *head);

/* Whether a query has the parameters of a signed URL. */
bool sigv4_query_is_signed(struct text query);
