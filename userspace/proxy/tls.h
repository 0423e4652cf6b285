/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of one worker, on both its sides: to the agent it is the server that the agent asked for,
 * with a certificate of the sandbox's own CA; to the server it is a client like any other, which
 * checks the server's certificate against what the sandbox trusts. Versions 1.2 and 1.3; no
 * renegotiation, no compression, no 0-RTT, no certificates of clients. Revocation is not looked up.
 *
 * One thread. Opens no file and makes no socket, and needs no more system calls than filter.h
 * admits. A struct tls outlives the SSL objects that came from it. Fails closed: a certificate that
 * does not pass ends the handshake, and what trust there is is what tls_trust() was given.
 */
#pragma once

#include "common/error.h"
#include "proxy/tls_ca.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_FAILURE_MAX 160 /* room for any sentence of tls_failure() */

struct tls;

/*
 * Start OpenSSL and have it look up its algorithms: what every worker would do first, done once in
 * the process that they are forked from. Not needed; saves each of them some milliseconds.
 */
int tls_prepare(void);

/* Without trust. Borrows @ca. -ENOMEM, -EIO. */
int tls_new(struct tls_ca *ca, struct tls **ret_tls, struct error *err);
void tls_free(struct tls *tls);

/*
 * Trust the authorities in @pem and none else, from the next handshake on; sessions with servers
 * that were admitted by what was trusted before are not resumed. An error leaves all as it was.
 */
int tls_trust(struct tls *tls, const uint8_t *pem, size_t size, size_t *ret_count,
	      struct error *err);

/*
 * The server's side, for an agent that connected to @host: a canonical name, or the canonical text
 * of an address. Its certificate is for @host whatever the agent says; a name in SNI that is
 * another one than @host ends the handshake (unrecognized_name), none is accepted. ALPN: h2 if
 * @offer_h2, http/1.1, http/1.0; a client that offers others alone is refused
 * (no_application_protocol). Sessions are resumed by tickets, for the same host. -ENOMEM, -EINVAL.
 */
int tls_accept(struct tls *tls, int fd, const char *host, bool offer_h2, SSL **ret_ssl);

/*
 * The client's side, for a connection to @host, which the server's certificate has to name (RFC
 * 9525: in the SAN). Resumes the last session with @host and @port if there is one. -ENOMEM,
 * -EINVAL.
 */
int tls_connect(struct tls *tls, int fd, const char *host, uint16_t port, bool offer_h2,
		SSL **ret_ssl);

/*
 * For conn.h: note why an operation on @ssl failed, from OpenSSL's queue, which it empties;
 * @error: a negative errno where the socket failed, or 0.
 */
void tls_note_failure(SSL *ssl, int error, bool handshaking);

/*
 * For conn.h: between begin and end, after tls_bio_enough(), a socket that had less than it was
 * asked for is not asked again. It is empty, or what came meanwhile is told by epoll (epoll(7), on
 * EPOLLET). The end of the stream may be what is left there, and told already: so enough is what
 * the caller may return, and come back.
 */
void tls_bio_begin(SSL *ssl);
void tls_bio_enough(SSL *ssl);
void tls_bio_end(SSL *ssl);

/*
 * Why it failed, as the end of a sentence: "the certificate has expired". Into @buf, which it
 * returns; certificates' own words are not in it.
 */
const char *tls_failure(SSL *ssl, char *buf, size_t size);

/* Whether the handshake agreed on HTTP/2; without ALPN it is HTTP/1. */
bool tls_is_h2(const SSL *ssl);
