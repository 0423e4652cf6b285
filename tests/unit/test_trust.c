/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/trust.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static char dir[] = "/tmp/openshell-trust.XXXXXX";
static char *certificate; /* PEM of one that is valid */

static const char *file(const char *name, const char *text, size_t size)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
	return path;
}

static int set_up(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long size;

	X509_set_pubkey(x509, key);
	X509_gmtime_adj(X509_getm_notBefore(x509), 0);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	if (!mkdtemp(dir) || !X509_sign(x509, key, EVP_sha256()) || !PEM_write_bio_X509(bio, x509))
		return -1;
	size = BIO_get_mem_data(bio, &data);
	certificate = strndup(data, (size_t)size);
	BIO_free(bio);
	X509_free(x509);
	EVP_PKEY_free(key);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"good", "bad", "big", "key"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	free(certificate);
	return rmdir(dir);
}

static int load(const char *path, struct error *err)
{
	struct trust trust = {};
	int r = trust_load(&path, 1, &trust, err);

	if (r)
		assert_null(trust.extra);
	trust_free(&trust);
	return r;
}

static void files_are_put_together(void **state)
{
	const char *path = file("good", certificate, strlen(certificate) - 1);
	const char *const twice[] = {path, path};
	struct trust trust = {};
	struct error err = {};
	const char *second;

	assert_int_equal(trust_load(twice, 2, &trust, &err), 0);
	assert_non_null(trust.host);
	/* The end of the file was no end of a line. */
	assert_int_equal(strlen(trust.extra), 2 * strlen(certificate));
	second = strstr(trust.extra + 1, "-----BEGIN");
	assert_non_null(second);
	assert_int_equal(second[-1], '\n');
	trust_free(&trust);
	assert_int_equal(trust_load(NULL, 0, &trust, &err), 0);
	assert_string_equal(trust.extra, "");
	trust_free(&trust);
}

static void what_is_no_certificate_is_refused(void **state)
{
	static const char key[] =
		"-----BEGIN PUBLIC KEY-----\nMDkwEw==\n-----END PUBLIC KEY-----\n";
	_cleanup_free_ char *text = malloc(2 * strlen(certificate) + 1);
	_cleanup_free_ char *big = calloc(1, TRUST_FILE_MAX + 1);
	const char *const many[TRUST_FILES + 1] = {dir};
	struct trust trust = {};
	struct error err = {};

	assert_int_equal(load(file("bad", "", 0), &err), -EBADMSG);
	assert_non_null(strstr(err.message, "no certificate in it"));
	assert_int_equal(load(file("key", key, strlen(key)), &err), -EBADMSG);
	assert_int_equal(load(file("bad", "\0", 1), &err), -EBADMSG);
	/* A good one and a broken one. */
	snprintf(text, 2 * strlen(certificate) + 1, "%s%s", certificate, certificate);
	text[strlen(certificate) + 60] = '!';
	assert_int_equal(load(file("bad", text, strlen(text)), &err), -EBADMSG);
	assert_non_null(strstr(err.message, "something in it is not a certificate"));
	/* Cut off: no end of it. */
	assert_int_equal(load(file("bad", certificate, strlen(certificate) / 2), &err), -EBADMSG);
	memset(big, '\n', TRUST_FILE_MAX + 1);
	assert_int_equal(load(file("big", big, TRUST_FILE_MAX + 1), &err), -EFBIG);
	assert_int_equal(load(dir, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not a file"));
	assert_int_equal(load("/nonexistent/ca.pem", &err), -ENOENT);
	assert_int_equal(trust_load(many, TRUST_FILES + 1, &trust, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_put_together),
		cmocka_unit_test(what_is_no_certificate_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
