/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of the proxy in the worker's loop: watched once, edge-triggered, with what came and
 * was not used yet, and what is to go out and did not fit. Both buffers exist only while they hold
 * something, so that an idle connection costs its structure alone.
 *
 * What epoll said is remembered (readable, writable) until a call says EAGAIN. ops->ready() is
 * called when there may be something to do: after an event, and once before the loop sleeps if
 * wire_schedule() asked for it. Whoever embeds a wire is freed by ops->destroy(), which the loop
 * calls after wire_close(), never from within another call.
 *
 * Owned by its agent or upstream connection; the worker's loop.
 */
#pragma once

#include "proxy/conn.h"
#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_BUFFER	16384
#define WIRE_BUFFER_MAX (HTTP_HEAD_MAX + 2 * WIRE_BUFFER)
#define WIRE_TURN	16 /* pieces that one connection moves before the others get their turn */

struct proxy;
struct wire;

struct wire_ops {
	void (*ready)(struct wire *wire);
	void (*expired)(struct wire *wire); /* its deadline has passed */
	void (*close)(struct wire *wire);   /* the proxy ends */
	void (*destroy)(struct wire *wire);
};

/* Bytes [at, end) of a buffer of `size`; NULL when empty. */
struct wire_buffer {
	uint8_t *data;
	uint32_t at, end, size;
};

struct wire {
	struct conn conn;
	struct proxy *proxy;
	const struct wire_ops *ops;
	uint64_t deadline;	  /* CLOCK_BOOTTIME ns; 0 = none */
	struct wire *next;	  /* scheduled */
	struct wire *next_closed; /* to be destroyed */
	uint32_t index, generation;
	bool readable, writable; /* as far as is known */
	bool ended;		 /* the peer sends no more */
	bool broken;		 /* it is gone */
	bool scheduled, closed;
	struct wire_buffer in, out;
};

/* Take the non-blocking socket @fd, also on failure: -EMFILE, -ENOMEM, epoll's errors. */
int wire_open(struct wire *wire, struct proxy *proxy, int fd, const struct wire_ops *ops);

/* Once; @reset: the peer shall see that it was broken off. */
void wire_close(struct wire *wire, bool reset);

/* Have ready() called before the loop sleeps. */
void wire_schedule(struct wire *wire);

/* Read into `in`: > 0; 0 at the end; -EAGAIN; -ENOBUFS: it is full; conn_read()'s errors. */
ssize_t wire_fill(struct wire *wire);

/* Read past the buffer, which is empty. As wire_fill(). */
ssize_t wire_read(struct wire *wire, uint8_t *data, size_t size);

static inline uint8_t *wire_in(const struct wire *wire)
{
	return wire->in.data + wire->in.at;
}

static inline size_t wire_in_size(const struct wire *wire)
{
	return wire->in.end - wire->in.at;
}

/*
 * The next @size bytes of `in` are being used: they are not in it any more, but stay where they are
 * until wire_taken(), which does nothing if the wire was closed meanwhile.
 */
const uint8_t *wire_take(struct wire *wire, size_t size);
void wire_taken(struct wire *wire);

/* Room for @size bytes at the end of `out`, to be added by wire_added(); NULL without memory. */
uint8_t *wire_room(struct wire *wire, size_t size);
void wire_added(struct wire *wire, size_t size);

/* Queue @data, whatever is queued already. -ENOBUFS, -ENOMEM. */
int wire_put(struct wire *wire, const void *data, size_t size);

/*
 * Send @data after what is queued. Small pieces are queued, and go out together before the loop
 * sleeps; of large ones as much as the socket takes. Bytes taken, 0 if it is full, or an error.
 */
ssize_t wire_send(struct wire *wire, const uint8_t *data, size_t size);

/* Send what is queued: 0 all; -EAGAIN; an error. */
int wire_flush(struct wire *wire);

static inline bool wire_queued(const struct wire *wire)
{
	return wire->out.end != wire->out.at;
}
