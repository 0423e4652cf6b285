/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http2_flood.h"

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <time.h>

static uint64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec;
}

/* The clock is read only when the budget is used up. */
static bool take(struct http2_budget *budget, uint32_t max)
{
	if (!budget->left) {
		uint64_t now = seconds();

		if (now - budget->since < HTTP2_FLOOD_SECONDS)
			return false;
		budget->since = now;
		budget->left = max;
	}
	budget->left--;
	return true;
}

void http2_flood_init(struct http2_flood *flood, bool server)
{
	*flood = (struct http2_flood){
		.resets = {HTTP2_RESETS_MAX, seconds()},
		.noise = {HTTP2_NOISE_MAX, seconds()},
		.resets_max = HTTP2_RESETS_MAX,
		.preface = server ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
	};
}

/* A whole frame header is in flood->header. */
static bool judge(struct http2_flood *flood)
{
	const uint8_t *h = flood->header;
	bool end_headers = h[4] & NGHTTP2_FLAG_END_HEADERS;

	flood->payload = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
	switch (h[3]) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_PUSH_PROMISE:
		flood->in_block = !end_headers;
		flood->continuations = 0;
		return true;
	case NGHTTP2_CONTINUATION:
		flood->in_block = !end_headers;
		return ++flood->continuations <= HTTP2_CONTINUATIONS_MAX;
	case NGHTTP2_RST_STREAM:
		return take(&flood->resets, flood->resets_max);
	default:
		return take(&flood->noise, HTTP2_NOISE_MAX);
	}
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t http2_flood_scan(struct http2_flood *flood, const uint8_t *data, size_t size)
{
	size_t at = smaller(flood->preface, size);

	flood->preface -= (uint32_t)at;
	while (at < size) {
		size_t part;

		if (flood->payload) {
			part = smaller(flood->payload, size - at);
			flood->payload -= (uint32_t)part;
			at += part;
			continue;
		}
		part = smaller(HTTP2_FRAME_HEADER - flood->header_size, size - at);
		memcpy(flood->header + flood->header_size, data + at, part);
		flood->header_size += (uint8_t)part;
		if (flood->header_size == HTTP2_FRAME_HEADER) {
			flood->header_size = 0;
			if (!judge(flood))
				return at;
		}
		at += part;
	}
	return size;
}

bool http2_flood_reset(struct http2_flood *flood)
{
	return take(&flood->resets, flood->resets_max);
}

void http2_flood_earn(struct http2_flood *flood)
{
	flood->noise.left += HTTP2_NOISE_EARNED;
	if (flood->noise.left > HTTP2_NOISE_MAX)
		flood->noise.left = HTTP2_NOISE_MAX;
}

bool http2_flood_inside(const struct http2_flood *flood)
{
	return flood->payload || flood->header_size || flood->in_block;
}
