/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What http2.c (the connection), http2_session.c (nghttp2's callbacks), http2_stream.c (bodies,
 * both ways), http2_agent.c and http2_upstream.c (heads) share.
 *
 * A stream lives until both nghttp2 and its owner are done with it: `closed` and no owner. Then it
 * is buried, and freed at the end of the next http2_feed() or http2_drain(): until then whoever is
 * in the middle of a call may look at it. What a stream has to tell its owner outside of nghttp2's
 * callbacks makes it `ready`, and http2_feed() and http2_drain() see to it.
 */
#pragma once

#include "proxy/http2.h"
#include "common/http2_flood.h"
#include "proxy/http2_head.h"
#include "proxy/http2_queue.h"

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

/* Trailers that wait behind a body. One allocation with its texts. */
struct http2_trailers {
	size_t fields;
	struct http_field field[];
};

struct http2_stream {
	struct stream stream; /* first; no owner: the exchange has let go, or never had it */
	struct http2 *h2;
	int32_t id; /* 0: no request was submitted yet */
	TAILQ_ENTRY(http2_stream) link, ready_link;

	struct http2_queue in; /* came, and not given to the owner */
	struct http2_trailers *trailers_in;
	uint32_t kept; /* bytes that the owner was given and keeps: its window is not opened */
	uint32_t code; /* of our RST_STREAM */
	uint8_t informational;

	struct http2_queue out; /* taken from the owner, and not sent */
	struct http2_trailers *trailers_out;

	bool ready;
	bool closed;  /* nghttp2 knows it no more */
	bool reset;   /* RST_STREAM was submitted */
	bool refused; /* and it was the peer's doing */

	bool head_in;	 /* the final one */
	bool ended_in;	 /* the peer has said everything */
	bool told_end;	 /* the owner knows */
	bool blocked;	 /* until ops->resume() */
	bool delivering; /* the owner looks at `in` */

	bool started;	 /* HEADERS went out */
	bool head_out;	 /* the final one */
	bool ended_out;	 /* the owner has said everything */
	bool sent_out;	 /* it was sent */
	bool wants_room; /* ops->data() did not take everything */
};

TAILQ_HEAD(http2_streams, http2_stream);

struct http2 {
	nghttp2_session *session;
	struct http2_options options;
	const struct stream_ops *ops;
	bool server;
	bool failed;	   /* a connection error: nothing is read any more */
	bool disconnected; /* nor sent */
	bool ending;	   /* GOAWAY came */
	bool shutdown;	   /* it went, or is about to */
	bool capacity_changed;
	uint32_t error;	      /* for GOAWAY, when a callback fails */
	size_t streams_count; /* not buried */
	struct http2_streams streams, ready, dead;
	struct http2_fields *fields; /* while a header block comes */
	struct http2_flood flood;
	uint8_t *out;	 /* to be sent; NULL when there is nothing */
	size_t out_size; /* bytes in it */
	bool out_full;
	const uint8_t *pending; /* nghttp2's, had no room in it */
	size_t pending_size;
};

/* http2_stream.c */

int http2_stream_new(struct http2 *h2, struct http2_stream **ret_stream);
void http2_stream_free(struct http2_stream *s);

/* Nothing more is to be done for it. */
void http2_stream_bury(struct http2_stream *s);

/* The owner hears that it is over. */
void http2_stream_close(struct http2_stream *s, enum stream_error error);

/* RST_STREAM, once. @refused: for what the peer did, on_closed() follows if there is an owner. */
void http2_stream_reset(struct http2_stream *s, uint32_t code, bool refused);

/* Nothing that the owner wants rests on the connection any more, though something may wait here. */
bool http2_stream_lingers(const struct http2_stream *s);

/* END_STREAM came. */
void http2_stream_ended(struct http2_stream *s);
void http2_stream_data(struct http2_stream *s, const uint8_t *data, size_t size);
/* Trailers came, in h2->fields. */
void http2_stream_trailers(struct http2_stream *s);
/* END_STREAM was sent. */
void http2_stream_sent(struct http2_stream *s);

/* A part of `out` was sent, or will never be. */
void http2_stream_drained(struct http2_stream *s);

/* Tell the owner what waits for it. */
void http2_stream_deliver(struct http2_stream *s);

/* Where nghttp2 gets the body from: `out`. */
nghttp2_data_provider http2_stream_provider(struct http2_stream *s);

/* The body's own ops. */
ssize_t http2_op_data(struct stream *stream, const uint8_t *data, size_t size, bool end);
int http2_op_trailers(struct stream *stream, const struct http_field *field, size_t fields);
void http2_op_resume(struct stream *stream);
void http2_op_release(struct stream *stream, enum stream_error error);

static inline struct http2_stream *http2_stream_of(struct stream *stream)
{
	return (struct http2_stream *)stream;
}

/* http2.c */

int http2_new(const struct http2_options *options, bool server, const struct stream_ops *ops,
	      const nghttp2_settings_entry *settings, size_t count, struct http2 **ret_h2);

/* Sets h2->fields. */
bool http2_have_fields(struct http2 *h2);

/* Write a DATA frame into what is to be sent: nghttp2's callback. */
int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
		    size_t size, nghttp2_data_source *source, void *arg);

/* http2_session.c: nghttp2's callbacks */

/* Sets h2->session. 0 or -ENOMEM. */
int http2_session_new(struct http2 *h2);

/* A callback's way to end the connection: http2_feed() or http2_drain() hears of it. */
int http2_give_up(struct http2 *h2, uint32_t code);

/* http2_agent.c and http2_upstream.c: a header block that is no trailers came, in h2->fields. */
void http2_agent_head(struct http2_stream *s, bool end);
void http2_upstream_head(struct http2_stream *s, bool end);
