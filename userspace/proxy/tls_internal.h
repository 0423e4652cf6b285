/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between tls.c, tls_failure.c and tls_bio.c: what goes along with one SSL object, and dies with
 * it. One thread.
 */
#pragma once

#include "proxy/tls.h"

struct tls_peer {
	struct tls *tls;
	bool offer_h2;
	bool wants_certificate; /* the server asked for one */
	bool shaken;		/* it failed after the handshake */
	bool other_name;	/* the agent's SNI was another host */
	uint16_t port;
	uint32_t trust;	      /* which trust it began with */
	int error;	      /* negative errno of the socket */
	unsigned long reason; /* OpenSSL's, of the first failure */
	char host[];
};

/* Never NULL for what came from tls_accept() and tls_connect(). */
struct tls_peer *tls_peer_of(const SSL *ssl);

/*
 * Reads and writes a socket with MSG_NOSIGNAL | MSG_DONTWAIT; does not own it. NULL without memory.
 */
BIO *tls_bio_new(int fd);
