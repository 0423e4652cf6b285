/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/target.h"

#include <errno.h>

/* What a byte of a path may do as it is. */
enum byte_class {
	BAD = 0,
	PLAIN,	/* stands as it is, and never for something else */
	SLASH,	/* ends a segment */
	DOT,	/* may make a dot segment */
	SEMI,	/* begins a segment's parameters */
	ESCAPE, /* '%' */
};

/*
 * The marks that RFC 3986 would have escaped but clients send are let through where no server gives
 * them a meaning of their own.
 */
static const uint8_t path_class[256] = {
	['a' ... 'z'] = PLAIN, ['A' ... 'Z'] = PLAIN, ['0' ... '9'] = PLAIN, ['-'] = PLAIN,
	['_'] = PLAIN,	       ['~'] = PLAIN,	      ['!'] = PLAIN,	     ['$'] = PLAIN,
	['&'] = PLAIN,	       ['\''] = PLAIN,	      ['('] = PLAIN,	     [')'] = PLAIN,
	['*'] = PLAIN,	       ['+'] = PLAIN,	      [','] = PLAIN,	     ['='] = PLAIN,
	[':'] = PLAIN,	       ['@'] = PLAIN,	      ['['] = PLAIN,	     [']'] = PLAIN,
	['{'] = PLAIN,	       ['}'] = PLAIN,	      ['|'] = PLAIN,	     ['^'] = PLAIN,
	['/'] = SLASH,	       ['.'] = DOT,	      [';'] = SEMI,	     ['%'] = ESCAPE,
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that is escaped at @p, or -1. */
static int escape_value(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3)
		return -1;
	high = hex_value(p[1]);
	low = hex_value(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/*
 * How many bytes the escaped UTF-8 sequence at @p has, whose first byte is @first (0x80 or more);
 * 0 if it is none (RFC 3629).
 */
static size_t utf8_length(const char *p, const char *end, int first)
{
	static const int least[] = {0, 0, 0x80, 0x800, 0x10000};
	int code;
	size_t n;

	if (first < 0xc2)
		return 0;
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (!n)
		return 0;
	code = first & (0xff >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		int byte;

		p += 3;
		byte = p < end && *p == '%' ? escape_value(p, end) : -1;
		if (byte < 0 || (byte & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (byte & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : n;
}

static char *put_escape(char *out, int byte)
{
	static const char digits[] = "0123456789ABCDEF";

	*out++ = '%';
	*out++ = digits[byte >> 4];
	*out++ = digits[byte & 15];
	return out;
}

/* One escape, or a whole sequence of UTF-8; *in and *out move on. */
static enum target_error copy_escape(const char **in, const char *end, bool encoded_slash,
				     char **out)
{
	int byte = escape_value(*in, end);
	size_t n = 1;

	if (byte < 0x20 || byte == 0x7f)
		return TARGET_ESCAPE;
	if (byte == '\\' || (byte == '/' && !encoded_slash))
		return TARGET_ENCODED_SLASH;
	if (is_unreserved(byte)) {
		*(*out)++ = (char)byte;
		*in += 3;
		return TARGET_OK;
	}
	if (byte >= 0x80) {
		n = utf8_length(*in, end, byte);
		if (!n)
			return TARGET_UTF8;
	}
	for (size_t i = 0; i < n; i++) {
		*out = put_escape(*out, escape_value(*in, end));
		*in += 3;
	}
	return TARGET_OK;
}

static bool is_dots(const char *s, size_t size)
{
	return (size == 1 && s[0] == '.') || (size == 2 && s[0] == '.' && s[1] == '.');
}

/* Whether the mark @c, or its escape, is at @s. */
static bool mark_at(const char *s, const char *end, char c, const char escape[3])
{
	return *s == c || (end - s >= 3 && !memcmp(s, escape, 3));
}

/*
 * A written segment, which may hide one: servers differ in whether `..;x` is "..", `;x` nothing,
 * `a%2F..` two segments, and in which of those they see before they remove dot segments.
 */
static enum target_error check_segment(const char *s, const char *end)
{
	const char *part = s;
	bool parameters = false, parts = false;

	for (; s <= end; s++) {
		bool slash = s < end && end - s >= 3 && !memcmp(s, "%2F", 3);

		if (s == end || slash) {
			if (!parameters && (parts || slash) && is_dots(part, (size_t)(s - part)))
				return TARGET_ENCODED_SLASH;
			part = s + 3;
			parts = true;
			parameters = false;
			s += slash ? 2 : 0;
		} else if (!parameters && mark_at(s, end, ';', "%3B")) {
			if (s == part || is_dots(part, (size_t)(s - part)))
				return TARGET_PARAMETER;
			parameters = true;
		}
	}
	return TARGET_OK;
}

/*
 * "..": take the last segment off what is written, which ends with a slash. Not one of which some
 * server makes none or two.
 */
static enum target_error go_up(const char *buffer, char **out)
{
	char *s = *out - 1, *end = s;

	if (s == buffer)
		return TARGET_ABOVE_ROOT;
	while (s[-1] != '/') {
		s--;
		if (mark_at(s, end, ';', "%3B"))
			return TARGET_PARAMETER;
		if (end - s >= 3 && !memcmp(s, "%2F", 3))
			return TARGET_ENCODED_SLASH;
	}
	*out = s;
	return TARGET_OK;
}

/* The rest of a path from a segment's begin on, after whatever is written, which ends with '/'. */
static enum target_error copy_segments(const char *in, const char *end, bool encoded_slash,
				       char *buffer, char **out)
{
	for (;;) {
		char *segment = *out;
		bool special = false;
		enum target_error error = TARGET_OK;

		while (in < end && *in != '/') {
			switch (path_class[(uint8_t)*in]) {
			case SEMI:
				special = true;
				/* fall through */
			case PLAIN:
			case DOT:
				*(*out)++ = *in++;
				break;
			case ESCAPE:
				special = true;
				error = copy_escape(&in, end, encoded_slash, out);
				if (error)
					return error;
				break;
			default:
				return TARGET_CHARACTER;
			}
		}
		if (special)
			error = check_segment(segment, *out);
		if (error)
			return error;
		if (is_dots(segment, (size_t)(*out - segment))) {
			bool up = *out - segment == 2;

			*out = segment;
			error = up ? go_up(buffer, out) : TARGET_OK;
			if (error)
				return error;
		} else if (in<end && * out> segment) {
			*(*out)++ = '/';
		}
		if (in == end)
			return TARGET_OK;
		in++;
	}
}

enum target_error target_parse(struct text raw, bool encoded_slash, char *buffer, size_t size,
			       struct target *ret_target)
{
	const char *in = raw.data, *end = in + raw.size, *query, *segment;
	struct target target = {0};
	char *out = buffer;

	if (raw.size > HTTP_TARGET_MAX || raw.size > size)
		return TARGET_LONG;
	if (!raw.size || *in != '/') {
		if (!text_is(raw, "*"))
			return TARGET_FORM;
		*buffer = '*';
		ret_target->path = (struct text){buffer, 1};
		ret_target->query = (struct text){0};
		ret_target->has_query = false;
		return TARGET_OK;
	}
	query = memchr(in, '?', raw.size);
	if (query) {
		target.has_query = true;
		target.query = (struct text){query + 1, (uint32_t)(end - query - 1)};
		for (const char *p = query + 1; p < end; p++)
			if (*p < 0x21 || *p > 0x7e || *p == '#')
				return TARGET_CHARACTER;
		end = query;
	}

	/* Nearly every path is canonical: copied up to the segment in which something is not. */
	*out++ = *in++;
	for (segment = in; in < end; in++) {
		uint8_t class = path_class[(uint8_t)*in];

		if (class == SLASH && in > segment)
			segment = in + 1;
		else if (class != PLAIN && !(class == DOT && in > segment && in[-1] != '.'))
			break;
	}
	memcpy(out, raw.data + 1, (size_t)((in == end ? in : segment) - raw.data - 1));
	out += (in == end ? in : segment) - raw.data - 1;
	if (in < end) {
		enum target_error error = copy_segments(segment, end, encoded_slash, buffer, &out);

		if (error)
			return error;
	}
	target.path = (struct text){buffer, (uint32_t)(out - buffer)};
	*ret_target = target;
	return TARGET_OK;
}

const char *target_error_text(enum target_error error)
{
	static const char *const texts[] = {
		[TARGET_OK] = "the target is well-formed",
		[TARGET_FORM] = "the target does not begin with a slash",
		[TARGET_CHARACTER] = "the target has a character that must be escaped",
		[TARGET_ESCAPE] = "the path has an escape that is none, or stands for a control "
				  "character",
		[TARGET_ENCODED_SLASH] = "the path has an encoded slash or backslash",
		[TARGET_PARAMETER] = "the path has a parameter that hides a segment",
		[TARGET_ABOVE_ROOT] = "the path leads above the root",
		[TARGET_UTF8] = "the path has escapes that are not UTF-8",
		[TARGET_LONG] = "the target is too long",
	};

	return (size_t)error < sizeof(texts) / sizeof(texts[0]) ? texts[error] : "unknown";
}

int target_other_reading(struct text path, char *buffer, size_t size, struct text *ret_path)
{
	const char *in = path.data, *end = in + path.size;
	bool parameters = false, other = false;
	char *out = buffer;

	if (path.size > size)
		return -E2BIG;
	while (in < end) {
		int byte = (uint8_t)*in;

		if (byte == '%') {
			byte = escape_value(in, end);
			if (byte < 0)
				return -EBADMSG;
			in += 2;
			other = true;
		}
		in++;
		if (byte == '/') {
			parameters = false;
			if (out > buffer && out[-1] == '/')
				continue;
		} else if (byte == ';') {
			parameters = other = true;
		}
		if (!parameters)
			*out++ = (char)byte;
	}
	if (!other)
		return 0;
	*ret_path = (struct text){buffer, (uint32_t)(out - buffer)};
	return 1;
}

/* Decode up to a byte of @stops. 1, 0 if @buffer is full, -EBADMSG. */
static int query_decode(struct text query, uint32_t *place, const char *stops, char **out,
			const char *room)
{
	const char *in = query.data + *place, *end = query.data + query.size;

	for (; in < end && *in != stops[0] && *in != stops[1]; in++) {
		int byte = *in == '+' ? ' ' : (uint8_t)*in;

		if (*in == '%') {
			byte = escape_value(in, end);
			if (byte < 0)
				return -EBADMSG;
			in += 2;
		}
		if (*out == room)
			return -E2BIG;
		*(*out)++ = (char)byte;
	}
	*place = (uint32_t)(in - query.data);
	return 0;
}

int target_query_next(struct text query, uint32_t *place, char *buffer, size_t size,
		      struct text *ret_key, struct text *ret_value)
{
	char *out = buffer, *value;
	uint32_t at = *place;
	int r;

	while (at < query.size && query.data[at] == '&')
		at++;
	if (at >= query.size)
		return 0;
	r = query_decode(query, &at, "&=", &out, buffer + size);
	if (r)
		return r;
	value = out;
	if (at < query.size && query.data[at] == '=') {
		at++;
		r = query_decode(query, &at, "&&", &out, buffer + size);
		if (r)
			return r;
	}
	*ret_key = (struct text){buffer, (uint32_t)(value - buffer)};
	*ret_value = (struct text){value, (uint32_t)(out - value)};
	*place = at;
	return 1;
}
