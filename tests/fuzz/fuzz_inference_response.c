/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A response, after two bytes that say how it is sent and in what pieces it comes. What is passed
 * on is a prefix of what came, and all of it if no secret is in it; none ever is in what is passed
 * on; and the pieces make no difference to what is counted, but where that is a guess.
 */
#include "common/cleanup.h"
#include "proxy/inference_response.h"

#include <stdlib.h>
#include <zlib.h>

#define API(name) OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of few letters, so that parts of them come up; the first is found in the second. */
static char *secrets[] = {"aabaabaac", "aaabaabaabaac", "ab/ab\"ab/", "usage\":{"};

static const char *const types[] = {"application/json", "text/event-stream", "text/plain"};
static const char *const encodings[] = {"identity", "gzip", "deflate", "br"};

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static struct text text_of(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

static bool holds_secret(const char *data, size_t size)
{
	static const char *const escaped[] = {"ab/ab\\\"ab/", "ab\\/ab\\\"ab\\/", "usage\\\":{"};

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (memmem(data, size, secrets[i], strlen(secrets[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(escaped); i++)
		if (memmem(data, size, escaped[i], strlen(escaped[i])))
			return true;
	return false;
}

/* What an agent makes of compressed bytes. */
static bool inflated_holds_secret(const char *data, size_t size, int bits)
{
	static char out[1 << 16];
	z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)size};

	if (inflateInit2(&stream, bits) != Z_OK)
		return false;
	stream.next_out = (Bytef *)out;
	stream.avail_out = sizeof(out);
	inflate(&stream, Z_SYNC_FLUSH);
	inflateEnd(&stream);
	return holds_secret(out, sizeof(out) - stream.avail_out);
}

struct passing {
	char *out;
	size_t size;
	int r;
	struct inference_usage usage;
};

static void pass(const struct http_head *head, const uint8_t *data, size_t size, unsigned int seed,
		 struct passing *passing)
{
	Openshell__Worker__V1__InferenceRoute told = OPENSHELL__WORKER__V1__INFERENCE_ROUTE__INIT;
	const struct inference_route route = {.told = &told};
	struct inference_tap *tap = NULL;
	size_t at = 0;

	told.secrets = secrets;
	told.n_secrets = ARRAY_LEN(secrets);
	expect(!inference_tap_new(&route, API(CHAT_COMPLETIONS), head, &tap));
	do {
		size_t most = size - at, step = most;
		_cleanup_free_ uint8_t *copy = NULL;
		struct text out[2];

		if (seed) {
			seed = seed * 1103515245 + 12345;
			step = (seed >> 16) % (seed >> 8 & 1 ? 4 : 40);
			step = step < most ? step : most;
		}
		copy = malloc(step ? step : 1);
		memcpy(copy, data + at, step);
		at += step;
		passing->r = inference_tap_data(tap, copy, step, at == size, out);
		for (int i = 0; i < 2; i++) {
			expect(passing->size + out[i].size <= at);
			if (out[i].size)
				memcpy(passing->out + passing->size, out[i].data, out[i].size);
			passing->size += out[i].size;
		}
	} while (at < size && !passing->r);
	passing->usage = inference_tap_usage(tap, 1000);
	inference_tap_free(tap);
	expect(!passing->size || !memcmp(passing->out, data, passing->size));
	expect(passing->r == 0 || passing->r == -EACCES);
	expect(passing->r || passing->size == size);
}

static void check(const struct passing *passing, const uint8_t *data, size_t size,
		  unsigned int encoding)
{
	if (encoding == 0 || encoding == 3)
		expect(!holds_secret(passing->out, passing->size) &&
		       (passing->r != 0) == holds_secret((const char *)data, size));
	else if (encoding == 1)
		expect(!inflated_holds_secret(passing->out, passing->size, 15 + 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *first = malloc(size + 1), *second = malloc(size + 1);
	struct passing whole = {.out = first}, pieces = {.out = second};
	struct http_head head = {.status = 200, .fields = 2};
	unsigned int encoding, seed;

	if (size < 2 || !first || !second)
		return 0;
	encoding = data[0] & 3;
	head.field[0] =
		(struct http_field){TEXT("content-type"), text_of(types[(data[0] >> 2) % 3])};
	head.field[1] = (struct http_field){TEXT("content-encoding"), text_of(encodings[encoding])};
	seed = data[1] + 1u;
	data += 2;
	size -= 2;
	pass(&head, data, size, 0, &whole);
	check(&whole, data, size, encoding);
	pass(&head, data, size, seed, &pieces);
	check(&pieces, data, size, encoding);
	/* Of what turns out not to be compressed, more is seen before that in one piece. */
	if (encoding == 1 || encoding == 2)
		return 0;
	expect(whole.r == pieces.r);
	if (!whole.r)
		expect(whole.usage.known == pieces.usage.known &&
		       whole.usage.input == pieces.usage.input &&
		       whole.usage.output == pieces.usage.output);
	return 0;
}
