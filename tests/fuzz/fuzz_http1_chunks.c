/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a chunked body, at once and in pieces: the same body, the same trailers, the same
 * end. What was decoded, framed anew, decodes to the same.
 *
 * The first byte: the length of the pieces, and in its highest bit whether trailers may come.
 */
#include "common/cleanup.h"
#include "proxy/http1.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 8192

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

struct outcome {
	int result;
	bool done;
	size_t consumed, size;
	size_t trailers;
	struct http_field field[HTTP_TRAILERS_MAX];
	uint8_t trailer[HTTP1_TRAILERS_SIZE];
	uint8_t body[BODY_MAX];
};

static void decode(const uint8_t *data, size_t size, size_t step, bool lend, struct outcome *ret)
{
	struct http1_chunks chunks = {.trailer = lend ? ret->trailer : NULL};

	ret->result = 0;
	ret->consumed = ret->size = ret->trailers = 0;
	while (ret->consumed < size && !chunks.done) {
		size_t n = size - ret->consumed < step ? size - ret->consumed : step;
		uint8_t *piece = malloc(n);
		struct text got;
		ssize_t r;

		memcpy(piece, data + ret->consumed, n);
		r = http1_chunks_read(&chunks, piece, n, &got);
		if (r < 0) {
			CHECK(r == -EBADMSG);
			ret->result = -EBADMSG;
			free(piece);
			break;
		}
		CHECK(r > 0 && (size_t)r <= n);
		CHECK((const uint8_t *)got.data >= piece &&
		      (const uint8_t *)got.data + got.size <= piece + r);
		CHECK(ret->size + got.size <= sizeof(ret->body));
		memcpy(ret->body + ret->size, got.data, got.size);
		ret->size += got.size;
		ret->consumed += (size_t)r;
		free(piece);
	}
	ret->done = chunks.done;
	if (chunks.done)
		ret->trailers = http1_chunks_trailers(&chunks, ret->field);
	CHECK(ret->trailers <= HTTP_TRAILERS_MAX);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	CHECK(a->result == b->result && a->size == b->size);
	CHECK(!memcmp(a->body, b->body, a->size));
	CHECK(a->done == b->done && a->trailers == b->trailers);
	for (size_t i = 0; i < a->trailers; i++) {
		CHECK(text_equal(a->field[i].name, b->field[i].name));
		CHECK(text_equal(a->field[i].value, b->field[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, pieces, again;
	static uint8_t framed[BODY_MAX + HTTP1_TRAILERS_SIZE + 512];
	size_t step, at = 0;
	bool lend;
	ssize_t r;

	if (size < 1 || size > BODY_MAX)
		return 0;
	step = (data[0] & 0x7f) + 1;
	lend = data[0] & 0x80;
	data++;
	size--;
	decode(data, size, size ? size : 1, lend, &whole);
	decode(data, size, step, lend, &pieces);
	check_same(&whole, &pieces);
	/* An error is seen at the same byte, but how far a call had come before it is not said. */
	CHECK(whole.result || whole.consumed == pieces.consumed);
	if (!whole.done)
		return 0;
	if (whole.size) {
		at = http1_chunk_begin(framed, whole.size);
		memcpy(framed + at, whole.body, whole.size);
		at += whole.size;
		memcpy(framed + at, HTTP1_CHUNK_END, 2);
		at += 2;
	}
	r = http1_trailers_write(whole.field, whole.trailers, framed + at, sizeof(framed) - at);
	CHECK(r > 0);
	at += (size_t)r;
	decode(framed, at, at, true, &again);
	/* ": " may be longer than what was there. */
	if (again.result) {
		CHECK((size_t)r > HTTP1_TRAILERS_SIZE);
		return 0;
	}
	check_same(&whole, &again);
	CHECK(again.consumed == at);
	return 0;
}
