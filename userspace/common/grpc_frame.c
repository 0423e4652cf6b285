/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_frame.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_WINDOW    (15 + 16) /* zlib's way to say gzip */
#define FIRST_CAPACITY 512
#define KEEP_CAPACITY  4096 /* an empty queue keeps no more */

static bool budget_take(struct grpc_budget *budget, size_t size)
{
	if (!budget)
		return true;
	if (size > budget->max || budget->used > budget->max - size)
		return false;
	budget->used += size;
	return true;
}

static void budget_give(struct grpc_budget *budget, size_t size)
{
	if (budget)
		budget->used -= size;
}

/* What came may be a secret. */
static void drop(struct grpc_reader *reader)
{
	if (reader->data) {
		OPENSSL_cleanse(reader->data, reader->size);
		free(reader->data);
		budget_give(reader->budget, reader->capacity);
	}
	reader->data = NULL;
	reader->size = reader->capacity = reader->length = 0;
	reader->header_size = 0;
}

/* The peer says how long it will be; memory is taken for what has come. */
static int grow(struct grpc_reader *reader, size_t wanted)
{
	size_t capacity = reader->capacity ? reader->capacity : FIRST_CAPACITY;
	uint8_t *data;

	if (wanted <= reader->capacity)
		return 0;
	while (capacity < wanted)
		capacity *= 2;
	if (capacity > reader->length)
		capacity = reader->length;
	if (!budget_take(reader->budget, capacity - reader->capacity))
		return -ENOBUFS;
	data = malloc(capacity);
	if (!data) {
		budget_give(reader->budget, capacity - reader->capacity);
		return -ENOMEM;
	}
	if (reader->data) {
		memcpy(data, reader->data, reader->size);
		OPENSSL_cleanse(reader->data, reader->size);
		free(reader->data);
	}
	reader->data = data;
	reader->capacity = capacity;
	return 0;
}

/* Never more than @max bytes come of it, whatever it claims. */
static int inflate_all(const uint8_t *data, size_t size, size_t max, uint8_t **ret_data,
		       size_t *ret_size)
{
	z_stream z = {.next_in = (uint8_t *)data, .avail_in = (uInt)size};
	_cleanup_free_ uint8_t *out = NULL;
	size_t capacity = 0;
	int r = Z_OK;

	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	while (r == Z_OK) {
		if (z.total_out == capacity) {
			size_t more = capacity ? capacity * 2 : size * 4 + 64;
			uint8_t *grown;

			if (capacity > max)
				break;
			/* One byte more than is allowed tells too long from exactly full. */
			capacity = more > max ? max + 1 : more;
			grown = realloc(out, capacity);
			if (!grown) {
				inflateEnd(&z);
				return -ENOMEM;
			}
			out = grown;
		}
		z.next_out = out + z.total_out;
		z.avail_out = (uInt)(capacity - z.total_out);
		r = inflate(&z, Z_NO_FLUSH);
	}
	*ret_size = z.total_out;
	inflateEnd(&z);
	if (*ret_size > max)
		return -EMSGSIZE;
	if (r != Z_STREAM_END || z.avail_in)
		return -EBADMSG;
	*ret_data = TAKE_PTR(out);
	return 0;
}

static int give(struct grpc_reader *reader, grpc_reader_message message, void *arg)
{
	static const uint8_t nothing[1];
	_cleanup_free_ uint8_t *data = TAKE_PTR(reader->data);
	_cleanup_free_ uint8_t *inflated = NULL;
	size_t size = reader->size, capacity = reader->capacity, length = 0;
	bool compressed = reader->header[0];
	int r;

	/* @message may feed or clear nothing of this reader, but may end the call. */
	reader->size = reader->capacity = reader->length = 0;
	reader->header_size = 0;
	if (compressed) {
		r = inflate_all(data ? data : nothing, size, reader->message_max, &inflated,
				&length);
		if (!r)
			r = message(arg, inflated ? inflated : nothing, length);
		if (inflated)
			OPENSSL_cleanse(inflated, length);
	} else {
		r = message(arg, data ? data : nothing, size);
	}
	if (data)
		OPENSSL_cleanse(data, size);
	budget_give(reader->budget, capacity);
	return r;
}

static int read_header(struct grpc_reader *reader)
{
	const uint8_t *h = reader->header;

	if (h[0] > 1 || (h[0] && !reader->gzip))
		return -EBADMSG;
	reader->length = (size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4];
	return reader->length > reader->message_max ? -EMSGSIZE : 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int feed(struct grpc_reader *reader, const uint8_t *data, size_t size,
		grpc_reader_message message, void *arg, size_t *used)
{
	int r = 0;

	while (*used < size && !r) {
		const uint8_t *at = data + *used;
		size_t part;

		if (reader->header_size < GRPC_FRAME_HEADER) {
			part = smaller(GRPC_FRAME_HEADER - reader->header_size, size - *used);
			memcpy(reader->header + reader->header_size, at, part);
			reader->header_size += (uint8_t)part;
			if (reader->header_size == GRPC_FRAME_HEADER)
				r = read_header(reader);
		} else {
			part = smaller(reader->length - reader->size, size - *used);
			r = grow(reader, reader->size + part);
			if (!r) {
				memcpy(reader->data + reader->size, at, part);
				reader->size += part;
			}
		}
		*used += part;
		if (!r && reader->header_size == GRPC_FRAME_HEADER &&
		    reader->size == reader->length)
			r = give(reader, message, arg);
	}
	return r;
}

int grpc_reader_feed(struct grpc_reader *reader, const uint8_t *data, size_t size,
		     grpc_reader_message message, void *arg, size_t *ret_used)
{
	size_t used = 0;
	int r;

	if (reader->failed)
		return -EBADMSG;
	r = feed(reader, data, size, message, arg, &used);
	if (r < 0) {
		reader->failed = true;
		return r;
	}
	*ret_used = used;
	return 0;
}

bool grpc_reader_inside(const struct grpc_reader *reader)
{
	return reader->header_size != 0;
}

void grpc_reader_clear(struct grpc_reader *reader)
{
	drop(reader);
}

/* Room for @size more bytes at the end. */
static int reserve(struct grpc_queue *queue, size_t size)
{
	size_t held = queue->end - queue->start, capacity = queue->capacity;
	uint8_t *data;

	if (queue->start && (size > queue->capacity - queue->end || !held)) {
		memmove(queue->data, queue->data + queue->start, held);
		queue->start = 0;
		queue->end = held;
	}
	if (size <= queue->capacity - queue->end)
		return 0;
	if (!capacity)
		capacity = FIRST_CAPACITY;
	while (capacity < held + size)
		capacity *= 2;
	data = malloc(capacity);
	if (!data)
		return -ENOMEM;
	if (queue->data) {
		memcpy(data, queue->data + queue->start, held);
		OPENSSL_cleanse(queue->data, queue->capacity);
		free(queue->data);
	}
	queue->data = data;
	queue->start = 0;
	queue->end = held;
	queue->capacity = capacity;
	return 0;
}

static void write_header(uint8_t *at, bool compressed, size_t length)
{
	at[0] = compressed;
	at[1] = (uint8_t)(length >> 24);
	at[2] = (uint8_t)(length >> 16);
	at[3] = (uint8_t)(length >> 8);
	at[4] = (uint8_t)length;
}

static int add_compressed(struct grpc_queue *queue, const ProtobufCMessage *message, size_t size)
{
	_cleanup_free_ uint8_t *packed = malloc(size);
	z_stream z = {};
	size_t bound;
	int r;

	if (!packed)
		return -ENOMEM;
	protobuf_c_message_pack(message, packed);
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&z, size);
	r = reserve(queue, GRPC_FRAME_HEADER + bound);
	if (!r) {
		z.next_in = packed;
		z.avail_in = (uInt)size;
		z.next_out = queue->data + queue->end + GRPC_FRAME_HEADER;
		z.avail_out = (uInt)bound;
		if (deflate(&z, Z_FINISH) != Z_STREAM_END)
			r = -EIO;
	}
	if (!r) {
		write_header(queue->data + queue->end, true, z.total_out);
		queue->end += GRPC_FRAME_HEADER + z.total_out;
	}
	deflateEnd(&z);
	OPENSSL_cleanse(packed, size);
	return r;
}

int grpc_queue_add(struct grpc_queue *queue, const ProtobufCMessage *message, bool gzip)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	int r;

	if (size > UINT32_MAX)
		return -EMSGSIZE;
	if (gzip && size)
		return add_compressed(queue, message, size);
	r = reserve(queue, GRPC_FRAME_HEADER + size);
	if (r)
		return r;
	write_header(queue->data + queue->end, false, size);
	protobuf_c_message_pack(message, queue->data + queue->end + GRPC_FRAME_HEADER);
	queue->end += GRPC_FRAME_HEADER + size;
	return 0;
}

int grpc_queue_put(struct grpc_queue *queue, const uint8_t *data, size_t size)
{
	int r = reserve(queue, size);

	if (r)
		return r;
	memcpy(queue->data + queue->end, data, size);
	queue->end += size;
	return 0;
}

size_t grpc_queue_size(const struct grpc_queue *queue)
{
	return queue->end - queue->start;
}

size_t grpc_queue_take(struct grpc_queue *queue, uint8_t *ret_data, size_t size)
{
	size = smaller(size, queue->end - queue->start);
	if (!size)
		return 0;
	memcpy(ret_data, queue->data + queue->start, size);
	queue->start += size;
	if (queue->start == queue->end) {
		queue->start = queue->end = 0;
		if (queue->capacity > KEEP_CAPACITY)
			grpc_queue_clear(queue);
	}
	return size;
}

void grpc_queue_clear(struct grpc_queue *queue)
{
	if (queue->data) {
		OPENSSL_cleanse(queue->data, queue->capacity);
		free(queue->data);
	}
	*queue = (struct grpc_queue){};
}
