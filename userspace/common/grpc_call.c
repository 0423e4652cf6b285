/* SPDX-License-Identifier: Apache-2.0 */
/* One call: messages in both directions, and its end. */
#include "common/grpc_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

struct grpc_call *grpc_call_new(struct grpc_session *session, const struct rpc_method *method)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->session = session;
	call->method = method;
	call->code = -1;
	call->stream = -1;
	call->reader.message_max = session->message_max;
	call->reader.budget = session->budget;
	TAILQ_INSERT_TAIL(&session->open, call, link);
	session->calls++;
	return call;
}

void grpc_call_free(struct grpc_call *call)
{
	for (size_t i = 0; i < call->fields; i++) {
		OPENSSL_cleanse(call->field[i].value, strlen(call->field[i].value));
		free(call->field[i].name);
		free(call->field[i].value);
	}
	grpc_reader_clear(&call->reader);
	grpc_queue_clear(&call->out);
	grpc_queue_clear(&call->held);
	free(call->text);
	free(call);
}

int grpc_call_add_field(struct grpc_call *call, const char *name, size_t name_size,
			const char *value, size_t value_size)
{
	struct grpc_field *field = &call->field[call->fields];

	if (call->fields == GRPC_METADATA_COUNT_MAX ||
	    call->fields_size + name_size + value_size > GRPC_METADATA_MAX)
		return -EMSGSIZE;
	field->name = strndup(name, name_size);
	field->value = strndup(value, value_size);
	if (!field->name || !field->value) {
		free(field->name);
		free(field->value);
		return -ENOMEM;
	}
	call->fields++;
	call->fields_size += name_size + value_size;
	return 0;
}

/* The first one that is set stays. */
void grpc_call_set_status(struct grpc_call *call, int code, const char *text)
{
	if (call->code >= 0)
		return;
	call->code = code;
	if (text && *text)
		call->text = strndup(text, GRPC_STATUS_MAX);
}

void grpc_call_end(struct grpc_call *call, int code, const char *text)
{
	struct grpc_session *session = call->session;

	if (call->ended)
		return;
	grpc_call_set_status(call, code, text);
	call->ended = true;
	if (call->stream > 0 && session->h2)
		nghttp2_session_set_stream_user_data(session->h2, call->stream, NULL);
	/* The connection's window does not wait for what nobody will read. */
	grpc_session_release(session, grpc_queue_size(&call->held));
	grpc_queue_clear(&call->held);
	TAILQ_REMOVE(&session->open, call, link);
	session->calls--;
	TAILQ_INSERT_TAIL(&session->ended, call, link);
	grpc_session_wake(session);
}

/* Its owner hears no more messages: it has ended, or said its last. */
static bool is_silent(const struct grpc_call *call)
{
	return call->ended || (call->session->server && call->finished);
}

/* Ours went wrong, or the peer's message is wrong: the call ends by us. */
static void fail(struct grpc_call *call, int code, const char *text)
{
	if (call->session->server) {
		grpc_call_finish(call, code, text);
		return;
	}
	grpc_session_reset(call->session, call, NGHTTP2_CANCEL);
	grpc_call_end(call, code, text);
}

static int on_message(void *arg, const uint8_t *data, size_t size)
{
	struct grpc_call *call = arg;
	const ProtobufCMessageDescriptor *type =
		call->session->server ? call->method->request : call->method->response;
	bool streams =
		call->session->server ? call->method->client_streams : call->method->server_streams;
	ProtobufCMessage *message;

	if (++call->received > 1 && !streams) {
		fail(call, GRPC_INTERNAL, "more than one message in a call that has one");
		return -EPROTO;
	}
	message = protobuf_c_message_unpack(type, NULL, size, data);
	if (!message) {
		fail(call, call->session->server ? GRPC_INVALID_ARGUMENT : GRPC_INTERNAL,
		     "the message is not one of its type");
		return -EBADMSG;
	}
	if (call->events && call->events->message)
		call->events->message(call->arg, call, message);
	protobuf_c_message_free_unpacked(message, NULL);
	if (is_silent(call))
		return -ECANCELED;
	return call->paused ? 1 : 0;
}

static void read_failed(struct grpc_call *call, int error)
{
	char text[96];

	if (is_silent(call))
		return;
	switch (error) {
	case -EMSGSIZE:
		snprintf(text, sizeof(text), "a message is longer than %zu bytes",
			 call->session->message_max);
		fail(call, GRPC_RESOURCE_EXHAUSTED, text);
		break;
	case -ENOBUFS:
	case -ENOMEM:
		fail(call, GRPC_RESOURCE_EXHAUSTED, "too much is being received at once");
		break;
	default:
		fail(call, GRPC_INTERNAL, "what was received is no gRPC message");
	}
}

static void tell_half_closed(struct grpc_call *call)
{
	if (!call->peer_done || call->half_close_told || is_silent(call) || !call->events ||
	    call->paused || grpc_queue_size(&call->held))
		return;
	call->half_close_told = true;
	if (!call->session->server)
		return;
	if (grpc_reader_inside(&call->reader))
		fail(call, GRPC_INTERNAL, "the request ends within a message");
	else if (!call->received && !call->method->client_streams)
		fail(call, GRPC_INTERNAL, "the request has no message");
	else if (call->events->half_closed)
		call->events->half_closed(call->arg, call);
}

static bool must_wait(const struct grpc_call *call)
{
	return call->paused || !call->events || call->feeding || grpc_queue_size(&call->held);
}

/* Read as much as the owner wants of it; returns how much. */
static size_t read_some(struct grpc_call *call, const uint8_t *data, size_t size)
{
	size_t used = size;
	int r;

	call->feeding = true;
	r = grpc_reader_feed(&call->reader, data, size, on_message, call, &used);
	call->feeding = false;
	if (r && r != -ECANCELED)
		read_failed(call, r);
	return used;
}

void grpc_call_came(struct grpc_call *call, const uint8_t *data, size_t size)
{
	size_t used = size;

	if (!is_silent(call) && !must_wait(call))
		used = read_some(call, data, size);
	else if (!is_silent(call))
		used = 0;
	/* The stream's window has room only for what was read, so this is bounded by it. */
	if (used < size && !grpc_queue_put(&call->held, data + used, size - used)) {
		grpc_session_hold(call->session, size - used);
	} else if (used < size) {
		fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		used = size;
	}
	grpc_session_consumed(call->session, call, used);
}

static void read_held(struct grpc_call *call)
{
	while (!is_silent(call) && !call->paused && call->events && !call->feeding &&
	       grpc_queue_size(&call->held)) {
		/* Its owner may pause, resume or end it while it is read. */
		struct grpc_queue held = call->held;
		size_t size = grpc_queue_size(&held), used;

		call->held = (struct grpc_queue){};
		used = read_some(call, held.data + held.start, size);
		if (call->ended)
			used = size;
		held.start += used;
		grpc_session_release(call->session, used);
		grpc_session_consumed(call->session, call, used);
		if (used < size)
			call->held = held;
		else
			grpc_queue_clear(&held);
	}
	tell_half_closed(call);
}

void grpc_call_peer_done(struct grpc_call *call)
{
	call->peer_done = true;
	tell_half_closed(call);
}

const struct rpc_method *grpc_call_method(const struct grpc_call *call)
{
	return call->method;
}

const char *grpc_call_metadata(const struct grpc_call *call, const char *name)
{
	for (size_t i = 0; i < call->fields; i++)
		if (!strcmp(call->field[i].name, name))
			return call->field[i].value;
	return NULL;
}

int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t size;
	int r;

	if (call->ended || call->finished)
		return -EPIPE;
	r = grpc_queue_add(&call->out, message, call->gzip_out);
	if (r)
		return r;
	size = grpc_queue_size(&call->out);
	if (size > GRPC_QUEUE_MAX) {
		fail(call, GRPC_RESOURCE_EXHAUSTED, "its reader does not keep up");
		return -EPIPE;
	}
	if (call->session->server && !call->head_sent) {
		r = grpc_session_head(call->session, call);
		if (r)
			return r;
	}
	grpc_session_resume_data(call->session, call);
	if (size < GRPC_QUEUE_HIGH)
		return 0;
	call->was_full = true;
	return 1;
}

size_t grpc_call_queued(const struct grpc_call *call)
{
	return grpc_queue_size(&call->out);
}

void grpc_call_finish(struct grpc_call *call, int code, const char *message)
{
	if (call->ended || call->finished)
		return;
	call->finished = true;
	grpc_call_set_status(call, code, message);
	if (!call->head_sent) {
		if (grpc_session_trailers_only(call->session, call))
			grpc_session_reset(call->session, call, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	grpc_session_resume_data(call->session, call);
}

void grpc_call_half_close(struct grpc_call *call)
{
	if (call->ended || call->finished)
		return;
	call->finished = true;
	grpc_session_resume_data(call->session, call);
}

void grpc_call_cancel(struct grpc_call *call)
{
	if (call->ended)
		return;
	grpc_session_reset(call->session, call, NGHTTP2_CANCEL);
	grpc_call_end(call, GRPC_CANCELLED, "cancelled");
}

void grpc_call_pause(struct grpc_call *call)
{
	call->paused = true;
}

void grpc_call_resume(struct grpc_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	if (!call->ended)
		read_held(call);
}

int64_t grpc_call_remaining_ms(const struct grpc_call *call)
{
	uint64_t now = uv_now(call->session->loop);

	if (!call->deadline)
		return -1;
	return call->deadline > now ? (int64_t)(call->deadline - now) : 0;
}

void grpc_call_accept(struct grpc_call *call, const struct grpc_call_events *events, void *arg)
{
	call->events = events;
	call->arg = arg;
	if (!call->ended && !call->paused)
		read_held(call);
}
