/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

static struct text text_at(const uint8_t *data, uint16_t at, uint16_t size)
{
	return (struct text){(const char *)data + at, size};
}

static bool is_token(struct text text)
{
	const uint8_t *p = (const uint8_t *)text.data;

	return text.size && http1_skip(p, p + text.size, HTTP1_TOKEN) == p + text.size;
}

static bool begins_with(struct text text, const char *string)
{
	size_t size = strlen(string);

	return text.size >= size && http1_says((struct text){text.data, (uint32_t)size}, string);
}

/*
 * What a message is for its recipient cannot be made its connection's business: a proxy that obeyed
 * would take out what the sender's side, or this one, relies upon.
 */
static bool is_end_to_end(struct text option)
{
	static const char *const names[] = {
		"host",		 "transfer-encoding",
		"authorization", "cookie",
		"set-cookie",	 "cache-control",
		"expect",	 "range",
		"accept",	 "origin",
		"referer",	 "user-agent",
		"forwarded",	 "via",
		"location",	 "date",
		"etag",		 "vary",
		"max-forwards",
	};

	if (begins_with(option, "content-") || begins_with(option, "sec-") ||
	    begins_with(option, "x-forwarded-") || begins_with(option, "access-control-") ||
	    begins_with(option, "proxy-auth") || begins_with(option, "www-auth"))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http1_says(option, names[i]))
			return true;
	return false;
}

static void take_out(uint8_t *data, struct http1_lines *lines, struct text option)
{
	for (uint16_t i = 0; i < lines->count; i++) {
		struct http1_line *line = &lines->line[i];

		if (line->name_size != option.size)
			continue;
		for (uint16_t k = 0;; k++) {
			if (k == option.size) {
				line->name_size = 0;
				break;
			}
			if (data[line->name + k] != http1_lower((uint8_t)option.data[k]))
				break;
		}
	}
}

static int read_connection(uint8_t *data, struct http1_lines *lines, struct text value,
			   uint32_t *options, struct http1_facts *facts,
			   struct http1_problem *ret_problem)
{
	struct text option;

	while (http1_list_next(&value, &option)) {
		if (++*options > HTTP1_OPTIONS_MAX)
			return http1_refuse(ret_problem, 400, "Connection has too many options");
		if (!is_token(option))
			return http1_refuse(ret_problem, 400,
					    "an option of Connection is no field's name");
		if (http1_says(option, "close"))
			facts->close = true;
		else if (http1_says(option, "keep-alive"))
			facts->keep_alive = true;
		else if (http1_says(option, "upgrade"))
			facts->upgrade = true;
		else if (is_end_to_end(option))
			return http1_refuse(
				ret_problem, 400,
				"Connection names a field that is not the connection's");
		else
			take_out(data, lines, option);
	}
	return 0;
}

static void read_te(struct text value, struct http1_facts *facts)
{
	struct text item;

	while (http1_list_next(&value, &item))
		if (http1_says(item, "trailers"))
			facts->te_trailers = true;
}

/* A token in lower case, eight bytes at a time: all are ASCII, so that no sum carries over. */
static void make_lower(uint8_t *p, size_t size)
{
	const uint64_t ones = 0x0101010101010101u;

	for (; size >= 8; p += 8, size -= 8) {
		uint64_t word, from_a, after_z;

		memcpy(&word, p, sizeof(word));
		from_a = word + ones * (0x80 - 'A');
		after_z = word + ones * (0x80 - 'Z' - 1);
		word |= ((from_a ^ after_z) & ones * 0x80) >> 2;
		memcpy(p, &word, sizeof(word));
	}
	for (size_t i = 0; i < size; i++)
		p[i] = http1_lower(p[i]);
}

int http1_facts_gather(uint8_t *data, struct http1_lines *lines, struct http1_facts *ret_facts,
		       struct http1_problem *ret_problem)
{
	struct text connection[HTTP1_OPTIONS_MAX];
	uint16_t connections = 0;
	uint32_t options = 0;

	*ret_facts = (struct http1_facts){0};
	for (uint16_t i = 0; i < lines->count; i++) {
		struct http1_line *line = &lines->line[i];
		enum http1_special special;
		struct text value;

		make_lower(data + line->name, line->name_size);
		special = http1_special_of(text_at(data, line->name, line->name_size));
		if (special == HTTP1_ORDINARY)
			continue;
		value = text_at(data, line->value, line->value_size);
		line->name_size = 0;
		if (!ret_facts->count[special]++)
			ret_facts->value[special] = value;
		if (special == HTTP1_TE)
			read_te(value, ret_facts);
		else if (special == HTTP1_EXPECT && !http1_says(value, "100-continue"))
			ret_facts->not_continue = true;
		else if (special == HTTP1_CONNECTION && connections == HTTP1_OPTIONS_MAX)
			return http1_refuse(ret_problem, 400, "Connection has too many options");
		else if (special == HTTP1_CONNECTION)
			connection[connections++] = value;
	}
	for (uint16_t i = 0; i < connections; i++) {
		int r = read_connection(data, lines, connection[i], &options, ret_facts,
					ret_problem);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Digits alone, and no more of them than fit. */
static int read_length(struct text value, uint64_t *ret_length)
{
	uint64_t length = 0;

	if (!value.size || value.size > 19)
		return -EBADMSG;
	for (uint32_t i = 0; i < value.size; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return -EBADMSG;
		length = length * 10 + (uint64_t)(value.data[i] - '0');
	}
	if (length > INT64_MAX)
		return -EBADMSG;
	*ret_length = length;
	return 0;
}

/* A coding that exists but is not ours is 501 (RFC 9112 section 6.1), what is no list of them 400.
 */
static int refuse_coding(struct text value, struct http1_problem *ret_problem)
{
	struct text item;
	bool known = false, any = false;

	while (http1_list_next(&value, &item)) {
		/* Nothing follows `chunked`, and it is there once. */
		if (known || !is_token(item))
			return http1_refuse(ret_problem, 400, "Transfer-Encoding is not chunked");
		known = http1_says(item, "chunked");
		any = true;
	}
	if (!any)
		return http1_refuse(ret_problem, 400, "Transfer-Encoding is empty");
	return http1_refuse(ret_problem, 501, "Transfer-Encoding has another coding than chunked");
}

int http1_framing(const struct http1_facts *facts, uint8_t version, uint8_t *ret_body,
		  uint64_t *ret_length, struct http1_problem *ret_problem)
{
	uint16_t codings = facts->count[HTTP1_TRANSFER_ENCODING];
	uint16_t lengths = facts->count[HTTP1_CONTENT_LENGTH];

	if (codings && lengths)
		return http1_refuse(ret_problem, 400,
				    "there are both Transfer-Encoding and Content-Length");
	if (codings) {
		struct text value = facts->value[HTTP1_TRANSFER_ENCODING];

		if (codings > 1)
			return http1_refuse(ret_problem, 400,
					    "there is more than one Transfer-Encoding");
		if (version == 10)
			return http1_refuse(ret_problem, 400, "HTTP/1.0 has no Transfer-Encoding");
		if (!http1_says(value, "chunked"))
			return refuse_coding(value, ret_problem);
		*ret_body = HTTP_BODY_CHUNKED;
		*ret_length = 0;
		return 0;
	}
	if (lengths > 1)
		return http1_refuse(ret_problem, 400, "there is more than one Content-Length");
	*ret_length = 0;
	if (lengths && read_length(facts->value[HTTP1_CONTENT_LENGTH], ret_length))
		return http1_refuse(ret_problem, 400, "Content-Length is not a number of bytes");
	*ret_body = lengths ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	return 0;
}

int http1_upgrade(const struct http1_facts *facts, uint8_t version,
		  struct http1_problem *ret_problem)
{
	struct text value = facts->value[HTTP1_UPGRADE], item;
	bool any = false, h2c = false;

	if (!facts->upgrade || !facts->count[HTTP1_UPGRADE] || version == 10)
		return 0;
	if (facts->count[HTTP1_UPGRADE] > 1)
		return http1_refuse(ret_problem, 400, "there is more than one Upgrade");
	while (http1_list_next(&value, &item)) {
		const char *slash = memchr(item.data, '/', item.size);
		uint32_t name = slash ? (uint32_t)(slash - item.data) : item.size;
		struct text protocol = {item.data, name};

		if (!is_token(protocol) ||
		    (slash && !is_token((struct text){slash + 1, item.size - name - 1})))
			return http1_refuse(ret_problem, 400, "Upgrade names no protocol");
		h2c |= http1_says(protocol, "h2c") || http1_says(protocol, "h2");
		any = true;
	}
	if (!any)
		return http1_refuse(ret_problem, 400, "Upgrade names no protocol");
	return !h2c;
}
