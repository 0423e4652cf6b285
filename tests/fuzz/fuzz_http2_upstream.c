/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from a server, to a client's end with requests under way. What their owners hear must
 * not depend on the pieces in which the bytes come, and is what a response may be: informational
 * heads, one final head, a body as long as it says, trailers or an end; after the end of a stream
 * nothing. Nothing is left when the connection is freed.
 *
 * The first byte chooses which owners take nothing, and which are through before their time.
 */
#include "common/cleanup.h"
#include "proxy/http2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

#define REQUESTS 4

struct request {
	struct stream *stream; /* NULL: over */
	uint64_t seen;	       /* a hash of all that happened, but for its body */
	uint64_t seen_body;
	bool stubborn, hasty, head, kept, ended, has_length;
	uint64_t length, body;
};

struct run {
	struct request request[REQUESTS];
};

static uint64_t hash(uint64_t seen, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		seen = (seen ^ bytes[i]) * 1099511628211;
	return seen;
}

static void see(struct request *r, const void *data, size_t size)
{
	r->seen = hash(r->seen, data, size);
}

static void see_fields(struct request *r, const struct http_field *field, size_t fields)
{
	for (size_t i = 0; i < fields; i++) {
		CHECK(field[i].name.size && field[i].name.data[0] != ':');
		see(r, field[i].name.data, field[i].name.size);
		see(r, field[i].value.data, field[i].value.size);
		for (uint32_t at = 0; at < field[i].value.size; at++)
			CHECK(field[i].value.data[at] != '\r' && field[i].value.data[at] != '\n' &&
			      field[i].value.data[at]);
	}
}

static void let_go(struct request *r)
{
	struct stream *stream = r->stream;

	r->stream = NULL;
	stream->ops->release(stream, r->ended ? STREAM_NO_ERROR : STREAM_CANCEL);
}

static void on_head(void *owner, struct stream *stream, const struct http_head *head, bool end)
{
	struct request *r = owner;

	CHECK(stream == r->stream && !r->head && !r->body);
	CHECK(head->status >= 100 && head->status <= 999 && head->status != 101);
	CHECK(head->fields <= HTTP_FIELDS_MAX);
	see(r, &head->status, sizeof(head->status));
	see_fields(r, head->field, head->fields);
	r->head = head->status >= 200;
	CHECK(r->head || !end);
	r->has_length = head->body == HTTP_BODY_LENGTH && head->status != 304;
	r->length = head->length;
	r->ended = end;
	CHECK(!end || !r->has_length || !r->length);
	if (end || (r->hasty && r->head))
		let_go(r);
}

static bool on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct request *r = owner;

	CHECK(stream == r->stream && r->head && !r->ended && !r->kept);
	CHECK(size <= STREAM_CHUNK_MAX);
	r->seen_body = hash(r->seen_body, data, size);
	r->body += size;
	r->ended = end;
	CHECK(!r->has_length || (end ? r->body == r->length : r->body <= r->length));
	if (end) {
		see(r, "end", 3);
		let_go(r);
		return true;
	}
	r->kept = r->stubborn;
	return !r->stubborn;
}

static void on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			size_t fields)
{
	struct request *r = owner;

	CHECK(stream == r->stream && r->head && !r->ended && !r->kept);
	CHECK(fields <= HTTP_TRAILERS_MAX);
	see_fields(r, field, fields);
	r->ended = true;
	let_go(r);
}

static void on_writable(void *owner, struct stream *stream)
{
	struct request *r = owner;

	CHECK(stream == r->stream);
}

static void on_closed(void *owner, struct stream *stream, enum stream_error error)
{
	struct request *r = owner;

	CHECK(stream == r->stream);
	see(r, &error, sizeof(error));
	/* How much came before a frame was found to be too long is nghttp2's matter. */
	r->seen_body = 0;
	r->stream = NULL;
}

static const struct stream_events events = {on_head, on_data, on_trailers, on_writable, on_closed};

static void drain(struct http2 *h2)
{
	const uint8_t *out;

	for (int i = 0; http2_drain(h2, &out) > 0; i++)
		CHECK(i < 10000);
}

static void ask(struct http2 *h2, struct run *run, uint8_t way)
{
	static const uint8_t body[100000];
	const struct http_head head = {
		.method = TEXT("POST"),
		.target = TEXT("/"),
		.authority = TEXT("a.example"),
		.body = HTTP_BODY_CHUNKED,
	};

	for (size_t i = 0; i < REQUESTS; i++) {
		struct request *r = &run->request[i];

		r->seen = 14695981039346656037u;
		r->stubborn = way >> i & 1;
		r->hasty = way >> i & 16;
		CHECK(http2_open(h2, r, &events, &r->stream) == 0);
		CHECK(r->stream->ops->head(r->stream, &head, i % 2) == 0);
		if (i % 2 == 0)
			CHECK(r->stream->ops->data(r->stream, body, sizeof(body), false) ==
			      HTTP2_SEND_MAX);
	}
	drain(h2);
}

/* Who kept something is through with it, until there is no more. */
static void resume(struct http2 *h2, struct run *run)
{
	for (size_t i = 0; i < REQUESTS; i++) {
		struct request *r = &run->request[i];

		while (r->stream && r->kept) {
			r->kept = false;
			r->stream->ops->resume(r->stream);
			drain(h2);
		}
	}
}

static void run(struct run *run, uint8_t way, const uint8_t *data, size_t size, size_t piece,
		bool drains)
{
	const struct http2_options options = {.tls = true};
	struct http2 *h2;
	int r = 0;

	CHECK(http2_upstream_new(&options, &h2) == 0);
	ask(h2, run, way);
	for (size_t at = 0; at < size && r == 0; at += piece) {
		size_t part = size - at < piece ? size - at : piece;
		uint8_t *copy = malloc(part);

		CHECK(copy);
		memcpy(copy, data + at, part);
		r = http2_feed(h2, copy, part);
		CHECK(r == 0 || r == -EPROTO);
		free(copy);
		if (drains)
			drain(h2);
	}
	drain(h2);
	resume(h2, run);
	http2_disconnect(h2);
	resume(h2, run);
	CHECK(http2_finished(h2) && http2_idle(h2) && !http2_capacity(h2));
	http2_free(h2);
	for (size_t i = 0; i < REQUESTS; i++)
		CHECK(!run->request[i].stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 7, 100};
	struct run whole = {}, drained = {};

	if (!size)
		return 0;
	run(&whole, data[0], data + 1, size - 1, size, false);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct run parts = {};

		run(&parts, data[0], data + 1, size - 1, pieces[i], false);
		for (size_t r = 0; r < REQUESTS; r++)
			CHECK(parts.request[r].seen == whole.request[r].seen &&
			      parts.request[r].seen_body == whole.request[r].seen_body);
	}
	run(&drained, data[0], data + 1, size - 1, 50, true);
	return 0;
}
