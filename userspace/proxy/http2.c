/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_internal.h"

#include "common/cleanup.h"

#include <stdlib.h>

#define OUT_SIZE	   (4 * (16384 + HTTP2_FRAME_HEADER)) /* four DATA frames at a time */
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

/* A callback's way to end the connection: http2_feed() or http2_drain() hears of it. */
static int give_up(struct http2 *h2, uint32_t code)
{
	h2->error = code;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *arg)
{
	if (nghttp2_session_get_outbound_queue_size(session) > OUTBOUND_MAX)
		return give_up(arg, NGHTTP2_ENHANCE_YOUR_CALM);
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s;
	bool request = h2->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST;

	if (frame->hd.type != NGHTTP2_HEADERS || (!h2->fields && http2_fields_new(&h2->fields)))
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
		return give_up(h2, NGHTTP2_ENHANCE_YOUR_CALM);
	default:
		return give_up(h2, NGHTTP2_INTERNAL_ERROR);
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

static bool have_out(struct http2 *h2)
{
	if (!h2->out)
		h2->out = malloc(OUT_SIZE);
	return h2->out;
}

static void put_out(struct http2 *h2, const uint8_t *data, size_t size)
{
	memcpy(h2->out + h2->out_size, data, size);
	h2->out_size += size;
}

/* Write a DATA frame straight into what is to be sent. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
		     size_t size, nghttp2_data_source *source, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = source->ptr;

	if (s->out.size < size)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (!have_out(h2))
		return give_up(h2, NGHTTP2_INTERNAL_ERROR);
	if (OUT_SIZE - h2->out_size < HTTP2_FRAME_HEADER + size) {
		h2->out_full = true;
		return NGHTTP2_ERR_WOULDBLOCK;
	}
	put_out(h2, header, HTTP2_FRAME_HEADER);
	if (size) {
		put_out(h2, http2_queue_front(&s->out), size);
		http2_queue_drop(&s->out, size);
		http2_stream_drained(s);
	}
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
	nghttp2_session_callbacks_set_send_data_callback(c, send_data);
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

static int new_session(struct http2 *h2)
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

int http2_new(const struct http2_options *options, bool server, const struct stream_ops *ops,
	      const nghttp2_settings_entry *settings, size_t count, struct http2 **ret_h2)
{
	struct http2 *h2 = calloc(1, sizeof(*h2));

	if (!h2)
		return -ENOMEM;
	h2->options = *options;
	h2->server = server;
	h2->ops = ops;
	TAILQ_INIT(&h2->streams);
	TAILQ_INIT(&h2->ready);
	TAILQ_INIT(&h2->dead);
	http2_flood_init(&h2->flood, server);
	if (new_session(h2) ||
	    nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, count) ||
	    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
						  HTTP2_CONNECTION_WINDOW)) {
		http2_free(h2);
		return -ENOMEM;
	}
	*ret_h2 = h2;
	return 0;
}

static void deliver_ready(struct http2 *h2)
{
	struct http2_stream *s;

	while ((s = TAILQ_FIRST(&h2->ready))) {
		TAILQ_REMOVE(&h2->ready, s, ready_link);
		s->ready = false;
		http2_stream_deliver(s);
	}
}

static void free_streams(struct http2_streams *streams)
{
	struct http2_stream *s;

	while ((s = TAILQ_FIRST(streams))) {
		TAILQ_REMOVE(streams, s, link);
		http2_stream_free(s);
	}
}

/* The connection is of no use any more: whatever rests on it hears so. */
static void close_streams(struct http2 *h2)
{
	struct http2_stream *s;

	for (s = TAILQ_FIRST(&h2->streams); s;) {
		if (s->closed && s->stream.owner) {
			s = TAILQ_NEXT(s, link);
			continue;
		}
		s->closed = true;
		if (http2_stream_lingers(s))
			continue;
		http2_stream_close(s, h2->server || s->started ? STREAM_CONNECT : STREAM_REFUSED);
		/* Others may have gone with it. */
		s = TAILQ_FIRST(&h2->streams);
	}
}

static void tell_capacity(struct http2 *h2)
{
	if (!h2->capacity_changed)
		return;
	h2->capacity_changed = false;
	if (h2->options.on_capacity)
		h2->options.on_capacity(h2->options.arg);
}

static void tidy(struct http2 *h2)
{
	free_streams(&h2->dead);
	if (h2->fields && !http2_flood_inside(&h2->flood)) {
		http2_fields_free(h2->fields);
		h2->fields = NULL;
	}
	tell_capacity(h2);
}

static void fail(struct http2 *h2, uint32_t code)
{
	h2->failed = true;
	nghttp2_session_terminate_session(h2->session, code);
}

static uint32_t code_of(const struct http2 *h2, ssize_t error)
{
	switch (error) {
	case NGHTTP2_ERR_CALLBACK_FAILURE:
		return h2->error;
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
		return NGHTTP2_PROTOCOL_ERROR;
	case NGHTTP2_ERR_NOMEM:
		return NGHTTP2_INTERNAL_ERROR;
	default: /* what nghttp2 calls a flood */
		return NGHTTP2_ENHANCE_YOUR_CALM;
	}
}

int http2_feed(struct http2 *h2, const uint8_t *data, size_t size)
{
	size_t good;
	ssize_t n = 0;

	if (h2->failed || h2->disconnected)
		return -EPROTO;
	deliver_ready(h2);
	good = http2_flood_scan(&h2->flood, data, size);
	if (good)
		n = nghttp2_session_mem_recv(h2->session, data, good);
	if (n < 0)
		fail(h2, code_of(h2, n));
	else if (good < size)
		fail(h2, NGHTTP2_ENHANCE_YOUR_CALM);
	tidy(h2);
	return h2->failed ? -EPROTO : 0;
}

/* Fill `out`. False: it is full, or there is nothing more. */
static bool fill(struct http2 *h2)
{
	ssize_t n;

	if (!h2->pending) {
		if (!nghttp2_session_want_write(h2->session))
			return false;
		n = nghttp2_session_mem_send(h2->session, &h2->pending);
		if (n <= 0) {
			h2->pending = NULL;
			h2->disconnected |= n < 0;
			return false;
		}
		h2->pending_size = (size_t)n;
	}
	if (!have_out(h2)) {
		h2->disconnected = true;
		return false;
	}
	if (OUT_SIZE - h2->out_size < h2->pending_size) {
		h2->out_full = true;
		return false;
	}
	put_out(h2, h2->pending, h2->pending_size);
	h2->pending = NULL;
	return true;
}

ssize_t http2_drain(struct http2 *h2, const uint8_t **ret_data)
{
	h2->out_size = 0;
	h2->out_full = false;
	do {
		deliver_ready(h2);
		tell_capacity(h2);
		while (!h2->disconnected && fill(h2))
			;
	} while (!h2->out_full && (!TAILQ_EMPTY(&h2->ready) || h2->capacity_changed));
	if (h2->disconnected ||
	    (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session)))
		close_streams(h2);
	tidy(h2);
	if (!h2->out_size) {
		free(h2->out);
		h2->out = NULL;
		return 0;
	}
	*ret_data = h2->out;
	return (ssize_t)h2->out_size;
}

void http2_disconnect(struct http2 *h2)
{
	h2->disconnected = true;
	deliver_ready(h2);
	close_streams(h2);
	tidy(h2);
}

bool http2_finished(const struct http2 *h2)
{
	const struct http2_stream *s;

	if (!h2->disconnected && (nghttp2_session_want_read(h2->session) ||
				  nghttp2_session_want_write(h2->session) || h2->pending))
		return false;
	TAILQ_FOREACH(s, &h2->streams, link)
	if (s->stream.owner)
		return false;
	return true;
}

bool http2_idle(const struct http2 *h2)
{
	return !h2->streams_count;
}

void http2_free(struct http2 *h2)
{
	struct http2_stream *s;

	if (!h2)
		return;
	h2->disconnected = true;
	while ((s = TAILQ_FIRST(&h2->streams))) {
		s->closed = true;
		http2_stream_close(s, STREAM_CONNECT);
	}
	free_streams(&h2->dead);
	nghttp2_session_del(h2->session);
	http2_fields_free(h2->fields);
	free(h2->out);
	free(h2);
}
