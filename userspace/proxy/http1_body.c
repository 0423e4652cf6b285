/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_body.h"

#include "common/cleanup.h"
#include "proxy/proxy_internal.h"

#include <string.h>

#define QUEUE_ENOUGH (WIRE_BUFFER / 2)

struct http1_in_chunks {
	struct http1_chunks chunks;
	uint8_t trailer[HTTP1_TRAILERS_SIZE];
};

int http1_in_begin(struct http1_in *in, const struct http_head *head)
{
	http1_in_end(in);
	*in = (struct http1_in){.body = head->body, .left = head->length};
	if (head->body == HTTP_BODY_CHUNKED) {
		in->chunks = malloc(sizeof(*in->chunks));
		if (!in->chunks)
			return -ENOMEM;
		in->chunks->chunks = (struct http1_chunks){.trailer = in->chunks->trailer};
	}
	in->done = head->body == HTTP_BODY_NONE ||
		   (head->body == HTTP_BODY_LENGTH && head->length == 0);
	return 0;
}

void http1_in_raw(struct http1_in *in)
{
	http1_in_end(in);
	*in = (struct http1_in){.body = HTTP_BODY_CLOSE};
}

void http1_in_end(struct http1_in *in)
{
	free(in->chunks);
	in->chunks = NULL;
}

static void deliver(struct http1_in *in, struct stream *stream, const uint8_t *data, size_t size,
		    bool end)
{
	in->done = end;
	if (!stream->events->on_data(stream->owner, stream, data, size, end))
		in->paused = true;
}

/* Everything that is in the buffer, or else what the socket has. */
static int step_plain(struct http1_in *in, struct wire *wire, struct stream *stream)
{
	uint64_t most = in->body == HTTP_BODY_LENGTH ? in->left : UINT64_MAX;
	bool buffered = wire_in_size(wire) != 0;
	const uint8_t *data = wire->proxy->scratch;
	ssize_t n;

	if (buffered) {
		n = (ssize_t)wire_in_size(wire);
		if ((uint64_t)n > most)
			n = (ssize_t)most;
		if (n > STREAM_CHUNK_MAX)
			n = STREAM_CHUNK_MAX;
		data = wire_take(wire, (size_t)n);
	} else {
		n = wire_read(wire, wire->proxy->scratch,
			      most < PROXY_SCRATCH ? (size_t)most : PROXY_SCRATCH);
		if (n == -EAGAIN)
			return 0;
		if (n == 0 && in->body == HTTP_BODY_CLOSE) {
			deliver(in, stream, data, 0, true);
			return 1;
		}
		if (n <= 0)
			return n ? (int)n : -EPIPE;
	}
	if (in->body == HTTP_BODY_LENGTH)
		in->left -= (uint64_t)n;
	deliver(in, stream, data, (size_t)n, in->body == HTTP_BODY_LENGTH && !in->left);
	wire_taken(wire);
	return 1;
}

static void deliver_end(struct http1_in *in, struct stream *stream)
{
	struct http_field field[HTTP_TRAILERS_MAX];
	size_t fields = http1_chunks_trailers(&in->chunks->chunks, field);

	in->done = true;
	if (fields)
		stream->events->on_trailers(stream->owner, stream, field, fields);
	else
		deliver(in, stream, NULL, 0, true);
}

static int step_chunked(struct http1_in *in, struct wire *wire, struct stream *stream)
{
	struct http1_chunks *chunks = &in->chunks->chunks;
	struct text piece = {};
	ssize_t n;

	if (!wire_in_size(wire)) {
		n = wire_fill(wire);
		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n ? (int)n : -EPIPE;
	}
	n = http1_chunks_read(chunks, wire_in(wire), wire_in_size(wire), &piece);
	if (n < 0)
		return (int)n;
	wire_take(wire, (size_t)n);
	if (piece.size) {
		if (!stream->events->on_data(stream->owner, stream, (const uint8_t *)piece.data,
					     piece.size, false))
			in->paused = true;
		/* It may have been the last that was wanted: then the chunks are gone. */
		if (wire->closed || !in->chunks) {
			wire_taken(wire);
			return 1;
		}
	}
	if (chunks->done)
		deliver_end(in, stream);
	wire_taken(wire);
	return 1;
}

int http1_in_step(struct http1_in *in, struct wire *wire, struct stream *stream)
{
	return in->body == HTTP_BODY_CHUNKED ? step_chunked(in, wire, stream)
					     : step_plain(in, wire, stream);
}

void http1_out_begin(struct http1_out *out, uint8_t body, uint64_t length)
{
	*out = (struct http1_out){.body = body, .left = length};
	out->done = body == HTTP_BODY_NONE || (body == HTTP_BODY_LENGTH && !length);
}

static int begin_chunk(struct http1_out *out, struct wire *wire, size_t size)
{
	uint8_t *room = wire_room(wire, HTTP1_CHUNK_BEGIN_MAX);

	if (!room)
		return -ENOMEM;
	wire_added(wire, http1_chunk_begin(room, size));
	out->chunk_left = size;
	return 0;
}

static ssize_t send_chunked(struct http1_out *out, struct wire *wire, const uint8_t *data,
			    size_t size)
{
	ssize_t n;
	int r = 0;

	if (!out->chunk_left)
		r = begin_chunk(out, wire, size);
	if (r)
		return r;
	n = wire_send(wire, data, size < out->chunk_left ? size : (size_t)out->chunk_left);
	if (n <= 0)
		return n;
	out->chunk_left -= (uint64_t)n;
	if (!out->chunk_left)
		r = wire_put(wire, HTTP1_CHUNK_END, 2);
	return r ? r : n;
}

ssize_t http1_out_data(struct http1_out *out, struct wire *wire, const uint8_t *data, size_t size,
		       bool end)
{
	size_t taken = 0;
	ssize_t n;

	if (out->body == HTTP_BODY_LENGTH && (size > out->left || (end && size < out->left)))
		return -EPROTO;
	if (out->body == HTTP_BODY_NONE && size)
		return -EPROTO;
	while (taken < size) {
		if (!wire->writable && wire->out.end - wire->out.at >= QUEUE_ENOUGH) {
			out->blocked = true;
			break;
		}
		n = out->body == HTTP_BODY_CHUNKED
			    ? send_chunked(out, wire, data + taken, size - taken)
			    : wire_send(wire, data + taken, size - taken);
		if (n < 0)
			return n;
		if (!n) {
			out->blocked = true;
			break;
		}
		taken += (size_t)n;
	}
	if (out->body == HTTP_BODY_LENGTH)
		out->left -= taken;
	if (!end || taken < size)
		return (ssize_t)taken;
	if (out->body == HTTP_BODY_CHUNKED) {
		int r = wire_put(wire, HTTP1_BODY_END, sizeof(HTTP1_BODY_END) - 1);

		if (r)
			return r;
	}
	out->done = true;
	return (ssize_t)taken;
}

int http1_out_trailers(struct http1_out *out, struct wire *wire, const struct http_field *field,
		       size_t fields)
{
	int r = 0;

	if (out->body == HTTP_BODY_CHUNKED) {
		size_t room = HTTP1_TRAILERS_SIZE + 4 * HTTP_TRAILERS_MAX + 8;
		uint8_t *to = wire_room(wire, room);
		ssize_t n = to ? http1_trailers_write(field, fields, to, room) : -ENOBUFS;

		if (n > 0)
			wire_added(wire, (size_t)n);
		else
			r = n < 0 ? (int)n : -EPROTO;
	} else if (out->body == HTTP_BODY_LENGTH && out->left) {
		r = -EPROTO;
	}
	out->done = !r;
	return r;
}

size_t http1_head_room(const struct http_head *head)
{
	size_t size = 256 + head->method.size + head->target.size + head->authority.size +
		      head->upgrade_to.size;

	for (uint16_t i = 0; i < head->fields; i++)
		size += head->field[i].name.size + head->field[i].value.size + 4;
	return size;
}
