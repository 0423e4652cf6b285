/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made by hand, for what the codec itself would not send, and a reader of what it sends. */
#pragma once

#include "http2_fixture.h"

#include <nghttp2/nghttp2.h>

#define FRAME_PAYLOAD 16384

struct frames {
	uint8_t *data;
	size_t size, room;
	nghttp2_hd_inflater *inflater; /* of what is heard */
};

static void frames_add(struct frames *f, const void *data, size_t size)
{
	if (f->size + size > f->room) {
		f->room = 2 * (f->size + size);
		f->data = realloc(f->data, f->room);
		assert_non_null(f->data);
	}
	if (size)
		memcpy(f->data + f->size, data, size);
	f->size += size;
}

static void frames_put(struct frames *f, uint8_t type, uint8_t flags, int32_t id,
		       const uint8_t *payload, size_t size)
{
	const uint8_t header[9] = {
		(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,	 type,	      flags,
		(uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id,
	};

	frames_add(f, header, sizeof(header));
	frames_add(f, payload, size);
}

/* A client's preface, with SETTINGS that say nothing and the acknowledgement of the server's. */
static void frames_begin(struct frames *f)
{
	*f = (struct frames){};
	frames_add(f, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	frames_put(f, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	assert_int_equal(nghttp2_hd_inflate_new(&f->inflater), 0);
}

static void frames_free(struct frames *f)
{
	free(f->data);
	if (f->inflater)
		nghttp2_hd_inflate_del(f->inflater);
	*f = (struct frames){};
}

static int frames_feed(struct frames *f, struct http2 *h2)
{
	/* In an allocation of its own size: one byte too far is seen. */
	uint8_t *exact = malloc(f->size ? f->size : 1);
	int r;

	memcpy(exact, f->data, f->size);
	r = http2_feed(h2, exact, f->size);
	free(exact);
	f->size = 0;
	return r;
}

/* A string of HPACK (RFC 7541 section 5.2), of any length. */
static void frames_string(struct frames *block, const uint8_t *data, size_t size)
{
	uint8_t length[8];
	size_t at = 0, rest = size;

	if (size < 127) {
		length[at++] = (uint8_t)size;
	} else {
		length[at++] = 127;
		for (rest -= 127; rest >= 128; rest /= 128)
			length[at++] = (uint8_t)(rest % 128 | 128);
		length[at++] = (uint8_t)rest;
	}
	frames_add(block, length, at);
	frames_add(block, data, size);
}

/* \r, \n, \0, and \e for nothing. */
static size_t unescape(const char *from, size_t size, uint8_t *to)
{
	size_t at = 0;

	for (size_t i = 0; i < size; i++) {
		if (from[i] != '\\' || i + 1 == size) {
			to[at++] = (uint8_t)from[i];
			continue;
		}
		switch (from[++i]) {
		case 'r':
			to[at++] = '\r';
			break;
		case 'n':
			to[at++] = '\n';
			break;
		case '0':
			to[at++] = 0;
			break;
		}
	}
	return at;
}

/* Split a line "name: value"; returns its end. */
static const char *frames_line(const char *line, uint8_t *name, size_t *ret_name_size,
			       uint8_t *value, size_t *ret_value_size)
{
	size_t size = strcspn(line, "\n");
	const char *colon = memchr(line + 1, ':', size - 1), *text;

	assert_non_null(colon);
	if (colon[1] == ':') /* the name "::" */
		colon++;
	text = colon + 1 + (colon[1] == ' ');
	*ret_name_size = unescape(line, (size_t)(colon - line), name);
	*ret_value_size = unescape(text, (size_t)(line + size - text), value);
	return line + size;
}

/*
 * HEADERS, and CONTINUATION where it has to be, of lines "name: value", each a literal that is
 * not indexed. @whole: with END_HEADERS.
 */
static void frames_headers(struct frames *f, int32_t id, const char *lines, bool end, bool whole)
{
	struct frames block = {};
	uint8_t type = NGHTTP2_HEADERS, *name = malloc(2 * strlen(lines) + 2);
	uint8_t *value = name + strlen(lines) + 1;

	assert_non_null(name);
	while (*lines) {
		size_t name_size, value_size;

		lines = frames_line(lines, name, &name_size, value, &value_size) + 1;
		frames_add(&block, "", 1);
		frames_string(&block, name, name_size);
		frames_string(&block, value, value_size);
	}
	for (size_t at = 0;;) {
		size_t size = block.size - at < FRAME_PAYLOAD ? block.size - at : FRAME_PAYLOAD;
		bool last = at + size == block.size;

		frames_put(
			f, type,
			(uint8_t)((last && whole ? NGHTTP2_FLAG_END_HEADERS : 0) |
				  (end && type == NGHTTP2_HEADERS ? NGHTTP2_FLAG_END_STREAM : 0)),
			id, block.data + at, size);
		at += size;
		type = NGHTTP2_CONTINUATION;
		if (last)
			break;
	}
	frames_free(&block);
	free(name);
}

static const char *frames_code(uint32_t code)
{
	switch (code) {
	case NGHTTP2_NO_ERROR:
		return "none";
	case NGHTTP2_PROTOCOL_ERROR:
		return "protocol";
	case NGHTTP2_INTERNAL_ERROR:
		return "internal";
	case NGHTTP2_FLOW_CONTROL_ERROR:
		return "flow";
	case NGHTTP2_STREAM_CLOSED:
		return "closed";
	case NGHTTP2_FRAME_SIZE_ERROR:
		return "size";
	case NGHTTP2_REFUSED_STREAM:
		return "refused";
	case NGHTTP2_CANCEL:
		return "cancel";
	case NGHTTP2_COMPRESSION_ERROR:
		return "compression";
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return "calm";
	default:
		return "other";
	}
}

static uint32_t frames_u32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* The status of a response. */
static void hear_headers(nghttp2_hd_inflater *inflater, const uint8_t *data, size_t size,
			 int32_t id, bool end, struct party *words)
{
	nghttp2_nv nv;
	int flags = 0;

	for (;;) {
		ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, data, size, 1);

		assert_true(n >= 0);
		data += n;
		size -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT && nv.namelen == 7 &&
		    !memcmp(nv.name, ":status", 7))
			note(words, "%.*s:%d%s ", (int)nv.valuelen, nv.value, id, end ? "." : "");
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
	}
	nghttp2_hd_inflate_end_headers(inflater);
}

/* What an end says, as words: responses' heads, resets, GOAWAY. Not what every connection says. */
static void frames_hear(struct frames *f, struct http2 *h2, char *ret_words, size_t size)
{
	struct frames all = {};
	struct party words = {};
	const uint8_t *data;
	ssize_t n;

	while ((n = http2_drain(h2, &data)) > 0)
		frames_add(&all, data, (size_t)n);
	for (size_t at = 0; at < all.size;) {
		if (all.data[at] == *NGHTTP2_CLIENT_MAGIC) {
			at += NGHTTP2_CLIENT_MAGIC_LEN;
			continue;
		}
		const uint8_t *frame = all.data + at;
		size_t length = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
		int32_t id = (int32_t)frames_u32(frame + 5);

		assert_true(at + 9 + length <= all.size);
		switch (frame[3]) {
		case NGHTTP2_HEADERS:
			assert_true(frame[4] & NGHTTP2_FLAG_END_HEADERS);
			hear_headers(f->inflater, frame + 9, length, id,
				     frame[4] & NGHTTP2_FLAG_END_STREAM, &words);
			break;
		case NGHTTP2_RST_STREAM:
			note(&words, "rst:%d:%s ", id, frames_code(frames_u32(frame + 9)));
			break;
		case NGHTTP2_GOAWAY:
			note(&words, "goaway:%s ", frames_code(frames_u32(frame + 13)));
			break;
		}
		at += 9 + length;
	}
	frames_free(&all);
	snprintf(ret_words, size, "%s", words.notes);
}
