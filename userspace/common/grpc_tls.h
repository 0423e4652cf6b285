/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts for both sides of common/grpc.h: TLS 1.2 and newer, ALPN h2. To be freed with
 * SSL_CTX_free(). Any thread. Fails closed: files that cannot be read or do not fit yield none.
 */
#pragma once

#include "common/error.h"

#include <openssl/ssl.h>

/* @client_ca: PEM file; who shows a certificate must have it from there; NULL: none is asked for.
 */
int grpc_tls_server(const char *cert, const char *key, const char *client_ca, SSL_CTX **ret_tls,
		    struct error *err);

/* @ca: PEM file, NULL = the system's; @cert and @key: of this client, NULL = none. */
int grpc_tls_client(const char *ca, const char *cert, const char *key, SSL_CTX **ret_tls,
		    struct error *err);
