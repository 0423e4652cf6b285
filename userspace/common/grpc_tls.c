/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

static int fail(SSL_CTX *tls, struct error *err, const char *what, const char *file)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	SSL_CTX_free(tls);
	ERR_clear_error();
	return error_set(err, -EINVAL, "%s %s: %s", what, file,
			 reason ? reason : "not a PEM file of the kind that is wanted");
}

static int use_pair(SSL_CTX *tls, const char *cert, const char *key, struct error *err)
{
	if (SSL_CTX_use_certificate_chain_file(tls, cert) != 1)
		return fail(tls, err, "the certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		return fail(tls, err, "the key", key);
	if (SSL_CTX_check_private_key(tls) != 1)
		return fail(tls, err, "the key does not belong to the certificate:", key);
	return 0;
}

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_size,
		     const unsigned char *in, unsigned int in_size, void *arg)
{
	static const unsigned char h2[] = "\x02h2";

	if (SSL_select_next_proto((unsigned char **)out, out_size, h2, sizeof(h2) - 1, in,
				  in_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_tls(const SSL_METHOD *method)
{
	SSL_CTX *tls = SSL_CTX_new(method);

	if (!tls)
		return NULL;
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	return tls;
}

int grpc_tls_server(const char *cert, const char *key, const char *client_ca, SSL_CTX **ret_tls,
		    struct error *err)
{
	SSL_CTX *tls = new_tls(TLS_server_method());
	int r;

	if (!tls)
		return error_set(err, -ENOMEM, "out of memory");
	r = use_pair(tls, cert, key, err);
	if (r)
		return r;
	SSL_CTX_set_alpn_select_cb(tls, select_h2, NULL);
	/* No tickets: each connection shows its certificate, and none outlives a restart. */
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
	if (client_ca) {
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca);

		if (!names || SSL_CTX_load_verify_locations(tls, client_ca, NULL) != 1) {
			sk_X509_NAME_pop_free(names, X509_NAME_free);
			return fail(tls, err, "the clients' CA", client_ca);
		}
		SSL_CTX_set_client_CA_list(tls, names);
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	}
	*ret_tls = tls;
	return 0;
}

int grpc_tls_client(const char *ca, const char *cert, const char *key, SSL_CTX **ret_tls,
		    struct error *err)
{
	SSL_CTX *tls = new_tls(TLS_client_method());
	int r;

	if (!tls)
		return error_set(err, -ENOMEM, "out of memory");
	if (ca ? SSL_CTX_load_verify_locations(tls, ca, NULL) != 1
	       : SSL_CTX_set_default_verify_paths(tls) != 1)
		return fail(tls, err, "the CA", ca ? ca : "of the system");
	if (cert && key) {
		r = use_pair(tls, cert, key, err);
		if (r)
			return r;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	*ret_tls = tls;
	return 0;
}
