/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TCP connection of the worker, with TLS or without, never blocking: what everything else reads
 * and writes through. Embedded in its owner, who asks epoll for conn_events() and calls again when
 * one of them came. No call raises SIGPIPE, whatever flags the descriptor has.
 *
 * What conn_write() took, it took: a caller never has to repeat bytes. The last record of a TLS
 * connection may wait for room in the socket nevertheless; conn_events() asks for EPOLLOUT as long
 * as it does, and conn_flush(), like every other call that writes, sends it on.
 *
 * An error stays: each later call returns it, conn_events() asks for nothing, and what is left to
 * do is conn_close(). One thread. Fails closed: the end of a TLS connection without close_notify is
 * an error (-EPROTO), because what came may be a part of what was sent.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct conn {
	int fd;		  /* owned; -1 = closed */
	SSL *ssl;	  /* owned; NULL = plaintext */
	uint32_t watched; /* the owner's: what epoll was told */
	int error;	  /* negative errno that ended it */
	bool handshaking; /* connecting, or in TLS's handshake */
	bool eof;	  /* the other side has ended cleanly */
	bool shut;	  /* we have */
	bool drained;	  /* the socket has nothing that a read would help with */
	bool want_write_to_read, want_read_to_write;
	uint16_t unsent_size;
	uint8_t *unsent; /* bytes that were taken, until OpenSSL has sent them; NULL = none */
};

/*
 * Take @fd and @ssl (tls_accept(), tls_connect() or NULL). @connecting: @fd may not be connected
 * yet.
 */
void conn_init(struct conn *conn, int fd, SSL *ssl, bool connecting);

/*
 * Whether the other side begins with TLS, without taking anything: 1, 0, -EAGAIN: nothing came yet,
 * -ENODATA: it ended, or another negative errno.
 */
int conn_peek_tls(const struct conn *conn);

/* Go on with TLS, of which nothing was read yet. Takes @ssl. */
void conn_start_tls(struct conn *conn, SSL *ssl);

/*
 * Connect and shake hands: 1 done, 0 again after conn_events(conn, false, false), or a negative
 * errno; -EPROTO: TLS, and tls_failure() knows why. Reading and writing do it as well.
 */
int conn_handshake(struct conn *conn);

/*
 * As much as there is, up to @size (not 0) bytes. > 0; 0: the clean end, a close_notify or, without
 * TLS, a FIN; -EAGAIN; -ECONNRESET and other errors of the socket; -EPROTO: TLS, a cut included.
 */
ssize_t conn_read(struct conn *conn, uint8_t *data, size_t size);

/* True: conn_read() has something, and epoll will not tell. */
bool conn_pending(const struct conn *conn);

/*
 * As much as goes; fewer bytes than @size, or -EAGAIN, until conn_events(conn, , true). -EPIPE,
 * also after conn_shutdown_write(); -ECONNRESET; -EPROTO; -ENOMEM. @size is not 0.
 */
ssize_t conn_write(struct conn *conn, const uint8_t *data, size_t size);

/*
 * As conn_write() for up to IOV_MAX pieces in turn: one packet, or as few TLS records as they fit
 * in.
 */
ssize_t conn_writev(struct conn *conn, const struct iovec *iov, int count);

/* Send what was taken: 0, -EAGAIN or as conn_write(). */
int conn_flush(struct conn *conn);

/* End our direction, after what was taken: close_notify and FIN. 0, -EAGAIN: call again, or errors.
 */
int conn_shutdown_write(struct conn *conn);

/*
 * Close and free. @reset: so that the other side sees that something went wrong, or without waiting
 * for what was not acknowledged; else after a close_notify, if the socket has room for one now.
 * Idempotent.
 */
void conn_close(struct conn *conn, bool reset);

/* What to ask epoll for by who wants to read or write, or only waits for conn_handshake(). */
uint32_t conn_events(const struct conn *conn, bool want_read, bool want_write);
