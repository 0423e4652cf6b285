/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/conn.h"

#include "common/cleanup.h"
#include "proxy/tls.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define RECORD	      16384 /* bytes that one record holds: RFC 8446 section 5.1 */
#define TLS_HANDSHAKE 22    /* the first byte of a connection with TLS */

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

void conn_init(struct conn *conn, int fd, SSL *ssl, bool connecting)
{
	*conn = (struct conn){
		.fd = fd,
		.ssl = ssl,
		.handshaking = connecting || ssl,
		.want_write_to_read = connecting,
	};
}

void conn_start_tls(struct conn *conn, SSL *ssl)
{
	conn->ssl = ssl;
	conn->handshaking = true;
}

int conn_peek_tls(const struct conn *conn)
{
	uint8_t first;
	ssize_t n;

	do
		n = recv(conn->fd, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? first == TLS_HANDSHAKE : -ENODATA;
}

/* Why one of OpenSSL's calls did not return 1. -EAGAIN, 0: the clean end, or what ended it. */
static int tls_result(struct conn *conn, bool writing)
{
	int socket_error = errno;

	switch (SSL_get_error(conn->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		conn->want_read_to_write |= writing;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		conn->want_write_to_read |= !writing;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		conn->eof = true;
		return 0;
	case SSL_ERROR_SYSCALL:
		conn->error = socket_error && socket_error != EAGAIN ? -socket_error : -ECONNRESET;
		tls_note_failure(conn->ssl, conn->error, conn->handshaking);
		break;
	default:
		conn->error = -EPROTO;
		tls_note_failure(conn->ssl, 0, conn->handshaking);
	}
	return conn->error;
}

/* A queue with old errors in it, or an old errno, would be taken for why the next call failed. */
static void tls_begin(struct conn *conn, bool writing)
{
	ERR_clear_error();
	errno = 0;
	if (writing)
		conn->want_read_to_write = false;
	else
		conn->want_write_to_read = false;
}

static int tls_handshake(struct conn *conn)
{
	int r;

	tls_begin(conn, false);
	if (SSL_do_handshake(conn->ssl) == 1) {
		conn->handshaking = false;
		return 1;
	}
	r = tls_result(conn, false);
	if (r == -EAGAIN)
		return 0;
	/* An end is not clean in here. */
	return r ? r : (conn->error = -EPROTO);
}

static int socket_error(struct conn *conn)
{
	return errno == EAGAIN ? -EAGAIN : (conn->error = -errno);
}

/* Sending nothing waits for a connection as sending something does. */
static int connected(struct conn *conn)
{
	if (send(conn->fd, "", 0, SEND_FLAGS) < 0)
		return socket_error(conn) == -EAGAIN ? 0 : conn->error;
	conn->handshaking = conn->want_write_to_read = false;
	return 1;
}

int conn_handshake(struct conn *conn)
{
	if (conn->error)
		return conn->error;
	if (!conn->handshaking)
		return 1;
	return conn->ssl ? tls_handshake(conn) : connected(conn);
}

/* 0: go on. */
static int ready(struct conn *conn)
{
	int r = conn_handshake(conn);

	return r > 0 ? 0 : r ? r : -EAGAIN;
}

static ssize_t tls_read(struct conn *conn, uint8_t *data, size_t size)
{
	size_t done = 0, n;
	int r = 0;

	conn->drained = false;
	tls_bio_begin(conn->ssl);
	while (done < size && !conn->drained) {
		tls_begin(conn, false);
		if (SSL_read_ex(conn->ssl, data + done, size - done, &n) == 1) {
			done += n;
			tls_bio_enough(conn->ssl);
			continue;
		}
		r = tls_result(conn, false);
		conn->drained = true;
	}
	tls_bio_end(conn->ssl);
	/* What ended it is said by the next call. */
	return done ? (ssize_t)done : r;
}

static ssize_t plain_read(struct conn *conn, uint8_t *data, size_t size)
{
	ssize_t n;

	do
		n = recv(conn->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return socket_error(conn);
	conn->eof = n == 0;
	return n;
}

ssize_t conn_read(struct conn *conn, uint8_t *data, size_t size)
{
	int r = ready(conn);

	if (r)
		return r;
	if (conn->eof)
		return 0;
	return conn->ssl ? tls_read(conn, data, size) : plain_read(conn, data, size);
}

bool conn_pending(const struct conn *conn)
{
	return conn->ssl && !conn->handshaking && !conn->drained && !conn->eof && !conn->error &&
	       SSL_has_pending(conn->ssl);
}

/* One record. What OpenSSL has not sent is ours until it has: it wants the same bytes again. */
static int tls_write_record(struct conn *conn, const uint8_t *data, size_t size)
{
	size_t n;
	int r;

	tls_begin(conn, true);
	if (SSL_write_ex(conn->ssl, data, size, &n) == 1)
		return (int)n;
	r = tls_result(conn, true);
	if (r != -EAGAIN)
		return r ? r : -EPIPE;
	conn->unsent = malloc(size);
	if (!conn->unsent)
		return conn->error = -ENOMEM;
	memcpy(conn->unsent, data, size);
	conn->unsent_size = (uint16_t)size;
	return (int)size;
}

int conn_flush(struct conn *conn)
{
	size_t n;
	int r;

	if (conn->error)
		return conn->error;
	if (!conn->unsent)
		return 0;
	tls_begin(conn, true);
	if (SSL_write_ex(conn->ssl, conn->unsent, conn->unsent_size, &n) != 1) {
		r = tls_result(conn, true);
		return r ? r : -EPIPE;
	}
	free(conn->unsent);
	conn->unsent = NULL;
	conn->unsent_size = 0;
	return 0;
}

/* 0: something may be written. */
static int writable(struct conn *conn)
{
	int r = ready(conn);

	if (!r && conn->shut)
		r = -EPIPE;
	return r ? r : conn_flush(conn);
}

/* After a part the rest, of which less than all means that it was an error or has to wait. */
static ssize_t tls_write(struct conn *conn, const uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size && !conn->unsent) {
		size_t part = size - done < RECORD ? size - done : RECORD;
		int r = tls_write_record(conn, data + done, part);

		if (r < 0)
			return done ? (ssize_t)done : r;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static ssize_t plain_write(struct conn *conn, const uint8_t *data, size_t size)
{
	ssize_t n;

	do
		n = send(conn->fd, data, size, SEND_FLAGS);
	while (n < 0 && errno == EINTR);
	return n < 0 ? socket_error(conn) : n;
}

static ssize_t plain_writev(struct conn *conn, const struct iovec *iov, int count)
{
	const struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	ssize_t n;

	do
		n = sendmsg(conn->fd, &message, SEND_FLAGS);
	while (n < 0 && errno == EINTR);
	return n < 0 ? socket_error(conn) : n;
}

ssize_t conn_write(struct conn *conn, const uint8_t *data, size_t size)
{
	int r = writable(conn);

	if (r)
		return r;
	return conn->ssl ? tls_write(conn, data, size) : plain_write(conn, data, size);
}

/* Where in the pieces one is. */
struct place {
	const struct iovec *iov;
	int count;
	size_t offset; /* in the first */
};

static void advance(struct place *place, size_t size)
{
	place->offset += size;
	while (place->count && place->offset >= place->iov->iov_len) {
		place->offset -= place->iov->iov_len;
		place->iov++;
		place->count--;
	}
}

/* Bytes for a record: where they lie, if they lie together, else gathered into @room. */
static size_t next_record(struct place place, uint8_t room[RECORD], const uint8_t **ret_data)
{
	size_t size = place.iov->iov_len - place.offset;

	*ret_data = (const uint8_t *)place.iov->iov_base + place.offset;
	if (size >= RECORD || place.count == 1)
		return size < RECORD ? size : RECORD;
	*ret_data = room;
	size = 0;
	while (size < RECORD && place.count) {
		size_t part = place.iov->iov_len - place.offset;

		if (part > RECORD - size)
			part = RECORD - size;
		memcpy(room + size, (const uint8_t *)place.iov->iov_base + place.offset, part);
		size += part;
		advance(&place, part);
	}
	return size;
}

static ssize_t tls_writev(struct conn *conn, const struct iovec *iov, int count)
{
	struct place place = {.iov = iov, .count = count};
	uint8_t room[RECORD];
	size_t done = 0;

	advance(&place, 0);
	while (place.count && !conn->unsent) {
		const uint8_t *data;
		size_t size = next_record(place, room, &data);
		int r = tls_write_record(conn, data, size);

		if (r < 0)
			return done ? (ssize_t)done : r;
		done += (size_t)r;
		advance(&place, (size_t)r);
	}
	return (ssize_t)done;
}

ssize_t conn_writev(struct conn *conn, const struct iovec *iov, int count)
{
	int r = writable(conn);

	if (r)
		return r;
	return conn->ssl ? tls_writev(conn, iov, count) : plain_writev(conn, iov, count);
}

/* 0: it is sent; -EAGAIN; what ended the connection. */
static int close_notify(struct conn *conn)
{
	int r;

	tls_begin(conn, true);
	r = SSL_shutdown(conn->ssl);
	return r >= 0 ? 0 : tls_result(conn, true);
}

int conn_shutdown_write(struct conn *conn)
{
	int r;

	if (conn->shut)
		return 0;
	r = ready(conn);
	if (!r)
		r = conn_flush(conn);
	if (!r && conn->ssl)
		r = close_notify(conn);
	if (r)
		return r;
	conn->shut = true;
	if (shutdown(conn->fd, SHUT_WR) < 0)
		return conn->error = -errno;
	return 0;
}

void conn_close(struct conn *conn, bool reset)
{
	if (conn->fd < 0)
		return;
	if (conn->ssl && !conn->error && !conn->handshaking) {
		if (!reset && !conn->shut && !conn_flush(conn))
			close_notify(conn);
		/* Else OpenSSL takes the session for a broken one, and resumes it no more. */
		if (!conn->error)
			SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	}
	SSL_free(conn->ssl);
	ERR_clear_error();
	free(conn->unsent);
	if (reset) {
		const struct linger linger = {.l_onoff = 1};

		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	close(conn->fd);
	*conn = (struct conn){.fd = -1, .error = -EBADF};
}

uint32_t conn_events(const struct conn *conn, bool want_read, bool want_write)
{
	uint32_t events = 0;

	if (conn->fd < 0 || conn->error)
		return 0;
	if (conn->handshaking)
		return !conn->ssl || conn->want_write_to_read ? EPOLLOUT : EPOLLIN;
	if (want_read && !conn->eof)
		events |= conn->want_write_to_read ? EPOLLOUT : EPOLLIN;
	if (want_write || conn->unsent)
		events |= conn->want_read_to_write ? EPOLLIN : EPOLLOUT;
	return events;
}
