/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last TLS session with each server, so that the next connection costs no certificate: a
 * bounded table, the least recently used making room. One thread. Fails closed: a session whose
 * certificate has expired is forgotten, and forgetting costs a full handshake.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdint.h>

#define TLS_SESSIONS 128

struct tls_sessions;

int tls_sessions_new(struct tls_sessions **ret_sessions);
void tls_sessions_free(struct tls_sessions *sessions);

/* Keep @session, whose reference it takes, in place of the one before. -ENOMEM: did not take it. */
int tls_sessions_put(struct tls_sessions *sessions, const char *host, uint16_t port,
		     SSL_SESSION *session);

/* Borrowed, until the next call; NULL: none that may be resumed. */
SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions, const char *host, uint16_t port);

void tls_sessions_forget(struct tls_sessions *sessions, const char *host, uint16_t port);
void tls_sessions_forget_all(struct tls_sessions *sessions);
