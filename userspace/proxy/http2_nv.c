/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_nv.h"

#include "proxy/http2_head.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define FIELD_OVERHEAD 12 /* what nghttp2 may need for a field's lengths */

static void add(struct http2_nv *nv, struct text name, struct text value)
{
	nv->size += name.size + value.size + FIELD_OVERHEAD;
	nv->nv[nv->count++] = (nghttp2_nv){
		.name = (uint8_t *)name.data,
		.namelen = name.size,
		.value = (uint8_t *)value.data,
		.valuelen = value.size,
	};
}

static int add_fields(struct http2_nv *nv, const struct http_field *field, size_t fields)
{
	if (fields > HTTP_FIELDS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < fields; i++)
		if (!http2_field_forbidden(field[i].name, field[i].value))
			add(nv, field[i].name, field[i].value);
	return nv->size > HTTP2_SEND_HEAD_MAX ? -E2BIG : 0;
}

static void add_length(struct http2_nv *nv, const struct http_head *head)
{
	int size;

	if (head->body != HTTP_BODY_LENGTH)
		return;
	size = snprintf(nv->number, sizeof(nv->number), "%" PRIu64, head->length);
	add(nv, TEXT("content-length"), (struct text){nv->number, (uint32_t)size});
}

static void begin(struct http2_nv *nv)
{
	nv->count = nv->size = 0;
}

int http2_nv_request(const struct http_head *head, bool tls, struct http2_nv *ret_nv)
{
	begin(ret_nv);
	add(ret_nv, TEXT(":method"), head->method);
	add(ret_nv, TEXT(":scheme"), tls ? TEXT("https") : TEXT("http"));
	if (head->authority.size)
		add(ret_nv, TEXT(":authority"), head->authority);
	add(ret_nv, TEXT(":path"), head->target);
	add_length(ret_nv, head);
	if (head->expect_continue)
		add(ret_nv, TEXT("expect"), TEXT("100-continue"));
	return add_fields(ret_nv, head->field, head->fields);
}

int http2_nv_response(const struct http_head *head, struct http2_nv *ret_nv)
{
	if (head->status < 100 || head->status > 999 || head->status == 101)
		return -EINVAL;
	begin(ret_nv);
	snprintf(ret_nv->status, sizeof(ret_nv->status), "%u", head->status);
	add(ret_nv, TEXT(":status"), (struct text){ret_nv->status, 3});
	/* RFC 9110 section 8.6 */
	if (head->status / 100 != 1 && head->status != 204)
		add_length(ret_nv, head);
	return add_fields(ret_nv, head->field, head->fields);
}

int http2_nv_trailers(const struct http_field *field, size_t fields, struct http2_nv *ret_nv)
{
	begin(ret_nv);
	return add_fields(ret_nv, field, fields);
}
