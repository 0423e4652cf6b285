/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_x509.h"

#include "common/cleanup.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#define SERIAL_SIZE 16

/* Without its queue, which nobody reads: what failed is said by who asked. */
static int failed(int r)
{
	ERR_clear_error();
	return r;
}

int tls_openssl_init(void)
{
	/* A configuration file would be opened, and could load modules. */
	const uint64_t options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ATEXIT;

	return OPENSSL_init_ssl(options, NULL) == 1 ? 0 : failed(-EIO);
}

static int set_serial(X509 *x)
{
	uint8_t data[SERIAL_SIZE];
	BIGNUM *number;
	int r = -ENOMEM;

	if (RAND_bytes(data, sizeof(data)) != 1)
		return -EIO;
	/* Positive, and never zero: RFC 5280 section 4.1.2.2. */
	data[0] = (data[0] & 0x7f) | 0x40;
	number = BN_bin2bn(data, sizeof(data), NULL);
	if (number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)))
		r = 0;
	BN_free(number);
	return r;
}

int tls_x509_new(EVP_PKEY *key, long days, time_t now, X509 **ret_certificate)
{
	_cleanup_x509_ X509 *x = X509_new();
	int r;

	if (!x)
		return failed(-ENOMEM);
	r = set_serial(x);
	if (r)
		return failed(r);
	if (!X509_set_version(x, X509_VERSION_3) ||
	    !X509_time_adj_ex(X509_getm_notBefore(x), -1, 0, &now) ||
	    !X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, &now) ||
	    !X509_set_pubkey(x, key))
		return failed(-EIO);
	*ret_certificate = TAKE_PTR(x);
	return 0;
}

int tls_x509_subject(X509 *certificate, const char *field, const char *value)
{
	X509_NAME *name = X509_get_subject_name(certificate);

	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value,
					  -1, -1, 0)
		       ? 0
		       : failed(-EIO);
}

int tls_x509_extension(X509 *issuer, X509 *subject, int nid, const char *value,
		       X509_EXTENSION **ret_extension)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, subject, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	if (!extension)
		return failed(-EIO);
	*ret_extension = extension;
	return 0;
}

int tls_x509_key(EVP_PKEY **ret_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (!key)
		return failed(-EIO);
	*ret_key = key;
	return 0;
}
