/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_internal.h"

#include "common/cleanup.h"
#include "proxy/http2_nv.h"

#define INFORMATIONAL_MAX 16 /* 1xx responses before the final one */

void http2_upstream_head(struct http2_stream *s, bool end)
{
	struct http2 *h2 = s->h2;
	const struct http_head *head;

	if (http2_fields_end(h2->fields, h2->options.tls, end, &head) ||
	    (head->status / 100 == 1 && ++s->informational > INFORMATIONAL_MAX)) {
		http2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR, true);
		return;
	}
	s->head_in = head->status / 100 != 1;
	s->ended_in = end;
	if (!s->stream.owner)
		return;
	s->told_end = end;
	s->stream.events->on_head(s->stream.owner, &s->stream, head, end);
}

static int op_head(struct stream *stream, const struct http_head *head, bool end)
{
	struct http2_stream *s = http2_stream_of(stream);
	nghttp2_data_provider provider = http2_stream_provider(s);
	struct http2_nv nv;
	int r;

	if (s->id)
		return -EINVAL;
	r = http2_nv_request(head, s->h2->options.tls, &nv);
	if (r < 0)
		return r;
	r = nghttp2_submit_request(s->h2->session, NULL, nv.nv, nv.count, end ? NULL : &provider,
				   s);
	if (r < 0)
		return r == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ECONNRESET;
	s->id = r;
	s->head_out = true;
	s->ended_out = end;
	return 0;
}

static const struct stream_ops upstream_ops = {
	.head = op_head,
	.data = http2_op_data,
	.trailers = http2_op_trailers,
	.resume = http2_op_resume,
	.release = http2_op_release,
};

int http2_upstream_new(const struct http2_options *options, struct http2 **ret_h2)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
	};

	return http2_new(options, false, &upstream_ops, settings, ARRAY_LEN(settings), ret_h2);
}

size_t http2_capacity(const struct http2 *h2)
{
	size_t limit;

	if (h2->failed || h2->disconnected || h2->ending ||
	    !nghttp2_session_check_request_allowed(h2->session))
		return 0;
	limit = nghttp2_session_get_remote_settings(h2->session,
						    NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (limit > HTTP2_STREAMS_MAX)
		limit = HTTP2_STREAMS_MAX;
	return limit > h2->streams_count ? limit - h2->streams_count : 0;
}

int http2_open(struct http2 *h2, void *owner, const struct stream_events *events,
	       struct stream **ret_stream)
{
	struct http2_stream *s;
	int r;

	if (!http2_capacity(h2))
		return -EAGAIN;
	r = http2_stream_new(h2, &s);
	if (r < 0)
		return r;
	s->stream.owner = owner;
	s->stream.events = events;
	*ret_stream = &s->stream;
	return 0;
}
