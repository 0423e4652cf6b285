/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/exchange_internal.h"

#include "common/cleanup.h"
#include "proxy/denial.h"
#include "proxy/telling.h"
#include "proxy/tunnel.h"

#include <string.h>

#define UNUSED_MAX  64
#define DISCARD_MAX (1u << 20) /* bytes of a request that was answered already */

int exchange_new(struct agent *agent, struct stream *stream)
{
	struct proxy *proxy = agent->wire.proxy;
	struct exchange *ex = proxy->free_exchanges;
	struct arena *arena;

	if (ex) {
		proxy->free_exchanges = ex->next;
		proxy->free_exchanges_len--;
		arena = ex->arena;
	} else {
		ex = malloc(sizeof(*ex));
		arena = arena_new(EXCHANGE_ARENA_MAX);
	}
	if (!ex || !arena) {
		free(ex);
		arena_free(arena);
		return -ENOMEM;
	}
	memset(ex, 0, offsetof(struct exchange, request));
	ex->proxy = proxy;
	ex->agent = agent;
	ex->arena = arena;
	ex->wait.exchange = ex;
	ex->down = stream;
	ex->started = proxy_clock();
	stream->owner = ex;
	stream->events = &exchange_events;
	return 0;
}

void exchange_free_unused(struct proxy *proxy)
{
	while (proxy->free_exchanges) {
		struct exchange *ex = proxy->free_exchanges;

		proxy->free_exchanges = ex->next;
		arena_free(ex->arena);
		free(ex);
	}
	proxy->free_exchanges_len = 0;
}

static void free_exchange(struct exchange *ex)
{
	struct proxy *proxy = ex->proxy;

	if (ex->freed)
		*ex->freed = true;
	upstream_unwant(proxy->pool, &ex->wait);
	if (ex->state == EXCHANGE_ORIGIN)
		for (struct exchange **at = &ex->agent->waiting; *at; at = &(*at)->next)
			if (*at == ex) {
				*at = ex->next;
				break;
			}
	free(ex->request_body.kept);
	free(ex->response_body.kept);
	free(ex->gathered);
	tunnel_free(ex->tunnel);
	exchange_infer_free(ex);
	origin_unref(ex->origin);
	arena_reset(ex->arena);
	if (proxy->free_exchanges_len >= UNUSED_MAX) {
		arena_free(ex->arena);
		free(ex);
		return;
	}
	ex->next = proxy->free_exchanges;
	proxy->free_exchanges = ex;
	proxy->free_exchanges_len++;
}

/* Both ends are let go, the one that broke already was. */
void exchange_finish(struct exchange *ex, enum stream_error up, enum stream_error down)
{
	struct stream *stream;

	exchange_infer_end(ex);
	telling_request(ex);
	stream = TAKE_PTR(ex->up);
	if (stream)
		op_release(stream, up);
	stream = TAKE_PTR(ex->down);
	if (stream)
		op_release(stream, down);
	free_exchange(ex);
}

/*
 * The answer is there before the request has come whole. Clients of HTTP/2 take it for a failure
 * when their stream is reset under their hands, so the rest of a short one is read and thrown away.
 */
static bool waits_for_request(struct exchange *ex)
{
	struct exchange_body *body = &ex->request_body;

	if (ex->agent->state != AGENT_HTTP2 || body->came || body->bytes >= DISCARD_MAX)
		return false;
	body->discard = true;
	body->at = body->end = 0;
	if (body->paused) {
		body->paused = false;
		op_resume(ex->down);
	}
	return true;
}

bool exchange_finish_if_done(struct exchange *ex)
{
	const struct exchange_body *request = &ex->request_body, *response = &ex->response_body;

	if (ex->status == 101 && ex->state == EXCHANGE_FORWARD) {
		if (!request->went && !response->went)
			return false;
	} else if (!ex->answered || !response->went || waits_for_request(ex)) {
		return false;
	}
	/* A server that has answered need not hear the rest. */
	exchange_finish(ex, request->went || ex->status == 101 ? STREAM_NO_ERROR : STREAM_CANCEL,
			STREAM_NO_ERROR);
	return true;
}

/* Room for @size bytes more. */
int exchange_body_grow(struct exchange_body *body, size_t size, size_t max)
{
	size_t room = body->end + size;
	uint8_t *grown;

	if (room <= body->size)
		return 0;
	if (room > max)
		return -ENOBUFS;
	if (room < 16384)
		room = 16384;
	else if (room < STREAM_KEPT_MAX)
		room = STREAM_KEPT_MAX;
	grown = realloc(body->kept, room);
	if (!grown)
		return -ENOMEM;
	body->kept = grown;
	body->size = room;
	return 0;
}

static int keep(struct exchange_body *body, const uint8_t *data, size_t size, size_t max)
{
	int r;

	if (!size)
		return 0;
	if (body->at == body->end)
		body->at = body->end = 0;
	r = exchange_body_grow(body, size, max);
	if (r)
		return r;
	memcpy(body->kept + body->end, data, size);
	body->end += size;
	return 0;
}

/* The end that takes a body. */
static struct stream *sink_of(struct exchange *ex, const struct exchange_body *body)
{
	if (body == &ex->response_body)
		return ex->down;
	return ex->state == EXCHANGE_FORWARD ? ex->up : NULL;
}

static struct stream *source_of(struct exchange *ex, const struct exchange_body *body)
{
	return body == &ex->response_body ? ex->up : ex->down;
}

/* A sink takes no more. */
static void sink_broke(struct exchange *ex, struct exchange_body *body)
{
	if (body == &ex->response_body) {
		exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
		return;
	}
	/* What it said before it stopped listening may be the answer. */
	body->discard = true;
	body->at = body->end = 0;
	if (body->paused) {
		body->paused = false;
		op_resume(ex->down);
	}
}

int exchange_pass(struct exchange *ex, struct exchange_body *body, const uint8_t *data, size_t size)
{
	struct stream *sink = sink_of(ex, body);
	bool end = body->came;
	ssize_t n = 0;

	if (body->discard) {
		body->went = end;
		return 1;
	}
	if (sink && body->at == body->end) {
		n = op_data(sink, data, size, end);
		if (n < 0) {
			sink_broke(ex, body);
			return body == &ex->response_body ? -1 : 1;
		}
		if ((size_t)n == size) {
			body->went = end;
			return end && exchange_finish_if_done(ex) ? -1 : 1;
		}
	}
	/* A message that was looked at goes on whole, however long it took to come. */
	if (keep(body, data + n, size - (size_t)n,
		 body == &ex->request_body && ex->tunnel ? TUNNEL_OUT_MAX
		 : ex->inference			 ? 2 * STREAM_KEPT_MAX
							 : STREAM_KEPT_MAX)) {
		exchange_finish(ex, STREAM_INTERNAL, STREAM_INTERNAL);
		return -1;
	}
	return 0;
}

/* End a body whose last byte has gone. 0 or what the sink says. */
static int send_end(struct exchange_body *body, struct stream *sink)
{
	ssize_t n;

	if (body->trailers)
		return op_trailers(sink, body->trailer, body->trailers);
	n = op_data(sink, NULL, 0, true);
	return n < 0 ? (int)n : 0;
}

/* What is kept. False: the exchange has ended. */
static bool push(struct exchange *ex, struct exchange_body *body)
{
	struct stream *sink = sink_of(ex, body), *source = source_of(ex, body);
	size_t size = body->end - body->at;
	bool end = body->came && !body->trailers;
	ssize_t n = 0;

	if (!sink || body->went || (!size && !body->came))
		return true;
	if (size)
		n = op_data(sink, body->kept + body->at, size, end);
	if (n >= 0) {
		body->at += (size_t)n;
		if (body->at < body->end)
			return true;
		n = body->came && !(size && end) ? send_end(body, sink) : 0;
	}
	if (n < 0) {
		sink_broke(ex, body);
		return body != &ex->response_body;
	}
	free(TAKE_PTR(body->kept));
	body->at = body->end = body->size = 0;
	body->went = body->came;
	if (body->paused && source) {
		body->paused = false;
		op_resume(source);
	}
	return !body->went || !exchange_finish_if_done(ex);
}

/* Gone on with: who makes the request is known. */
void exchange_origin(struct exchange *ex)
{
	ex->agent->waiting = ex->next;
	ex->next = NULL;
	origin_unref(ex->origin);
	ex->origin = origin_ref(ex->agent->origin);
	exchange_judge(ex);
}

static int copy_text(struct arena *arena, struct text *text)
{
	char *copy = arena_copy(arena, text->data, text->size);

	if (!copy)
		return -ENOMEM;
	text->data = copy;
	return 0;
}

/* The codec's texts are gone when on_head() returns. */
static int copy_head(struct exchange *ex, const struct http_head *head)
{
	struct http_head *own = &ex->request;
	int r = 0;

	http_head_copy(own, head);
	r |= copy_text(ex->arena, &own->method);
	r |= copy_text(ex->arena, &own->target);
	r |= copy_text(ex->arena, &own->authority);
	r |= copy_text(ex->arena, &own->upgrade_to);
	for (uint16_t i = 0; i < own->fields && !r; i++) {
		r |= copy_text(ex->arena, &own->field[i].name);
		r |= copy_text(ex->arena, &own->field[i].value);
	}
	return r ? -ENOMEM : 0;
}

static void on_request(struct exchange *ex, const struct http_head *head, bool end)
{
	struct agent *agent = ex->agent;

	ex->has_body = !end;
	ex->request_body.came = end;
	if (copy_head(ex, head)) {
		exchange_finish(ex, STREAM_INTERNAL, STREAM_INTERNAL);
		return;
	}
	if (agent->origin->generation == ex->proxy->generation || agent->probe) {
		ex->origin = origin_ref(agent->origin);
		exchange_judge(ex);
		return;
	}
	ex->origin = origin_ref(agent->origin);
	ex->state = EXCHANGE_ORIGIN;
	ex->next = agent->waiting;
	agent->waiting = ex;
	if (agent_ask(agent))
		exchange_finish(ex, STREAM_INTERNAL, STREAM_INTERNAL);
}

static void on_response(struct exchange *ex, const struct http_head *head, bool end)
{
	struct exchange_body *body = &ex->response_body;

	if (ex->inference) {
		exchange_infer_response(ex, head, end);
		return;
	}
	if (head->status < 200 && head->status != 101) {
		if (head->status == 100 && !ex->request.expect_continue)
			return;
		if (op_head(ex->down, head, false))
			exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
		return;
	}
	if (head->status == 101) {
		if (!ex->websocket || tunnel_open(ex, head)) {
			exchange_failed(ex, EXCHANGE_UNREACHABLE,
					"the server switched to a protocol nobody asked for");
			return;
		}
		/* From here on both ways are bytes without an end of their own. */
		ex->request_body.came = ex->request_body.went = false;
	}
	ex->status = head->status;
	ex->answered = true;
	body->came = body->went = end;
	if (op_head(ex->down, head, end)) {
		exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
		return;
	}
	if (end)
		exchange_finish_if_done(ex);
}

static void on_head(void *owner, struct stream *stream, const struct http_head *head, bool end)
{
	struct exchange *ex = owner;

	if (stream == ex->down)
		on_request(ex, head, end);
	else
		on_response(ex, head, end);
}

static bool on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct exchange *ex = owner;
	struct exchange_body *body = stream == ex->down ? &ex->request_body : &ex->response_body;
	int r;

	body->bytes += size;
	body->came = end;
	if (body == &ex->request_body) {
		if (ex->state == EXCHANGE_GATHER)
			return exchange_gathers(ex, data, size);
		if (ex->state == EXCHANGE_ANSWER || body->discard) {
			body->went = end;
			exchange_finish_if_done(ex);
			return true;
		}
		/* The upgrade was admitted by another policy; this one has not been asked. */
		if (ex->status == 101 && exchange_is_outdated(ex)) {
			exchange_finish(ex, STREAM_CANCEL, STREAM_NO_ERROR);
			return true;
		}
		if (ex->tunnel && size && tunnel_request(ex, data, size, &data, &size)) {
			struct text close = tunnel_close(ex->tunnel);

			op_data(ex->down, (const uint8_t *)close.data, close.size, true);
			exchange_finish(ex, STREAM_CANCEL, STREAM_NO_ERROR);
			return true;
		}
	}
	if (body == &ex->response_body && ex->inference)
		return exchange_infer_data(ex, data, size, end);
	r = exchange_pass(ex, body, data, size);
	if (r < 0)
		return true;
	body->paused = r == 0;
	return r > 0;
}

static int keep_trailers(struct exchange *ex, struct exchange_body *body,
			 const struct http_field *field, size_t fields)
{
	int r = 0;

	body->trailer = arena_alloc_array(ex->arena, fields + 1, sizeof(*field));
	if (!body->trailer)
		return -ENOMEM;
	for (size_t i = 0; i < fields && !r; i++) {
		body->trailer[i] = field[i];
		r |= copy_text(ex->arena, &body->trailer[i].name);
		r |= copy_text(ex->arena, &body->trailer[i].value);
	}
	body->trailers = fields;
	return r;
}

/* None is replaced there, and so none may go out. */
static bool has_placeholder(const struct http_field *field, size_t fields)
{
	for (size_t i = 0; i < fields; i++)
		if (credentials_suspect((const uint8_t *)field[i].value.data, field[i].value.size))
			return true;
	return false;
}

static void on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			size_t fields)
{
	struct exchange *ex = owner;
	struct exchange_body *body = stream == ex->down ? &ex->request_body : &ex->response_body;
	struct stream *sink = sink_of(ex, body);

	if (body == &ex->response_body && ex->inference) {
		/* Clients of models know none. */
		exchange_infer_data(ex, NULL, 0, true);
		return;
	}
	body->came = true;
	if (body == &ex->request_body && ex->state == EXCHANGE_GATHER) {
		exchange_gathers(ex, NULL, 0);
	} else if (body->discard || (body == &ex->request_body && ex->state == EXCHANGE_ANSWER)) {
		body->went = true;
		exchange_finish_if_done(ex);
	} else if (body == &ex->request_body && has_placeholder(field, fields)) {
		exchange_finish(ex, STREAM_CANCEL, STREAM_PROTOCOL);
	} else if (!sink || body->at != body->end) {
		if (keep_trailers(ex, body, field, fields))
			exchange_finish(ex, STREAM_INTERNAL, STREAM_INTERNAL);
	} else if (op_trailers(sink, field, fields)) {
		sink_broke(ex, body);
	} else {
		body->went = true;
		exchange_finish_if_done(ex);
	}
}

static void on_writable(void *owner, struct stream *stream)
{
	struct exchange *ex = owner;

	if (stream == ex->down)
		push(ex, &ex->response_body);
	else
		push(ex, &ex->request_body);
}

/* A connection that had served others may have been closed while the request was on its way. */
static bool may_retry(const struct exchange *ex, enum stream_error error)
{
	static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
	bool safe = error == STREAM_REFUSED;

	for (size_t i = 0; i < ARRAY_LEN(idempotent); i++)
		safe |= text_is(ex->request.method, idempotent[i]);
	return safe && !ex->retried && !ex->answered && !ex->has_body &&
	       (ex->reused || error == STREAM_REFUSED);
}

static void on_closed(void *owner, struct stream *stream, enum stream_error error)
{
	struct exchange *ex = owner;

	if (stream == ex->down) {
		ex->down = NULL;
		exchange_finish(ex, STREAM_CANCEL, STREAM_NO_ERROR);
		return;
	}
	ex->up = NULL;
	if (ex->inference) {
		exchange_infer_closed(ex, error);
	} else if (may_retry(ex, error)) {
		ex->retried = true;
		ex->state = EXCHANGE_CONNECT;
		ex->request_body.went = false;
		exchange_connect(ex);
	} else if (ex->answered && ex->response_body.came) {
		/* The agent has only not taken all of it yet. */
		sink_broke(ex, &ex->request_body);
	} else if (ex->answered) {
		exchange_finish(ex, STREAM_NO_ERROR, STREAM_CONNECT);
	} else {
		exchange_failed(ex, EXCHANGE_UNREACHABLE, "the server closed the connection");
	}
}

const struct stream_events exchange_events = {
	.on_head = on_head,
	.on_data = on_data,
	.on_trailers = on_trailers,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

void exchange_wish(const struct exchange *ex, struct upstream_wish *ret_wish)
{
	*ret_wish = (struct upstream_wish){
		.origin = ex->origin,
		.tls = ex->agent->tls,
		.http2 = ex->agent->state == AGENT_HTTP2,
		.fresh = ex->retried,
	};
	if (ex->inference)
		exchange_infer_wish(ex, ret_wish);
}

void exchange_connect(struct exchange *ex)
{
	struct upstream_wish wish;

	exchange_wish(ex, &wish);
	ex->state = EXCHANGE_CONNECT;
	upstream_want(ex->proxy->pool, &wish, &ex->wait);
}

void exchange_connected(struct exchange *ex, struct stream *stream, bool reused)
{
	struct exchange_body *body = &ex->request_body;
	bool end = body->came && body->at == body->end && !body->trailers;
	const struct http_head *head = &ex->request;

	ex->state = EXCHANGE_FORWARD;
	ex->up = stream;
	ex->reused = reused;
	stream->owner = ex;
	stream->events = &exchange_events;
	if (ex->inference)
		head = exchange_infer_connected(ex);
	if (op_head(stream, head, end)) {
		static const struct exchange_denial bad = {502, "upstream_unreachable",
							   "the request could not be written"};

		exchange_answer(ex, &bad);
		return;
	}
	body->went = end;
	if (!end)
		push(ex, body);
	else
		exchange_finish_if_done(ex);
}

void exchange_failed(struct exchange *ex, enum exchange_failure failure, const char *why)
{
	static const struct exchange_denial denials[] = {
		[EXCHANGE_UNREACHABLE] = {502, "upstream_unreachable", NULL},
		[EXCHANGE_INSECURE] = {502, "upstream_unreachable", NULL},
		[EXCHANGE_SSRF] = {403, "ssrf_denied", NULL},
		[EXCHANGE_DENIED] = {403, "policy_denied", NULL},
		[EXCHANGE_BUSY] = {503, "upstream_unreachable", NULL},
	};
	struct exchange_denial denial = denials[failure];

	if (ex->inference) {
		exchange_infer_failed(ex, failure, why);
		return;
	}
	denial.reason = why;
	exchange_answer(ex, &denial);
}

/* Nothing is wanted of the server any more: it is we who answer. */
static void turn_to_answer(struct exchange *ex, const struct exchange_denial *denial)
{
	struct stream *up = TAKE_PTR(ex->up);

	upstream_unwant(ex->proxy->pool, &ex->wait);
	if (up)
		op_release(up, STREAM_CANCEL);
	ex->state = EXCHANGE_ANSWER;
	ex->status = denial->status;
	ex->error = denial->error;
	if (denial->reason != ex->verdict.reason)
		snprintf(ex->verdict.reason, sizeof(ex->verdict.reason), "%s", denial->reason);
	telling_request(ex);
}

static void send_answer(struct exchange *ex, struct text text, const struct http_field *extra)
{
	struct http_head head = {.version = 11, .status = ex->status};
	struct exchange_body *body = &ex->response_body;

	head.body = HTTP_BODY_LENGTH;
	head.length = text.size;
	head.field[head.fields++] =
		(struct http_field){TEXT("content-type"), TEXT("application/json")};
	if (extra)
		head.field[head.fields++] = *extra;
	ex->answered = true;
	body->at = body->end = 0;
	body->came = true;
	body->went = text_is(ex->request.method, "HEAD");
	if (op_head(ex->down, &head, body->went)) {
		exchange_finish(ex, STREAM_NO_ERROR, STREAM_INTERNAL);
		return;
	}
	if (body->went) {
		exchange_finish_if_done(ex);
		return;
	}
	if (exchange_pass(ex, body, (const uint8_t *)text.data, text.size) < 0)
		return;
	if (ex->request_body.paused) {
		ex->request_body.paused = false;
		op_resume(ex->down);
	}
}

void exchange_answer(struct exchange *ex, const struct exchange_denial *denial)
{
	struct text text;

	turn_to_answer(ex, denial);
	if (denial_body(ex, denial, &text))
		exchange_finish(ex, STREAM_NO_ERROR, STREAM_INTERNAL);
	else
		send_answer(ex, text, NULL);
}

void exchange_answer_with(struct exchange *ex, const struct exchange_denial *denial,
			  struct text text, const struct http_field *extra)
{
	turn_to_answer(ex, denial);
	send_answer(ex, text, extra);
}
