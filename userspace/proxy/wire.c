/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/wire.h"

#include "common/cleanup.h"
#include "proxy/proxy_internal.h"

#include <string.h>
#include <sys/uio.h>

#define SMALL 4096 /* is queued rather than sent at once */

static int buffer_need(struct proxy *proxy, struct wire_buffer *buffer, size_t size)
{
	uint8_t *data;
	uint32_t used = buffer->end - buffer->at;

	if (buffer->data && buffer->size - buffer->end >= size)
		return 0;
	if (!buffer->data && size <= WIRE_BUFFER) {
		data = proxy_buffer_new(proxy);
		if (!data)
			return -ENOMEM;
		*buffer = (struct wire_buffer){.data = data, .size = WIRE_BUFFER};
		return 0;
	}
	if (buffer->data && buffer->size - used >= size) {
		memmove(buffer->data, buffer->data + buffer->at, used);
		buffer->at = 0;
		buffer->end = used;
		return 0;
	}
	if (used + size > WIRE_BUFFER_MAX)
		return -ENOBUFS;
	data = malloc(WIRE_BUFFER_MAX);
	if (!data)
		return -ENOMEM;
	if (used)
		memcpy(data, buffer->data + buffer->at, used);
	proxy_buffer_free(proxy, buffer->data, buffer->size);
	*buffer = (struct wire_buffer){.data = data, .end = used, .size = WIRE_BUFFER_MAX};
	return 0;
}

static void buffer_drop(struct proxy *proxy, struct wire_buffer *buffer)
{
	proxy_buffer_free(proxy, buffer->data, buffer->size);
	*buffer = (struct wire_buffer){};
}

int wire_open(struct wire *wire, struct proxy *proxy, int fd, const struct wire_ops *ops)
{
	int r;

	conn_init(&wire->conn, fd, NULL, false);
	wire->proxy = proxy;
	wire->ops = ops;
	wire->readable = wire->writable = true;
	r = proxy_watch(proxy, wire);
	if (r) {
		conn_close(&wire->conn, true);
		wire->closed = true;
	}
	return r;
}

void wire_close(struct wire *wire, bool reset)
{
	if (wire->closed)
		return;
	conn_close(&wire->conn, reset);
	buffer_drop(wire->proxy, &wire->in);
	buffer_drop(wire->proxy, &wire->out);
	wire->closed = true;
	proxy_unwatch(wire->proxy, wire);
}

void wire_schedule(struct wire *wire)
{
	if (!wire->scheduled && !wire->closed)
		proxy_schedule(wire->proxy, wire);
}

/* After a read of less than was asked for. */
static bool is_empty(const struct conn *conn)
{
	return !conn->ssl || (conn->drained && !conn->eof && !conn->error);
}

ssize_t wire_read(struct wire *wire, uint8_t *data, size_t size)
{
	ssize_t n;

	if (!wire->readable)
		return -EAGAIN;
	n = conn_read(&wire->conn, data, size);
	if (n == -EAGAIN)
		wire->readable = false;
	/*
	 * A socket that had less than was asked for is empty until epoll says more, unless the end
	 * is what comes next; a call is saved that would only say so.
	 */
	else if (n > 0 && (size_t)n < size && !wire->ended && is_empty(&wire->conn))
		wire->readable = false;
	return n;
}

ssize_t wire_fill(struct wire *wire)
{
	struct wire_buffer *in = &wire->in;
	ssize_t n;
	int r = 0;

	if (!wire->readable)
		return -EAGAIN;
	if (!in->data || in->end == in->size)
		r = buffer_need(wire->proxy, in, 1);
	if (r)
		return r;
	n = wire_read(wire, in->data + in->end, in->size - in->end);
	if (n > 0)
		in->end += (uint32_t)n;
	else if (in->at == in->end)
		buffer_drop(wire->proxy, in);
	return n;
}

const uint8_t *wire_take(struct wire *wire, size_t size)
{
	const uint8_t *data = wire_in(wire);

	wire->in.at += (uint32_t)size;
	return data;
}

void wire_taken(struct wire *wire)
{
	if (wire->in.data && wire->in.at == wire->in.end)
		buffer_drop(wire->proxy, &wire->in);
}

uint8_t *wire_room(struct wire *wire, size_t size)
{
	if (buffer_need(wire->proxy, &wire->out, size))
		return NULL;
	return wire->out.data + wire->out.end;
}

void wire_added(struct wire *wire, size_t size)
{
	wire->out.end += (uint32_t)size;
	wire_schedule(wire);
}

int wire_put(struct wire *wire, const void *data, size_t size)
{
	int r = buffer_need(wire->proxy, &wire->out, size);

	if (r)
		return r;
	memcpy(wire->out.data + wire->out.end, data, size);
	wire_added(wire, size);
	return 0;
}

/*
 * A server that wants no more of a request has its answer on the way, or here: what came can still
 * be read. After an error of TLS nothing can.
 */
static int sent(struct wire *wire, ssize_t n)
{
	if (n == -EAGAIN)
		wire->writable = false;
	else if (n < 0 && !wire->conn.ssl) {
		wire->conn.error = 0;
		wire->conn.shut = true;
	}
	return n < 0 ? (int)n : 0;
}

int wire_flush(struct wire *wire)
{
	struct wire_buffer *out = &wire->out;

	while (out->at < out->end) {
		ssize_t n;

		if (!wire->writable)
			return -EAGAIN;
		n = conn_write(&wire->conn, out->data + out->at, out->end - out->at);
		if (n < 0)
			return sent(wire, n);
		out->at += (uint32_t)n;
	}
	if (out->data)
		buffer_drop(wire->proxy, out);
	return sent(wire, conn_flush(&wire->conn));
}

/* The queue and the new piece in one call. */
static ssize_t send_both(struct wire *wire, const uint8_t *data, size_t size)
{
	struct wire_buffer *out = &wire->out;
	size_t queued = out->end - out->at;
	struct iovec iov[2] = {
		{.iov_base = out->data + out->at, .iov_len = queued},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = size},
	};
	ssize_t n;

	if (!queued)
		return conn_write(&wire->conn, data, size);
	n = conn_writev(&wire->conn, iov, 2);
	if (n < 0)
		return n;
	if ((size_t)n < queued) {
		out->at += (uint32_t)n;
		return -EAGAIN;
	}
	buffer_drop(wire->proxy, out);
	return n - (ssize_t)queued;
}

/*
 * TLS wants to be told the same bytes again after EAGAIN, so all of them go through the queue; a
 * full one is one record.
 */
static ssize_t send_tls(struct wire *wire, const uint8_t *data, size_t size)
{
	size_t taken = 0;

	while (taken < size) {
		size_t queued = wire->out.end - wire->out.at, n = size - taken;
		uint8_t *room;
		int r;

		if (queued >= WIRE_BUFFER) {
			r = wire_flush(wire);
			if (r == -EAGAIN)
				break;
			if (r)
				return r;
			continue;
		}
		if (n > WIRE_BUFFER - queued)
			n = WIRE_BUFFER - queued;
		room = wire_room(wire, n);
		if (!room)
			return -ENOMEM;
		memcpy(room, data + taken, n);
		wire_added(wire, n);
		taken += n;
	}
	return (ssize_t)taken;
}

ssize_t wire_send(struct wire *wire, const uint8_t *data, size_t size)
{
	size_t queued = wire->out.end - wire->out.at;
	ssize_t n;

	if (wire->conn.ssl)
		return send_tls(wire, data, size);
	if (size < SMALL && queued + size <= WIRE_BUFFER) {
		uint8_t *room = wire_room(wire, size);

		if (!room)
			return -ENOMEM;
		memcpy(room, data, size);
		wire_added(wire, size);
		return (ssize_t)size;
	}
	if (!wire->writable)
		return 0;
	n = send_both(wire, data, size);
	if (n < 0 && sent(wire, n) == -EAGAIN)
		return 0;
	return n;
}
