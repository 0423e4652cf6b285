/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other ends of the worker's TLS connections: OpenSSL as any program uses it, and certificates
 * with all that can be wrong with them. One thread.
 */
#pragma once

#include "common/cleanup.h"
#include "proxy/conn.h"
#include "proxy/tls.h"
#include "proxy/tls_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
};

/* What is wrong with a server's certificate, if anything. */
struct flaw {
	int from, to; /* days from now; 0 and 0: a day before to 90 days on */
	long seconds; /* valid for so many from now, in place of @to */
	bool self_signed;
	const char *usage; /* NULL: serverAuth */
};

static inline void extend(X509 *issuer, X509 *x, int nid, const char *value)
{
	X509_EXTENSION *extension;

	assert_int_equal(tls_x509_extension(issuer, x, nid, value, &extension), 0);
	assert_int_equal(X509_add_ext(x, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline void authority_make(struct authority *authority, const char *name)
{
	X509 *x;

	assert_int_equal(tls_openssl_init(), 0);
	assert_int_equal(tls_x509_key(&authority->key), 0);
	assert_int_equal(tls_x509_new(authority->key, 90, time(NULL), &x), 0);
	assert_int_equal(tls_x509_subject(x, "CN", name), 0);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
	extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
	extend(x, x, NID_key_usage, "critical,keyCertSign");
	extend(x, x, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(x, authority->key, EVP_sha256()) > 0);
	authority->certificate = x;
}

static inline void authority_free(struct authority *authority)
{
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	*authority = (struct authority){};
}

/* @san: "DNS:one.example" or "IP:192.0.2.1"; NULL: none, and the name is in the subject alone. */
static inline X509 *certify(const struct authority *authority, EVP_PKEY *key, const char *cn,
			    const char *san, const struct flaw *flaw)
{
	time_t now = time(NULL);
	X509 *x, *issuer;

	assert_int_equal(tls_x509_new(key, 90, now, &x), 0);
	if (flaw && (flaw->from || flaw->to)) {
		X509_time_adj_ex(X509_getm_notBefore(x), flaw->from, 0, &now);
		X509_time_adj_ex(X509_getm_notAfter(x), flaw->to, 0, &now);
	}
	if (flaw && flaw->seconds)
		X509_time_adj_ex(X509_getm_notAfter(x), 0, flaw->seconds, &now);
	issuer = flaw && flaw->self_signed ? x : authority->certificate;
	assert_int_equal(tls_x509_subject(x, "CN", cn), 0);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer)), 1);
	if (san)
		extend(issuer, x, NID_subject_alt_name, san);
	extend(issuer, x, NID_ext_key_usage, flaw && flaw->usage ? flaw->usage : "serverAuth");
	assert_true(X509_sign(x, issuer == x ? key : authority->key, EVP_sha256()) > 0);
	return x;
}

/* A server of somebody's. */
static inline SSL_CTX *server_make(X509 *certificate, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	assert_int_equal(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4), 1);
	return ctx;
}

/* An agent's client, which trusts the CA and nothing else. */
static inline SSL_CTX *client_make(const struct tls_ca *ca)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), tls_ca_certificate(ca)),
			 1);
	return ctx;
}

static inline void pem_append(BIO *bio, X509 *x)
{
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
}

static inline size_t trust_only(struct tls *tls, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	size_t count = 0;
	char *pem;
	long size;

	pem_append(bio, x);
	size = BIO_get_mem_data(bio, &pem);
	assert_int_equal(tls_trust(tls, (const uint8_t *)pem, (size_t)size, &count, NULL), 0);
	BIO_free(bio);
	return count;
}

/* One connection: the worker's end, and somebody else's. */
struct pair {
	struct conn conn;
	SSL *other;
	int fd; /* the other's */
};

static inline void sockets_make(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

static inline void pair_agent(struct pair *pair, struct tls *tls, const char *host, bool h2,
			      SSL_CTX *client, const char *sni)
{
	int fds[2];
	SSL *ssl;

	sockets_make(fds);
	assert_int_equal(tls_accept(tls, fds[0], host, h2, &ssl), 0);
	conn_init(&pair->conn, fds[0], ssl, false);
	pair->other = SSL_new(client);
	pair->fd = fds[1];
	assert_int_equal(SSL_set_fd(pair->other, fds[1]), 1);
	if (sni)
		assert_int_equal(SSL_set_tlsext_host_name(pair->other, sni), 1);
	SSL_set_connect_state(pair->other);
}

static inline void pair_server(struct pair *pair, struct tls *tls, const char *host, bool h2,
			       SSL_CTX *server)
{
	int fds[2];
	SSL *ssl;

	sockets_make(fds);
	assert_int_equal(tls_connect(tls, fds[0], host, 443, h2, &ssl), 0);
	conn_init(&pair->conn, fds[0], ssl, true);
	pair->other = SSL_new(server);
	pair->fd = fds[1];
	assert_int_equal(SSL_set_fd(pair->other, fds[1]), 1);
	SSL_set_accept_state(pair->other);
}

/* Both ends until they are through, or one has failed. 1, or the worker's error. */
static inline int pair_shake(struct pair *pair)
{
	int ours = 0, theirs = 0;

	for (int i = 0; i < 100 && (ours == 0 || theirs == 0); i++) {
		if (ours == 0)
			ours = conn_handshake(&pair->conn);
		ERR_clear_error();
		if (theirs == 0) {
			int r = SSL_do_handshake(pair->other);

			if (r == 1)
				theirs = 1;
			else if (SSL_get_error(pair->other, r) != SSL_ERROR_WANT_READ)
				theirs = -1;
		}
	}
	assert_int_not_equal(ours, 0);
	return ours < 0 ? ours : theirs;
}

static inline void pair_end(struct pair *pair)
{
	conn_close(&pair->conn, false);
	SSL_set_shutdown(pair->other, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair->other);
	close(pair->fd);
	ERR_clear_error();
}

/* The worker sees what the other end says. */
static inline void pair_hear(struct pair *pair, const char *words)
{
	uint8_t data[64];
	ssize_t n;

	assert_int_equal(SSL_write(pair->other, words, (int)strlen(words)), (int)strlen(words));
	n = conn_read(&pair->conn, data, sizeof(data));
	assert_int_equal(n, strlen(words));
	assert_memory_equal(data, words, strlen(words));
}

/* The other end sees what the worker says. */
static inline void pair_say(struct pair *pair, const char *words)
{
	char data[64];

	assert_int_equal(conn_write(&pair->conn, (const uint8_t *)words, strlen(words)),
			 strlen(words));
	assert_int_equal(SSL_read(pair->other, data, sizeof(data)), strlen(words));
	assert_memory_equal(data, words, strlen(words));
}
