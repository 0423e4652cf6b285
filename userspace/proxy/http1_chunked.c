/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

#define SIZE_DIGITS_MAX 16

enum state {
	SIZE_FIRST = 0, /* a digit must come */
	SIZE,
	NAME_FIRST, /* of an extension */
	NAME,
	VALUE_FIRST,
	VALUE,
	QUOTED,
	QUOTED_PAIR,
	QUOTED_END,
	LINE_END,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	DONE,
};

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What may end a size, an extension's name or its value, or -1: what comes then. */
static int after_part(uint8_t c)
{
	return c == ';' ? NAME_FIRST : c == '\r' ? LINE_END : -1;
}

/* The state after @c in a chunk's line (RFC 9112 section 7.1), or -1. No white space anywhere. */
static int next_state(struct http1_chunks *chunks, uint8_t c)
{
	int digit;

	switch ((enum state)chunks->state) {
	case SIZE_FIRST:
	case SIZE:
		digit = hex_value(c);
		if (digit < 0)
			return chunks->state == SIZE ? after_part(c) : -1;
		if (chunks->digits == SIZE_DIGITS_MAX || chunks->left >> 59)
			return -1;
		chunks->digits++;
		chunks->left = chunks->left << 4 | (uint64_t)digit;
		return SIZE;
	case NAME_FIRST:
		return http1_is(c, HTTP1_TOKEN) ? NAME : -1;
	case NAME:
		return http1_is(c, HTTP1_TOKEN) ? NAME : c == '=' ? VALUE_FIRST : after_part(c);
	case VALUE_FIRST:
		return http1_is(c, HTTP1_TOKEN) ? VALUE : c == '"' ? QUOTED : -1;
	case VALUE:
		return http1_is(c, HTTP1_TOKEN) ? VALUE : after_part(c);
	case QUOTED:
		if (c == '"' || c == '\\')
			return c == '"' ? QUOTED_END : QUOTED_PAIR;
		return http1_is(c, HTTP1_VALUE) ? QUOTED : -1;
	case QUOTED_PAIR:
		return http1_is(c, HTTP1_VALUE) ? QUOTED : -1;
	case QUOTED_END:
		return after_part(c);
	case LINE_END:
		if (c != '\n')
			return -1;
		return chunks->left ? DATA : TRAILER;
	default:
		return -1;
	}
}

/* The trailers are whole: whether they are what trailers may be. Makes names lower case. */
static int check_trailers(struct http1_chunks *chunks)
{
	struct http1_lines lines;
	struct http1_problem problem;
	size_t end;

	if (http1_lines_read(chunks->trailer, chunks->trailer_size, 0, &lines, &end, &problem) != 1)
		return -EBADMSG;
	if (lines.count > HTTP_TRAILERS_MAX)
		return -EBADMSG;
	for (uint16_t i = 0; i < lines.count; i++) {
		uint8_t *name = chunks->trailer + lines.line[i].name;

		for (uint16_t k = 0; k < lines.line[i].name_size; k++)
			name[k] = http1_lower(name[k]);
		if (!http1_trailer_allowed(
			    (struct text){(const char *)name, lines.line[i].name_size}))
			return -EBADMSG;
	}
	return 0;
}

/*
 * One byte of the trailers. `digits` is how much of the end, "\r\n" after a line, is there: nothing
 * before the first line is as good as a line's end.
 */
static int trailer_byte(struct http1_chunks *chunks, uint8_t c)
{
	/* The empty line at once: no buffer is needed. */
	if (c == '\r' && !chunks->trailer_size && !chunks->line) {
		chunks->line = 1;
		return 0;
	}
	if (chunks->line && !chunks->trailer_size) {
		if (c != '\n')
			return -EBADMSG;
		chunks->state = DONE;
		chunks->done = true;
		return 0;
	}
	if (!chunks->trailer || chunks->trailer_size == HTTP1_TRAILERS_SIZE)
		return -EBADMSG;
	chunks->trailer[chunks->trailer_size++] = c;
	if ((c == '\n') != (chunks->line == 1 || chunks->line == 3))
		return -EBADMSG;
	/* 0 in a line, 1 after its CR, 2 after its LF, 3 after the CR of an empty line. */
	chunks->line = c == '\n' ? chunks->line + 1 : c == '\r' ? chunks->line + 1 : 0;
	if (chunks->line < 4)
		return 0;
	if (check_trailers(chunks))
		return -EBADMSG;
	chunks->state = DONE;
	chunks->done = true;
	return 0;
}

ssize_t http1_chunks_read(struct http1_chunks *chunks, const uint8_t *data, size_t size,
			  struct text *ret_data)
{
	const uint8_t *p = data, *end = data + size;

	*ret_data = (struct text){(const char *)data, 0};
	while (p < end && chunks->state != DONE) {
		int state;

		switch (chunks->state) {
		case DATA: {
			size_t room = (size_t)(end - p);
			size_t n = chunks->left < room ? (size_t)chunks->left : room;

			/* A text's size has 32 bits. */
			if (n > INT32_MAX)
				n = INT32_MAX;
			*ret_data = (struct text){(const char *)p, (uint32_t)n};
			chunks->left -= n;
			if (!chunks->left)
				chunks->state = DATA_CR;
			return p + n - data;
		}
		case DATA_CR:
			if (*p++ != '\r')
				return -EBADMSG;
			chunks->state = DATA_LF;
			break;
		case DATA_LF:
			if (*p++ != '\n')
				return -EBADMSG;
			chunks->state = SIZE_FIRST;
			chunks->line = 0;
			chunks->digits = 0;
			break;
		case TRAILER:
			if (trailer_byte(chunks, *p++))
				return -EBADMSG;
			break;
		default:
			if (++chunks->line > HTTP1_CHUNK_LINE_MAX)
				return -EBADMSG;
			state = next_state(chunks, *p++);
			if (state < 0)
				return -EBADMSG;
			chunks->state = (uint8_t)state;
			if (state == TRAILER)
				chunks->line = 0;
			break;
		}
	}
	return p - data;
}

size_t http1_chunks_trailers(const struct http1_chunks *chunks, struct http_field *ret_field)
{
	const char *base = (const char *)chunks->trailer;
	struct http1_lines lines;
	struct http1_problem problem;
	size_t end;

	if (!chunks->done || !chunks->trailer_size ||
	    http1_lines_read(chunks->trailer, chunks->trailer_size, 0, &lines, &end, &problem) != 1)
		return 0;
	for (uint16_t i = 0; i < lines.count; i++) {
		const struct http1_line *line = &lines.line[i];

		ret_field[i].name = (struct text){base + line->name, line->name_size};
		ret_field[i].value = (struct text){base + line->value, line->value_size};
	}
	return lines.count;
}

bool http1_trailer_allowed(struct text name)
{
	static const char *const refused[] = {
		"host",
		"connection",
		"authorization",
		"proxy-authorization",
		"www-authenticate",
		"proxy-authenticate",
		"cookie",
		"set-cookie",
		"content-encoding",
		"content-type",
		"content-range",
		"content-location",
		"cache-control",
		"max-forwards",
		"pragma",
		"range",
		"location",
		"retry-after",
		"vary",
		"age",
		"date",
		"expires",
		"if-match",
		"if-none-match",
		"if-modified-since",
		"if-unmodified-since",
		"if-range",
		"sec-websocket-key",
		"forwarded",
		"via",
	};

	if (!name.size || http1_special_of(name) != HTTP1_ORDINARY)
		return false;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (text_is(name, refused[i]))
			return false;
	return true;
}
