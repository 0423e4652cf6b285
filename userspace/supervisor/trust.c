/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/trust.h"

#include "common/cleanup.h"
#include "common/trusted_open.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Debian and its kin, Fedora and its kin, openSUSE, Alpine. */
const char *const trust_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
	NULL,
};

static int read_file(const char *path, char **ret_text)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct stat st;
	ssize_t n;
	int r = trusted_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);

	if (r)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > TRUST_FILE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 2);
	if (!text)
		return -ENOMEM;
	while (size < (size_t)st.st_size) {
		n = read(fd, text + size, (size_t)st.st_size - size);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	if (memchr(text, '\0', size))
		return -EBADMSG;
	/* What is put behind it begins a line. */
	if (size && text[size - 1] != '\n')
		text[size++] = '\n';
	text[size] = '\0';
	*ret_text = TAKE_PTR(text);
	return 0;
}

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

/* How many certificates @pem has; -EBADMSG if one of them is none. */
static int count_certificates(const char *pem)
{
	_cleanup_(free_bio) BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate;
	int n = 0;

	if (!bio)
		return -ENOMEM;
	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_free(certificate);
		n++;
	}
	/* That nothing more begins is how a file ends. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		n = -EBADMSG;
	ERR_clear_error();
	return n;
}

static int read_host(char **ret_text)
{
	for (size_t i = 0; trust_bundles[i]; i++) {
		int r = read_file(trust_bundles[i], ret_text);

		if (r == -ENOMEM)
			return r;
		if (!r && **ret_text)
			return 0;
		if (!r)
			free(*ret_text);
	}
	*ret_text = strdup("");
	return *ret_text ? 0 : -ENOMEM;
}

static int add_file(const char *path, char **text, struct error *err)
{
	_cleanup_free_ char *more = NULL;
	size_t size = strlen(*text), more_size;
	char *grown;
	int r = read_file(path, &more);

	if (r)
		return error_set(err, r, "cannot read the CA certificates in %s: %s", path,
				 r == -EINVAL ? "not a file" : strerror(-r));
	r = count_certificates(more);
	if (r <= 0)
		return error_set(err, r < 0 ? r : -EBADMSG,
				 "%s: %s; a file with CA certificates in PEM form is wanted", path,
				 r < 0 ? "something in it is not a certificate"
				       : "there is no certificate in it");
	more_size = strlen(more);
	grown = realloc(*text, size + more_size + 1);
	if (!grown)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(grown + size, more, more_size + 1);
	*text = grown;
	return 0;
}

int trust_load(const char *const *files, size_t files_len, struct trust *ret_trust,
	       struct error *err)
{
	_cleanup_(trust_free) struct trust trust = {};
	int r = read_host(&trust.host);

	trust.extra = strdup("");
	if (r || !trust.extra)
		return error_set(err, -ENOMEM, "out of memory");
	if (files_len > TRUST_FILES)
		return error_set(err, -E2BIG, "more than %d files with CA certificates",
				 TRUST_FILES);
	for (size_t i = 0; i < files_len; i++) {
		r = add_file(files[i], &trust.extra, err);
		if (r)
			return r;
	}
	*ret_trust = trust;
	trust = (struct trust){};
	return 0;
}

void trust_free(struct trust *trust)
{
	free(trust->host);
	free(trust->extra);
	*trust = (struct trust){};
}
