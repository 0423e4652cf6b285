/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2 tells, and how it is set up. */
#include "proxy/http2_internal.h"

#include <errno.h>

#define OUTBOUND_MAX	   1000 /* frames that a peer may make us queue without reading any */
#define CONTINUATION_READS 128	/* see new_option() */

/* Younger than the oldest nghttp2 that we build with. */
void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t value)
	__attribute__((weak));

static struct http2_stream *find(struct http2 *h2, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2->session, id);
}

static enum stream_error error_of(uint32_t code)
{
	switch (code) {
	case NGHTTP2_NO_ERROR:
	case NGHTTP2_CANCEL:
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return STREAM_CANCEL;
	case NGHTTP2_REFUSED_STREAM:
		return STREAM_REFUSED;
	case NGHTTP2_PROTOCOL_ERROR:
	case NGHTTP2_FLOW_CONTROL_ERROR:
	case NGHTTP2_STREAM_CLOSED:
	case NGHTTP2_FRAME_SIZE_ERROR:
	case NGHTTP2_COMPRESSION_ERROR:
		return STREAM_PROTOCOL;
	case NGHTTP2_CONNECT_ERROR:
		return STREAM_CONNECT;
	default:
		return STREAM_INTERNAL;
	}
}

int http2_give_up(struct http2 *h2, uint32_t code)
{
	h2->error = code;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *arg)
{
	if (nghttp2_session_get_outbound_queue_size(session) > OUTBOUND_MAX)
		return http2_give_up(arg, NGHTTP2_ENHANCE_YOUR_CALM);
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s;
	bool request = h2->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST;

	if (frame->hd.type != NGHTTP2_HEADERS || !http2_have_fields(h2))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (request) {
		if (http2_stream_new(h2, &s))
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		s->id = frame->hd.stream_id;
		nghttp2_session_set_stream_user_data(session, s->id, s);
	} else {
		s = find(h2, frame->hd.stream_id);
		if (!s)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	http2_fields_begin(h2->fields, s->head_in   ? HTTP2_TRAILERS
				       : h2->server ? HTTP2_REQUEST
						    : HTTP2_RESPONSE);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *arg)
{
	struct http2 *h2 = arg;

	switch (http2_fields_add(h2->fields, name, name_size, value, value_size)) {
	case 0:
		return 0;
	case -E2BIG:
		return http2_give_up(h2, NGHTTP2_ENHANCE_YOUR_CALM);
	default:
		return http2_give_up(h2, NGHTTP2_INTERNAL_ERROR);
	}
}

/* nghttp2 would drop the field and go on. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
			     const uint8_t *name, size_t name_size, const uint8_t *value,
			     size_t value_size, uint8_t flags, void *arg)
{
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
			 size_t size, void *arg)
{
	struct http2_stream *s = find(arg, id);

	if (s)
		http2_stream_data(s, data, size);
	else
		nghttp2_session_consume(session, id, size);
	return 0;
}

static void headers_came(struct http2 *h2, struct http2_stream *s, bool end)
{
	if (s->head_in)
		http2_stream_trailers(s);
	else if (h2->server)
		http2_agent_head(s, end);
	else
		http2_upstream_head(s, end);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s;
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		s = find(h2, frame->hd.stream_id);
		if (s)
			headers_came(h2, s, end);
		break;
	case NGHTTP2_DATA:
		if (end || frame->hd.length > frame->data.padlen)
			http2_flood_earn(&h2->flood);
		s = find(h2, frame->hd.stream_id);
		if (s && end)
			http2_stream_ended(s);
		break;
	case NGHTTP2_GOAWAY:
		h2->ending = true;
		h2->capacity_changed = true;
		break;
	case NGHTTP2_SETTINGS:
		h2->capacity_changed = true;
		break;
	}
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s;

	switch (frame->hd.type) {
	case NGHTTP2_DATA:
		http2_flood_earn(&h2->flood);
		/* fall through */
	case NGHTTP2_HEADERS:
		s = find(h2, frame->hd.stream_id);
		if (!s)
			break;
		s->started = true;
		if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			http2_stream_sent(s);
		break;
	case NGHTTP2_RST_STREAM:
		s = find(h2, frame->hd.stream_id);
		if ((!s || !s->reset || s->refused) && !http2_flood_reset(&h2->flood))
			nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
		break;
	}
	return 0;
}

/* A response's head or trailers that nghttp2 could not send. A request's stream it closes. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
			     void *arg)
{
	struct http2_stream *s = NULL;

	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		s = find(arg, frame->hd.stream_id);
	if (s)
		http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR, true);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct http2_stream *s = find(arg, id);

	if (!s)
		return 0;
	s->closed = true;
	http2_queue_clear(&s->out);
	if (http2_stream_lingers(s))
		http2_stream_drained(s);
	else
		/* One that was ended by both before our reset went out is closed without an error.
		 */
		http2_stream_close(s, error_of(s->refused ? s->code : code));
	return 0;
}

static int new_callbacks(nghttp2_session_callbacks **ret_callbacks)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(c, http2_send_data);
	*ret_callbacks = c;
	return 0;
}

static int new_option(nghttp2_option **ret_option)
{
	nghttp2_option *option;

	if (nghttp2_option_new(&option))
		return -ENOMEM;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	/* nghttp2 counts reads, so that a header that comes in pieces is many; we count frames. */
	if (nghttp2_option_set_max_continuations)
		nghttp2_option_set_max_continuations(option, CONTINUATION_READS);
	*ret_option = option;
	return 0;
}

int http2_session_new(struct http2 *h2)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r = new_callbacks(&callbacks);

	if (r < 0)
		return r;
	r = new_option(&option);
	if (r == 0) {
		r = h2->server ? nghttp2_session_server_new2(&h2->session, callbacks, h2, option)
			       : nghttp2_session_client_new2(&h2->session, callbacks, h2, option);
		nghttp2_option_del(option);
	}
	nghttp2_session_callbacks_del(callbacks);
	return r ? -ENOMEM : 0;
}
