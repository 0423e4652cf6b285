/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_internal.h"

#include "proxy/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <sys/socket.h>

/*
 * OpenSSL's own writes with write(), which raises SIGPIPE; and it would ask an empty socket once
 * more after each record.
 */

/* What a BIO's data is: the descriptor, and this. */
#define READING (INT64_C(1) << 32) /* between tls_bio_begin() and tls_bio_end() */
#define EMPTY	(INT64_C(1) << 33) /* in there a read got less than it asked for */
#define ENOUGH	(INT64_C(1) << 34) /* tls_bio_enough() */

_Static_assert(sizeof(void *) == sizeof(int64_t), "both fit beside a descriptor");

static int64_t state_of(BIO *bio)
{
	return (int64_t)(intptr_t)BIO_get_data(bio);
}

static int fd_of(BIO *bio)
{
	return (int)(uint32_t)state_of(bio);
}

static void set_state(BIO *bio, int64_t state)
{
	BIO_set_data(bio, (void *)(intptr_t)state);
}

void tls_bio_begin(SSL *ssl)
{
	BIO *bio = SSL_get_rbio(ssl);

	set_state(bio, (uint32_t)fd_of(bio) | READING);
}

void tls_bio_enough(SSL *ssl)
{
	BIO *bio = SSL_get_rbio(ssl);

	set_state(bio, state_of(bio) | ENOUGH);
}

void tls_bio_end(SSL *ssl)
{
	BIO *bio = SSL_get_rbio(ssl);

	set_state(bio, (uint32_t)fd_of(bio));
}

static int bio_read(BIO *bio, char *data, int size)
{
	int64_t state = state_of(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (state & EMPTY && state & ENOUGH) {
		BIO_set_retry_read(bio);
		errno = EAGAIN;
		return -1;
	}
	do
		n = recv(fd_of(bio), data, (size_t)size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	else if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	else if (n > 0 && n < size && state & READING)
		set_state(bio, state | EMPTY);
	return (int)n;
}

static int bio_write(BIO *bio, const char *data, int size)
{
	ssize_t n;

	BIO_clear_retry_flags(bio);
	do
		n = send(fd_of(bio), data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	switch (command) {
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	case BIO_CTRL_FLUSH:
		return 1;
	default:
		return 0;
	}
}

static BIO_METHOD *method(void)
{
	static BIO_METHOD *only;
	BIO_METHOD *made;

	if (only)
		return only;
	made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
	if (!made || !BIO_meth_set_read(made, bio_read) || !BIO_meth_set_write(made, bio_write) ||
	    !BIO_meth_set_ctrl(made, bio_ctrl)) {
		BIO_meth_free(made);
		return NULL;
	}
	return only = made;
}

BIO *tls_bio_new(int fd)
{
	BIO *bio = method() ? BIO_new(method()) : NULL;

	if (bio) {
		set_state(bio, (uint32_t)fd);
		BIO_set_init(bio, 1);
	}
	return bio;
}
