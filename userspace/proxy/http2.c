/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_internal.h"

#include "common/cleanup.h"

#include <stdlib.h>

#define OUT_SIZE HTTP2_DRAIN_MAX

/*
 * What a connection has only while it is busy goes from one to the next. These are as large as what
 * malloc() gives back to the kernel, to fetch it again a moment later.
 */
static struct {
	uint8_t *out;
	struct http2_fields *fields;
} spare;

static bool have_out(struct http2 *h2)
{
	if (!h2->out)
		h2->out = TAKE_PTR(spare.out);
	if (!h2->out)
		h2->out = malloc(OUT_SIZE);
	return h2->out;
}

static void spare_out(struct http2 *h2)
{
	if (spare.out)
		free(h2->out);
	else
		spare.out = h2->out;
	h2->out = NULL;
}

bool http2_have_fields(struct http2 *h2)
{
	if (!h2->fields)
		h2->fields = TAKE_PTR(spare.fields);
	return h2->fields || http2_fields_new(&h2->fields) == 0;
}

static void spare_fields(struct http2 *h2)
{
	if (spare.fields)
		http2_fields_free(h2->fields);
	else
		spare.fields = h2->fields;
	h2->fields = NULL;
}

static void put_out(struct http2 *h2, const uint8_t *data, size_t size)
{
	memcpy(h2->out + h2->out_size, data, size);
	h2->out_size += size;
}

int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
		    size_t size, nghttp2_data_source *source, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = source->ptr;

	if (s->out.size < size)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (!have_out(h2))
		return http2_give_up(h2, NGHTTP2_INTERNAL_ERROR);
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
	if (http2_session_new(h2) ||
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
	if (h2->fields && !http2_flood_inside(&h2->flood))
		spare_fields(h2);
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
		spare_out(h2);
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
