/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the codecs and the exchange. An exchange (exchange.h) is one request and its response; at
 * each of its two ends is a stream: one message pair of an HTTP/1 connection, or one stream of an
 * HTTP/2 connection. A codec implements `struct stream_ops` for what is sent out of its end, and
 * calls stream_events for what comes in. Neither knows the other's version.
 *
 * Flow of control: what a call is given is valid during that call alone. A codec never calls back
 * into the exchange from within a stream_ops function, but for the return value: that way no one is
 * freed under somebody's feet. A stream ends for both when its codec has called on_closed(), or the
 * exchange has called ops->release(); after that neither side touches it.
 *
 * Back-pressure: data() takes what it can, at least nothing; what it did not take stays with the
 * exchange until on_writable(). Incoming data that the exchange cannot pass on it keeps (at most
 * STREAM_KEPT_MAX), and the codec reads no more of that stream until ops->resume().
 *
 * One thread: the worker's loop.
 */
#pragma once

#include "proxy/http.h"

#include <sys/types.h>

#define STREAM_CHUNK_MAX 65536 /* bytes in one on_data() */
#define STREAM_KEPT_MAX	 (2 * STREAM_CHUNK_MAX)

struct stream;

/* Why a stream is given up; http2.h maps them to error codes of RFC 9113 section 7. */
enum stream_error {
	STREAM_NO_ERROR = 0,
	STREAM_CANCEL,	 /* nobody wants it any more */
	STREAM_REFUSED,	 /* nothing of it was processed: it may be tried again */
	STREAM_PROTOCOL, /* the peer said what it must not */
	STREAM_INTERNAL,
	STREAM_CONNECT, /* the connection broke, or never came up */
	STREAM_TIMEOUT, /* nothing came for as long as patience() says */
};

/* Out of this end: a request toward the server, or a response toward the agent. */
struct stream_ops {
	/*
	 * Send a head; informational responses (1xx) may come before the final one. @end: there is
	 * no body. head->body says how it is delimited; a codec adds its own framing fields.
	 * 0, or a negative errno: the stream is broken.
	 */
	int (*head)(struct stream *stream, const struct http_head *head, bool end);
	/*
	 * Send a part of the body; with @end it is the last, if all of it is taken. Returns how
	 * many bytes were taken (0..size; on_writable() follows if it was not all), or a negative
	 * errno.
	 */
	ssize_t (*data)(struct stream *stream, const uint8_t *data, size_t size, bool end);
	/* End the body with trailers: in place of data()'s @end. 0 or a negative errno. */
	int (*trailers)(struct stream *stream, const struct http_field *field, size_t fields);
	/* Bytes that on_data() had left with the exchange are gone: read on. */
	void (*resume)(struct stream *stream);
	/*
	 * The exchange is done with this end: cleanly (STREAM_NO_ERROR, both directions have
	 * ended), or giving it up. The codec keeps, resets or closes its connection accordingly. No
	 * event follows.
	 */
	void (*release)(struct stream *stream, enum stream_error error);
	/*
	 * How long the response may take: at most @idle ns without anything coming or going, and
	 * no longer than until @due (CLOCK_BOOTTIME ns, 0 = for ever). NULL: the codec's own
	 * limits hold.
	 */
	void (*patience)(struct stream *stream, uint64_t idle, uint64_t due);
};

/* Into the exchange from this end. */
struct stream_events {
	/* A head came. @end: no body follows. */
	void (*on_head)(void *owner, struct stream *stream, const struct http_head *head, bool end);
	/*
	 * A part of the body; with @end the last. False: the exchange keeps some of it, and the
	 * codec calls no more before ops->resume().
	 */
	bool (*on_data)(void *owner, struct stream *stream, const uint8_t *data, size_t size,
			bool end);
	/* Trailers came, and the body has ended. */
	void (*on_trailers)(void *owner, struct stream *stream, const struct http_field *field,
			    size_t fields);
	/* data() would take something again. */
	void (*on_writable)(void *owner, struct stream *stream);
	/* The stream ended before its time; the codec has let go of it. */
	void (*on_closed)(void *owner, struct stream *stream, enum stream_error error);
};

struct wire;

/* First member of a codec's own stream. */
struct stream {
	const struct stream_ops *ops;
	const struct stream_events *events; /* the owner's */
	void *owner;			    /* a struct exchange */
	struct wire *wire; /* its connection, if that has to be looked at after each operation */
};
