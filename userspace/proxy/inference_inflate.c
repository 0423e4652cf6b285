/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_inflate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_SIZE 16384 /* of what comes out at a time */
#define TOTAL_MAX   (1u << 30)

#define GZIP_BITS (15 + 16)
#define ZLIB_BITS 15
#define RAW_BITS  (-15)

struct inference_inflate {
	z_stream stream;
	enum inference_coding coding;
	bool begun;   /* there is a stream */
	bool between; /* members of gzip */
	bool done;
	uint64_t total;
};

int inference_inflate_new(enum inference_coding coding, struct inference_inflate **ret_inflate)
{
	struct inference_inflate *inflate = calloc(1, sizeof(*inflate));

	if (!inflate)
		return -ENOMEM;
	inflate->coding = coding;
	*ret_inflate = inflate;
	return 0;
}

void inference_inflate_free(struct inference_inflate *inflate)
{
	if (!inflate)
		return;
	if (inflate->begun)
		inflateEnd(&inflate->stream);
	free(inflate);
}

/* Without a header the first byte is that of a block, and hardly ever looks like the header's. */
static int bits_for(enum inference_coding coding, uint8_t first)
{
	if (coding == INFERENCE_CODING_GZIP)
		return GZIP_BITS;
	return (first & 15) == 8 && first >> 4 <= 7 ? ZLIB_BITS : RAW_BITS;
}

/* One window of it. 1: there may be more; 0: all is used. */
static int step(struct inference_inflate *in, inference_inflate_take *take, void *arg)
{
	z_stream *stream = &in->stream;
	uint8_t window[WINDOW_SIZE];
	size_t size;
	int z, r = 0;

	stream->next_out = window;
	stream->avail_out = sizeof(window);
	z = in->done ? Z_STREAM_END : inflate(stream, Z_SYNC_FLUSH);
	if (z == Z_MEM_ERROR)
		return -ENOMEM;
	size = sizeof(window) - stream->avail_out;
	in->total += size;
	if (size)
		r = take(arg, window, size);
	if (r < 0)
		return r;
	/* Only now: a decoder has what came out before the mistake. */
	if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
		return -EBADMSG;
	if (in->total > TOTAL_MAX)
		return -E2BIG;
	if (z == Z_STREAM_END)
		in->between = true;
	return stream->avail_in || !stream->avail_out;
}

/* After a member: another one, or what nobody reads. */
static int go_on(struct inference_inflate *inflate)
{
	if (!inflate->between)
		return 0;
	inflate->between = false;
	if (inflate->coding != INFERENCE_CODING_GZIP || *inflate->stream.next_in != 0x1f) {
		inflate->done = true;
		return 0;
	}
	return inflateReset(&inflate->stream) == Z_OK ? 0 : -EBADMSG;
}

int inference_inflate_data(struct inference_inflate *inflate, const uint8_t *data, size_t size,
			   inference_inflate_take *take, void *arg)
{
	z_stream *stream = &inflate->stream;
	int r = 1;

	if (!size || inflate->done)
		return 0;
	if (!inflate->begun) {
		if (inflateInit2(stream, bits_for(inflate->coding, *data)) != Z_OK)
			return -ENOMEM;
		inflate->begun = true;
	}
	stream->next_in = (uint8_t *)data;
	stream->avail_in = (uInt)size;
	while (r > 0 && !inflate->done) {
		r = stream->avail_in ? go_on(inflate) : 0;
		if (!r && !inflate->done)
			r = step(inflate, take, arg);
	}
	return r < 0 ? r : 0;
}
