/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113) for both ends of the proxy, on nghttp2: the server that an agent talks to, and
 * the client that talks to an origin server. A connection here is a state machine that is given
 * bytes and asked for bytes; sockets and TLS are its caller's. Its streams are those of stream.h.
 *
 * Owned by whoever made it. One thread: the worker's loop. Events of streams and the options'
 * functions are called from within http2_feed(), http2_drain(), http2_disconnect() and http2_free()
 * alone; from within them no function of this file may be called on the same connection but
 * http2_open(), http2_capacity(), http2_idle() and http2_shutdown(). After any stream_ops function
 * the connection is to be drained, since that is when it sends and calls back.
 *
 * Fails closed: what is malformed never reaches an exchange, and every count and size that the peer
 * decides has a limit.
 */
#pragma once

#include "proxy/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP2_STREAMS_MAX	100		  /* at the same time, in one connection */
#define HTTP2_STREAM_WINDOW	(256 * 1024)	  /* bytes that may come before any is passed on */
#define HTTP2_CONNECTION_WINDOW (4 * 1024 * 1024) /* the same, of all streams together */
#define HTTP2_SEND_MAX		65536 /* bytes of a body that wait to be sent, a stream */
#define HTTP2_DRAIN_MAX		(2 * (16384 + 9)) /* of http2_drain() at once: two DATA frames */

struct http2;

struct http2_options {
	bool tls; /* the connection is inside TLS: the scheme is https, else http */
	/*
	 * Agent's side: a request came. Fill in @stream's owner and events, its head follows. A
	 * negative errno: the stream is refused, and may be tried again.
	 */
	int (*on_request)(void *arg, struct stream *stream);
	/* Server's side: http2_capacity() may have changed. May be NULL. */
	void (*on_capacity)(void *arg);
	void *arg;
};

/* 0 or -ENOMEM. */
int http2_agent_new(const struct http2_options *options, struct http2 **ret_h2);
int http2_upstream_new(const struct http2_options *options, struct http2 **ret_h2);

/*
 * Frees the connection; each stream that still has an owner gets on_closed(STREAM_CONNECT) first.
 * NULL is valid.
 */
void http2_free(struct http2 *h2);

/*
 * Bytes that came. 0, or -EPROTO: drain and send once more, then close. Other protocol errors show
 * by http2_finished() after that draining: ask it each time.
 */
int http2_feed(struct http2 *h2, const uint8_t *data, size_t size);

/*
 * Bytes to send, at most HTTP2_DRAIN_MAX: *ret_data is valid until the next call of anything here;
 * 0 = nothing now. The caller keeps what the socket does not take, and asks again only when all is
 * sent.
 */
ssize_t http2_drain(struct http2 *h2, const uint8_t **ret_data);

/*
 * The socket ended, in either direction: every stream whose peer had not said everything gets
 * on_closed(STREAM_CONNECT). Responses that came whole can still be taken from here (drain after
 * each ops->resume()): free when http2_finished() says so.
 */
void http2_disconnect(struct http2 *h2);

/* It neither wants to read nor to write, and no one takes anything from it any more: close. */
bool http2_finished(const struct http2 *h2);

/* No stream is open. */
bool http2_idle(const struct http2 *h2);

/* Agent's side: no new streams (GOAWAY); those that are open go on. */
void http2_shutdown(struct http2 *h2);

/* Server's side: how many streams may be opened now. 0 for good after GOAWAY or an error. */
size_t http2_capacity(const struct http2 *h2);

/*
 * Server's side: open a stream; its request goes out by ops->head(). -EAGAIN: no capacity. -ENOMEM.
 */
int http2_open(struct http2 *h2, void *owner, const struct stream_events *events,
	       struct stream **ret_stream);
