/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/sigv4_internal.h"

#include <stdlib.h>
#include <strings.h>

#define PARAMETERS_MAX 512
#define SEGMENTS_MAX   1024

void sigv4_put(struct sigv4_buffer *buffer, const char *data, size_t size)
{
	if (buffer->failed || size > buffer->max - buffer->size) {
		buffer->failed = true;
		return;
	}
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

void sigv4_put_string(struct sigv4_buffer *buffer, const char *string)
{
	sigv4_put(buffer, string, strlen(string));
}

bool sigv4_is_storage(const char *service)
{
	static const char *const services[] = {"s3", "s3-outposts", "s3-object-lambda",
					       "s3express"};

	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (!strcmp(service, services[i]))
			return true;
	return false;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static void put_encoded(struct sigv4_buffer *buffer, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char byte = (unsigned char)c;
	const char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};

	if (is_unreserved(c))
		sigv4_put(buffer, &c, 1);
	else
		sigv4_put(buffer, escape, 3);
}

/* The byte at *@place, which goes on; an escape is one byte, and a `%` without digits itself. */
static char next_byte(struct text text, uint32_t *place)
{
	uint32_t i = *place;

	if (text.data[i] == '%' && i + 2 < text.size) {
		int high = hex_digit(text.data[i + 1]), low = hex_digit(text.data[i + 2]);

		if (high >= 0 && low >= 0) {
			*place = i + 3;
			return (char)(high << 4 | low);
		}
	}
	*place = i + 1;
	return text.data[i];
}

/* Paths */

static bool is_escape(struct text text, uint32_t i)
{
	return text.data[i] == '%' && i + 2 < text.size && hex_digit(text.data[i + 1]) >= 0 &&
	       hex_digit(text.data[i + 2]) >= 0;
}

/* S3: every byte encoded once; what is encoded already stays so, a slash too. */
static void put_storage_path(struct sigv4_buffer *buffer, struct text path)
{
	for (uint32_t i = 0; i < path.size;) {
		bool escaped = is_escape(path, i);
		char c = next_byte(path, &i);

		if (c == '/' && !escaped)
			sigv4_put(buffer, &c, 1);
		else
			put_encoded(buffer, c);
	}
}

/* The segments that stay: RFC 3986 section 5.2.4, and no empty ones. */
static uint32_t segments(struct text path, struct text *segment, bool *ret_ends_open)
{
	uint32_t count = 0, i = 0;

	*ret_ends_open = path.size && path.data[path.size - 1] == '/';
	while (i < path.size) {
		struct text part = {path.data + i, 0};

		while (i + part.size < path.size && path.data[i + part.size] != '/')
			part.size++;
		i += part.size + 1;
		if (text_is(part, "..") || text_is(part, ".")) {
			count -= part.size == 2 && count > 0;
			*ret_ends_open |= i >= path.size;
		} else if (part.size) {
			if (count == SEGMENTS_MAX)
				return UINT32_MAX;
			segment[count++] = part;
		}
	}
	return count;
}

/* Everybody else: dot segments away, and the path as sent encoded once more. */
static void put_plain_path(struct sigv4_buffer *buffer, struct text path)
{
	struct text segment[SEGMENTS_MAX];
	bool ends_open;
	uint32_t count = segments(path, segment, &ends_open);

	if (count == UINT32_MAX) {
		buffer->failed = true;
		return;
	}
	sigv4_put(buffer, "/", 1);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < segment[i].size; j++)
			put_encoded(buffer, segment[i].data[j]);
		if (i + 1 < count || ends_open)
			sigv4_put(buffer, "/", 1);
	}
}

void sigv4_put_path(struct sigv4_buffer *buffer, struct text path, bool storage)
{
	if (storage)
		put_storage_path(buffer, path);
	else
		put_plain_path(buffer, path);
}

/* Queries */

/* The next parameter, not empty, from *@place on. */
static bool next_parameter(struct text query, uint32_t *place, struct text *ret)
{
	while (*place < query.size) {
		struct text part = {query.data + *place, 0};

		while (*place + part.size < query.size && part.data[part.size] != '&')
			part.size++;
		*place += part.size + 1;
		if (part.size) {
			*ret = part;
			return true;
		}
	}
	return false;
}

static struct text name_of(struct text parameter)
{
	const char *equals = memchr(parameter.data, '=', parameter.size);

	return (struct text){parameter.data,
			     equals ? (uint32_t)(equals - parameter.data) : parameter.size};
}

static bool is_signature(struct text name)
{
	static const char *const names[] = {
		"X-Amz-Algorithm", "X-Amz-Credential",	  "X-Amz-Date",		 "X-Amz-Expires",
		"X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Security-Token"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (name.size == strlen(names[i]) && !strncasecmp(name.data, names[i], name.size))
			return true;
	return false;
}

bool sigv4_query_is_signed(struct text query)
{
	struct text parameter;
	uint32_t place = 0;

	while (next_parameter(query, &place, &parameter))
		if (is_signature(name_of(parameter)))
			return true;
	return false;
}

/* A `+` in a query is a space to those who read forms, and is written so that it is to all. */
static void put_query_text(struct sigv4_buffer *buffer, struct text text)
{
	for (uint32_t i = 0; i < text.size;) {
		bool plus = text.data[i] == '+';
		char c = next_byte(text, &i);

		put_encoded(buffer, plus ? ' ' : c);
	}
}

void sigv4_put_query(struct sigv4_buffer *buffer, struct text query, bool strip)
{
	struct text parameter;
	uint32_t place = 0;
	bool first = true;

	while (next_parameter(query, &place, &parameter)) {
		struct text name = name_of(parameter);

		if (strip && is_signature(name))
			continue;
		if (!first)
			sigv4_put(buffer, "&", 1);
		first = false;
		put_query_text(buffer, name);
		if (name.size == parameter.size)
			continue;
		sigv4_put(buffer, "=", 1);
		put_query_text(buffer, (struct text){parameter.data + name.size + 1,
						     parameter.size - name.size - 1});
	}
}

static int text_compare(struct text a, struct text b)
{
	uint32_t size = a.size < b.size ? a.size : b.size;
	int r = size ? memcmp(a.data, b.data, size) : 0;

	return r ? r : a.size < b.size ? -1 : a.size > b.size;
}

/* By name, then value: `=` sorts before some characters of names, so not by the whole. */
static int parameter_compare(const void *a, const void *b)
{
	const struct text *x = a, *y = b;
	struct text name_x = name_of(*x), name_y = name_of(*y);
	int r = text_compare(name_x, name_y);

	return r ? r : text_compare(*x, *y);
}

bool sigv4_put_sorted_query(struct sigv4_buffer *buffer, struct text query)
{
	struct text parameters[PARAMETERS_MAX], parameter;
	uint32_t place = 0;
	size_t count = 0;

	while (next_parameter(query, &place, &parameter)) {
		if (count == PARAMETERS_MAX)
			return false;
		parameters[count++] = parameter;
	}
	qsort(parameters, count, sizeof(parameters[0]), parameter_compare);
	for (size_t i = 0; i < count; i++) {
		if (i)
			sigv4_put(buffer, "&", 1);
		sigv4_put(buffer, parameters[i].data, parameters[i].size);
		if (name_of(parameters[i]).size == parameters[i].size)
			sigv4_put(buffer, "=", 1);
	}
	return true;
}

/* Fields */

/* What somebody on the way may change, or writes itself. */
static bool is_unsigned(struct text name)
{
	static const char *const names[] = {"accept-encoding",
					    "authorization",
					    "connection",
					    "content-length",
					    "cookie",
					    "expect",
					    "forwarded",
					    "keep-alive",
					    "te",
					    "trailer",
					    "upgrade",
					    "user-agent",
					    "via",
					    "x-amzn-trace-id",
					    "x-forwarded-for",
					    "transfer-encoding"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text_is(name, names[i]))
			return true;
	return false;
}

/* Every field once, by name; `host` is the authority. */
struct sorted {
	struct text name[HTTP_FIELDS_MAX + 1];
	size_t count;
};

static int name_compare(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static void sort_names(const struct http_head *head, struct sorted *sorted)
{
	size_t kept = 0;

	sorted->count = 0;
	sorted->name[sorted->count++] = TEXT("host");
	for (uint16_t i = 0; i < head->fields; i++)
		if (!is_unsigned(head->field[i].name) && !text_is(head->field[i].name, "host"))
			sorted->name[sorted->count++] = head->field[i].name;
	qsort(sorted->name, sorted->count, sizeof(sorted->name[0]), name_compare);
	for (size_t i = 0; i < sorted->count; i++)
		if (!kept || !text_equal(sorted->name[i], sorted->name[kept - 1]))
			sorted->name[kept++] = sorted->name[i];
	sorted->count = kept;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Trimmed, and several spaces as one. */
static void put_value(struct sigv4_buffer *buffer, struct text value)
{
	uint32_t i = 0;

	while (value.size && is_blank(value.data[value.size - 1]))
		value.size--;
	while (i < value.size && is_blank(value.data[i]))
		i++;
	for (; i < value.size; i++) {
		if (is_blank(value.data[i]) && is_blank(value.data[i - 1]))
			continue;
		sigv4_put(buffer, is_blank(value.data[i]) ? " " : value.data + i, 1);
	}
}

static void put_values(struct sigv4_buffer *buffer, const struct http_head *head, struct text name)
{
	bool first = true;

	if (text_is(name, "host")) {
		put_value(buffer, head->authority);
		return;
	}
	for (uint16_t i = 0; i < head->fields; i++) {
		if (!text_equal(head->field[i].name, name))
			continue;
		if (!first)
			sigv4_put(buffer, ",", 1);
		first = false;
		put_value(buffer, head->field[i].value);
	}
}

void sigv4_put_fields(struct sigv4_buffer *buffer, const struct http_head *head)
{
	struct sorted sorted;

	sort_names(head, &sorted);
	for (size_t i = 0; i < sorted.count; i++) {
		sigv4_put(buffer, sorted.name[i].data, sorted.name[i].size);
		sigv4_put(buffer, ":", 1);
		put_values(buffer, head, sorted.name[i]);
		sigv4_put(buffer, "\n", 1);
	}
}

void sigv4_put_names(struct sigv4_buffer *buffer, const struct http_head *head)
{
	struct sorted sorted;

	sort_names(head, &sorted);
	for (size_t i = 0; i < sorted.count; i++) {
		if (i)
			sigv4_put(buffer, ";", 1);
		sigv4_put(buffer, sorted.name[i].data, sorted.name[i].size);
	}
}
