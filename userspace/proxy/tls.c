/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls.h"

#include "common/cleanup.h"
#include "proxy/tls_internal.h"
#include "proxy/tls_leaf.h"
#include "proxy/tls_session.h"
#include "proxy/tls_trust.h"
#include "proxy/tls_x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define GROUPS	    "X25519:P-256:P-384"
#define DEPTH	    10		/* certificates between a server's and an authority's */
#define TICKET_TIME (12 * 3600) /* seconds */

/* The agent is on this machine: the shorter key is as good, and faster. It sees one certificate. */
#define AGENT_SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define AGENT_CIPHERS                                                                              \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"                             \
	"ECDHE-ECDSA-AES256-GCM-SHA384"

/* Servers may have other kinds of keys. */
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL"

struct tls {
	SSL_CTX *agent, *server; /* for connections with agents, and with servers */
	struct tls_leaves *leaves;
	struct tls_sessions *sessions;
	uint32_t trust; /* how often it was replaced */
};

static const unsigned char alpn_h2[] = "\2h2", alpn_11[] = "\10http/1.1", alpn_10[] = "\10http/1.0",
			   alpn_both[] = "\2h2\10http/1.1";

#define ALPN_SIZE(list) (sizeof(list) - 1)

static int peer_index = -1;

static void peer_free(void *parent, void *peer, CRYPTO_EX_DATA *data, int index, long argl,
		      void *argp)
{
	free(peer);
}

static int start(void)
{
	int r = tls_openssl_init();

	if (r || peer_index >= 0)
		return r;
	peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_free);
	return peer_index >= 0 ? 0 : -ENOMEM;
}

struct tls_peer *tls_peer_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, peer_index);
}

static bool is_address(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Only a full handshake needs a certificate, so here is where it is made. */
static int choose_certificate(SSL *ssl, void *arg)
{
	struct tls *tls = arg;
	X509 *certificate;

	return !tls_leaves_get(tls->leaves, tls_peer_of(ssl)->host, time(NULL), &certificate) &&
	       SSL_use_certificate(ssl, certificate) == 1 &&
	       SSL_use_PrivateKey(ssl, tls_leaves_key(tls->leaves)) == 1;
}

/* Names in SNI are without a dot at the end; some clients have one there. */
static bool is_same_name(const char *said, const char *host)
{
	size_t length = strlen(host);

	return !strncasecmp(said, host, length) &&
	       (!said[length] || (said[length] == '.' && !said[length + 1]));
}

static int check_name(SSL *ssl, int *ret_alert, void *arg)
{
	const char *said = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls_peer *peer = tls_peer_of(ssl);

	/* Whoever connected to an address may call it what it likes. */
	if (!said || is_address(peer->host) || is_same_name(said, peer->host))
		return SSL_TLSEXT_ERR_OK;
	peer->other_name = true;
	*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool find_protocol(const unsigned char *list, unsigned int size, const unsigned char *want,
			  const unsigned char **ret_name, unsigned char *ret_length)
{
	for (unsigned int i = 0; i < size; i += 1 + list[i])
		if (list[i] == want[0] && i + 1 + list[i] <= size &&
		    !memcmp(&list[i + 1], want + 1, want[0])) {
			*ret_name = &list[i + 1];
			*ret_length = list[i];
			return true;
		}
	return false;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
			   const unsigned char *list, unsigned int size, void *arg)
{
	if ((tls_peer_of(ssl)->offer_h2 &&
	     find_protocol(list, size, alpn_h2, ret_name, ret_length)) ||
	    find_protocol(list, size, alpn_11, ret_name, ret_length) ||
	    find_protocol(list, size, alpn_10, ret_name, ret_length))
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int no_certificate(SSL *ssl, X509 **ret_certificate, EVP_PKEY **ret_key)
{
	tls_peer_of(ssl)->wants_certificate = true;
	return 0;
}

/* 1: took the reference. Tickets come as long as a connection lives, admitted by whatever trust. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_peer *peer = tls_peer_of(ssl);

	return peer->trust == peer->tls->trust &&
	       !tls_sessions_put(peer->tls->sessions, peer->host, peer->port, session);
}

static SSL_CTX *context(const SSL_METHOD *method, const char *ciphers)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	/* Said, where a distribution may have made another default. */
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
					   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A record's head and what follows in one recv(); see conn_pending(). */
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, ciphers) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static SSL_CTX *agent_context(void)
{
	SSL_CTX *ctx = context(TLS_server_method(), AGENT_CIPHERS);

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_TIME);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, check_name);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (SSL_CTX_set_ciphersuites(ctx, AGENT_SUITES) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *ctx = context(TLS_client_method(), SERVER_CIPHERS);
	X509_VERIFY_PARAM *param;

	if (!ctx)
		return NULL;
	param = SSL_CTX_get0_param(ctx);
	/* As other clients do: what was given is trusted, whether it is a root or not. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_depth(param, DEPTH);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	SSL_CTX_set_client_cert_cb(ctx, no_certificate);
	return ctx;
}

static int make(struct tls *tls, struct tls_ca *ca)
{
	int r = tls_leaves_new(ca, TLS_LEAF_HOSTS, &tls->leaves);

	if (!r)
		r = tls_sessions_new(&tls->sessions);
	if (r)
		return r;
	tls->agent = agent_context();
	tls->server = server_context();
	if (!tls->agent || !tls->server)
		return -EIO;
	SSL_CTX_set_cert_cb(tls->agent, choose_certificate, tls);
	/* OpenSSL only reads it. */
	return SSL_CTX_set_tlsext_ticket_keys(tls->agent, (void *)tls_ca_ticket_key(ca),
					      TLS_TICKET_KEY_SIZE) == 1
		       ? 0
		       : -EIO;
}

int tls_new(struct tls_ca *ca, struct tls **ret_tls, struct error *err)
{
	struct tls *tls = NULL;
	int r = start();

	if (!r) {
		tls = calloc(1, sizeof(*tls));
		r = tls ? make(tls, ca) : -ENOMEM;
	}
	ERR_clear_error();
	if (r) {
		tls_free(tls);
		return error_set(err, r, "cannot start TLS: %s", strerrordesc_np(-r));
	}
	*ret_tls = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->agent);
	SSL_CTX_free(tls->server);
	tls_sessions_free(tls->sessions);
	tls_leaves_free(tls->leaves);
	free(tls);
}

/* One of each is made, and forgotten: what they have OpenSSL look up stays. */
int tls_prepare(void)
{
	struct tls_ca_store *store = NULL;
	struct tls_ca *ca = NULL;
	struct tls *tls = NULL;
	X509 *leaf;
	int r = tls_ca_store_new(&store);

	if (!r)
		r = tls_ca_open(store, &ca);
	if (!r)
		r = tls_new(ca, &tls, NULL);
	if (!r)
		r = tls_leaves_get(tls->leaves, "localhost", time(NULL), &leaf);
	tls_free(tls);
	tls_ca_free(ca);
	tls_ca_store_free(store);
	return r;
}

int tls_trust(struct tls *tls, const uint8_t *pem, size_t size, size_t *ret_count,
	      struct error *err)
{
	X509_STORE *store;
	int r = tls_trust_store_new(pem, size, &store, ret_count);

	if (r == -EBADMSG)
		return error_set(err, r, "there is no certificate in what is to be trusted");
	if (r == -E2BIG)
		return error_set(err, r, "more than %d certificates, or %u MiB, to be trusted",
				 TLS_TRUST_MAX, TLS_TRUST_SIZE_MAX >> 20);
	if (r)
		return error_set(err, r, "cannot read what is to be trusted: %s",
				 strerrordesc_np(-r));
	SSL_CTX_set_cert_store(tls->server, store);
	tls_sessions_forget_all(tls->sessions);
	tls->trust++;
	return 0;
}

static struct tls_peer *peer_new(struct tls *tls, const char *host)
{
	size_t size = strnlen(host, TLS_LEAF_HOST_MAX + 1) + 1;
	struct tls_peer *peer;

	if (size < 2 || size > TLS_LEAF_HOST_MAX + 1) {
		errno = EINVAL;
		return NULL;
	}
	peer = calloc(1, sizeof(*peer) + size);
	if (peer) {
		peer->tls = tls;
		memcpy(peer->host, host, size);
	}
	return peer;
}

/* Takes @peer, also when it fails. */
static SSL *ssl_new(SSL_CTX *ctx, int fd, struct tls_peer *peer)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio = tls_bio_new(fd);

	if (!ssl || !bio || !SSL_set_ex_data(ssl, peer_index, peer)) {
		BIO_free(bio);
		SSL_free(ssl);
		free(peer);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	return ssl;
}

int tls_accept(struct tls *tls, int fd, const char *host, bool offer_h2, SSL **ret_ssl)
{
	struct tls_peer *peer = peer_new(tls, host);
	uint8_t id[SHA256_DIGEST_LENGTH];
	SSL *ssl;

	if (!peer)
		return -errno;
	peer->offer_h2 = offer_h2;
	ssl = ssl_new(tls->agent, fd, peer);
	if (!ssl)
		return -ENOMEM;
	/* A ticket for one host is none for another. */
	SHA256((const unsigned char *)host, strlen(host), id);
	if (SSL_set_session_id_context(ssl, id, sizeof(id)) != 1) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	SSL_set_accept_state(ssl);
	*ret_ssl = ssl;
	return 0;
}

/* Whom to ask for, and whom the certificate has to be for. */
static bool set_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

int tls_connect(struct tls *tls, int fd, const char *host, uint16_t port, bool offer_h2,
		SSL **ret_ssl)
{
	struct tls_peer *peer = peer_new(tls, host);
	SSL_SESSION *session;
	int failed;
	SSL *ssl;

	if (!peer)
		return -errno;
	peer->port = port;
	peer->trust = tls->trust;
	ssl = ssl_new(tls->server, fd, peer);
	if (!ssl)
		return -ENOMEM;
	failed = offer_h2 ? SSL_set_alpn_protos(ssl, alpn_both, ALPN_SIZE(alpn_both))
			  : SSL_set_alpn_protos(ssl, alpn_11, ALPN_SIZE(alpn_11));
	if (failed || !set_host(ssl, host)) {
		ERR_clear_error();
		SSL_free(ssl);
		return -ENOMEM;
	}
	session = tls_sessions_get(tls->sessions, host, port);
	if (session)
		SSL_set_session(ssl, session);
	SSL_set_connect_state(ssl);
	*ret_ssl = ssl;
	return 0;
}

bool tls_is_h2(const SSL *ssl)
{
	const unsigned char *name;
	unsigned int length;

	SSL_get0_alpn_selected(ssl, &name, &length);
	return length == 2 && !memcmp(name, "h2", 2);
}
