/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_internal.h"

#include "common/cleanup.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define ANOTHER_AUTHORITY "the certificate is from an authority that is not trusted"

/* Of SSL_get_verify_result(). */
static const struct {
	int code;
	const char *sentence;
} certificate[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED, "the certificate has expired"},
	{X509_V_ERR_CERT_NOT_YET_VALID, "the certificate is not valid yet"},
	{X509_V_ERR_HOSTNAME_MISMATCH, "the certificate is for another name"},
	{X509_V_ERR_IP_ADDRESS_MISMATCH, "the certificate is for another address"},
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is self-signed"},
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, ANOTHER_AUTHORITY},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, ANOTHER_AUTHORITY},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, ANOTHER_AUTHORITY},
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, ANOTHER_AUTHORITY},
	{X509_V_ERR_CERT_SIGNATURE_FAILURE, "the certificate's signature is wrong"},
	{X509_V_ERR_INVALID_PURPOSE, "the certificate is not one for servers"},
	{X509_V_ERR_INVALID_CA, "the certificate was signed by one that is no authority"},
	{X509_V_ERR_EE_KEY_TOO_SMALL, "the certificate's key is too small"},
	{X509_V_ERR_CA_KEY_TOO_SMALL, "an authority's key is too small"},
	{X509_V_ERR_CA_MD_TOO_WEAK, "the certificate is signed with a hash that is too weak"},
};

/* Of the library's reasons; alerts of the other side are 1000 and their number. */
static const struct {
	int reason;
	const char *sentence;
} handshake[] = {
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, "the connection ended in the middle of it"},
	{SSL_R_WRONG_VERSION_NUMBER, "this is not TLS"},
	{SSL_R_HTTP_REQUEST, "this is not TLS"},
	{SSL_R_HTTPS_PROXY_REQUEST, "this is not TLS"},
	{SSL_R_UNSUPPORTED_PROTOCOL, "no version of TLS from 1.2 on"},
	{SSL_R_VERSION_TOO_LOW, "no version of TLS from 1.2 on"},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no version of TLS in common"},
	{SSL_R_NO_SHARED_CIPHER, "no cipher in common"},
	{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the other side refused (handshake_failure)"},
	{SSL_R_TLSV1_UNRECOGNIZED_NAME, "the server does not know this name"},
	{SSL_R_NO_APPLICATION_PROTOCOL, "no protocol in common"},
	{SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "no protocol in common"},
	{SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the other side does not trust our certificate"},
	{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the other side refused our certificate"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the other side refused our certificate"},
};

void tls_note_failure(SSL *ssl, int error, bool handshaking)
{
	struct tls_peer *peer = tls_peer_of(ssl);
	unsigned long reason = ERR_peek_error();

	if (!peer->reason && !peer->error) {
		peer->reason = reason;
		peer->error = error;
		peer->shaken = !handshaking;
	}
	ERR_clear_error();
}

static const char *certificate_sentence(long code)
{
	for (size_t i = 0; i < ARRAY_LEN(certificate); i++)
		if (certificate[i].code == code)
			return certificate[i].sentence;
	return NULL;
}

static const char *handshake_sentence(const struct tls_peer *peer)
{
	int reason = ERR_GET_REASON(peer->reason);
	const char *words;

	if (peer->reason && ERR_GET_LIB(peer->reason) == ERR_LIB_SSL)
		for (size_t i = 0; i < ARRAY_LEN(handshake); i++)
			if (handshake[i].reason == reason)
				return handshake[i].sentence;
	words = peer->reason ? ERR_reason_error_string(peer->reason)
			     : strerrordesc_np(-peer->error);
	return words ? words : "no reason given";
}

/* Alerts with which a server says that there should have been a certificate. */
static bool is_refusal(unsigned long reason)
{
	switch (ERR_GET_REASON(reason)) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return true;
	default:
		return false;
	}
}

const char *tls_failure(SSL *ssl, char *buf, size_t size)
{
	const struct tls_peer *peer = tls_peer_of(ssl);
	long code = SSL_get_verify_result(ssl);
	const char *words = certificate_sentence(code);

	if (peer->other_name)
		snprintf(buf, size,
			 "the name in the handshake (SNI) is not the one that was "
			 "connected to");
	else if (!SSL_is_server(ssl) && words)
		snprintf(buf, size, "%s", words);
	else if (!SSL_is_server(ssl) && code != X509_V_OK)
		snprintf(buf, size, "the certificate is refused: %s",
			 X509_verify_cert_error_string(code));
	else if (peer->wants_certificate && is_refusal(peer->reason))
		snprintf(buf, size,
			 "the server wants a client certificate: such an endpoint needs "
			 "`tls: skip`");
	else
		snprintf(buf, size, "%s failed: %s", peer->shaken ? "TLS" : "handshake",
			 handshake_sentence(peer));
	return buf;
}
