/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from an agent, to an exchange that answers every request with what it was sent. What
 * the exchange sees must not depend on the pieces in which the bytes come; no stream is heard of
 * after its end; heads are what HTTP/2 lets them be; and nothing is left when the connection is
 * freed.
 *
 * The first byte chooses the scheme, and which requests are given up and when.
 */
#include "common/cleanup.h"
#include "proxy/http2.h"
#include "proxy/http2_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

#define EXCHANGES_MAX 1024
#define KEPT_MAX      STREAM_CHUNK_MAX

struct exchange {
	struct stream *stream; /* NULL: over */
	uint64_t seen;	       /* a hash of all that happened, but for its body */
	uint64_t seen_body;
	bool ended, answered;
	uint64_t length, body;
	bool has_length;
	size_t kept; /* bytes that were not passed on */
	bool kept_end;
	uint8_t keeps[KEPT_MAX];
};

struct run {
	uint8_t way;
	size_t count, open;
	struct exchange *exchange[EXCHANGES_MAX];
};

static uint64_t hash(uint64_t seen, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		seen = (seen ^ bytes[i]) * 1099511628211;
	return seen;
}

static void see(struct exchange *e, const void *data, size_t size)
{
	e->seen = hash(e->seen, data, size);
}

static void see_text(struct exchange *e, struct text text)
{
	see(e, &text.size, sizeof(text.size));
	see(e, text.data, text.size);
}

static void over(struct run *run, struct exchange *e)
{
	e->stream = NULL;
	run->open--;
}

static struct run *run_of; /* the one that is under way */

static void give_up(struct exchange *e, enum stream_error error)
{
	struct stream *stream = e->stream;

	see(e, &error, sizeof(error));
	over(run_of, e);
	stream->ops->release(stream, error);
}

static void check_fields(const struct http_field *field, size_t fields)
{
	for (size_t i = 0; i < fields; i++) {
		struct text name = field[i].name, value = field[i].value;

		CHECK(name.size && name.data[0] != ':');
		CHECK(!http2_field_forbidden(name, value));
		CHECK(!text_is(name, "host") && !text_is(name, "content-length"));
		for (uint32_t at = 0; at < name.size; at++)
			CHECK(name.data[at] > ' ' && name.data[at] < 0x7f &&
			      !(name.data[at] >= 'A' && name.data[at] <= 'Z'));
		for (uint32_t at = 0; at < value.size; at++)
			CHECK((uint8_t)value.data[at] >= ' ' || value.data[at] == '\t');
	}
}

static void on_head(void *owner, struct stream *stream, const struct http_head *head, bool end)
{
	struct exchange *e = owner;
	struct http_head answer = {.status = 200, .body = HTTP_BODY_CHUNKED};
	uint8_t what;

	CHECK(stream == e->stream && !e->answered);
	CHECK(head->method.size && head->method.size <= HTTP_METHOD_MAX && head->authority.size);
	CHECK(head->target.size && head->target.size <= HTTP_TARGET_MAX);
	CHECK(head->target.data[0] == '/' || text_is(head->target, "*"));
	CHECK(!text_is(head->method, "CONNECT"));
	CHECK(head->fields <= HTTP_FIELDS_MAX);
	check_fields(head->field, head->fields);
	see_text(e, head->method);
	see_text(e, head->target);
	see_text(e, head->authority);
	for (uint16_t i = 0; i < head->fields; i++) {
		see_text(e, head->field[i].name);
		see_text(e, head->field[i].value);
	}
	e->has_length = head->body == HTTP_BODY_LENGTH;
	e->length = head->length;
	e->ended = end;
	CHECK(!end || !e->length);
	e->answered = true;

	what = (uint8_t)(run_of->way >> 1) ^ (uint8_t)head->target.size;
	if (what % 8 == 1) {
		give_up(e, STREAM_REFUSED);
		return;
	}
	if (what % 8 == 2) {
		answer.status = 103;
		CHECK(stream->ops->head(stream, &answer, false) == 0);
		answer.status = 200;
	}
	CHECK(stream->ops->head(stream, &answer, end) == 0);
	if (what % 8 == 3)
		give_up(e, STREAM_NO_ERROR);
}

/* Pass on what is kept. */
static void pass_on(struct exchange *e)
{
	ssize_t n = e->stream->ops->data(e->stream, e->keeps, e->kept, e->kept_end);

	CHECK(n >= 0 && (size_t)n <= e->kept);
	e->kept -= (size_t)n;
	memmove(e->keeps, e->keeps + n, e->kept);
	if (e->kept)
		return;
	if (e->ended)
		give_up(e, STREAM_NO_ERROR);
	else
		e->stream->ops->resume(e->stream);
}

static bool on_data(void *owner, struct stream *stream, const uint8_t *data, size_t size, bool end)
{
	struct exchange *e = owner;
	ssize_t n;

	CHECK(stream == e->stream && e->answered && !e->ended && !e->kept);
	CHECK(size <= STREAM_CHUNK_MAX);
	e->ended = end;
	e->body += size;
	CHECK(!e->has_length || (end ? e->body == e->length : e->body <= e->length));
	e->seen_body = hash(e->seen_body, data, size);
	if (end)
		see(e, "end", 3);
	n = stream->ops->data(stream, data, size, end);
	CHECK(n >= 0 && (size_t)n <= size);
	if ((size_t)n < size) {
		e->kept = size - (size_t)n;
		e->kept_end = end;
		memcpy(e->keeps, data + n, e->kept);
		return false;
	}
	if (end)
		give_up(e, STREAM_NO_ERROR);
	return true;
}

static void on_trailers(void *owner, struct stream *stream, const struct http_field *field,
			size_t fields)
{
	struct exchange *e = owner;

	CHECK(stream == e->stream && e->answered && !e->ended && !e->kept);
	CHECK(fields <= HTTP_TRAILERS_MAX);
	check_fields(field, fields);
	for (size_t i = 0; i < fields; i++) {
		see_text(e, field[i].name);
		see_text(e, field[i].value);
	}
	e->ended = true;
	CHECK(stream->ops->trailers(stream, field, fields) == 0);
	give_up(e, STREAM_NO_ERROR);
}

static void on_writable(void *owner, struct stream *stream)
{
	struct exchange *e = owner;

	CHECK(stream == e->stream);
	if (e->kept)
		pass_on(e);
}

static void on_closed(void *owner, struct stream *stream, enum stream_error error)
{
	struct exchange *e = owner;

	CHECK(stream == e->stream);
	see(e, &error, sizeof(error));
	/* How much came before a frame was found to be too long is nghttp2's matter. */
	e->seen_body = 0;
	over(run_of, e);
}

static const struct stream_events events = {on_head, on_data, on_trailers, on_writable, on_closed};

static int on_request(void *arg, struct stream *stream)
{
	struct run *run = arg;
	struct exchange *e;

	if (run->count == EXCHANGES_MAX)
		return -ENOMEM;
	e = calloc(1, sizeof(*e));
	CHECK(e);
	e->stream = stream;
	e->seen = 14695981039346656037u;
	run->exchange[run->count++] = e;
	run->open++;
	stream->owner = e;
	stream->events = &events;
	return 0;
}

static void drain(struct http2 *h2)
{
	const uint8_t *out;
	ssize_t n;

	for (int i = 0; (n = http2_drain(h2, &out)) > 0; i++) {
		uint8_t *copy = malloc((size_t)n);

		CHECK(copy && i < 10000);
		memcpy(copy, out, (size_t)n); /* all of it is there */
		free(copy);
	}
	CHECK(n == 0);
}

/* Feed the input in pieces of @piece bytes, each in an allocation of its own. */
static void run(struct run *run, const uint8_t *data, size_t size, size_t piece, bool drains)
{
	const struct http2_options options = {
		.tls = run->way & 1,
		.on_request = on_request,
		.arg = run,
	};
	struct http2 *h2;
	int r = 0;

	run_of = run;
	CHECK(http2_agent_new(&options, &h2) == 0);
	for (size_t at = 0; at < size && r == 0; at += piece) {
		size_t part = size - at < piece ? size - at : piece;
		uint8_t *copy = malloc(part);

		CHECK(copy);
		memcpy(copy, data + at, part);
		r = http2_feed(h2, copy, part);
		CHECK(r == 0 || r == -EPROTO);
		free(copy);
		if (drains) {
			drain(h2);
			if (http2_finished(h2))
				break;
		}
	}
	drain(h2);
	CHECK(r == 0 || http2_finished(h2));
	if (http2_finished(h2))
		CHECK(!run->open);
	if (size % 2)
		http2_disconnect(h2);
	http2_free(h2);
	CHECK(!run->open);
}

static void forget(struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		free(run->exchange[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 7, 100};
	struct run whole = {}, drained = {};

	if (!size)
		return 0;
	whole.way = drained.way = data[0];
	run(&whole, data + 1, size - 1, size, false);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct run parts = {.way = data[0]};

		run(&parts, data + 1, size - 1, pieces[i], false);
		CHECK(parts.count == whole.count);
		for (size_t e = 0; e < parts.count; e++)
			CHECK(parts.exchange[e]->seen == whole.exchange[e]->seen &&
			      parts.exchange[e]->seen_body == whole.exchange[e]->seen_body);
		forget(&parts);
	}
	/* Here what is heard depends on when what was said arrives. */
	run(&drained, data + 1, size - 1, 50, true);
	forget(&drained);
	forget(&whole);
	return 0;
}
