/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/placeholder.h"
#include "common/cleanup.h"
#include "proxy/placeholder_internal.h"

#include <strings.h>

#define BASIC_MAX 16384 /* bytes of user and password together */

static inline bool text_suspect(struct text text)
{
	return text.size >= PLACEHOLDER_SUSPECT &&
	       credentials_suspect((const uint8_t *)text.data, text.size);
}

/* Where none is replaced, also what a server or a codec would have folded is one. */
static bool is_misplaced(const struct http_head *head)
{
	if (text_suspect(head->method) || text_suspect(head->authority) ||
	    text_suspect(head->upgrade_to))
		return true;
	for (uint16_t i = 0; i < head->fields; i++)
		if (text_suspect(head->field[i].name))
			return true;
	return false;
}

/* Basic authentication, RFC 7617 */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* As much as can be read, into @out of as many bytes; padding may be missing. */
static size_t base64_decode(struct text text, char *out, bool *ret_whole)
{
	uint32_t bits = 0, i;
	size_t used = 0;
	int have = 0;

	for (i = 0; i < text.size; i++) {
		int digit = base64_digit(text.data[i]);

		if (digit < 0)
			break;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[used++] = (char)(bits >> have & 0xff);
		}
	}
	while (i < text.size && text.data[i] == '=')
		i++;
	*ret_whole = i == text.size;
	return used;
}

static size_t base64_encode(struct text text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const uint8_t *in = (const uint8_t *)text.data;
	size_t used = 0, i;

	for (i = 0; i + 2 < text.size; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			out[used++] = digits[bits >> shift & 63];
	}
	if (i < text.size) {
		uint32_t bits = (uint32_t)in[i] << 16;

		if (i + 1 < text.size)
			bits |= (uint32_t)in[i + 1] << 8;
		out[used++] = digits[bits >> 18 & 63];
		out[used++] = digits[bits >> 12 & 63];
		out[used++] = i + 1 < text.size ? digits[bits >> 6 & 63] : '=';
		out[used++] = '=';
	}
	return used;
}

/* The base64 of a field that has Basic authentication; size 0 = it has none. */
static struct text basic_of(const struct http_field *field)
{
	struct text value = field->value;
	uint32_t i = 5;

	if (value.size < 6 ||
	    (!text_equal(field->name, TEXT("authorization")) &&
	     !text_equal(field->name, TEXT("proxy-authorization"))) ||
	    strncasecmp(value.data, "basic", 5) || (value.data[5] != ' ' && value.data[5] != '\t'))
		return (struct text){};
	while (i < value.size && (value.data[i] == ' ' || value.data[i] == '\t'))
		i++;
	return (struct text){value.data + i, value.size - i};
}

static int replace_basic(struct placeholder_request *request, struct text encoded,
			 struct arena *arena, struct text *value)
{
	_cleanup_free_ char *large = NULL;
	struct text plain, replaced = {};
	struct placeholder found;
	char small[512], *out;
	bool whole;
	int r;

	if (encoded.size > BASIC_MAX / 3 * 4)
		return -E2BIG;
	if (encoded.size > sizeof(small)) {
		large = malloc(encoded.size);
		if (!large)
			return -ENOMEM;
	}
	plain.data = large ? large : small;
	plain.size = (uint32_t)base64_decode(encoded, large ? large : small, &whole);
	if (!text_suspect(plain) || !placeholder_next(plain.data, plain.size, 0, &found))
		return 0;
	/* Something follows: who reads it how is anybody's guess. */
	if (!whole)
		return -EACCES;
	r = placeholder_replace(request, plain, PLACEHOLDER_RAW, BASIC_MAX, arena, &replaced);
	if (r < 0 || !replaced.data)
		return r;
	out = arena_alloc(arena, sizeof("Basic ") + replaced.size / 3 * 4 + 4);
	if (!out)
		return -ENOMEM;
	memcpy(out, "Basic ", 6);
	*value = (struct text){out, (uint32_t)(6 + base64_encode(replaced, out + 6))};
	return 0;
}

/* Heads */

static int rewrite_fields(struct placeholder_request *request, const struct http_head *head,
			  struct arena *arena, struct text *values)
{
	int r = 0;

	for (uint16_t i = 0; i < head->fields && !r; i++) {
		struct text basic = basic_of(&head->field[i]);

		if (text_suspect(head->field[i].value))
			r = placeholder_replace(request, head->field[i].value, PLACEHOLDER_RAW,
						HTTP_HEAD_MAX, arena, &values[i]);
		if (!r && basic.size)
			r = replace_basic(request, basic, arena, &values[i]);
	}
	return r;
}

static uint32_t path_size(struct text target)
{
	const char *query = target.size ? memchr(target.data, '?', target.size) : NULL;

	return query ? (uint32_t)(query - target.data) : target.size;
}

/* What nearly every head is. */
static bool is_clean(const struct http_head *head)
{
	if (text_suspect(head->target) ||
	    (head->target.size && memchr(head->target.data, '%', head->target.size)))
		return false;
	for (uint16_t i = 0; i < head->fields; i++)
		if (text_suspect(head->field[i].value) || basic_of(&head->field[i]).size)
			return false;
	return true;
}

int credentials_rewrite_head(const struct credentials *credentials,
			     const struct credential_scope *scope, struct http_head *head,
			     struct arena *arena, bool *ret_changed)
{
	struct text values[HTTP_FIELDS_MAX], target = {};
	struct placeholder_request request;
	size_t total = head->method.size + head->authority.size;
	bool changed;
	int r;

	if (is_misplaced(head))
		return -EACCES;
	if (is_clean(head)) {
		*ret_changed = false;
		return 0;
	}
	placeholder_request_init(&request, credentials, scope);
	for (uint16_t i = 0; i < head->fields; i++)
		values[i] = (struct text){};
	r = placeholder_replace_encoded(&request, head->target, path_size(head->target),
					HTTP_TARGET_MAX, arena, &target);
	if (!r)
		r = rewrite_fields(&request, head, arena, values);
	if (r < 0)
		return r;
	changed = target.data != NULL;
	total += changed ? target.size : head->target.size;
	for (uint16_t i = 0; i < head->fields; i++) {
		changed |= values[i].data != NULL;
		total += head->field[i].name.size +
			 (values[i].data ? values[i].size : head->field[i].value.size);
	}
	if (changed && total > HTTP_HEAD_MAX)
		return -E2BIG;
	if (target.data)
		head->target = target;
	for (uint16_t i = 0; i < head->fields; i++)
		if (values[i].data)
			head->field[i].value = values[i];
	*ret_changed = changed;
	return 0;
}

/* Bodies */

static bool ends_with(struct text text, const char *end)
{
	size_t len = strlen(end);

	return text.size >= len && !strncasecmp(text.data + text.size - len, end, len);
}

static bool is_type(struct text type, const char *name)
{
	return type.size == strlen(name) && !strncasecmp(type.data, name, type.size);
}

/* The type without its parameters: RFC 9110 section 8.3.1. */
static struct text essence(struct text type)
{
	uint32_t size = 0;

	while (size < type.size && type.data[size] != ';' && type.data[size] != ' ' &&
	       type.data[size] != '\t')
		size++;
	return (struct text){type.data, size};
}

static enum placeholder_style looks_like(struct text body)
{
	uint32_t i = 0;

	while (i < body.size && (body.data[i] == ' ' || body.data[i] == '\t' ||
				 body.data[i] == '\r' || body.data[i] == '\n'))
		i++;
	return i < body.size && (body.data[i] == '{' || body.data[i] == '[') ? PLACEHOLDER_JSON
									     : PLACEHOLDER_RAW;
}

static enum placeholder_style style_of(struct text type, struct text body)
{
	type = essence(type);
	if (!type.size)
		return looks_like(body);
	if (is_type(type, "application/x-www-form-urlencoded"))
		return PLACEHOLDER_QUERY;
	if (ends_with(type, "/json") || ends_with(type, "+json"))
		return PLACEHOLDER_JSON;
	if (ends_with(type, "/xml") || ends_with(type, "+xml"))
		return PLACEHOLDER_XML;
	return PLACEHOLDER_RAW;
}

int credentials_rewrite_body(const struct credentials *credentials,
			     const struct credential_scope *scope, const uint8_t *body, size_t size,
			     struct arena *arena, struct text *ret_body, bool *ret_changed)
{
	struct text text = {(const char *)body, (uint32_t)size}, replaced = {};
	struct placeholder_request request;
	enum placeholder_style style;
	int r = 0;

	if (size > CREDENTIAL_BODY_MAX)
		return -E2BIG;
	placeholder_request_init(&request, credentials, scope);
	style = style_of(scope->content_type, text);
	if (style == PLACEHOLDER_QUERY)
		r = placeholder_replace_encoded(&request, text, 0, CREDENTIAL_BODY_OUT_MAX, arena,
						&replaced);
	else if (text_suspect(text))
		r = placeholder_replace(&request, text, style, CREDENTIAL_BODY_OUT_MAX, arena,
					&replaced);
	if (r < 0)
		return r;
	*ret_body = replaced.data ? replaced : text;
	*ret_changed = replaced.data != NULL;
	return 0;
}
