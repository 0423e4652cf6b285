/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_internal.h"

#include "proxy/http1.h"
#include "proxy/http2_nv.h"

#include <errno.h>
#include <stdlib.h>

int http2_stream_new(struct http2 *h2, struct http2_stream **ret_stream)
{
	struct http2_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->stream.ops = h2->ops;
	s->h2 = h2;
	TAILQ_INSERT_TAIL(&h2->streams, s, link);
	h2->streams_count++;
	*ret_stream = s;
	return 0;
}

void http2_stream_free(struct http2_stream *s)
{
	http2_queue_clear(&s->in);
	http2_queue_clear(&s->out);
	free(s->trailers_in);
	free(s->trailers_out);
	free(s);
}

static void mark_ready(struct http2_stream *s)
{
	if (s->ready)
		return;
	s->ready = true;
	TAILQ_INSERT_TAIL(&s->h2->ready, s, ready_link);
}

/* Let the peer send as much again. */
static void open_window(struct http2_stream *s, size_t size)
{
	if (!size)
		return;
	if (s->closed || !s->id)
		nghttp2_session_consume_connection(s->h2->session, size);
	else
		nghttp2_session_consume(s->h2->session, s->id, size);
}

/* What came and is of no use to anyone. */
static void forget_input(struct http2_stream *s)
{
	open_window(s, s->kept + s->in.size);
	s->kept = 0;
	/* Whoever is in http2_stream_deliver() clears it: its bytes are being looked at. */
	if (!s->delivering)
		http2_queue_clear(&s->in);
}

void http2_stream_bury(struct http2_stream *s)
{
	struct http2 *h2 = s->h2;

	forget_input(s);
	if (s->ready)
		TAILQ_REMOVE(&h2->ready, s, ready_link);
	s->ready = false;
	TAILQ_REMOVE(&h2->streams, s, link);
	TAILQ_INSERT_TAIL(&h2->dead, s, link);
	h2->streams_count--;
	h2->capacity_changed = true;
}

void http2_stream_close(struct http2_stream *s, enum stream_error error)
{
	void *owner = s->stream.owner;

	s->stream.owner = NULL;
	http2_stream_bury(s);
	if (owner)
		s->stream.events->on_closed(owner, &s->stream, error);
}

void http2_stream_reset(struct http2_stream *s, uint32_t code, bool refused)
{
	if (s->closed || s->reset)
		return;
	s->reset = true;
	s->code = code;
	s->refused = refused;
	nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code);
}

bool http2_stream_lingers(const struct http2_stream *s)
{
	return s->stream.owner && s->ended_in && (!s->h2->server || s->sent_out);
}

void http2_stream_sent(struct http2_stream *s)
{
	s->sent_out = true;
	/* RFC 9113 section 8.1: the rest of a request that was answered already is not wanted. */
	if (!s->stream.owner && !s->ended_in)
		http2_stream_reset(s, s->h2->server ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL, false);
}

/* Give the owner a part of the body. */
static void give(struct http2_stream *s, const uint8_t *data, size_t size, bool end)
{
	bool taken;

	s->kept += (uint32_t)size;
	s->told_end = end;
	taken = s->stream.events->on_data(s->stream.owner, &s->stream, data, size, end);
	if (!s->stream.owner)
		return;
	s->blocked = !taken;
	if (taken) {
		open_window(s, s->kept);
		s->kept = 0;
	}
}

void http2_stream_data(struct http2_stream *s, const uint8_t *data, size_t size)
{
	if (!s->stream.owner) {
		open_window(s, size);
		return;
	}
	if (!s->blocked && !s->in.size) {
		give(s, data, size, false);
		return;
	}
	/* The window is the limit, and nghttp2 holds the peer to it. */
	if (s->in.size + size > HTTP2_STREAM_WINDOW || http2_queue_put(&s->in, data, size)) {
		open_window(s, size);
		http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR, true);
	}
}

void http2_stream_ended(struct http2_stream *s)
{
	s->ended_in = true;
	if (s->stream.owner && !s->blocked && !s->in.size)
		give(s, NULL, 0, true);
}

static struct http2_trailers *copy_trailers(const struct http_field *field, size_t fields)
{
	size_t size = 0;
	struct http2_trailers *copy;
	char *text;

	for (size_t i = 0; i < fields; i++)
		size += field[i].name.size + field[i].value.size;
	copy = malloc(sizeof(*copy) + fields * sizeof(*field) + size);
	if (!copy)
		return NULL;
	text = (char *)&copy->field[fields];
	copy->fields = fields;
	for (size_t i = 0; i < fields; i++) {
		struct text name = field[i].name, value = field[i].value;

		memcpy(text, name.data, name.size);
		copy->field[i].name = (struct text){text, name.size};
		text += name.size;
		if (value.size)
			memcpy(text, value.data, value.size);
		copy->field[i].value = (struct text){text, value.size};
		text += value.size;
	}
	return copy;
}

/* A server that reads them as HTTP/1 merges them into a head that was judged without them. */
static bool trailers_allowed(const struct http2_stream *s, const struct http_head *head)
{
	for (size_t i = 0; s->h2->server && i < head->fields; i++)
		if (!http1_trailer_allowed(head->field[i].name))
			return false;
	return true;
}

void http2_stream_trailers(struct http2_stream *s)
{
	const struct http_head *head;

	if (http2_fields_end(s->h2->fields, false, true, &head) || !trailers_allowed(s, head)) {
		http2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR, true);
		return;
	}
	if (s->stream.owner && (s->blocked || s->in.size)) {
		s->trailers_in = copy_trailers(head->field, head->fields);
		if (!s->trailers_in) {
			http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR, true);
			return;
		}
	}
	s->ended_in = true;
	if (s->trailers_in || !s->stream.owner)
		return;
	s->told_end = true;
	s->stream.events->on_trailers(s->stream.owner, &s->stream, head->field, head->fields);
}

/* What is in `in` to the owner, as far as it takes it. False: that is not all. */
static bool deliver_input(struct http2_stream *s)
{
	while (s->stream.owner && !s->blocked && s->in.size) {
		size_t size = s->in.size < STREAM_CHUNK_MAX ? s->in.size : STREAM_CHUNK_MAX;
		const uint8_t *data = http2_queue_front(&s->in);

		/* The owner may let go of the stream meanwhile: these bytes are counted here. */
		s->in.start += (uint32_t)size;
		s->in.size -= (uint32_t)size;
		s->delivering = true;
		give(s, data, size, s->ended_in && !s->trailers_in && !s->in.size);
		s->delivering = false;
		if (!s->stream.owner || !s->in.size)
			http2_queue_clear(&s->in);
	}
	return s->stream.owner && !s->blocked && !s->in.size;
}

void http2_stream_deliver(struct http2_stream *s)
{
	if (deliver_input(s) && s->ended_in && !s->told_end) {
		s->told_end = true;
		if (s->trailers_in)
			s->stream.events->on_trailers(s->stream.owner, &s->stream,
						      s->trailers_in->field,
						      s->trailers_in->fields);
		else
			give(s, NULL, 0, true);
	}
	if (s->stream.owner && s->wants_room && s->out.size <= HTTP2_SEND_MAX / 2) {
		s->wants_room = false;
		s->stream.events->on_writable(s->stream.owner, &s->stream);
	}
}

void http2_stream_drained(struct http2_stream *s)
{
	if (s->wants_room && s->out.size <= HTTP2_SEND_MAX / 2)
		mark_ready(s);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *data, size_t room,
			 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct http2_stream *s = source->ptr;
	size_t size = s->out.size < room ? s->out.size : room;
	struct http2_nv nv;

	if (!size && !s->ended_out)
		return NGHTTP2_ERR_DEFERRED;
	/* http2_send_data() takes it out of `out` when it has room. */
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (!s->ended_out || size < s->out.size)
		return (ssize_t)size;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailers_out) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (http2_nv_trailers(s->trailers_out->field, s->trailers_out->fields, &nv) ||
		    nghttp2_submit_trailer(session, id, nv.nv, nv.count))
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)size;
}

nghttp2_data_provider http2_stream_provider(struct http2_stream *s)
{
	return (nghttp2_data_provider){.source.ptr = s, .read_callback = read_body};
}

/* nghttp2 had been told that there was nothing. It does not mind if it was not. */
static void resume_body(struct http2_stream *s)
{
	nghttp2_session_resume_data(s->h2->session, s->id);
}

ssize_t http2_op_data(struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct http2_stream *s = http2_stream_of(stream);
	size_t room;

	if (!s->head_out || s->ended_out)
		return -EINVAL;
	/* A server that has answered may want no more of the request: the answer still counts. */
	if (s->closed || s->reset) {
		s->ended_out = end;
		return (ssize_t)size;
	}
	room = HTTP2_SEND_MAX - s->out.size;
	if (size > room) {
		size = room;
		end = false;
		s->wants_room = true;
	}
	if (http2_queue_put(&s->out, data, size))
		return -ENOMEM;
	s->ended_out = end;
	if (size || end)
		resume_body(s);
	return (ssize_t)size;
}

int http2_op_trailers(struct stream *stream, const struct http_field *field, size_t fields)
{
	struct http2_stream *s = http2_stream_of(stream);
	struct http2_nv nv;

	if (!s->head_out || s->ended_out)
		return -EINVAL;
	if (!s->closed && !s->reset) {
		int r = http2_nv_trailers(field, fields, &nv);

		if (r < 0)
			return r;
		/* HEADERS without any field would be a waste, but they are what ends the body. */
		s->trailers_out = nv.count ? copy_trailers(field, fields) : NULL;
		if (nv.count && !s->trailers_out)
			return -ENOMEM;
	}
	s->ended_out = true;
	if (!s->closed && !s->reset)
		resume_body(s);
	return 0;
}

void http2_op_resume(struct stream *stream)
{
	struct http2_stream *s = http2_stream_of(stream);

	s->blocked = false;
	open_window(s, s->kept);
	s->kept = 0;
	if (s->in.size || (s->ended_in && !s->told_end))
		mark_ready(s);
}

static uint32_t code_of(enum stream_error error)
{
	switch (error) {
	case STREAM_REFUSED:
		return NGHTTP2_REFUSED_STREAM;
	case STREAM_PROTOCOL:
		return NGHTTP2_PROTOCOL_ERROR;
	case STREAM_INTERNAL:
	case STREAM_TIMEOUT:
	case STREAM_CONNECT: /* CONNECT_ERROR is for the method CONNECT */
		return NGHTTP2_INTERNAL_ERROR;
	case STREAM_NO_ERROR:
	case STREAM_CANCEL:
		break;
	}
	return NGHTTP2_CANCEL;
}

void http2_op_release(struct stream *stream, enum stream_error error)
{
	struct http2_stream *s = http2_stream_of(stream);

	s->stream.owner = NULL;
	if (!s->id || s->closed) {
		http2_stream_bury(s);
		return;
	}
	forget_input(s);
	if (error != STREAM_NO_ERROR || !s->ended_out) {
		http2_queue_clear(&s->out);
		http2_stream_reset(s, code_of(error), false);
	} else if (s->sent_out) {
		http2_stream_sent(s);
	}
}
