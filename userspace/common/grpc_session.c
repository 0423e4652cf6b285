/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: nghttp2, its streams, and the clocks of its calls. */
#include "common/grpc_internal.h"

#include "common/cleanup.h"
#include "common/grpc_head.h"
#include "common/grpc_text.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define OUTBOUND_MAX	 4000 /* frames that a peer may make us queue without reading any */
#define HEADER_LIST_MAX	 16384
#define FLOOD_RESETS_MAX 4000 /* cancelled calls in HTTP2_FLOOD_SECONDS */

static void on_soon(uv_timer_t *timer);
static void on_deadline(uv_timer_t *timer);

static struct grpc_call *find(struct grpc_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session->h2, stream);
}

void grpc_session_wake(struct grpc_session *session)
{
	if (!uv_is_active((uv_handle_t *)&session->soon))
		uv_timer_start(&session->soon, on_soon, 0, 0);
}

void grpc_session_deadline(struct grpc_session *session, uint64_t at)
{
	uint64_t now = uv_now(session->loop);

	if (session->deadline_at && session->deadline_at <= at)
		return;
	session->deadline_at = at;
	uv_timer_start(&session->deadline, on_deadline, at > now ? at - now : 0, 0);
}

void grpc_session_hold(struct grpc_session *session, size_t size)
{
	session->held += size;
}

void grpc_session_release(struct grpc_session *session, size_t size)
{
	session->held -= size;
	if (session->held > GRPC_HELD_MAX || !session->withheld || session->lost)
		return;
	(void)nghttp2_session_consume_connection(session->h2, session->withheld);
	session->withheld = 0;
	grpc_session_wake(session);
}

void grpc_session_consumed(struct grpc_session *session, struct grpc_call *call, size_t size)
{
	if (!size || session->lost || call->ended)
		return;
	(void)nghttp2_session_consume_stream(session->h2, call->stream, size);
	if (!session->feeding)
		grpc_session_wake(session);
}

void grpc_session_resume_data(struct grpc_session *session, struct grpc_call *call)
{
	if (session->lost || call->stream <= 0)
		return;
	(void)nghttp2_session_resume_data(session->h2, call->stream);
	if (!session->feeding)
		grpc_session_wake(session);
}

void grpc_session_reset(struct grpc_session *session, struct grpc_call *call, uint32_t code)
{
	if (session->lost || call->stream <= 0)
		return;
	(void)nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, call->stream, code);
	if (!session->feeding)
		grpc_session_wake(session);
}

/* ---- what nghttp2 asks and tells ---- */

static ssize_t read_out(nghttp2_session *h2, int32_t stream, uint8_t *data, size_t size,
			uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct grpc_session *session = arg;
	/* Looked up: the call may be gone, and its stream not yet. */
	struct grpc_call *call = find(session, stream);
	size_t n;

	if (!call || call->ended)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = grpc_queue_take(&call->out, data, size);
	http2_flood_earn(&session->flood);
	if (call->was_full && grpc_queue_size(&call->out) < GRPC_QUEUE_HIGH) {
		call->was_full = false;
		call->tell = true;
		grpc_session_wake(session);
	}
	if (grpc_queue_size(&call->out))
		return (ssize_t)n;
	if (call->finished) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (session->server && !grpc_head_trailers(h2, stream, call))
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		return (ssize_t)n;
	}
	return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

int grpc_session_head(struct grpc_session *session, struct grpc_call *call)
{
	nghttp2_data_provider provider = {.read_callback = read_out};
	int r;

	if (session->lost)
		return -EPIPE;
	r = grpc_head_response(session->h2, call, &provider);
	if (!r)
		call->head_sent = true;
	return r;
}

int grpc_session_trailers_only(struct grpc_session *session, struct grpc_call *call)
{
	int r;

	if (session->lost)
		return -EPIPE;
	r = grpc_head_trailers_only(session->h2, call);
	if (!r)
		call->head_sent = true;
	if (!session->feeding)
		grpc_session_wake(session);
	return r;
}

int grpc_session_request(struct grpc_session *session, struct grpc_call *call,
			 const struct grpc_metadata *metadata, size_t metadata_len,
			 uint32_t deadline_ms)
{
	nghttp2_data_provider provider = {.read_callback = read_out};
	int r = grpc_head_request(session, call, metadata, metadata_len, deadline_ms, &provider);

	if (r < 0)
		return r;
	call->stream = r;
	call->head_sent = true;
	grpc_session_wake(session);
	return 0;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call;

	if (!session->server || frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (session->closing)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call = grpc_call_new(session, NULL);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->stream = frame->hd.stream_id;
	nghttp2_session_set_stream_user_data(h2, call->stream, call);
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *arg)
{
	struct grpc_call *call = find(arg, frame->hd.stream_id);

	if (!call || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	/* nghttp2 lets no NUL through, so text it is. */
	if (grpc_call_add_field(call, (const char *)name, name_size, (const char *)value,
				value_size))
		grpc_call_set_status(call, GRPC_RESOURCE_EXHAUSTED,
				     "the call has too much metadata");
	return 0;
}

static void request_head(struct grpc_session *session, struct grpc_call *call, bool end)
{
	int64_t timeout = -1;

	if (call->code < 0)
		grpc_head_check_request(call, &timeout);
	if (call->http_status) {
		(void)grpc_head_refuse(session->h2, call);
		grpc_call_end(call, GRPC_INTERNAL, "no gRPC request");
		return;
	}
	if (call->code >= 0) {
		call->finished = true;
		(void)grpc_session_trailers_only(session, call);
		return;
	}
	if (timeout >= 0) {
		call->deadline = uv_now(session->loop) + (uint64_t)timeout;
		grpc_session_deadline(session, call->deadline);
	}
	call->told = true;
	if (session->arg)
		session->ops->call(session->arg, call);
	if (end && !call->ended)
		grpc_call_peer_done(call);
}

static void response_head(struct grpc_call *call, bool end)
{
	if (!end && !call->head_came)
		grpc_head_check_response(call);
	call->head_came = true;
	if (end)
		grpc_head_check_trailers(call);
}

static void ended_by_peer(struct grpc_session *session, struct grpc_call *call)
{
	if (session->server) {
		if (!call->ended)
			grpc_call_peer_done(call);
		return;
	}
	/* Calls whose status is there end when what was said before is read: see on_soon(). */
	call->peer_done = true;
	grpc_session_wake(session);
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_GOAWAY && !session->server) {
		session->closing = true;
		if (session->arg && session->ops->closing)
			session->ops->closing(session->arg, session);
		grpc_session_wake(session);
		return 0;
	}
	if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
		session->ping_out = false;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = find(session, frame->hd.stream_id);
	if (!call || call->ended)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && session->server) {
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			request_head(session, call, end);
		else if (end)
			ended_by_peer(session, call);
		return 0;
	}
	if (frame->hd.type == NGHTTP2_HEADERS)
		response_head(call, end);
	if (end)
		ended_by_peer(session, call);
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t size, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call = find(session, stream);

	if (size)
		http2_flood_earn(&session->flood);
	if (session->held > GRPC_HELD_MAX)
		session->withheld += size;
	else
		(void)nghttp2_session_consume_connection(h2, size);
	if (call && !call->ended)
		grpc_call_came(call, data, size);
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call = find(session, stream);

	if (!call || call->ended)
		return 0;
	call->peer_done = true;
	if (session->server) {
		if (call->told)
			grpc_call_end(call, GRPC_CANCELLED, "the client is gone");
		else
			grpc_call_end(call, GRPC_INTERNAL, NULL);
	} else if (code == NGHTTP2_NO_ERROR && call->trailers_came) {
		/* What was said before may still be unread. */
		call->stream = 0;
		grpc_session_wake(session);
	} else {
		grpc_head_closed(call, code);
	}
	return 0;
}

/* The client had more to say than was wanted: it shall stop. */
static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call;

	if (!session->server || frame->hd.type != NGHTTP2_HEADERS ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = find(session, frame->hd.stream_id);
	if (call && !call->peer_done)
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						NGHTTP2_NO_ERROR);
	return 0;
}

static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *header, void *arg)
{
	return nghttp2_session_get_outbound_queue_size(h2) > OUTBOUND_MAX
		       ? NGHTTP2_ERR_CALLBACK_FAILURE
		       : 0;
}

/* ---- what the transport asks and tells ---- */

static int received(void *arg, const uint8_t *data, size_t size)
{
	struct grpc_session *session = arg;
	size_t good = size;
	ssize_t n;

	session->last_ms = uv_now(session->loop);
	if (session->server)
		good = http2_flood_scan(&session->flood, data, size);
	session->feeding = true;
	n = nghttp2_session_mem_recv(session->h2, data, good);
	session->feeding = false;
	if (n >= 0 && good == size)
		return 0;
	if (session->protocol_errors)
		++*session->protocol_errors;
	if (good != size)
		(void)nghttp2_session_terminate_session(session->h2, NGHTTP2_ENHANCE_YOUR_CALM);
	return -EPROTO;
}

static ssize_t pull(void *arg, const uint8_t **ret_data)
{
	struct grpc_session *session = arg;
	ssize_t n = nghttp2_session_mem_send(session->h2, ret_data);

	if (n < 0)
		return -EPROTO;
	if (!n && !nghttp2_session_want_read(session->h2) &&
	    !nghttp2_session_want_write(session->h2))
		return -ECONNABORTED;
	return n;
}

static void on_keepalive(uv_timer_t *timer)
{
	struct grpc_session *session = timer->data;
	uint64_t idle = uv_now(session->loop) - session->last_ms;

	if (!grpc_transport_is_ready(session->transport) || !session->last_ms) {
		grpc_session_lose(session, session->server ? "no handshake in time"
							   : "no connection in time");
		return;
	}
	if (idle < session->keepalive_ms) {
		uv_timer_start(timer, on_keepalive, session->keepalive_ms - idle, 0);
		return;
	}
	if (session->ping_out) {
		grpc_session_lose(session, "the peer does not answer any more");
		return;
	}
	session->ping_out = true;
	(void)nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, NULL);
	grpc_transport_flush(session->transport);
	/* An answer that does not come within half of it does not come. */
	if (!session->lost)
		uv_timer_start(timer, on_keepalive, session->keepalive_ms / 2 + 1, 0);
}

static void ready(void *arg)
{
	struct grpc_session *session = arg;

	if (!session->server) {
		session->last_ms = uv_now(session->loop);
		uv_timer_start(&session->keepalive, on_keepalive, session->keepalive_ms, 0);
	}
}

static void transport_closed(void *arg, const char *why)
{
	grpc_session_lose(arg, why);
}

static const struct grpc_transport_ops transport_ops = {
	.received = received,
	.pull = pull,
	.ready = ready,
	.closed = transport_closed,
};

/* ---- the end ---- */

static void freed(uv_handle_t *handle)
{
	struct grpc_session *session = handle->data;

	if (--session->handles)
		return;
	nghttp2_session_del(session->h2);
	if (session->authorization)
		OPENSSL_cleanse(session->authorization, strlen(session->authorization));
	free(session->authorization);
	free(session->authority);
	free(session);
}

static void close_handles(struct grpc_session *session)
{
	session->handles = 3;
	uv_close((uv_handle_t *)&session->soon, freed);
	uv_close((uv_handle_t *)&session->deadline, freed);
	uv_close((uv_handle_t *)&session->keepalive, freed);
}

void grpc_session_lose(struct grpc_session *session, const char *why)
{
	if (session->lost)
		return;
	session->lost = session->closing = true;
	snprintf(session->why, sizeof(session->why), "%s", why);
	if (session->arg && session->ops->closing)
		session->ops->closing(session->arg, session);
	grpc_session_wake(session);
}

void grpc_session_drain(struct grpc_session *session)
{
	if (session->draining || session->lost)
		return;
	session->draining = session->closing = true;
	if (session->server)
		(void)nghttp2_submit_goaway(session->h2, NGHTTP2_FLAG_NONE,
					    nghttp2_session_get_last_proc_stream_id(session->h2),
					    NGHTTP2_NO_ERROR, NULL, 0);
	grpc_session_wake(session);
}

static void tell_ended(struct grpc_session *session)
{
	struct grpc_call *call;

	while ((call = TAILQ_FIRST(&session->ended))) {
		TAILQ_REMOVE(&session->ended, call, link);
		if (call->events && call->events->ended)
			call->events->ended(call->arg, call, call->code,
					    call->text ? call->text : "");
		grpc_call_free(call);
	}
}

/* Calls of a client whose status came and whose messages are all read. */
static void end_done(struct grpc_session *session)
{
	struct grpc_call *call, *next;

	for (call = TAILQ_FIRST(&session->open); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call->tell && call->events) {
			call->tell = false;
			if (call->events->writable && !call->finished)
				call->events->writable(call->arg, call);
			next = TAILQ_NEXT(call, link);
			if (call->ended)
				next = TAILQ_FIRST(&session->open);
		}
		if (!session->server && call->peer_done && !call->ended &&
		    !grpc_queue_size(&call->held)) {
			if (call->stream > 0 && !call->finished)
				grpc_session_reset(session, call, NGHTTP2_CANCEL);
			grpc_head_done(call);
		}
	}
}

static void on_soon(uv_timer_t *timer)
{
	struct grpc_session *session = timer->data;
	struct grpc_call *call;

	end_done(session);
	if (!session->lost)
		grpc_transport_flush(session->transport);
	while (session->lost && (call = TAILQ_FIRST(&session->open)))
		grpc_call_end(call, session->server ? GRPC_CANCELLED : GRPC_UNAVAILABLE,
			      session->why);
	tell_ended(session);
	if (!TAILQ_EMPTY(&session->open) || !TAILQ_EMPTY(&session->ended))
		return;
	if (session->draining && !session->lost) {
		(void)nghttp2_session_terminate_session(session->h2, NGHTTP2_NO_ERROR);
		grpc_transport_flush(session->transport);
		grpc_session_lose(session, "closed");
	}
	if (!session->lost)
		return;
	uv_timer_stop(timer);
	grpc_transport_free(TAKE_PTR(session->transport));
	if (session->arg)
		session->ops->gone(session->arg, session);
	close_handles(session);
}

static void on_deadline(uv_timer_t *timer)
{
	struct grpc_session *session = timer->data;
	uint64_t now = uv_now(session->loop), next_at = 0;
	struct grpc_call *call, *next;

	session->deadline_at = 0;
	for (call = TAILQ_FIRST(&session->open); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (!call->deadline)
			continue;
		if (call->deadline > now) {
			if (!next_at || call->deadline < next_at)
				next_at = call->deadline;
			continue;
		}
		call->deadline = 0;
		if (session->server && !call->head_sent) {
			grpc_call_finish(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
			continue;
		}
		grpc_call_set_status(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
		grpc_session_reset(session, call, NGHTTP2_CANCEL);
		grpc_call_end(call, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
	}
	if (next_at)
		grpc_session_deadline(session, next_at);
}

/* ---- the beginning ---- */

static int set_callbacks(nghttp2_session_callbacks **ret_callbacks)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	*ret_callbacks = c;
	return 0;
}

static int new_h2(struct grpc_session *session, uint32_t streams_max)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, session->server ? streams_max : 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_MAX},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	if (set_callbacks(&callbacks))
		return -ENOMEM;
	if (nghttp2_option_new(&option)) {
		nghttp2_session_callbacks_del(callbacks);
		return -ENOMEM;
	}
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	r = session->server ? nghttp2_session_server_new2(&session->h2, callbacks, session, option)
			    : nghttp2_session_client_new2(&session->h2, callbacks, session, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	if (!r)
		r = nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings,
					    session->server ? 3 : ARRAY_LEN(settings));
	if (!r)
		r = nghttp2_session_set_local_window_size(session->h2, NGHTTP2_FLAG_NONE, 0,
							  GRPC_CONNECTION_WINDOW);
	return r ? -ENOMEM : 0;
}

static void init_timers(struct grpc_session *session, uint32_t handshake_ms)
{
	uv_timer_init(session->loop, &session->soon);
	uv_timer_init(session->loop, &session->deadline);
	uv_timer_init(session->loop, &session->keepalive);
	session->soon.data = session->deadline.data = session->keepalive.data = session;
	uv_timer_start(&session->keepalive, on_keepalive, handshake_ms, 0);
}

int grpc_session_new(const struct grpc_session_options *options, struct grpc_session **ret_session)
{
	struct grpc_session *session = calloc(1, sizeof(*session));
	int r;

	if (!session) {
		safe_close(options->fd);
		return -ENOMEM;
	}
	session->loop = options->loop;
	session->server = options->server;
	session->ops = options->ops;
	session->arg = options->arg;
	session->message_max = options->message_max;
	session->keepalive_ms = options->keepalive_ms;
	session->own_budget.max = 256u << 20;
	session->budget = options->budget ? options->budget : &session->own_budget;
	session->peer_uid = (uid_t)-1;
	TAILQ_INIT(&session->open);
	TAILQ_INIT(&session->ended);
	http2_flood_init(&session->flood, options->server);
	session->flood.resets_max = session->flood.resets.left = FLOOD_RESETS_MAX;
	r = new_h2(session, options->streams_max);
	if (r) {
		safe_close(options->fd);
		goto fail;
	}
	r = grpc_transport_new(options->loop, options->fd, options->connecting, options->tls,
			       options->server, options->name, &transport_ops, session,
			       &session->transport);
	if (r)
		goto fail;
	init_timers(session, options->handshake_ms);
	*ret_session = session;
	return 0;
fail:
	nghttp2_session_del(session->h2);
	free(session);
	return r;
}
