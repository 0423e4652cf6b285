/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 as bytes (RFC 9112): heads read and written, chunks decoded and framed. Stricter than
 * the RFC asks of a recipient, because whatever two parsers could read in two ways is how requests
 * are smuggled: one kind of line end, one way to say how long a body is, no folding, no white space
 * where it has no business. Nothing that was received is passed on as it came: what is sent is
 * written anew from a struct http_head.
 *
 * Pure functions without allocation; any thread; fuzzed. Fails closed: what is not well-formed is
 * -EBADMSG, after which nothing more may be read from that connection.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP1_VALUE_MAX	      16384 /* bytes of one field's value, white space around it included */
#define HTTP1_CHUNK_LINE_MAX  256   /* bytes of a chunk's size and extensions */
#define HTTP1_TRAILERS_SIZE   8192  /* bytes of a trailer section */
#define HTTP1_CHUNK_BEGIN_MAX 18
#define HTTP1_OPTIONS_MAX     32 /* in all Connection fields of a head */

/* What to answer: 400, 405, 414, 417, 431, 501, 505; 502 for a response. And a sentence's end. */
struct http1_problem {
	uint16_t status;
	const char *why;
};

/*
 * Read a request's head from the first @size bytes that came. 1: it is whole, and took
 * *ret_consumed bytes of @data; 0: more is needed, and nothing was changed; -EBADMSG:
 * *ret_problem. What is wrong is said as soon as it is there, however the bytes were split.
 *
 * Names are made lower case in place, once the head is whole. Texts in ret_head point into @data,
 * but for a path that absolute-form left out, and `te`'s value. One empty line before a head is
 * skipped (RFC 9112 section 2.2). The target is not looked into beyond its form: target.h does
 * that.
 *
 * An Upgrade to h2c is not offered, and so ignored. An authority may be missing in HTTP/1.0 alone.
 */
int http1_request_parse(uint8_t *data, size_t size, struct http_head *ret_head,
			size_t *ret_consumed, struct http1_problem *ret_problem);

/*
 * Likewise a response's. @to_head: it answers a HEAD request, and has no body whatever it says; nor
 * have 1xx, 204 and 304. An Upgrade is kept in a 101 alone, which has to have one.
 */
int http1_response_parse(uint8_t *data, size_t size, bool to_head, struct http_head *ret_head,
			 size_t *ret_consumed, struct http1_problem *ret_problem);

/* A chunked body's decoder. Zeroed, with @trailer lent, it is at the begin of a body. */
struct http1_chunks {
	uint64_t left;	  /* bytes of this chunk that are still to come */
	uint8_t state;	  /* the decoder's own */
	uint8_t digits;	  /* of the size */
	uint16_t line;	  /* bytes of this chunk's line */
	uint8_t *trailer; /* HTTP1_TRAILERS_SIZE bytes, or NULL: a body with trailers is refused */
	uint32_t trailer_size;
	bool done; /* the last chunk and the trailers were read */
};

/*
 * Decode: returns how many bytes of @data were used up, or -EBADMSG. *ret_data is the piece of the
 * body that was met, a part of @data, at most one in a call, possibly empty. Call again with the
 * rest, until all is used up or chunks->done. Extensions are read and forgotten.
 */
ssize_t http1_chunks_read(struct http1_chunks *chunks, const uint8_t *data, size_t size,
			  struct text *ret_data);

/*
 * The trailers, once it is done. Texts point into the buffer that was lent; @ret_field has room for
 * HTTP_TRAILERS_MAX. Returns how many there are.
 */
size_t http1_chunks_trailers(const struct http1_chunks *chunks, struct http_field *ret_field);

/*
 * Whether a field of that (lower-case) name may come after a body: none that frames, routes,
 * authenticates or says how the content is to be read (RFC 9110 section 6.5.1).
 */
bool http1_trailer_allowed(struct text name);

/*
 * Write a head as HTTP/1.1, with Host first, and what says how the message is framed made from
 * head->body, keep_alive and upgrade. Returns bytes, or -ENOBUFS; -EBADMSG for a head that would
 * read otherwise than it says: bytes that end a line, a framing field among the others, no
 * authority.
 *
 * A request without a body whose method usually has one says so (`content-length: 0`).
 *
 * Of a response, HTTP_BODY_NONE means that there can be none (to HEAD, 1xx, 204, 304): an empty one
 * is HTTP_BODY_LENGTH with length 0. For an agent of HTTP/1.0, set version to 10: then keep_alive
 * is said, and HTTP_BODY_CHUNKED refused, which it would not understand.
 */
ssize_t http1_request_write(const struct http_head *head, uint8_t *buffer, size_t size);
ssize_t http1_response_write(const struct http_head *head, uint8_t *buffer, size_t size);

/*
 * What stands before a chunk of @size bytes, which must not be 0: "1a2b\r\n". Returns bytes. After
 * the chunk stands HTTP1_CHUNK_END.
 */
size_t http1_chunk_begin(uint8_t buffer[HTTP1_CHUNK_BEGIN_MAX], size_t size);

#define HTTP1_CHUNK_END "\r\n"
#define HTTP1_BODY_END	"0\r\n\r\n" /* without trailers */

/* The last chunk and @trailers. Bytes, -ENOBUFS, or -EBADMSG for what may be no trailer. */
ssize_t http1_trailers_write(const struct http_field *field, size_t fields, uint8_t *buffer,
			     size_t size);
