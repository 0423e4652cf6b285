/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of a worker on both its sides, with OpenSSL at the other end.
 */
#include "tls_fixture.h"

#include "proxy/tls_session.h"

#define HOST "api.one.example"

static struct tls_ca_store *store;
static struct tls_ca *ca;
static struct tls *tls;
static struct authority authority;
static EVP_PKEY *server_key;

static void agent_agrees(bool h2, const char *offer, const char *agreed)
{
	SSL_CTX *client = client_make(ca);
	const unsigned char *name;
	unsigned int length;
	struct pair pair;

	if (offer)
		assert_int_equal(SSL_CTX_set_alpn_protos(client, (const unsigned char *)offer,
							 (unsigned int)strlen(offer)),
				 0);
	pair_agent(&pair, tls, HOST, h2, client, HOST);
	assert_int_equal(SSL_set1_host(pair.other, HOST), 1);
	assert_int_equal(pair_shake(&pair), 1);
	SSL_get0_alpn_selected(pair.other, &name, &length);
	assert_int_equal(length, agreed ? strlen(agreed) : 0);
	if (agreed)
		assert_memory_equal(name, agreed, length);
	assert_int_equal(tls_is_h2(pair.conn.ssl), agreed && !strcmp(agreed, "h2"));
	pair_hear(&pair, "a question");
	pair_say(&pair, "an answer");
	pair_end(&pair);
	SSL_CTX_free(client);
}

static void an_agent_gets_what_it_asked_for(void **state)
{
	agent_agrees(true, "\2h2\10http/1.1", "h2");
	agent_agrees(true, "\10http/1.1\2h2", "h2");
	agent_agrees(false, "\2h2\10http/1.1", "http/1.1");
	agent_agrees(true, "\10http/1.1", "http/1.1");
	agent_agrees(true, "\10http/1.0", "http/1.0");
	agent_agrees(true, NULL, NULL);
}

/* The handshake fails at both ends; the agent hears @alert. */
static void agent_fails(struct pair *pair, int alert, char sentence[TLS_FAILURE_MAX])
{
	int ours = 0, theirs;

	/* By turns, so that the agent's reason is still in its queue. */
	theirs = SSL_do_handshake(pair->other);
	assert_int_equal(SSL_get_error(pair->other, theirs), SSL_ERROR_WANT_READ);
	ours = conn_handshake(&pair->conn);
	assert_int_equal(ours, -EPROTO);
	tls_failure(pair->conn.ssl, sentence, TLS_FAILURE_MAX);
	assert_int_equal(conn_handshake(&pair->conn), -EPROTO);
	theirs = SSL_do_handshake(pair->other);
	assert_int_equal(SSL_get_error(pair->other, theirs), SSL_ERROR_SSL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), 1000 + alert);
	pair_end(pair);
}

static void another_name_in_sni_is_refused(void **state)
{
	static const char *const others[] = {"one.example", "api.one.example.org",
					     "xapi.one.example", "api.one.exampl"};
	SSL_CTX *client = client_make(ca);
	char sentence[TLS_FAILURE_MAX];
	struct pair pair;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		pair_agent(&pair, tls, HOST, true, client, others[i]);
		agent_fails(&pair, SSL_AD_UNRECOGNIZED_NAME, sentence);
		assert_string_equal(
			sentence,
			"the name in the handshake (SNI) is not the one that was connected to");
	}
	SSL_CTX_free(client);
}

static void no_common_protocol_is_refused(void **state)
{
	SSL_CTX *client = client_make(ca);
	char sentence[TLS_FAILURE_MAX];
	struct pair pair;

	assert_int_equal(SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\2h2", 3), 0);
	pair_agent(&pair, tls, HOST, false, client, HOST);
	agent_fails(&pair, SSL_AD_NO_APPLICATION_PROTOCOL, sentence);
	assert_string_equal(sentence, "handshake failed: no protocol in common");
	SSL_CTX_free(client);
}

static void tls_1_1_is_refused(void **state)
{
	SSL_CTX *client = client_make(ca);
	char sentence[TLS_FAILURE_MAX];
	struct pair pair;

	SSL_CTX_set_security_level(client, 0);
	assert_int_equal(SSL_CTX_set_min_proto_version(client, TLS1_VERSION), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(client, TLS1_1_VERSION), 1);
	pair_agent(&pair, tls, HOST, true, client, HOST);
	agent_fails(&pair, SSL_AD_PROTOCOL_VERSION, sentence);
	assert_string_equal(sentence, "handshake failed: no version of TLS from 1.2 on");
	SSL_CTX_free(client);
}

static void what_is_no_tls_is_refused(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n";
	char sentence[TLS_FAILURE_MAX];
	struct conn conn;
	int fds[2];
	SSL *ssl;

	sockets_make(fds);
	assert_int_equal(tls_accept(tls, fds[0], HOST, true, &ssl), 0);
	conn_init(&conn, fds[0], ssl, false);
	assert_int_equal(conn_peek_tls(&conn), -EAGAIN);
	assert_int_equal(send(fds[1], request, strlen(request), 0), strlen(request));
	assert_int_equal(conn_peek_tls(&conn), 0);
	assert_int_equal(conn_handshake(&conn), -EPROTO);
	tls_failure(conn.ssl, sentence, sizeof(sentence));
	assert_string_equal(sentence, "handshake failed: this is not TLS");
	conn_close(&conn, false);
	close(fds[1]);
}

static void agent_may_call_it(const char *host, const char *sni, const char *verified)
{
	SSL_CTX *client = client_make(ca);
	struct pair pair;

	pair_agent(&pair, tls, host, true, client, sni);
	if (verified)
		assert_int_equal(SSL_set1_host(pair.other, verified), 1);
	else
		assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(pair.other), host),
				 1);
	assert_int_equal(pair_shake(&pair), 1);
	pair_hear(&pair, "x");
	pair_end(&pair);
	SSL_CTX_free(client);
}

static void names_and_addresses_have_their_ways(void **state)
{
	agent_may_call_it(HOST, "API.One.Example", HOST);
	agent_may_call_it(HOST, "api.one.example.", HOST);
	agent_may_call_it(HOST, NULL, HOST);
	agent_may_call_it("192.0.2.7", NULL, NULL);
	agent_may_call_it("2001:db8::7", NULL, NULL);
	agent_may_call_it("192.0.2.7", "anything.example", NULL);
}

static void an_agent_without_our_ca_says_so(void **state)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	char sentence[TLS_FAILURE_MAX];
	struct pair pair;

	SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
	/* In 1.2 the server is not through before the client is. */
	assert_int_equal(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION), 1);
	pair_agent(&pair, tls, HOST, true, client, HOST);
	assert_int_equal(pair_shake(&pair), -EPROTO);
	tls_failure(pair.conn.ssl, sentence, sizeof(sentence));
	assert_string_equal(sentence,
			    "handshake failed: the other side does not trust our certificate");
	pair_end(&pair);
	SSL_CTX_free(client);
}

static SSL_SESSION *kept;

static int keep(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

/* An agent's connection to @host that wants to resume @session: whether it did, and a new one. */
static bool agent_resumes(struct tls *worker, const char *host, int version, SSL_SESSION *session)
{
	SSL_CTX *client = client_make(ca);
	struct pair pair;
	bool reused;

	/* A session of 1.3 is good for one connection, to this kind of client. */
	assert_true(!session || SSL_SESSION_is_resumable(session));

	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client, keep);
	assert_int_equal(SSL_CTX_set_max_proto_version(client, version), 1);
	pair_agent(&pair, worker, host, true, client, host);
	if (session)
		assert_int_equal(SSL_set_session(pair.other, session), 1);
	assert_int_equal(pair_shake(&pair), 1);
	/* The client has read the ticket when it has read what comes after it. */
	pair_say(&pair, "an answer");
	reused = SSL_session_reused(pair.other);
	assert_int_equal(SSL_session_reused(pair.conn.ssl), reused);
	pair_end(&pair);
	SSL_CTX_free(client);
	return reused;
}

static void agents_resume(int version)
{
	struct tls_ca *again;
	struct tls *next;

	assert_false(agent_resumes(tls, HOST, version, NULL));
	assert_true(agent_resumes(tls, HOST, version, kept));
	/* In the worker that comes after this one too, */
	assert_int_equal(tls_ca_open(store, &again), 0);
	assert_int_equal(tls_new(again, &next, NULL), 0);
	assert_true(agent_resumes(next, HOST, version, kept));
	tls_free(next);
	tls_ca_free(again);
	/* but not for another host. */
	assert_false(agent_resumes(tls, "two.example", version, kept));
	SSL_SESSION_free(TAKE_PTR(kept));
}

static void agents_resume_what_they_have(void **state)
{
	agents_resume(TLS1_3_VERSION);
	agents_resume(TLS1_2_VERSION);
}

/* The worker's handshake with a server that has @certificate: 1, or an error and why. */
static int server_shakes(const char *host, X509 *certificate, char sentence[TLS_FAILURE_MAX])
{
	SSL_CTX *server = server_make(certificate, server_key);
	struct pair pair;
	int r;

	pair_server(&pair, tls, host, true, server);
	r = pair_shake(&pair);
	tls_failure(pair.conn.ssl, sentence, TLS_FAILURE_MAX);
	if (r == 1) {
		pair_say(&pair, "a question");
		pair_hear(&pair, "an answer");
	}
	pair_end(&pair);
	SSL_CTX_free(server);
	return r;
}

static void a_certificate_has_to_be_right(void **state)
{
	static const struct {
		const char *host, *cn, *san;
		struct flaw flaw;
		const char *sentence; /* NULL: it is right */
	} rows[] = {
		{HOST, HOST, "DNS:" HOST, {}, NULL},
		{HOST, "else", "DNS:else.example,DNS:" HOST, {}, NULL},
		{HOST, "else", "DNS:*.one.example", {}, NULL},
		{"192.0.2.7", "else", "IP:192.0.2.7", {}, NULL},
		{"2001:db8::7", "else", "IP:2001:db8::7", {}, NULL},
		{HOST, HOST, "DNS:" HOST, {.from = -9, .to = -2}, "the certificate has expired"},
		{HOST, HOST, "DNS:" HOST, {.from = 2, .to = 9}, "the certificate is not valid yet"},
		{HOST, HOST, "DNS:two.example", {}, "the certificate is for another name"},
		{HOST, HOST, NULL, {}, "the certificate is for another name"},
		{HOST, "else", "DNS:*.example", {}, "the certificate is for another name"},
		{HOST, "else", "DNS:a*.one.example", {}, "the certificate is for another name"},
		{HOST, HOST, "DNS:" HOST, {.self_signed = true}, "the certificate is self-signed"},
		{HOST,
		 HOST,
		 "DNS:" HOST,
		 {.usage = "clientAuth"},
		 "the certificate is not one for servers"},
		{"192.0.2.7",
		 "192.0.2.7",
		 "IP:192.0.2.8",
		 {},
		 "the certificate is for another address"},
		{"192.0.2.7",
		 "192.0.2.7",
		 "DNS:192.0.2.7",
		 {},
		 "the certificate is for another address"},
	};
	char sentence[TLS_FAILURE_MAX];

	assert_int_equal(trust_only(tls, authority.certificate), 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		X509 *x = certify(&authority, server_key, rows[i].cn, rows[i].san, &rows[i].flaw);
		int r = server_shakes(rows[i].host, x, sentence);

		if (r != (rows[i].sentence ? -EPROTO : 1))
			fail_msg("row %zu: %d, %s", i, r, sentence);
		if (rows[i].sentence)
			assert_string_equal(sentence, rows[i].sentence);
		X509_free(x);
	}
}

static void trust_is_replaced(void **state)
{
	static const uint8_t nothing[] = "-----BEGIN NOTHING-----\n-----END NOTHING-----\n";
	struct authority other;
	char sentence[TLS_FAILURE_MAX];
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, NULL);
	size_t count = 77;
	struct error err = {};

	authority_make(&other, "Another");
	/* A new one trusts nobody. */
	assert_int_equal(server_shakes(HOST, x, sentence), -EPROTO);
	trust_only(tls, authority.certificate);
	assert_int_equal(server_shakes(HOST, x, sentence), 1);
	trust_only(tls, other.certificate);
	assert_int_equal(server_shakes(HOST, x, sentence), -EPROTO);
	assert_string_equal(sentence, "the certificate is from an authority that is not trusted");
	trust_only(tls, authority.certificate);
	/* What cannot be read changes nothing. */
	assert_int_equal(tls_trust(tls, nothing, sizeof(nothing) - 1, &count, &err), -EBADMSG);
	assert_int_equal(count, 77);
	assert_true(strlen(err.message) > 0);
	assert_int_equal(server_shakes(HOST, x, sentence), 1);
	/* A server's own certificate may be what is trusted. */
	X509_free(x);
	x = certify(&authority, server_key, HOST, "DNS:" HOST, &(struct flaw){.self_signed = true});
	assert_int_equal(server_shakes(HOST, x, sentence), -EPROTO);
	trust_only(tls, x);
	assert_int_equal(server_shakes(HOST, x, sentence), 1);
	X509_free(x);
	authority_free(&other);
}

/* One more connection to the server: whether it resumed. */
static bool server_resumes(const char *host, SSL_CTX *server)
{
	struct pair pair;
	bool reused;

	pair_server(&pair, tls, host, true, server);
	assert_int_equal(pair_shake(&pair), 1);
	pair_hear(&pair, "an answer");
	reused = SSL_session_reused(pair.conn.ssl);
	assert_int_equal(SSL_session_reused(pair.other), reused);
	pair_end(&pair);
	return reused;
}

static void sessions_with_servers_are_resumed(void **state)
{
	static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST ",DNS:two.example", NULL);

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		SSL_CTX *server = server_make(x, server_key);

		assert_int_equal(SSL_CTX_set_max_proto_version(server, versions[i]), 1);
		trust_only(tls, authority.certificate);
		assert_false(server_resumes(HOST, server));
		assert_true(server_resumes(HOST, server));
		assert_true(server_resumes(HOST, server));
		/* Not under another name, */
		assert_false(server_resumes("two.example", server));
		/* nor by another trust. */
		trust_only(tls, authority.certificate);
		assert_false(server_resumes(HOST, server));
		SSL_CTX_free(server);
	}
	X509_free(x);
}

/* A ticket that comes after the trust was replaced is one of the old trust. */
static void a_late_ticket_is_not_kept(void **state)
{
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, NULL);
	SSL_CTX *server = server_make(x, server_key);
	struct pair pair;

	trust_only(tls, authority.certificate);
	pair_server(&pair, tls, HOST, true, server);
	assert_int_equal(pair_shake(&pair), 1);
	trust_only(tls, authority.certificate);
	pair_hear(&pair, "an answer");
	pair_end(&pair);
	assert_false(server_resumes(HOST, server));
	assert_true(server_resumes(HOST, server));
	SSL_CTX_free(server);
	X509_free(x);
}

/* A certificate is looked at in a full handshake alone, so a session must not outlive it. */
static void a_session_ends_with_its_certificate(void **state)
{
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, &(struct flaw){.seconds = 2});
	SSL_CTX *server = server_make(x, server_key);
	char sentence[TLS_FAILURE_MAX];
	struct pair pair;

	trust_only(tls, authority.certificate);
	assert_false(server_resumes(HOST, server));
	assert_true(server_resumes(HOST, server));
	sleep(4);
	pair_server(&pair, tls, HOST, true, server);
	assert_int_equal(pair_shake(&pair), -EPROTO);
	tls_failure(pair.conn.ssl, sentence, sizeof(sentence));
	assert_string_equal(sentence, "the certificate has expired");
	pair_end(&pair);
	SSL_CTX_free(server);
	X509_free(x);
}

static void the_oldest_session_makes_room(void **state)
{
	X509 *x = certify(&authority, server_key, HOST, "DNS:*.one.example", NULL);
	SSL_CTX *server = server_make(x, server_key);
	char host[32];

	trust_only(tls, authority.certificate);
	/* One more than there is room for; the first is used now and then, the second is not. */
	for (int i = 0; i <= TLS_SESSIONS; i++) {
		snprintf(host, sizeof(host), "h%d.one.example", i);
		assert_false(server_resumes(host, server));
		if (i % 50 == 0)
			assert_true(server_resumes("h0.one.example", server));
	}
	assert_true(server_resumes("h0.one.example", server));
	assert_true(server_resumes(host, server));
	assert_false(server_resumes("h1.one.example", server));
	SSL_CTX_free(server);
	X509_free(x);
}

static void protocols_are_offered(void **state)
{
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, NULL);
	SSL_CTX *server = server_make(x, server_key);

	trust_only(tls, authority.certificate);
	for (int h2 = 0; h2 < 2; h2++) {
		struct pair pair;
		const char *name;

		pair_server(&pair, tls, HOST, h2, server);
		assert_int_equal(pair_shake(&pair), 1);
		/* The server has chosen none, so it speaks HTTP/1. */
		assert_false(tls_is_h2(pair.conn.ssl));
		name = SSL_get_servername(pair.other, TLSEXT_NAMETYPE_host_name);
		assert_non_null(name);
		assert_string_equal(name, HOST);
		pair_end(&pair);
	}
	SSL_CTX_free(server);
	X509_free(x);
}

static int choose_first(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
			const unsigned char *list, unsigned int size, void *arg)
{
	*ret_name = list + 1;
	*ret_length = list[0];
	return SSL_TLSEXT_ERR_OK;
}

static void a_server_chooses_among_what_was_offered(void **state)
{
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, NULL);
	SSL_CTX *server = server_make(x, server_key);

	SSL_CTX_set_alpn_select_cb(server, choose_first, NULL);
	trust_only(tls, authority.certificate);
	for (int h2 = 0; h2 < 2; h2++) {
		struct pair pair;

		pair_server(&pair, tls, HOST, h2, server);
		assert_int_equal(pair_shake(&pair), 1);
		assert_int_equal(tls_is_h2(pair.conn.ssl), h2);
		pair_end(&pair);
	}
	SSL_CTX_free(server);
	X509_free(x);
}

static void a_server_that_wants_a_certificate_gets_none(void **state)
{
	static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
	X509 *x = certify(&authority, server_key, HOST, "DNS:" HOST, NULL);

	trust_only(tls, authority.certificate);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		SSL_CTX *server = server_make(x, server_key);
		char sentence[TLS_FAILURE_MAX];
		struct pair pair;
		uint8_t data[16];

		SSL_CTX_set_verify(server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(server, versions[i]), 1);
		pair_server(&pair, tls, HOST, true, server);
		pair_shake(&pair);
		/* In 1.3 the client is through before the server has looked. */
		assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), -EPROTO);
		tls_failure(pair.conn.ssl, sentence, sizeof(sentence));
		assert_string_equal(sentence, "the server wants a client certificate: such an "
					      "endpoint needs `tls: skip`");
		pair_end(&pair);
		SSL_CTX_free(server);
	}
	X509_free(x);
}

static void a_server_that_is_none_is_told(void **state)
{
	char sentence[TLS_FAILURE_MAX];
	struct conn conn;
	int fds[2];
	SSL *ssl;

	for (int i = 0; i < 2; i++) {
		sockets_make(fds);
		assert_int_equal(tls_connect(tls, fds[0], HOST, 443, true, &ssl), 0);
		conn_init(&conn, fds[0], ssl, true);
		assert_int_equal(conn_handshake(&conn), 0);
		if (i == 0)
			assert_int_equal(send(fds[1], "220 mail.example\r\n", 18, 0), 18);
		else
			shutdown(fds[1], SHUT_WR);
		assert_int_equal(conn_handshake(&conn), -EPROTO);
		tls_failure(conn.ssl, sentence, sizeof(sentence));
		assert_string_equal(sentence,
				    i == 0 ? "handshake failed: this is not TLS"
					   : "handshake failed: the connection ended in the "
					     "middle of it");
		conn_close(&conn, true);
		close(fds[1]);
	}
}

static void hosts_have_bounds(void **state)
{
	char host[300];
	SSL *ssl = NULL;

	memset(host, 'a', sizeof(host));
	host[254] = '\0';
	assert_int_equal(tls_accept(tls, 0, host, true, &ssl), -EINVAL);
	assert_int_equal(tls_accept(tls, 0, "", true, &ssl), -EINVAL);
	assert_int_equal(tls_connect(tls, 0, host, 443, true, &ssl), -EINVAL);
	assert_int_equal(tls_connect(tls, 0, "", 443, true, &ssl), -EINVAL);
	assert_null(ssl);
}

static int setup(void **state)
{
	authority_make(&authority, "A test's authority");
	return tls_x509_key(&server_key) || tls_ca_store_new(&store) || tls_ca_open(store, &ca) ||
	       tls_prepare();
}

static int teardown(void **state)
{
	authority_free(&authority);
	EVP_PKEY_free(server_key);
	tls_ca_free(ca);
	tls_ca_store_free(store);
	return 0;
}

static int each_setup(void **state)
{
	return tls_new(ca, &tls, NULL);
}

static int each_teardown(void **state)
{
	tls_free(tls);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_agent_gets_what_it_asked_for),
		TEST(another_name_in_sni_is_refused),
		TEST(no_common_protocol_is_refused),
		TEST(tls_1_1_is_refused),
		TEST(what_is_no_tls_is_refused),
		TEST(names_and_addresses_have_their_ways),
		TEST(an_agent_without_our_ca_says_so),
		TEST(agents_resume_what_they_have),
		TEST(a_certificate_has_to_be_right),
		TEST(trust_is_replaced),
		TEST(sessions_with_servers_are_resumed),
		TEST(a_late_ticket_is_not_kept),
		TEST(a_session_ends_with_its_certificate),
		TEST(the_oldest_session_makes_room),
		TEST(protocols_are_offered),
		TEST(a_server_chooses_among_what_was_offered),
		TEST(a_server_that_wants_a_certificate_gets_none),
		TEST(a_server_that_is_none_is_told),
		TEST(hosts_have_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
