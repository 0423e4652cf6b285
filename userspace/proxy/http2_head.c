/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_head.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define FIELD_OVERHEAD 32 /* RFC 9113 section 6.5.2 */

enum {
	NAME = 1,      /* of a field: a token without upper case */
	TOKEN = 2,     /* RFC 9110 section 5.6.2 */
	VALUE = 4,     /* of a field: visible, space, tab, and bytes above ASCII */
	AUTHORITY = 8, /* host and port, without user information */
	TARGET = 16,   /* visible; target.h says the rest */
};

/* What each byte may be part of. */
static const uint8_t kind_of[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	['"'] = VALUE | TARGET,
	['#'] = NAME | TOKEN | VALUE | TARGET,
	['$' ... '\''] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	['(' ... ')'] = VALUE | AUTHORITY | TARGET,
	['*' ... '+'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	[','] = VALUE | AUTHORITY | TARGET,
	['-' ... '.'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	['/'] = VALUE | TARGET,
	['0' ... '9'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	[':' ... ';'] = VALUE | AUTHORITY | TARGET,
	['<'] = VALUE | TARGET,
	['='] = VALUE | AUTHORITY | TARGET,
	['>' ... '@'] = VALUE | TARGET,
	['A' ... 'Z'] = TOKEN | VALUE | AUTHORITY | TARGET,
	['['] = VALUE | AUTHORITY | TARGET,
	['\\'] = VALUE | TARGET,
	[']'] = VALUE | AUTHORITY | TARGET,
	['^'] = NAME | TOKEN | VALUE | TARGET,
	['_'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	['`'] = NAME | TOKEN | VALUE | TARGET,
	['a' ... 'z'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	['{'] = VALUE | TARGET,
	['|'] = NAME | TOKEN | VALUE | TARGET,
	['}'] = VALUE | TARGET,
	['~'] = NAME | TOKEN | VALUE | AUTHORITY | TARGET,
	[0x80 ... 0xff] = VALUE | TARGET,
};

/* Pseudo-header fields that came, and fields that may come once. */
enum {
	METHOD = 1,
	SCHEME = 2,
	AUTHORITY_FIELD = 4,
	PATH = 8,
	STATUS = 16,
	HOST = 32,
	LENGTH = 64,
};

struct http2_fields {
	enum http2_block block;
	enum http2_refusal refusal;
	size_t size; /* as RFC 9113 section 6.5.2 counts */
	uint32_t seen;
	bool regular; /* a field without ':' came */
	struct text scheme, host;
	struct http_head head;
	struct http_field *cookie; /* where crumbs go */
	char *cookies;		   /* crumbs that were joined, HTTP_HEAD_MAX bytes */
	uint32_t used;
	char text[HTTP_HEAD_MAX];
};

int http2_fields_new(struct http2_fields **ret_fields)
{
	/* Not zeroed: most of it is never touched. */
	struct http2_fields *fields = malloc(sizeof(*fields));

	if (!fields)
		return -ENOMEM;
	fields->cookies = NULL;
	*ret_fields = fields;
	return 0;
}

void http2_fields_free(struct http2_fields *fields)
{
	if (!fields)
		return;
	free(fields->cookies);
	free(fields);
}

void http2_fields_begin(struct http2_fields *fields, enum http2_block block)
{
	struct http_head *head = &fields->head;

	free(fields->cookies);
	fields->block = block;
	fields->refusal = HTTP2_FINE;
	fields->size = 0;
	fields->seen = 0;
	fields->regular = false;
	fields->scheme = fields->host = (struct text){};
	fields->cookie = NULL;
	fields->cookies = NULL;
	fields->used = 0;

	head->version = 20;
	head->body = HTTP_BODY_NONE;
	head->keep_alive = true;
	head->expect_continue = head->upgrade = false;
	head->status = head->fields = 0;
	head->length = 0;
	head->method = head->target = head->authority = head->upgrade_to = (struct text){};
}

static bool consists_of(struct text text, uint8_t kind)
{
	uint8_t all = kind;

	for (uint32_t i = 0; i < text.size; i++)
		all &= kind_of[(uint8_t)text.data[i]];
	return all;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool value_is_good(struct text value)
{
	return !value.size || (!is_blank(value.data[0]) && !is_blank(value.data[value.size - 1]) &&
			       consists_of(value, VALUE));
}

static bool text_is_nocase(struct text text, const char *string)
{
	return text.size == strlen(string) && !strncasecmp(text.data, string, text.size);
}

bool http2_field_forbidden(struct text name, struct text value)
{
	switch (name.size) {
	case 2:
		return text_is(name, "te") && !text_is_nocase(value, "trailers");
	case 7:
		return text_is(name, "upgrade");
	case 10:
		return text_is(name, "connection") || text_is(name, "keep-alive");
	case 16:
		return text_is(name, "proxy-connection");
	case 17:
		return text_is(name, "transfer-encoding");
	default:
		return false;
	}
}

/* Room for all texts is there: they are shorter than what fields->size counts. */
static struct text keep(struct http2_fields *fields, const uint8_t *data, size_t size)
{
	char *copy = fields->text + fields->used;

	memcpy(copy, data, size);
	fields->used += (uint32_t)size;
	return (struct text){copy, (uint32_t)size};
}

static bool first(struct http2_fields *fields, uint32_t what)
{
	bool is_first = !(fields->seen & what);

	fields->seen |= what;
	return is_first;
}

static bool read_status(struct text value, uint16_t *ret_status)
{
	if (value.size != 3 || value.data[0] < '1')
		return false;
	*ret_status = 0;
	for (int i = 0; i < 3; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		*ret_status = (uint16_t)(*ret_status * 10 + value.data[i] - '0');
	}
	return *ret_status != 101;
}

static bool read_length(struct text value, uint64_t *ret_length)
{
	uint64_t length = 0;

	/* 18 digits do not overflow. */
	if (!value.size || value.size > 18)
		return false;
	for (uint32_t i = 0; i < value.size; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		length = length * 10 + (uint64_t)(value.data[i] - '0');
	}
	*ret_length = length;
	return true;
}

static enum http2_refusal add_pseudo(struct http2_fields *fields, struct text name,
				     struct text value)
{
	struct http_head *head = &fields->head;
	enum http2_refusal good = HTTP2_FINE;
	bool fine = false;

	if (fields->regular || !value.size)
		return HTTP2_MALFORMED;
	if (fields->block == HTTP2_RESPONSE) {
		fine = text_is(name, ":status") && first(fields, STATUS) &&
		       read_status(value, &head->status);
	} else if (fields->block == HTTP2_REQUEST && text_is(name, ":method")) {
		head->method = value;
		fine = first(fields, METHOD) && value.size <= HTTP_METHOD_MAX &&
		       consists_of(value, TOKEN);
	} else if (fields->block == HTTP2_REQUEST && text_is(name, ":path")) {
		head->target = value;
		fine = first(fields, PATH) && consists_of(value, TARGET);
		if (value.size > HTTP_TARGET_MAX)
			good = HTTP2_TARGET_LONG;
	} else if (fields->block == HTTP2_REQUEST && text_is(name, ":authority")) {
		head->authority = value;
		fine = first(fields, AUTHORITY_FIELD) && consists_of(value, AUTHORITY);
	} else if (fields->block == HTTP2_REQUEST && text_is(name, ":scheme")) {
		fields->scheme = value;
		fine = first(fields, SCHEME);
	}
	return fine ? good : HTTP2_MALFORMED;
}

/* RFC 9113 section 8.2.3: one field, as every other version has it. */
static int add_crumb(struct http2_fields *fields, struct text value)
{
	struct text *joined = &fields->cookie->value;

	if (!fields->cookies) {
		fields->cookies = malloc(HTTP_HEAD_MAX);
		if (!fields->cookies)
			return -ENOMEM;
		memcpy(fields->cookies, joined->data, joined->size);
		joined->data = fields->cookies;
	}
	/* Each crumb has counted for more than what is added. */
	memcpy(fields->cookies + joined->size, "; ", 2);
	memcpy(fields->cookies + joined->size + 2, value.data, value.size);
	joined->size += 2 + value.size;
	return 0;
}

/* Fields that are not passed on as such. True: this was one, and *ret_refusal says how it went. */
static bool add_known(struct http2_fields *fields, struct text name, struct text value,
		      enum http2_refusal *ret_refusal)
{
	struct http_head *head = &fields->head;
	bool trailers = fields->block == HTTP2_TRAILERS, fine = true;

	if (http2_field_forbidden(name, value)) {
		fine = false;
	} else if (name.size == 14 && text_is(name, "content-length")) {
		fine = !trailers && first(fields, LENGTH) && read_length(value, &head->length);
	} else if (name.size == 4 && text_is(name, "host") && fields->block != HTTP2_RESPONSE) {
		fields->host = value;
		fine = !trailers && first(fields, HOST) && value.size &&
		       consists_of(value, AUTHORITY);
	} else if (name.size == 6 && fields->block == HTTP2_REQUEST && text_is(name, "expect") &&
		   text_is_nocase(value, "100-continue")) {
		head->expect_continue = true;
	} else if (name.size != 7 || !text_is(name, "trailer")) {
		return false;
	}
	*ret_refusal = fine ? HTTP2_FINE : HTTP2_MALFORMED;
	return true;
}

int http2_fields_add(struct http2_fields *fields, const uint8_t *name_data, size_t name_size,
		     const uint8_t *value_data, size_t value_size)
{
	struct http_head *head = &fields->head;
	struct text name, value;

	fields->size += name_size + value_size + FIELD_OVERHEAD;
	if (fields->size > HTTP2_BLOCK_MAX)
		return -E2BIG;
	if (fields->size > HTTP_HEAD_MAX && fields->refusal != HTTP2_MALFORMED)
		fields->refusal = HTTP2_HEAD_LONG;
	if (fields->refusal == HTTP2_MALFORMED || fields->refusal == HTTP2_HEAD_LONG)
		return 0;

	name = keep(fields, name_data, name_size);
	value = keep(fields, value_data, value_size);
	if (!value_is_good(value) || !name.size) {
		fields->refusal = HTTP2_MALFORMED;
		return 0;
	}
	if (name.data[0] == ':') {
		enum http2_refusal refusal = add_pseudo(fields, name, value);

		if (refusal)
			fields->refusal = refusal;
		return 0;
	}
	fields->regular = true;
	if (!consists_of(name, NAME)) {
		fields->refusal = HTTP2_MALFORMED;
		return 0;
	}
	if (name.size <= 17) {
		enum http2_refusal refusal;

		if (add_known(fields, name, value, &refusal)) {
			if (refusal)
				fields->refusal = refusal;
			return 0;
		}
	}
	if (fields->block == HTTP2_REQUEST && name.size == 6 && text_is(name, "cookie")) {
		if (fields->cookie)
			return add_crumb(fields, value);
		fields->cookie = &head->field[head->fields];
	}
	if (head->fields ==
	    (fields->block == HTTP2_TRAILERS ? HTTP_TRAILERS_MAX : HTTP_FIELDS_MAX)) {
		fields->refusal = HTTP2_HEAD_LONG;
		return 0;
	}
	head->field[head->fields++] = (struct http_field){name, value};
	return 0;
}

static bool request_is_good(struct http2_fields *fields, bool tls, bool end)
{
	struct http_head *head = &fields->head;
	const uint32_t needed = METHOD | SCHEME | PATH;

	if ((fields->seen & needed) != needed || text_is(head->method, "CONNECT") ||
	    !text_is_nocase(fields->scheme, tls ? "https" : "http"))
		return false;
	if (head->target.data[0] != '/' &&
	    !(text_is(head->target, "*") && text_is(head->method, "OPTIONS")))
		return false;
	if (!head->authority.size)
		head->authority = fields->host;
	if (fields->host.size &&
	    (fields->host.size != head->authority.size ||
	     strncasecmp(fields->host.data, head->authority.data, head->authority.size)))
		return false;
	/* Of a body it is nghttp2 that counts. */
	return head->authority.size && !(end && head->length);
}

enum http2_refusal http2_fields_end(struct http2_fields *fields, bool tls, bool end,
				    const struct http_head **ret_head)
{
	struct http_head *head = &fields->head;
	bool bodiless = head->status / 100 == 1 || head->status == 204 || head->status == 304;

	if (fields->refusal)
		return fields->refusal;
	if ((fields->block == HTTP2_REQUEST && !request_is_good(fields, tls, end)) ||
	    (fields->block == HTTP2_RESPONSE && !head->status) ||
	    (fields->seen & LENGTH && head->status / 100 == 1))
		return HTTP2_MALFORMED;
	if (fields->seen & LENGTH)
		head->body = HTTP_BODY_LENGTH;
	else if (!end && !bodiless)
		head->body = HTTP_BODY_CHUNKED;
	*ret_head = head;
	return HTTP2_FINE;
}
