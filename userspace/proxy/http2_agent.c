/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_internal.h"

#include "common/cleanup.h"
#include "proxy/http2_nv.h"

/* A response without a body, from here: the exchange never sees the request. */
static void answer(struct http2_stream *s, uint16_t status)
{
	const struct http_head head = {.status = status, .body = HTTP_BODY_LENGTH};
	struct http2_nv nv;

	if (http2_nv_response(&head, &nv) ||
	    nghttp2_submit_response(s->h2->session, s->id, nv.nv, nv.count, NULL)) {
		http2_stream_reset(s, NGHTTP2_REFUSED_STREAM, true);
		return;
	}
	s->head_out = s->ended_out = true;
	if (!http2_flood_reset(&s->h2->flood))
		nghttp2_session_terminate_session(s->h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

void http2_agent_head(struct http2_stream *s, bool end)
{
	struct http2 *h2 = s->h2;
	const struct http_head *head;

	s->head_in = true;
	s->ended_in = end;
	switch (http2_fields_end(h2->fields, h2->options.tls, end, &head)) {
	case HTTP2_FINE:
		break;
	case HTTP2_HEAD_LONG:
		answer(s, 431);
		return;
	case HTTP2_TARGET_LONG:
		answer(s, 414);
		return;
	case HTTP2_MALFORMED:
		http2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR, true);
		return;
	}
	/* GOAWAY, which will not name this stream, is only about to be sent. */
	if (h2->shutdown) {
		http2_stream_reset(s, NGHTTP2_REFUSED_STREAM, false);
		return;
	}
	if (h2->options.on_request(h2->options.arg, &s->stream) || !s->stream.owner) {
		s->stream.owner = NULL;
		http2_stream_reset(s, NGHTTP2_REFUSED_STREAM, false);
		return;
	}
	s->told_end = end;
	s->stream.events->on_head(s->stream.owner, &s->stream, head, end);
}

static int op_head(struct stream *stream, const struct http_head *head, bool end)
{
	struct http2_stream *s = http2_stream_of(stream);
	nghttp2_data_provider provider = http2_stream_provider(s);
	struct http2_nv nv;
	int r;

	if (s->head_out)
		return -EINVAL;
	if (s->closed || s->reset)
		return 0;
	r = http2_nv_response(head, &nv);
	if (r < 0)
		return r;
	if (head->status / 100 == 1) {
		if (end)
			return -EINVAL;
		r = nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv.nv,
					   nv.count, NULL);
		return r < 0 ? -ENOMEM : 0;
	}
	if (nghttp2_submit_response(s->h2->session, s->id, nv.nv, nv.count, end ? NULL : &provider))
		return -ENOMEM;
	s->head_out = true;
	s->ended_out = end;
	return 0;
}

static const struct stream_ops agent_ops = {
	.head = op_head,
	.data = http2_op_data,
	.trailers = http2_op_trailers,
	.resume = http2_op_resume,
	.release = http2_op_release,
};

int http2_agent_new(const struct http2_options *options, struct http2 **ret_h2)
{
	/* Priorities of RFC 7540 off: nghttp2 keeps no tree of streams for the agent to grow. */
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};

	return http2_new(options, true, &agent_ops, settings, ARRAY_LEN(settings), ret_h2);
}

void http2_shutdown(struct http2 *h2)
{
	if (h2->failed || h2->disconnected || h2->shutdown)
		return;
	h2->shutdown = true;
	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h2->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
}
