/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_head.h"

#include "common/cleanup.h"
#include "common/grpc_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE   "application/grpc"
#define USER_AGENT     "grpc-c-openshell/" OPENSHELL_VERSION
#define ENCODED_MAX    (3 * GRPC_STATUS_MAX + 1)
#define REQUEST_FIELDS 10
#define METADATA_MAX   32 /* of one of our calls */

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)name,
		.namelen = strlen(name),
		.value = (uint8_t *)value,
		.valuelen = strlen(value),
	};
}

/* Tokens go over the wire each time, not into the compression's table. */
static nghttp2_nv secret_field(const char *name, const char *value)
{
	nghttp2_nv nv = field(name, value);

	nv.flags = NGHTTP2_NV_FLAG_NO_INDEX;
	return nv;
}

int grpc_head_response(nghttp2_session *h2, struct grpc_call *call,
		       const nghttp2_data_provider *provider)
{
	const nghttp2_nv head[] = {
		field(":status", "200"),
		field("content-type", CONTENT_TYPE),
		field("grpc-accept-encoding", "identity,gzip"),
		field("grpc-encoding", "gzip"),
	};

	return nghttp2_submit_response(h2, call->stream, head,
				       ARRAY_LEN(head) - (call->gzip_out ? 0 : 1), provider)
		       ? -ENOMEM
		       : 0;
}

static size_t status_fields(struct grpc_call *call, nghttp2_nv *nv, char code[12],
			    char text[ENCODED_MAX])
{
	size_t n = 0;

	snprintf(code, 12, "%d", call->code);
	nv[n++] = field("grpc-status", code);
	if (call->text) {
		grpc_message_encode(call->text, text, ENCODED_MAX);
		nv[n++] = field("grpc-message", text);
	}
	return n;
}

int grpc_head_trailers(nghttp2_session *h2, int32_t stream, struct grpc_call *call)
{
	char code[12], text[ENCODED_MAX];
	nghttp2_nv nv[2];
	size_t n = status_fields(call, nv, code, text);

	return nghttp2_submit_trailer(h2, stream, nv, n) ? -ENOMEM : 0;
}

int grpc_head_trailers_only(nghttp2_session *h2, struct grpc_call *call)
{
	char code[12], text[ENCODED_MAX];
	nghttp2_nv nv[4] = {field(":status", "200"), field("content-type", CONTENT_TYPE)};
	size_t n = 2 + status_fields(call, nv + 2, code, text);

	return nghttp2_submit_response(h2, call->stream, nv, n, NULL) ? -ENOMEM : 0;
}

int grpc_head_refuse(nghttp2_session *h2, struct grpc_call *call)
{
	char status[12];
	nghttp2_nv nv;

	snprintf(status, sizeof(status), "%d", call->http_status);
	nv = field(":status", status);
	return nghttp2_submit_response(h2, call->stream, &nv, 1, NULL) ? -ENOMEM : 0;
}

static bool starts_with(const char *text, const char *start)
{
	return text && !strncmp(text, start, strlen(start));
}

/* Whether a list of names by commas has one. */
static bool lists(const char *list, const char *name)
{
	size_t size = strlen(name);

	while (list && *list) {
		size_t n;

		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == size && !strncmp(list, name, n))
			return true;
		list += n;
	}
	return false;
}

/* What of a content-type follows its name is one of the protocol's forms. */
static bool is_grpc(const char *type)
{
	size_t n = strlen(CONTENT_TYPE);

	return starts_with(type, CONTENT_TYPE) &&
	       (!type[n] || type[n] == ';' || !strcmp(type + n, "+proto"));
}

void grpc_head_check_request(struct grpc_call *call, int64_t *ret_timeout_ms)
{
	const char *method = grpc_call_metadata(call, ":method");
	const char *path = grpc_call_metadata(call, ":path");
	const char *encoding = grpc_call_metadata(call, "grpc-encoding");
	const char *timeout = grpc_call_metadata(call, "grpc-timeout");

	if (!method || strcmp(method, "POST") || !path) {
		call->http_status = 405;
		return;
	}
	if (!is_grpc(grpc_call_metadata(call, "content-type"))) {
		call->http_status = 415;
		return;
	}
	call->method = rpc_find(path);
	if (!call->method) {
		grpc_call_set_status(call, GRPC_UNIMPLEMENTED, "this gateway has no such method");
		return;
	}
	if (encoding && !strcmp(encoding, "gzip"))
		call->reader.gzip = true;
	else if (encoding && strcmp(encoding, "identity"))
		grpc_call_set_status(call, GRPC_UNIMPLEMENTED,
				     "messages may be compressed by gzip alone");
	call->gzip_out = call->reader.gzip &&
			 lists(grpc_call_metadata(call, "grpc-accept-encoding"), "gzip");
	if (timeout) {
		int64_t ms = grpc_timeout_parse(timeout);

		if (ms < 0)
			grpc_call_set_status(call, GRPC_INVALID_ARGUMENT,
					     "grpc-timeout is no timeout");
		else
			*ret_timeout_ms = ms;
	}
}

int grpc_head_request(struct grpc_session *session, struct grpc_call *call,
		      const struct grpc_metadata *metadata, size_t metadata_len,
		      uint32_t deadline_ms, const nghttp2_data_provider *provider)
{
	char timeout[GRPC_TIMEOUT_TEXT];
	nghttp2_nv nv[REQUEST_FIELDS + METADATA_MAX];
	size_t n = 0;
	int32_t stream;

	if (metadata_len > METADATA_MAX)
		return -E2BIG;
	nv[n++] = field(":method", "POST");
	nv[n++] = field(":scheme", session->scheme);
	nv[n++] = field(":path", call->method->path);
	nv[n++] = field(":authority", session->authority);
	nv[n++] = field("te", "trailers");
	nv[n++] = field("content-type", CONTENT_TYPE);
	nv[n++] = field("user-agent", USER_AGENT);
	nv[n++] = field("grpc-accept-encoding", "identity,gzip");
	if (deadline_ms) {
		grpc_timeout_format(deadline_ms, timeout);
		nv[n++] = field("grpc-timeout", timeout);
	}
	if (session->authorization)
		nv[n++] = secret_field("authorization", session->authorization);
	for (size_t i = 0; i < metadata_len; i++)
		nv[n++] = secret_field(metadata[i].name, metadata[i].value);
	stream = nghttp2_submit_request(session->h2, NULL, nv, n, provider, call);
	return stream < 0 ? -ENOMEM : stream;
}

/* As the protocol maps HTTP's statuses where the server did not speak gRPC. */
static int code_of_http(int status)
{
	switch (status) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

void grpc_head_check_response(struct grpc_call *call)
{
	const char *status = grpc_call_metadata(call, ":status");
	const char *encoding = grpc_call_metadata(call, "grpc-encoding");
	char text[96];

	if (encoding && !strcmp(encoding, "gzip"))
		call->reader.gzip = true;
	if (status && !strcmp(status, "200") && is_grpc(grpc_call_metadata(call, "content-type")))
		return;
	snprintf(text, sizeof(text), "the server does not speak gRPC: it answered with HTTP %.8s",
		 status ? status : "");
	grpc_call_set_status(call, code_of_http(status ? (int)strtol(status, NULL, 10) : 0), text);
}

void grpc_head_check_trailers(struct grpc_call *call)
{
	const char *status = grpc_call_metadata(call, "grpc-status");
	const char *message = grpc_call_metadata(call, "grpc-message");
	_cleanup_free_ char *text = NULL;
	char *end;
	long code;

	call->trailers_came = true;
	if (!status) {
		grpc_head_check_response(call);
		grpc_call_set_status(call, GRPC_UNKNOWN, "the server ended without a status");
		return;
	}
	code = strtol(status, &end, 10);
	if (end == status || *end || code < 0 || code > GRPC_UNAUTHENTICATED)
		code = GRPC_UNKNOWN;
	if (message) {
		text = strdup(message);
		if (text)
			grpc_message_decode(text);
	}
	grpc_call_set_status(call, (int)code, text);
}

void grpc_head_done(struct grpc_call *call)
{
	bool inside = grpc_reader_inside(&call->reader);

	if (call->code == GRPC_OK && (inside || (!call->method->server_streams && !call->received)))
		call->code = GRPC_INTERNAL;
	grpc_call_end(call, GRPC_UNKNOWN, "the server ended without a status");
}

void grpc_head_closed(struct grpc_call *call, uint32_t code)
{
	static const struct {
		uint32_t h2;
		int grpc;
	} map[] = {
		{NGHTTP2_REFUSED_STREAM, GRPC_UNAVAILABLE},
		{NGHTTP2_CANCEL, GRPC_CANCELLED},
		{NGHTTP2_ENHANCE_YOUR_CALM, GRPC_RESOURCE_EXHAUSTED},
		{NGHTTP2_INADEQUATE_SECURITY, GRPC_PERMISSION_DENIED},
	};
	int result = GRPC_INTERNAL;
	char text[96];

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].h2 == code)
			result = map[i].grpc;
	snprintf(text, sizeof(text), "the server reset the call: %s", nghttp2_http2_strerror(code));
	grpc_call_end(call, result, text);
}
