/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of HTTP/1 messages between a wire and a stream, the same for both ends of an exchange: as
 * they come (http1_in) and as they go out (http1_out). Part of the connection's structure; the
 * worker's loop. Fails closed: a body that is shorter or longer than was said breaks its
 * connection.
 */
#pragma once

#include "proxy/http1.h"
#include "proxy/stream.h"
#include "proxy/wire.h"

struct http1_in {
	uint8_t body; /* enum http_body */
	bool done;    /* all of it was delivered */
	bool paused;  /* the exchange has enough for now */
	uint64_t left;
	struct http1_in_chunks *chunks;
};

struct http1_out {
	uint8_t body;
	bool done;
	bool blocked;	     /* not all was taken: on_writable() is due */
	uint64_t left;	     /* HTTP_BODY_LENGTH */
	uint64_t chunk_left; /* of the chunk that was begun */
};

/* Begin with what @head says of the body. -ENOMEM. */
int http1_in_begin(struct http1_in *in, const struct http_head *head);
/* After a switch of protocols: bytes until the connection ends. */
void http1_in_raw(struct http1_in *in);
void http1_in_end(struct http1_in *in);

/*
 * Deliver a part of the body to @stream's owner: 1 something was; 0 nothing can be now; -EPIPE: the
 * connection ended too soon; -EBADMSG and others: it is broken. Anything may have happened to
 * the wire when this returns: look whether it was closed.
 */
int http1_in_step(struct http1_in *in, struct wire *wire, struct stream *stream);

void http1_out_begin(struct http1_out *out, uint8_t body, uint64_t length);

/* As stream_ops.data(). */
ssize_t http1_out_data(struct http1_out *out, struct wire *wire, const uint8_t *data, size_t size,
		       bool end);
/* As stream_ops.trailers(). */
int http1_out_trailers(struct http1_out *out, struct wire *wire, const struct http_field *field,
		       size_t fields);

/* Bytes that @head takes at most when it is written. */
size_t http1_head_room(const struct http_head *head);
