/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 toward a server: one exchange at a time. */
#include "common/cleanup.h"
#include "proxy/proxy_internal.h"
#include "proxy/upstream_internal.h"

#define INFORMATIONAL_MAX 16 /* 1xx responses before the final one */

static struct upstream *upstream_of(struct stream *stream)
{
	return (struct upstream *)((char *)stream - offsetof(struct upstream, http1.stream));
}

/* Something came or went: how long it may be until the next thing does. */
static void moved(struct upstream *upstream)
{
	const struct upstream_message *h = &upstream->http1;

	uint64_t idle = h->raw ? PROXY_TUNNEL_TIMEOUT : h->idle ? h->idle : PROXY_STALL_TIMEOUT;

	if (h->in.done) {
		upstream->wire.deadline = 0; /* it is the agent's turn, and deadline */
		return;
	}
	upstream->wire.deadline = upstream->wire.proxy->now + idle;
	if (h->due && upstream->wire.deadline > h->due)
		upstream->wire.deadline = h->due;
}

static int send_head(struct stream *stream, const struct http_head *head, bool end)
{
	struct upstream *upstream = upstream_of(stream);
	struct upstream_message *h = &upstream->http1;
	size_t room = http1_head_room(head);
	struct http_head framed;
	uint8_t *to;
	ssize_t n;

	http_head_copy(&framed, head);
	framed.version = 11;
	framed.keep_alive = true;
	if (end && head->body != HTTP_BODY_NONE) {
		framed.body = HTTP_BODY_LENGTH;
		framed.length = 0;
	}
	h->to_head = text_is(head->method, "HEAD");
	h->keep_alive = !head->upgrade;
	http1_out_begin(&h->out, framed.body, framed.length);
	if (end)
		h->out.done = true;
	to = wire_room(&upstream->wire, room);
	if (!to)
		return -ENOBUFS;
	n = http1_request_write(&framed, to, room);
	if (n < 0)
		return (int)n;
	wire_added(&upstream->wire, (size_t)n);
	moved(upstream);
	return 0;
}

static ssize_t send_data(struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct upstream *upstream = upstream_of(stream);

	moved(upstream);
	return http1_out_data(&upstream->http1.out, &upstream->wire, data, size, end);
}

static int send_trailers(struct stream *stream, const struct http_field *field, size_t fields)
{
	struct upstream *upstream = upstream_of(stream);

	return http1_out_trailers(&upstream->http1.out, &upstream->wire, field, fields);
}

static void resume(struct stream *stream)
{
	struct upstream *upstream = upstream_of(stream);

	upstream->http1.in.paused = false;
	wire_schedule(&upstream->wire);
}

static void release(struct stream *stream, enum stream_error error)
{
	struct upstream *upstream = upstream_of(stream);
	struct upstream_message *h = &upstream->http1;

	h->active = false;
	http1_in_end(&h->in);
	if (h->raw)
		wire_flush(&upstream->wire);
	/* Bytes past a response are nobody's: the next one must not begin with them. */
	if (error != STREAM_NO_ERROR || h->raw || !h->keep_alive || !h->got_head || !h->in.done ||
	    !h->out.done || wire_in_size(&upstream->wire) || upstream->wire.conn.shut)
		upstream_lost(upstream, EXCHANGE_UNREACHABLE, "");
	else
		upstream_unused(upstream);
}

static void set_patience(struct stream *stream, uint64_t idle, uint64_t due)
{
	struct upstream *upstream = upstream_of(stream);

	upstream->http1.idle = idle;
	upstream->http1.due = due;
	moved(upstream);
}

static const struct stream_ops ops = {
	.head = send_head,
	.data = send_data,
	.trailers = send_trailers,
	.resume = resume,
	.release = release,
	.patience = set_patience,
};

struct stream *upstream_http1_open(struct upstream *upstream)
{
	struct upstream_message *h = &upstream->http1;

	*h = (struct upstream_message){.stream = {.ops = &ops}, .active = true};
	return &h->stream;
}

void upstream_http1_end(struct upstream *upstream)
{
	struct upstream_message *h = &upstream->http1;
	struct stream *stream = &h->stream;

	http1_in_end(&h->in);
	if (!h->active)
		return;
	h->active = false;
	stream->events->on_closed(stream->owner, stream, h->error ? h->error : STREAM_CONNECT);
}

static void gone(struct upstream *upstream)
{
	upstream_lost(upstream, EXCHANGE_UNREACHABLE, "the server closed the connection");
}

/* True: look again. */
static bool read_head(struct upstream *upstream)
{
	struct upstream_message *h = &upstream->http1;
	struct stream *stream = &h->stream;
	struct wire *wire = &upstream->wire;
	struct http_head *head = &wire->proxy->head;
	struct http1_problem problem;
	size_t consumed = 0;
	ssize_t n;
	int r = 0;

	if (wire_in_size(wire))
		r = http1_response_parse(wire_in(wire), wire_in_size(wire), h->to_head, head,
					 &consumed, &problem);
	if (r < 0) {
		h->error = STREAM_PROTOCOL;
		gone(upstream);
		return false;
	}
	if (r == 0) {
		n = wire_fill(wire);
		if (n <= 0 && n != -EAGAIN)
			gone(upstream);
		return n > 0;
	}
	if (head->status == 101) {
		h->got_head = h->raw = true;
		http1_in_raw(&h->in);
		moved(upstream);
		http1_out_begin(&h->out, HTTP_BODY_CLOSE, 0);
	} else if (head->status < 200) {
		if (++h->informational > INFORMATIONAL_MAX) {
			h->error = STREAM_PROTOCOL;
			gone(upstream);
			return false;
		}
	} else {
		h->got_head = true;
		h->keep_alive &= head->keep_alive;
		if (http1_in_begin(&h->in, head)) {
			gone(upstream);
			return false;
		}
	}
	wire_take(wire, consumed);
	stream->events->on_head(stream->owner, stream, head, h->got_head && h->in.done);
	wire_taken(wire);
	return !wire->closed;
}

/* An idle connection has nothing to say. */
static void idle(struct upstream *upstream)
{
	struct wire *wire = &upstream->wire;

	if (wire->ended || wire_fill(wire) != -EAGAIN)
		gone(upstream);
}

void upstream_http1_ready(struct upstream *upstream)
{
	struct upstream_message *h = &upstream->http1;
	struct stream *stream = &h->stream;
	struct wire *wire = &upstream->wire;

	for (int i = 0; !wire->closed; i++) {
		int r = wire_flush(wire);

		if (i == WIRE_TURN) {
			wire_schedule(wire);
			return;
		}

		/* A server that has answered and gone may have said all that is wanted of it. */
		if (r && r != -EAGAIN && !h->active) {
			gone(upstream);
			return;
		}
		if (!h->active) {
			idle(upstream);
			return;
		}
		if (!r && wire->writable && h->out.blocked) {
			h->out.blocked = false;
			stream->events->on_writable(stream->owner, stream);
			continue;
		}
		if (!h->got_head) {
			if (!read_head(upstream))
				return;
			continue;
		}
		if (h->in.done || h->in.paused)
			return;
		r = http1_in_step(&h->in, wire, stream);
		if (wire->closed || r == 0)
			return;
		if (r < 0) {
			gone(upstream);
			return;
		}
		if (h->active)
			moved(upstream);
	}
}
