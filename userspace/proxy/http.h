/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's or response's head, whichever version of HTTP it came in: what the codecs (http1.h,
 * http2.h) read and write, and what rules, credentials and middleware look at and change.
 *
 * Texts point into the buffer that was parsed or into the exchange's arena, and end nowhere: they
 * are (pointer, size). Field names are lower case in every head that a codec hands on. Plain data,
 * any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HTTP_FIELDS_MAX	  128	/* of one head */
#define HTTP_HEAD_MAX	  32768 /* bytes of one head as it comes */
#define HTTP_TARGET_MAX	  16384 /* bytes of a request target */
#define HTTP_METHOD_MAX	  32
#define HTTP_TRAILERS_MAX 32

struct text {
	const char *data;
	uint32_t size;
};

#define TEXT(literal)                                                                              \
	(struct text)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

static inline bool text_is(struct text text, const char *string)
{
	return text.size == strlen(string) && (!text.size || !memcmp(text.data, string, text.size));
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

struct http_field {
	struct text name;  /* lower case */
	struct text value; /* without surrounding white space */
};

/* How the body is delimited, RFC 9112 section 6.3. */
enum http_body {
	HTTP_BODY_NONE = 0,
	HTTP_BODY_LENGTH,  /* http_head.length bytes */
	HTTP_BODY_CHUNKED, /* and in HTTP/2: until END_STREAM */
	HTTP_BODY_CLOSE,   /* responses: until the connection ends */
};

struct http_head {
	uint8_t version;      /* 10, 11 or 20 */
	uint8_t body;	      /* enum http_body */
	bool keep_alive;      /* HTTP/1: the connection may be used again afterwards */
	bool expect_continue; /* Expect: 100-continue, of HTTP/1.1 and 2 */
	bool upgrade;	      /* HTTP/1: Connection has `upgrade`, and there is an Upgrade field */
	uint16_t status;      /* of a response; 0 in a request */
	/*
	 * A response without a body (HTTP_BODY_NONE: to HEAD, or 304) says in `length` how long
	 * that of a GET would be. HTTP_BODY_LENGTH needs no flag.
	 */
	bool has_length;
	uint64_t length; /* HTTP_BODY_LENGTH */
	/* of a request */
	struct text method;
	struct text target;    /* origin-form: path and query as sent, or "*" */
	struct text authority; /* Host, or :authority: host[:port] as sent */
	/*
	 * Fields in the order they came, without those that say how the message is framed or
	 * concern this connection alone: Host, Content-Length, Transfer-Encoding, Connection and
	 * what it names, Keep-Alive, Proxy-Connection, TE (but `te: trailers`), Trailer, Upgrade
	 * and, where expect_continue says it, Expect. An Upgrade field's value is in `upgrade_to`.
	 */
	uint16_t fields;
	struct text upgrade_to;
	struct http_field field[HTTP_FIELDS_MAX];
};

/* The first field of that (lower-case) name, or NULL. */
static inline const struct http_field *http_field_find(const struct http_head *head,
						       const char *name)
{
	for (uint16_t i = 0; i < head->fields; i++)
		if (text_is(head->field[i].name, name))
			return &head->field[i];
	return NULL;
}

/* All of @from, texts shared. A struct http_head is large, and most of it unused. */
static inline void http_head_copy(struct http_head *to, const struct http_head *from)
{
	memcpy(to, from, offsetof(struct http_head, field));
	memcpy(to->field, from->field, from->fields * sizeof(from->field[0]));
}
