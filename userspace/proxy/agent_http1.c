/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 toward the agent: one exchange at a time; what was sent ahead waits in the buffer.
 */
#include "common/cleanup.h"
#include "proxy/agent.h"
#include "proxy/denial.h"
#include "proxy/exchange.h"
#include "proxy/proxy_internal.h"
#include "proxy/telling.h"

#include <string.h>

#define DISCARD_MAX 65536 /* bytes of a body that nobody wanted, so that its connection goes on */

static struct agent *agent_of(struct stream *stream)
{
	return (struct agent *)((char *)stream - offsetof(struct agent, http1.stream));
}

void agent_http1_end(struct agent *agent)
{
	struct agent_http1 *h = &agent->http1;
	struct stream *stream = &h->stream;

	http1_in_end(&h->in);
	if (!h->active)
		return;
	h->active = false;
	stream->events->on_closed(stream->owner, stream, STREAM_CONNECT);
}

/* What is left of the request's body is short, and sure to come. */
static bool may_discard(const struct agent_http1 *h)
{
	return h->in.body == HTTP_BODY_LENGTH && h->in.left <= DISCARD_MAX && !h->waits;
}

/* A final response begins: how its body is delimited toward this client. */
static void frame(struct agent *agent, struct http_head *head, bool end)
{
	struct agent_http1 *h = &agent->http1;

	if (end && head->body != HTTP_BODY_NONE && !h->to_head) {
		head->body = HTTP_BODY_LENGTH;
		head->length = 0;
	}
	if (head->body == HTTP_BODY_CHUNKED || head->body == HTTP_BODY_CLOSE)
		head->body = h->old ? HTTP_BODY_CLOSE : HTTP_BODY_CHUNKED;
	if (head->body == HTTP_BODY_CLOSE || agent->no_more || (!h->in.done && !may_discard(h)))
		h->keep_alive = false;
	head->keep_alive = h->keep_alive;
	head->version = h->old ? 10 : 11;
	head->upgrade = false;
	h->wrote_head = true;
	http1_out_begin(&h->out, h->to_head ? (uint8_t)HTTP_BODY_NONE : head->body, head->length);
	if (end)
		h->out.done = true;
}

static int send_head(struct stream *stream, const struct http_head *head, bool end)
{
	struct agent *agent = agent_of(stream);
	struct agent_http1 *h = &agent->http1;
	size_t room = http1_head_room(head);
	struct http_head framed;
	uint8_t *to;
	ssize_t n;

	if (head->status < 200 && head->status != 101 && h->old)
		return 0;
	h->waits &= head->status != 100;
	http_head_copy(&framed, head);
	if (head->status == 101) {
		framed.upgrade = true;
		h->keep_alive = false;
		h->wrote_head = true;
		http1_in_raw(&h->in);
		http1_out_begin(&h->out, HTTP_BODY_CLOSE, 0);
	} else if (head->status >= 200) {
		frame(agent, &framed, end);
	}
	to = wire_room(&agent->wire, room);
	if (!to)
		return -ENOBUFS;
	n = http1_response_write(&framed, to, room);
	if (n < 0)
		return (int)n;
	wire_added(&agent->wire, (size_t)n);
	return 0;
}

static ssize_t send_data(struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct agent *agent = agent_of(stream);
	struct agent_http1 *h = &agent->http1;

	/* Whatever a response to HEAD has. */
	if (h->to_head)
		return (ssize_t)size;
	return http1_out_data(&h->out, &agent->wire, data, size, end);
}

static int send_trailers(struct stream *stream, const struct http_field *field, size_t fields)
{
	struct agent *agent = agent_of(stream);

	return http1_out_trailers(&agent->http1.out, &agent->wire, field, fields);
}

static void resume(struct stream *stream)
{
	struct agent *agent = agent_of(stream);

	agent->http1.in.paused = false;
	wire_schedule(&agent->wire);
}

static void release(struct stream *stream, enum stream_error error)
{
	struct agent *agent = agent_of(stream);
	struct agent_http1 *h = &agent->http1;

	h->active = false;
	http1_in_end(&h->in);
	if (error != STREAM_NO_ERROR || !h->out.done) {
		/* Cut short: nothing may look like an end. */
		agent_close(agent, true);
		return;
	}
	h->discards = h->keep_alive && !h->in.done && may_discard(h);
	if (!h->keep_alive || (!h->in.done && !h->discards))
		agent->no_more = true;
	agent->wire.deadline = agent->wire.proxy->now + PROXY_IDLE_TIMEOUT;
	wire_schedule(&agent->wire);
}

static const struct stream_ops ops = {
	.head = send_head,
	.data = send_data,
	.trailers = send_trailers,
	.resume = resume,
	.release = release,
};

static bool throw_away(void *owner, struct stream *stream, const uint8_t *data, size_t size,
		       bool end)
{
	return true;
}

static const struct stream_events discarding = {.on_data = throw_away};

/* True: look again. */
static bool discard(struct agent *agent)
{
	struct agent_http1 *h = &agent->http1;
	struct stream stream = {.events = &discarding};
	int r;

	h->in.paused = false;
	r = http1_in_step(&h->in, &agent->wire, &stream);
	if (r < 0)
		agent_close(agent, true);
	h->discards = !h->in.done;
	return r > 0;
}

/* What is no request gets an answer, and is the last that is read of this connection. */
static void refuse(struct agent *agent, const struct http1_problem *problem)
{
	struct http_head head = {.version = 11, .status = problem->status};
	char body[512], text[1024];
	ssize_t n;
	int size;

	telling_broken(agent, "invalid_request", problem->why);
	size = snprintf(body, sizeof(body), "{\"error\":\"invalid_request\",\"detail\":\"%s\"}\n",
			problem->why);
	head.body = HTTP_BODY_LENGTH;
	head.length = (uint64_t)size;
	head.field[head.fields++] =
		(struct http_field){TEXT("content-type"), TEXT("application/json")};
	n = http1_response_write(&head, (uint8_t *)text, sizeof(text));
	if (n < 0 || wire_put(&agent->wire, text, (size_t)n) ||
	    wire_put(&agent->wire, body, (size_t)size)) {
		agent_close(agent, true);
		return;
	}
	agent_linger(agent);
}

static void begin(struct agent *agent, const struct http_head *head, size_t consumed)
{
	struct agent_http1 *h = &agent->http1;
	struct stream *stream = &h->stream;

	h->head_began = false;
	h->wrote_head = false;
	h->keep_alive = head->keep_alive;
	h->old = head->version == 10;
	h->to_head = text_is(head->method, "HEAD");
	h->waits = head->expect_continue;
	h->discards = false;
	h->out = (struct http1_out){};
	*stream = (struct stream){.ops = &ops};
	agent->requests++;
	agent->wire.deadline = 0;
	if (http1_in_begin(&h->in, head) || exchange_new(agent, stream)) {
		agent_close(agent, true);
		return;
	}
	h->active = true;
	wire_take(&agent->wire, consumed);
	stream->events->on_head(stream->owner, stream, head, h->in.done);
	wire_taken(&agent->wire);
}

/* True: something was done, look again. */
static bool next_request(struct agent *agent)
{
	static const struct http1_problem large = {431, "the request's head is too large"};
	struct wire *wire = &agent->wire;
	struct http1_problem problem = {};
	struct http_head *head = &wire->proxy->head;
	size_t consumed = 0;
	ssize_t n;
	int r = 0;

	if (agent->no_more) {
		agent_linger(agent);
		return false;
	}
	if (wire_in_size(wire))
		r = http1_request_parse(wire_in(wire), wire_in_size(wire), head, &consumed,
					&problem);
	if (r > 0) {
		begin(agent, head, consumed);
		return !wire->closed;
	}
	if (r < 0) {
		refuse(agent, &problem);
		return false;
	}
	n = wire_fill(wire);
	if (n > 0) {
		if (!agent->http1.head_began)
			wire->deadline = wire->proxy->now + PROXY_HEAD_TIMEOUT;
		agent->http1.head_began = true;
		return true;
	}
	if (n == -ENOBUFS)
		refuse(agent, &large);
	else if (n != -EAGAIN)
		agent_close(agent, n != 0 || wire_in_size(wire));
	return false;
}

/*
 * Until when the agent has to do what is its turn: send more of a body, or take what is there. For
 * all else the server is waited for, which has deadlines of its own.
 */
static void expect(struct agent *agent)
{
	const struct agent_http1 *h = &agent->http1;
	struct wire *wire = &agent->wire;
	bool tunnel = h->in.body == HTTP_BODY_CLOSE;

	if (!h->active)
		return;
	wire->deadline = 0;
	if (wire_queued(wire) || h->out.blocked || (!tunnel && !h->in.done && !h->in.paused))
		wire->deadline = wire->proxy->now + PROXY_STALL_TIMEOUT;
}

static void converse(struct agent *agent)
{
	struct agent_http1 *h = &agent->http1;
	struct stream *stream = &h->stream;
	struct wire *wire = &agent->wire;

	for (int i = 0; !wire->closed && agent->state == AGENT_HTTP1; i++) {
		int r = wire_flush(wire);

		if (i == WIRE_TURN) {
			wire_schedule(wire);
			return;
		}
		if ((r && r != -EAGAIN) || wire->broken) {
			agent_close(agent, true);
			return;
		}
		if (!r && wire->writable && h->active && h->out.blocked) {
			h->out.blocked = false;
			stream->events->on_writable(stream->owner, stream);
			continue;
		}
		if (h->discards) {
			if (!discard(agent))
				return;
			continue;
		}
		if (!h->active) {
			/* Who sends requests and reads no answers is not read from either. */
			if (r || !next_request(agent))
				return;
			continue;
		}
		if (h->in.done && wire->ended && agent->leaves) {
			agent_close(agent, true);
			return;
		}
		if (h->in.done || h->in.paused)
			return;
		r = http1_in_step(&h->in, wire, stream);
		if (r < 0 && !wire->closed) {
			agent_close(agent, true);
			return;
		}
		if (r == 0)
			return;
	}
}

void agent_http1_ready(struct agent *agent)
{
	converse(agent);
	if (!agent->wire.closed && agent->state == AGENT_HTTP1)
		expect(agent);
}
