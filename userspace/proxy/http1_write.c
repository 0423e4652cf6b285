/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

struct out {
	uint8_t *p, *end;
	int error;
};

static void put(struct out *out, const void *data, size_t size)
{
	if (size > (size_t)(out->end - out->p)) {
		out->error = out->error ? out->error : -ENOBUFS;
		return;
	}
	memcpy(out->p, data, size);
	out->p += size;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

static void put_text(struct out *out, struct text text)
{
	if (text.size)
		put(out, text.data, text.size);
}

/* A text whose bytes are all of @class, and are some. */
static void put_checked(struct out *out, struct text text, enum http1_class class)
{
	const uint8_t *p = (const uint8_t *)text.data;

	if (!text.size || http1_skip(p, p + text.size, class) != p + text.size)
		out->error = -EBADMSG;
	else
		put(out, p, text.size);
}

static void put_value(struct out *out, struct text value)
{
	const uint8_t *p = (const uint8_t *)value.data;

	if (value.size && http1_skip_value(p, p + value.size) != p + value.size)
		out->error = -EBADMSG;
	else
		put_text(out, value);
	PUT(out, "\r\n");
}

static void put_number(struct out *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	put(out, digits + at, sizeof(digits) - at);
}

static void put_length(struct out *out, uint64_t length)
{
	PUT(out, "content-length: ");
	put_number(out, length);
	PUT(out, "\r\n");
}

static bool is_name(struct text name)
{
	const uint8_t *p = (const uint8_t *)name.data;

	for (uint32_t i = 0; i < name.size; i++)
		if ((http1_classes[p[i]] & (HTTP1_TOKEN | HTTP1_UPPER)) != HTTP1_TOKEN)
			return false;
	return name.size;
}

static void put_field(struct out *out, const struct http_field *field)
{
	if (!is_name(field->name))
		out->error = -EBADMSG;
	put_text(out, field->name);
	PUT(out, ": ");
	put_value(out, field->value);
}

/* The fields; *ret_te if one of them is of the connection. */
static void put_fields(struct out *out, const struct http_head *head, bool *ret_te)
{
	*ret_te = false;
	if (head->fields > HTTP_FIELDS_MAX) {
		out->error = -EBADMSG;
		return;
	}
	for (uint16_t i = 0; i < head->fields; i++) {
		const struct http_field *field = &head->field[i];

		switch (http1_special_of(field->name)) {
		case HTTP1_ORDINARY:
			put_field(out, field);
			break;
		case HTTP1_IGNORED:
			break;
		case HTTP1_TE:
			if (!text_is(field->value, "trailers"))
				out->error = -EBADMSG;
			if (!*ret_te)
				put_field(out, field);
			*ret_te = true;
			break;
		default:
			out->error = -EBADMSG;
			break;
		}
	}
}

/* Connection, and what it names. */
static void put_connection(struct out *out, const struct http_head *head, bool close,
			   bool keep_alive, bool te)
{
	if (!close && !keep_alive && !te && !head->upgrade)
		return;
	PUT(out, "connection: ");
	if (close)
		PUT(out, "close");
	if (keep_alive)
		PUT(out, "keep-alive");
	if (head->upgrade) {
		if (close || keep_alive)
			PUT(out, ", ");
		PUT(out, "upgrade");
	}
	if (te) {
		if (close || keep_alive || head->upgrade)
			PUT(out, ", ");
		PUT(out, "te");
	}
	PUT(out, "\r\n");
	if (head->upgrade) {
		PUT(out, "upgrade: ");
		put_value(out, head->upgrade_to);
	}
}

static bool usually_has_body(struct text method)
{
	return text_is(method, "POST") || text_is(method, "PUT") || text_is(method, "PATCH");
}

ssize_t http1_request_write(const struct http_head *head, uint8_t *buffer, size_t size)
{
	struct out out = {buffer, buffer + size, 0};
	bool te;

	put_checked(&out, head->method, HTTP1_METHOD);
	PUT(&out, " ");
	put_checked(&out, head->target, HTTP1_TARGET);
	PUT(&out, " HTTP/1.1\r\nhost: ");
	/* A path with a colon or an authority with a slash is not told from the other. */
	if (head->target.size && head->target.data[0] != '/' && !text_is(head->target, "*"))
		out.error = -EBADMSG;
	put_checked(&out, head->authority, HTTP1_TARGET);
	PUT(&out, "\r\n");
	put_fields(&out, head, &te);
	switch (head->body) {
	case HTTP_BODY_NONE:
		if (usually_has_body(head->method))
			put_length(&out, 0);
		break;
	case HTTP_BODY_LENGTH:
		put_length(&out, head->length);
		break;
	case HTTP_BODY_CHUNKED:
		PUT(&out, "transfer-encoding: chunked\r\n");
		break;
	default:
		out.error = -EBADMSG;
	}
	if (head->expect_continue)
		PUT(&out, "expect: 100-continue\r\n");
	put_connection(&out, head, !head->keep_alive, false, te);
	PUT(&out, "\r\n");
	return out.error ? out.error : out.p - buffer;
}

static struct text reason_of(uint16_t status)
{
	static const struct {
		uint16_t status;
		struct text reason;
	} reasons[] = {
#define REASON(status, text)                                                                       \
	{                                                                                          \
		status,                                                                            \
		{                                                                                  \
			text, sizeof(text) - 1                                                     \
		}                                                                                  \
	}
		REASON(200, "OK"),
		REASON(201, "Created"),
		REASON(204, "No Content"),
		REASON(206, "Partial Content"),
		REASON(301, "Moved Permanently"),
		REASON(302, "Found"),
		REASON(303, "See Other"),
		REASON(304, "Not Modified"),
		REASON(307, "Temporary Redirect"),
		REASON(308, "Permanent Redirect"),
		REASON(400, "Bad Request"),
		REASON(401, "Unauthorized"),
		REASON(403, "Forbidden"),
		REASON(404, "Not Found"),
		REASON(405, "Method Not Allowed"),
		REASON(408, "Request Timeout"),
		REASON(409, "Conflict"),
		REASON(411, "Length Required"),
		REASON(413, "Content Too Large"),
		REASON(414, "URI Too Long"),
		REASON(415, "Unsupported Media Type"),
		REASON(416, "Range Not Satisfiable"),
		REASON(417, "Expectation Failed"),
		REASON(421, "Misdirected Request"),
		REASON(422, "Unprocessable Content"),
		REASON(426, "Upgrade Required"),
		REASON(429, "Too Many Requests"),
		REASON(431, "Request Header Fields Too Large"),
		REASON(500, "Internal Server Error"),
		REASON(501, "Not Implemented"),
		REASON(502, "Bad Gateway"),
		REASON(503, "Service Unavailable"),
		REASON(504, "Gateway Timeout"),
		REASON(505, "HTTP Version Not Supported"),
		REASON(100, "Continue"),
		REASON(101, "Switching Protocols"),
		REASON(103, "Early Hints"),
		REASON(202, "Accepted"),
		REASON(412, "Precondition Failed"),
#undef REASON
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return (struct text){0};
}

/* What a response says of its body, if what it says can be (RFC 9112 section 6). */
static void put_framing(struct out *out, const struct http_head *head)
{
	bool never = head->status < 200 || head->status == 204;

	switch (head->body) {
	case HTTP_BODY_NONE:
		if (head->has_length && !never)
			put_length(out, head->length);
		return;
	case HTTP_BODY_LENGTH:
		put_length(out, head->length);
		break;
	case HTTP_BODY_CHUNKED:
		PUT(out, "transfer-encoding: chunked\r\n");
		if (head->version == 10)
			out->error = -EBADMSG;
		break;
	case HTTP_BODY_CLOSE:
		break;
	default:
		out->error = -EBADMSG;
	}
	if (never || head->status == 304)
		out->error = -EBADMSG;
}

ssize_t http1_response_write(const struct http_head *head, uint8_t *buffer, size_t size)
{
	struct out out = {buffer, buffer + size, 0};
	bool te, keep_alive = head->keep_alive && head->body != HTTP_BODY_CLOSE;

	if (head->status < 100 || head->status > 599)
		return -EBADMSG;
	PUT(&out, "HTTP/1.1 ");
	put_number(&out, head->status);
	PUT(&out, " ");
	put_text(&out, reason_of(head->status));
	PUT(&out, "\r\n");
	put_fields(&out, head, &te);
	if (te || (head->upgrade && head->status != 101))
		out.error = -EBADMSG;
	put_framing(&out, head);
	/* What goes before the final response says nothing about the connection after it. */
	put_connection(&out, head, !keep_alive && head->status >= 200,
		       keep_alive && head->version == 10 && head->status >= 200, false);
	PUT(&out, "\r\n");
	return out.error ? out.error : out.p - buffer;
}

size_t http1_chunk_begin(uint8_t buffer[HTTP1_CHUNK_BEGIN_MAX], size_t size)
{
	size_t digits = 1;

	while (digits < 16 && size >> (4 * digits))
		digits++;
	for (size_t i = 0; i < digits; i++)
		buffer[i] = (uint8_t) "0123456789abcdef"[size >> (4 * (digits - 1 - i)) & 15];
	memcpy(buffer + digits, "\r\n", 2);
	return digits + 2;
}

ssize_t http1_trailers_write(const struct http_field *field, size_t fields, uint8_t *buffer,
			     size_t size)
{
	struct out out = {buffer, buffer + size, 0};

	if (fields > HTTP_TRAILERS_MAX)
		return -EBADMSG;
	PUT(&out, "0\r\n");
	for (size_t i = 0; i < fields; i++) {
		if (!http1_trailer_allowed(field[i].name))
			out.error = -EBADMSG;
		put_field(&out, &field[i]);
	}
	PUT(&out, "\r\n");
	return out.error ? out.error : out.p - buffer;
}
