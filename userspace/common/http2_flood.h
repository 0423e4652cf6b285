/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What costs a peer little and us much: frames are counted here, by their headers, before nghttp2
 * sees them, because its own limits depend on its version. CONTINUATION without end
 * (CVE-2024-28182), streams opened and reset (CVE-2023-44487) or made to be reset by us, and frames
 * that carry nothing on: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown types.
 *
 * Embedded in its connection; one thread. Fails closed: who is past a limit loses the connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP2_FRAME_HEADER	9
#define HTTP2_CONTINUATIONS_MAX 8    /* in one header block */
#define HTTP2_RESETS_MAX	500  /* in HTTP2_FLOOD_SECONDS */
#define HTTP2_NOISE_MAX		4096 /* frames in HTTP2_FLOOD_SECONDS, beyond those earned */
#define HTTP2_NOISE_EARNED	4    /* frames, by each that carried a part of a body */
#define HTTP2_FLOOD_SECONDS	10

struct http2_budget {
	uint32_t left;
	uint64_t since; /* seconds */
};

struct http2_flood {
	struct http2_budget resets, noise;
	uint32_t resets_max; /* HTTP2_RESETS_MAX, unless its owner says otherwise */
	uint32_t preface;    /* bytes of the client's preface that are still to come */
	uint32_t payload;    /* bytes of this frame that are still to come */
	uint8_t header[HTTP2_FRAME_HEADER];
	uint8_t header_size; /* bytes of a header that has not come whole */
	uint8_t continuations;
	bool in_block; /* HEADERS came without END_HEADERS */
};

/* @server: the peer begins with the client's preface. */
void http2_flood_init(struct http2_flood *flood, bool server);

/*
 * How many of these bytes may be read: all of them, or those before the frame header that is one
 * too many. Nothing may be read after that.
 */
size_t http2_flood_scan(struct http2_flood *flood, const uint8_t *data, size_t size);

/* The peer made us reset a stream. False: one too many. */
bool http2_flood_reset(struct http2_flood *flood);

/* A part of a body came or went. */
void http2_flood_earn(struct http2_flood *flood);

/* Whether the peer is in the middle of a frame or of a header block. */
bool http2_flood_inside(const struct http2_flood *flood);
