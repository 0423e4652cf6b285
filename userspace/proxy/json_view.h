/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that somebody else will read too, looked at where it lies. First json_view_check() reads all
 * of it; what the other functions are then given is known to be well-formed, and they cannot fail
 * on it. Nothing is allocated: texts point into the document, or into the memory that is lent for
 * strings with escapes.
 *
 * Stricter than RFC 8259, because another parser must not find another meaning: no name twice in an
 * object, however it is escaped; no byte order mark; UTF-8 only; no lone surrogates; no NUL in a
 * name; a bounded depth. Pure; any thread. Fails closed.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_VIEW_DEPTH_MAX 64
#define JSON_VIEW_SIZE_MAX  (64u << 20)

enum json_view_kind {
	JSON_VIEW_NONE = 0, /* no value */
	JSON_VIEW_OBJECT,
	JSON_VIEW_ARRAY,
	JSON_VIEW_STRING,
	JSON_VIEW_NUMBER,
	JSON_VIEW_TRUE,
	JSON_VIEW_FALSE,
	JSON_VIEW_NULL,
};

/* Memory for strings, used up from its beginning. */
struct json_view_memory {
	uint8_t *data;
	size_t size;
};

/*
 * Whether @data is one JSON text. @scratch is for finding repeated names, and free again
 * afterwards:
 * @size * 2 bytes are enough for any document, and fewer for nearly all. -EBADMSG with @ret_why set
 * to a sentence's end: "has a name twice in an object".
 */
int json_view_check(const uint8_t *data, size_t size, void *scratch, size_t scratch_size,
		    const char **ret_why);

/* The value of a checked text, without white space around it. */
struct text json_view_value(const uint8_t *data, size_t size);

enum json_view_kind json_view_kind(struct text value);

/*
 * The next member of an object or element of an array; *@place is 0 at first. False at the end, and
 * for a value of another kind. @ret_name has the quotes.
 */
bool json_view_member(struct text object, uint32_t *place, struct text *ret_name,
		      struct text *ret_value);
bool json_view_element(struct text array, uint32_t *place, struct text *ret_value);

/* The content of a string. -EINVAL: of another kind; -E2BIG: @memory is used up. */
int json_view_string(struct text value, struct json_view_memory *memory, struct text *ret_string);

struct json_view_want {
	const char *name;
	struct text value; /* size 0: the object has no such member */
};

/*
 * Find the members of those names. -EBADMSG if there is one whose name differs from a wanted one in
 * letter case alone: some parsers take it for the same. -EINVAL for what is no object.
 */
int json_view_find(struct text object, struct json_view_want *wants, size_t count,
		   const char **ret_why);

/* Whether a text from elsewhere could be the content of a string: UTF-8, as RFC 3629 has it. */
bool json_view_is_utf8(struct text text);
