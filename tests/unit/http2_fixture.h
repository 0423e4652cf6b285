/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection between the proxy's two HTTP/2 codecs in memory, with an owner of each stream that
 * writes down what happens to it: the client's end is http2_upstream_new()'s, the server's
 * http2_agent_new()'s. And frames made by hand, for what the codec itself would not send.
 */
#pragma once

#include "proxy/http2.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOTES_MAX 4096
#define BODY_MAX  (2 * 1024 * 1024)

/* The owner of one stream, at either end. */
struct party {
	struct stream *stream; /* NULL once it is over */
	struct wire *wire;
	bool server;
	bool stubborn; /* takes nothing of a body */
	bool quiet;    /* a server that answers nothing by itself */
	bool ended;
	char notes[NOTES_MAX]; /* what happened, an event a word */
	size_t body;	       /* bytes that came */
	uint32_t sum;	       /* of these bytes */
	/* What is still to be sent: @left bytes, of a pattern. */
	size_t left, sent;
	bool sending, trailers;
	const struct stream_events *events;
};

#define PARTIES 256

struct wire {
	struct http2 *client, *server;
	bool refuse; /* on_request() fails */
	bool quiet;  /* see party */
	bool stubborn;
	size_t answer; /* bytes of each response, without quiet */
	bool answer_trailers;
	unsigned int capacity_events;
	size_t parties;
	struct party *party[PARTIES]; /* the server's, in the order in which they came */
};

static void note(struct party *party, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct party *party, const char *fmt, ...)
{
	size_t at = strlen(party->notes);
	va_list args;

	va_start(args, fmt);
	vsnprintf(party->notes + at, sizeof(party->notes) - at, fmt, args);
	va_end(args);
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8));
}

static inline uint32_t pattern_sum(size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = sum * 16777619 + pattern(i);
	return sum;
}

static const struct http_field example_trailers[] = {
	{TEXT("grpc-status"), TEXT("0")},
	{TEXT("grpc-message"), TEXT("")},
};

/* Send as much of what is left as is taken. */
static void party_send(struct party *party)
{
	static uint8_t chunk[STREAM_CHUNK_MAX];

	while (party->stream && party->sending) {
		size_t size = party->left < sizeof(chunk) ? party->left : sizeof(chunk);
		bool last = size == party->left && !party->trailers;
		ssize_t n;

		if (!size && party->trailers) {
			party->sending = false;
			assert_int_equal(
				party->stream->ops->trailers(party->stream, example_trailers, 2),
				0);
			return;
		}
		for (size_t i = 0; i < size; i++)
			chunk[i] = pattern(party->sent + i);
		n = party->stream->ops->data(party->stream, chunk, size, last);
		assert_true(n >= 0 && (size_t)n <= size);
		party->sent += (size_t)n;
		party->left -= (size_t)n;
		if ((size_t)n < size)
			return;
		if (last)
			party->sending = false;
	}
}

/* Both have said all: let go. */
static void party_settle(struct party *party)
{
	if (party->stream && party->ended && !party->sending && !party->quiet) {
		struct stream *stream = party->stream;

		party->stream = NULL;
		stream->ops->release(stream, STREAM_NO_ERROR);
	}
}

static inline void party_release(struct party *party, enum stream_error error)
{
	struct stream *stream = party->stream;

	party->stream = NULL;
	stream->ops->release(stream, error);
}

static void party_respond(struct party *party, size_t size, bool trailers)
{
	struct http_head head = {.version = 20, .status = 200, .body = HTTP_BODY_CHUNKED};
	bool end = !size && !trailers;

	head.field[head.fields++] = (struct http_field){TEXT("server"), TEXT("toy")};
	/* What must not go out. */
	head.field[head.fields++] = (struct http_field){TEXT("connection"), TEXT("close")};
	assert_int_equal(party->stream->ops->head(party->stream, &head, end), 0);
	party->left = size;
	party->trailers = trailers;
	party->sending = !end;
	party_send(party);
}

static void party_on_head(void *owner, struct stream *stream, const struct http_head *head,
			  bool end)
{
	struct party *party = owner;

	if (party->server)
		note(party, "%.*s|%.*s%.*s", (int)head->method.size, head->method.data,
		     (int)head->authority.size, head->authority.data, (int)head->target.size,
		     head->target.data);
	else
		note(party, "%u", head->status);
	if (head->body == HTTP_BODY_LENGTH)
		note(party, "(%u)", (unsigned int)head->length);
	if (head->expect_continue)
		note(party, "(expect)");
	for (uint16_t i = 0; i < head->fields; i++)
		note(party, ",%.*s=%.*s", (int)head->field[i].name.size, head->field[i].name.data,
		     (int)head->field[i].value.size, head->field[i].value.data);
	note(party, end ? ". " : " ");
	party->ended = end;
	if (party->server && !party->quiet)
		party_respond(party, party->wire->answer, party->wire->answer_trailers);
	party_settle(party);
}

static bool party_on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size,
			  bool end)
{
	struct party *party = owner;

	for (size_t i = 0; i < size; i++)
		party->sum = party->sum * 16777619 + data[i];
	party->body += size;
	if (end)
		note(party, "end ");
	party->ended |= end;
	if (size && party->stubborn && !end)
		return false;
	party_settle(party);
	return true;
}

static void party_on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			      size_t fields)
{
	struct party *party = owner;

	note(party, "trailers");
	for (size_t i = 0; i < fields; i++)
		note(party, ",%.*s=%.*s", (int)field[i].name.size, field[i].name.data,
		     (int)field[i].value.size, field[i].value.data);
	note(party, " ");
	party->ended = true;
	party_settle(party);
}

static void party_on_writable(void *owner, struct stream *stream)
{
	struct party *party = owner;

	party_send(party);
	party_settle(party);
}

static void party_on_closed(void *owner, struct stream *stream, enum stream_error error)
{
	static const char *const name[] = {
		[STREAM_NO_ERROR] = "none",	[STREAM_CANCEL] = "cancel",
		[STREAM_REFUSED] = "refused",	[STREAM_PROTOCOL] = "protocol",
		[STREAM_INTERNAL] = "internal", [STREAM_CONNECT] = "connect",
	};
	struct party *party = owner;

	party->stream = NULL;
	note(party, "closed:%s ", name[error]);
}

static const struct stream_events party_events = {
	.on_head = party_on_head,
	.on_data = party_on_data,
	.on_trailers = party_on_trailers,
	.on_writable = party_on_writable,
	.on_closed = party_on_closed,
};

static struct party *party_new(struct wire *wire, bool server)
{
	struct party *party = calloc(1, sizeof(*party));

	assert_non_null(party);
	party->wire = wire;
	party->server = server;
	party->quiet = server && wire->quiet;
	party->stubborn = server && wire->stubborn;
	return party;
}

static int wire_on_request(void *arg, struct stream *stream)
{
	struct wire *wire = arg;
	struct party *party;

	if (wire->refuse)
		return -ENOMEM;
	party = party_new(wire, true);
	party->stream = stream;
	assert_true(wire->parties < PARTIES);
	wire->party[wire->parties++] = party;
	stream->owner = party;
	stream->events = &party_events;
	return 0;
}

static void wire_on_capacity(void *arg)
{
	struct wire *wire = arg;

	wire->capacity_events++;
}

static void wire_open_server(struct wire *wire, bool tls)
{
	const struct http2_options options = {
		.tls = tls,
		.on_request = wire_on_request,
		.arg = wire,
	};

	assert_int_equal(http2_agent_new(&options, &wire->server), 0);
}

static inline void wire_open(struct wire *wire)
{
	const struct http2_options options = {
		.tls = true,
		.on_capacity = wire_on_capacity,
		.arg = wire,
	};

	wire_open_server(wire, true);
	assert_int_equal(http2_upstream_new(&options, &wire->client), 0);
}

static void wire_close(struct wire *wire)
{
	http2_free(wire->client);
	http2_free(wire->server);
	for (size_t i = 0; i < wire->parties; i++)
		free(wire->party[i]);
	*wire = (struct wire){};
}

/* The server's parties that are through. */
static inline void wire_forget(struct wire *wire)
{
	size_t kept = 0;

	for (size_t i = 0; i < wire->parties; i++) {
		if (wire->party[i]->stream)
			wire->party[kept++] = wire->party[i];
		else
			free(wire->party[i]);
	}
	wire->parties = kept;
}

/* Carry what one end has to say to the other. */
static bool wire_carry(struct http2 *from, struct http2 *to)
{
	const uint8_t *data;
	bool any = false;
	ssize_t n;

	while ((n = http2_drain(from, &data)) > 0) {
		any = true;
		if (to)
			http2_feed(to, data, (size_t)n);
	}
	assert_true(n == 0);
	return any;
}

static inline void wire_pump(struct wire *wire)
{
	bool any;

	do {
		any = wire_carry(wire->client, wire->server);
		any |= wire_carry(wire->server, wire->client);
	} while (any);
}

/* A request with a body of @size bytes, from a new party. */
static inline struct party *wire_request(struct wire *wire, const char *method, size_t size,
					 bool trailers)
{
	struct party *party = party_new(wire, false);
	struct http_head head = {
		.version = 20,
		.method = {method, (uint32_t)strlen(method)},
		.target = TEXT("/path?q=1"),
		.authority = TEXT("example.org"),
		.body = size || trailers ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE,
	};

	head.field[head.fields++] = (struct http_field){TEXT("te"), TEXT("trailers")};
	assert_int_equal(http2_open(wire->client, party, &party_events, &party->stream), 0);
	party->left = size;
	party->trailers = trailers;
	party->sending = size || trailers;
	assert_int_equal(party->stream->ops->head(party->stream, &head, !party->sending), 0);
	party_send(party);
	return party;
}
