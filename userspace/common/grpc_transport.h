/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one connection of common/grpc.h: a socket on a uv loop, inside TLS or not. It asks
 * for bytes to send when the socket takes them, and hands on what comes. Part of its session; the
 * loop's thread. Fails closed: a handshake that does not end with h2 ends the connection.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct grpc_transport;

struct grpc_transport_ops {
	/* Bytes came; not 0 closes the connection once what is to be sent has been tried. */
	int (*received)(void *arg, const uint8_t *data, size_t size);
	/* Bytes to send; 0 = none now; negative closes. Valid until the next call. */
	ssize_t (*pull)(void *arg, const uint8_t **ret_data);
	/* Ready for HTTP/2: connected, and the handshake is done. */
	void (*ready)(void *arg);
	/* It is over, told once, never from within grpc_transport_new(). */
	void (*closed)(void *arg, const char *why);
};

/*
 * @fd is taken: a connected socket, or one that is connecting (nonblocking). @tls NULL = plain;
 * @name is who a client must find (a host name or an address), NULL: nobody is looked for.
 */
int grpc_transport_new(uv_loop_t *loop, int fd, bool connecting, SSL_CTX *tls, bool server,
		       const char *name, const struct grpc_transport_ops *ops, void *arg,
		       struct grpc_transport **ret_transport);

/* Something may be to be sent. Not from within `received` or `pull`: that happens anyway. */
void grpc_transport_flush(struct grpc_transport *transport);

bool grpc_transport_is_ready(const struct grpc_transport *transport);
int grpc_transport_fd(const struct grpc_transport *transport);

/* Of the peer, verified; borrowed; NULL. */
X509 *grpc_transport_certificate(const struct grpc_transport *transport);

/* No more callbacks. Its handle is closed by the loop. NULL is valid. */
void grpc_transport_free(struct grpc_transport *transport);
