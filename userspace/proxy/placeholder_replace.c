/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/placeholder_internal.h"

bool placeholder_put(struct placeholder_out *out, const char *data, size_t size)
{
	if (size > out->max - out->size)
		return false;
	if (out->data && size)
		memcpy(out->data + out->size, data, size);
	out->size += size;
	return true;
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static bool put_percent(struct placeholder_out *out, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

	return placeholder_put(out, escape, sizeof(escape));
}

static const char *json_escape(char c)
{
	return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\t' ? "\\t" : NULL;
}

static const char *xml_escape(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&apos;";
	default:
		return NULL;
	}
}

static bool put_character(struct placeholder_out *out, char c, enum placeholder_style style)
{
	const char *escape = style == PLACEHOLDER_JSON	? json_escape(c)
			     : style == PLACEHOLDER_XML ? xml_escape(c)
							: NULL;

	if (escape)
		return placeholder_put(out, escape, strlen(escape));
	if ((style == PLACEHOLDER_QUERY || style == PLACEHOLDER_PATH) &&
	    !is_unreserved((unsigned char)c) &&
	    !(style == PLACEHOLDER_PATH && (c == ':' || c == '@')))
		return put_percent(out, (unsigned char)c);
	return placeholder_put(out, &c, 1);
}

bool placeholder_put_value(struct placeholder_out *out, struct text value,
			   enum placeholder_style style)
{
	if (style == PLACEHOLDER_RAW)
		return placeholder_put(out, value.data, value.size);
	for (uint32_t i = 0; i < value.size; i++)
		if (!put_character(out, value.data[i], style))
			return false;
	return true;
}

/* A value that would be a dot segment sends the request elsewhere: RFC 3986 section 5.2.4. */
static bool is_dots(struct text value)
{
	for (uint32_t i = 0; i < value.size; i++)
		if (value.data[i] != '.')
			return false;
	return true;
}

/* What is searched, and what is written; the same but for percent-encoding. */
struct source {
	struct text raw, plain;
	const uint32_t *at; /* of each plain byte, and of the end, in raw; NULL = the same */
	size_t path_size;   /* of raw */
	enum placeholder_style style;
	bool encoded;
};

static size_t raw_at(const struct source *source, size_t plain)
{
	return source->at ? source->at[plain] : plain;
}

static int write_out(struct placeholder_request *request, const struct source *source,
		     struct placeholder_out *out)
{
	struct placeholder found;
	size_t plain = 0, raw = 0;

	while (placeholder_next(source->plain.data, source->plain.size, plain, &found)) {
		size_t start = raw_at(source, found.start);
		enum placeholder_style style = source->style;
		struct text value;
		int r = placeholder_resolve(request, found.name, &value);

		if (r < 0)
			return r;
		if (source->encoded)
			style = start < source->path_size ? PLACEHOLDER_PATH : PLACEHOLDER_QUERY;
		if (style == PLACEHOLDER_PATH && is_dots(value))
			return -EACCES;
		if (!placeholder_put(out, source->raw.data + raw, start - raw) ||
		    !placeholder_put_value(out, value, style))
			return -E2BIG;
		plain = found.end;
		raw = raw_at(source, found.end);
	}
	return placeholder_put(out, source->raw.data + raw, source->raw.size - raw) ? 0 : -E2BIG;
}

static int replace(struct placeholder_request *request, const struct source *source, size_t max,
		   struct arena *arena, struct text *ret_text)
{
	struct placeholder_out out = {.max = max};
	struct placeholder first;
	int r;

	if (!placeholder_next(source->plain.data, source->plain.size, 0, &first))
		return 0;
	r = write_out(request, source, &out);
	if (r < 0)
		return r;
	out.data = arena_alloc(arena, out.size);
	if (!out.data)
		return -ENOMEM;
	out.size = 0;
	r = write_out(request, source, &out);
	if (r < 0)
		return r;
	*ret_text = (struct text){out.data, (uint32_t)out.size};
	return 0;
}

int placeholder_replace(struct placeholder_request *request, struct text text,
			enum placeholder_style style, size_t max, struct arena *arena,
			struct text *ret_text)
{
	const struct source source = {.raw = text, .plain = text, .style = style};

	return replace(request, &source, max, arena, ret_text);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Escapes that are none stay. @at may be NULL. Returns the size. */
static size_t decode(const char *data, size_t size, char *out, uint32_t *at)
{
	size_t used = 0;

	for (size_t i = 0; i < size; i++) {
		int high = -1, low = -1;

		if (at)
			at[used] = (uint32_t)i;
		if (data[i] == '%' && i + 2 < size) {
			high = hex_digit(data[i + 1]);
			low = hex_digit(data[i + 2]);
		}
		if (high < 0 || low < 0) {
			out[used++] = data[i];
			continue;
		}
		out[used++] = (char)(high << 4 | low);
		i += 2;
	}
	if (at)
		at[used] = (uint32_t)size;
	return used;
}

#define ESCAPES_MAX 8	 /* times that something may have been escaped and still be found */
#define PLAIN_MAX   1024 /* bytes that are decoded without allocating */

/* What was replaced is not found again. */
static void blank(char *plain, size_t size)
{
	struct placeholder found = {};

	while (placeholder_next(plain, size, found.end, &found))
		memset(plain + found.start, ' ', found.end - found.start);
}

/* What shows only after more than one decoding is replaced by nobody, so it is refused. */
static bool is_escaped_again(char *plain, size_t size)
{
	struct placeholder found;

	for (int i = 0; i < ESCAPES_MAX; i++) {
		size_t before = size;

		size = decode(plain, size, plain, NULL);
		if (size == before)
			return false;
		if (credentials_suspect((const uint8_t *)plain, size) &&
		    placeholder_next(plain, size, 0, &found))
			return true;
	}
	return false;
}

static int replace_escaped(struct placeholder_request *request, struct source *source, char *plain,
			   size_t max, struct arena *arena, struct text *ret_text)
{
	struct text raw = source->raw;
	_cleanup_free_ uint32_t *at = NULL;
	int r;

	source->plain = (struct text){plain, (uint32_t)decode(raw.data, raw.size, plain, NULL)};
	if (credentials_suspect((const uint8_t *)plain, source->plain.size)) {
		at = malloc((raw.size + 1) * sizeof(*at));
		if (!at)
			return -ENOMEM;
		decode(raw.data, raw.size, plain, at);
		source->at = at;
		r = replace(request, source, max, arena, ret_text);
		if (r < 0)
			return r;
		blank(plain, source->plain.size);
	}
	return is_escaped_again(plain, source->plain.size) ? -EACCES : 0;
}

int placeholder_replace_encoded(struct placeholder_request *request, struct text text,
				size_t path_size, size_t max, struct arena *arena,
				struct text *ret_text)
{
	struct source source = {
		.raw = text, .plain = text, .path_size = path_size, .encoded = true};
	_cleanup_free_ char *large = NULL;
	char small[PLAIN_MAX];

	if (!text.size)
		return 0;
	if (!memchr(text.data, '%', text.size)) {
		if (!credentials_suspect((const uint8_t *)text.data, text.size))
			return 0;
		return replace(request, &source, max, arena, ret_text);
	}
	if (text.size > sizeof(small)) {
		large = malloc(text.size);
		if (!large)
			return -ENOMEM;
	}
	return replace_escaped(request, &source, large ? large : small, max, arena, ret_text);
}
