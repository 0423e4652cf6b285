/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_transport.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE   65536
#define READS_MAX   16	  /* one connection's before the others get their turn */
#define GATHER_SIZE 65536 /* bytes of small frames that go out together */

struct grpc_transport {
	uv_poll_t poll;
	int fd;
	SSL *ssl;
	BIO *in, *out; /* of ssl, in memory */
	const struct grpc_transport_ops *ops;
	void *arg;
	X509 *certificate;
	bool connecting, ready, closed, busy, server;
	/* Bytes on their way to the socket: what it did not take. */
	uint8_t *pending;
	size_t pending_start, pending_size;
};

/* One for all connections of a thread: nothing stays in it. */
static __thread uint8_t read_buffer[READ_SIZE];
static __thread uint8_t plain_buffer[READ_SIZE];
static __thread uint8_t gather_buffer[GATHER_SIZE];

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct grpc_transport *t)
{
	int events = t->connecting ? UV_WRITABLE : UV_READABLE;

	if (t->pending)
		events |= UV_WRITABLE;
	uv_poll_start(&t->poll, events, on_poll);
}

static void close_now(struct grpc_transport *t, const char *why)
{
	if (t->closed)
		return;
	t->closed = true;
	uv_poll_stop(&t->poll);
	t->ops->closed(t->arg, why);
}

static void close_errno(struct grpc_transport *t, const char *what, int error)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	close_now(t, text);
}

static void close_tls(struct grpc_transport *t)
{
	long verified = SSL_get_verify_result(t->ssl);
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	char text[256];

	if (verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	snprintf(text, sizeof(text), "TLS: %s", reason ? reason : "the connection ended");
	ERR_clear_error();
	close_now(t, text);
}

/* What the socket does not take is kept. */
static int write_socket(struct grpc_transport *t, const uint8_t *data, size_t size)
{
	ssize_t n;

	while (size) {
		n = send(t->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	if (!size)
		return 0;
	t->pending = malloc(size);
	if (!t->pending)
		return -ENOMEM;
	memcpy(t->pending, data, size);
	t->pending_start = 0;
	t->pending_size = size;
	return 0;
}

static int write_pending(struct grpc_transport *t)
{
	uint8_t *data = TAKE_PTR(t->pending);
	int r;

	if (!data)
		return 0;
	r = write_socket(t, data + t->pending_start, t->pending_size);
	free(data);
	return r;
}

/* What TLS has to say goes to the socket, in one piece. */
static int write_tls(struct grpc_transport *t)
{
	char *data;
	long size = BIO_get_mem_data(t->out, &data);
	int r;

	if (size <= 0)
		return 0;
	r = write_socket(t, (const uint8_t *)data, (size_t)size);
	(void)BIO_reset(t->out);
	return r;
}

/* Small frames are put together: a record and a segment for each would cost more than the copy. */
static ssize_t gather(struct grpc_transport *t)
{
	size_t size = 0;

	while (size + 16384 + 9 <= GATHER_SIZE) {
		const uint8_t *data;
		ssize_t n = t->ops->pull(t->arg, &data);

		if (n < 0)
			return n;
		if (!n)
			break;
		if ((size_t)n > GATHER_SIZE - size)
			return -EMSGSIZE;
		memcpy(gather_buffer + size, data, (size_t)n);
		size += (size_t)n;
	}
	return (ssize_t)size;
}

static int flush(struct grpc_transport *t)
{
	int r = write_pending(t);

	while (!r && t->ready && !t->pending && !t->closed) {
		ssize_t n = gather(t);

		if (n <= 0)
			return (int)n;
		if (!t->ssl) {
			r = write_socket(t, gather_buffer, (size_t)n);
			continue;
		}
		if (SSL_write(t->ssl, gather_buffer, (int)n) != n)
			return -EPROTO;
		r = write_tls(t);
	}
	return r;
}

static void flush_and_watch(struct grpc_transport *t)
{
	int r = flush(t);

	if (t->closed)
		return;
	if (r == -ECONNABORTED)
		close_now(t, "the connection was ended here");
	else if (r)
		close_errno(t, "sending", -r);
	else
		watch(t);
}

/* A peer that has none of ours is not spoken to in another protocol. */
static bool speaks_h2(struct grpc_transport *t)
{
	const unsigned char *name;
	unsigned int size;

	SSL_get0_alpn_selected(t->ssl, &name, &size);
	return size == 2 && !memcmp(name, "h2", 2);
}

static int handshake(struct grpc_transport *t)
{
	int n = SSL_do_handshake(t->ssl), r;

	r = write_tls(t);
	if (r)
		return r;
	if (n == 1) {
		if (!speaks_h2(t)) {
			close_now(t, "the peer does not speak HTTP/2 (ALPN h2)");
			return -EPROTO;
		}
		t->ready = true;
		t->certificate = SSL_get1_peer_certificate(t->ssl);
		t->ops->ready(t->arg);
		return 0;
	}
	if (SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ)
		return 0;
	close_tls(t);
	return -EPROTO;
}

static int give(struct grpc_transport *t, const uint8_t *data, size_t size)
{
	int r = t->ops->received(t->arg, data, size);

	return r ? -ECONNABORTED : 0;
}

static int receive_tls(struct grpc_transport *t, const uint8_t *data, size_t size)
{
	int n, r;

	if (BIO_write(t->in, data, (int)size) != (int)size)
		return -ENOMEM;
	if (!t->ready) {
		r = handshake(t);
		if (r || !t->ready)
			return r;
	}
	for (;;) {
		n = SSL_read(t->ssl, plain_buffer, sizeof(plain_buffer));
		if (n <= 0)
			break;
		r = give(t, plain_buffer, (size_t)n);
		if (r || t->closed)
			return r;
	}
	n = SSL_get_error(t->ssl, n);
	if (n == SSL_ERROR_ZERO_RETURN) {
		close_now(t, "the peer closed the connection");
		return -EPIPE;
	}
	if (n != SSL_ERROR_WANT_READ) {
		close_tls(t);
		return -EPROTO;
	}
	return write_tls(t);
}

static void receive(struct grpc_transport *t)
{
	for (int i = 0; i < READS_MAX && !t->closed; i++) {
		ssize_t n = recv(t->fd, read_buffer, sizeof(read_buffer), MSG_DONTWAIT);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			close_errno(t, "receiving", errno);
			return;
		}
		if (!n) {
			close_now(t, "the peer closed the connection");
			return;
		}
		r = t->ssl ? receive_tls(t, read_buffer, (size_t)n)
			   : give(t, read_buffer, (size_t)n);
		if (r && !t->closed) {
			/* What is still to be said, such as GOAWAY, is tried once. */
			(void)flush(t);
			if (r == -ECONNABORTED)
				close_now(t, "the peer broke the protocol");
			else
				close_errno(t, "receiving", -r);
		}
		if ((size_t)n < sizeof(read_buffer))
			return;
	}
}

static int socket_error(const struct grpc_transport *t)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
}

static void connected(struct grpc_transport *t)
{
	int error = socket_error(t);

	if (error) {
		close_errno(t, "connecting", error);
		return;
	}
	t->connecting = false;
	if (t->ssl) {
		(void)handshake(t);
		return;
	}
	t->ready = true;
	t->ops->ready(t->arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct grpc_transport *t = poll->data;

	t->busy = true;
	if (status < 0) {
		/* libuv says EBADF for every error of a socket. */
		int error = socket_error(t);

		close_errno(t, t->connecting ? "connecting" : "waiting", error ? error : -status);
	} else if (t->connecting) {
		connected(t);
	} else if (events & UV_READABLE) {
		receive(t);
	}
	if (!t->closed && !t->connecting)
		flush_and_watch(t);
	t->busy = false;
}

static int set_name(SSL *ssl, const char *name)
{
	struct in6_addr address;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 : -EINVAL;
	if (SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
		return -EINVAL;
	return 0;
}

static int set_tls(struct grpc_transport *t, SSL_CTX *tls, const char *name)
{
	static const unsigned char h2[] = "\x02h2";

	t->ssl = SSL_new(tls);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (!t->ssl || !t->in || !t->out) {
		BIO_free(t->in);
		BIO_free(t->out);
		return -ENOMEM;
	}
	/* An empty memory is not the end. */
	BIO_set_mem_eof_return(t->in, -1);
	BIO_set_mem_eof_return(t->out, -1);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
	if (t->server) {
		SSL_set_accept_state(t->ssl);
		return 0;
	}
	SSL_set_connect_state(t->ssl);
	if (SSL_set_alpn_protos(t->ssl, h2, sizeof(h2) - 1))
		return -ENOMEM;
	if (!name) {
		SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
	return set_name(t->ssl, name);
}

static void destroy(uv_handle_t *handle)
{
	struct grpc_transport *t = handle->data;

	SSL_free(t->ssl);
	X509_free(t->certificate);
	free(t->pending);
	safe_close(t->fd);
	free(t);
}

int grpc_transport_new(uv_loop_t *loop, int fd, bool connecting, SSL_CTX *tls, bool server,
		       const char *name, const struct grpc_transport_ops *ops, void *arg,
		       struct grpc_transport **ret_transport)
{
	struct grpc_transport *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (t) {
		t->fd = fd;
		t->server = server;
		t->connecting = connecting;
		t->ops = ops;
		t->arg = arg;
		if (tls)
			r = set_tls(t, tls, name);
	}
	if (!r)
		r = uv_poll_init(loop, &t->poll, fd);
	if (r) {
		if (t)
			SSL_free(t->ssl);
		free(t);
		safe_close(fd);
		return r;
	}
	t->poll.data = t;
	/* A client begins from the loop too: it is writable at once. */
	if (!server)
		t->connecting = true;
	if (!t->ssl && server)
		t->ready = true;
	watch(t);
	*ret_transport = t;
	return 0;
}

void grpc_transport_flush(struct grpc_transport *t)
{
	if (!t->closed && !t->busy && !t->connecting)
		flush_and_watch(t);
}

bool grpc_transport_is_ready(const struct grpc_transport *t)
{
	return t->ready;
}

int grpc_transport_fd(const struct grpc_transport *t)
{
	return t->fd;
}

X509 *grpc_transport_certificate(const struct grpc_transport *t)
{
	return t->certificate;
}

void grpc_transport_free(struct grpc_transport *t)
{
	if (!t)
		return;
	t->closed = true;
	uv_close((uv_handle_t *)&t->poll, destroy);
}
