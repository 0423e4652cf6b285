/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/certs.h"

#include "common/cleanup.h"
#include "common/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_MAX   32
#define CA_DAYS	    3650
#define LEAF_DAYS   825
#define SERIAL_BITS 127
#define DAY_S	    (24L * 3600)

struct pair {
	EVP_PKEY *key;
	X509 *certificate;
};

struct leaf {
	const char *file, *organization, *common_name, *names, *usage;
};

static void pair_clear(struct pair *pair)
{
	EVP_PKEY_free(pair->key);
	X509_free(pair->certificate);
}

static int failed(struct error *err, const char *what)
{
	return error_set(err, -EIO, "%s cannot be made", what);
}

static bool set_name(X509_NAME *name, const char *organization, const char *common_name)
{
	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
					  (const unsigned char *)organization, -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					  (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool set_serial(X509 *certificate)
{
	BIGNUM *serial = BN_new();
	bool good = serial && BN_rand(serial, SERIAL_BITS, 0, 0) == 1 &&
		    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate));

	BN_free(serial);
	return good;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool good;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
	good = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool begin(struct pair *pair, const char *organization, const char *common_name, long days)
{
	pair->key = EVP_EC_gen("P-256");
	pair->certificate = X509_new();
	return pair->key && pair->certificate && X509_set_version(pair->certificate, 2) == 1 &&
	       set_serial(pair->certificate) &&
	       X509_gmtime_adj(X509_getm_notBefore(pair->certificate), -300) &&
	       X509_gmtime_adj(X509_getm_notAfter(pair->certificate), days * DAY_S) &&
	       set_name(X509_get_subject_name(pair->certificate), organization, common_name) &&
	       X509_set_pubkey(pair->certificate, pair->key) == 1;
}

static int make_ca(struct pair *ca, struct error *err)
{
	X509 *c;

	if (!begin(ca, "OpenShell", "openshell-gateway CA", CA_DAYS))
		return failed(err, "the CA");
	c = ca->certificate;
	if (X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
	    !add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !add_extension(c, c, NID_subject_key_identifier, "hash") ||
	    !X509_sign(c, ca->key, EVP_sha256()))
		return failed(err, "the CA");
	return 0;
}

static int make_leaf(const struct pair *ca, const struct leaf *leaf, struct pair *pair,
		     struct error *err)
{
	X509 *c, *issuer = ca->certificate;

	if (!begin(pair, leaf->organization, leaf->common_name, LEAF_DAYS))
		return failed(err, "a certificate");
	c = pair->certificate;
	if (X509_set_issuer_name(c, X509_get_subject_name(issuer)) != 1 ||
	    !add_extension(c, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(c, issuer, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(c, issuer, NID_ext_key_usage, leaf->usage) ||
	    !add_extension(c, issuer, NID_subject_key_identifier, "hash") ||
	    !add_extension(c, issuer, NID_authority_key_identifier, "keyid") ||
	    (leaf->names && !add_extension(c, issuer, NID_subject_alt_name, leaf->names)) ||
	    !X509_sign(c, ca->key, EVP_sha256()))
		return failed(err, "a certificate");
	return 0;
}

/* O_EXCL: whoever made one by hand keeps it. */
static int open_new(const char *directory, const char *name, FILE **ret_file, struct error *err)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "the directory's path is too long");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	*ret_file = fdopen(fd, "w");
	if (*ret_file)
		return 0;
	close(fd);
	return error_set(err, -ENOMEM, "out of memory");
}

static int write_pair(const char *directory, const char *name, const struct pair *pair,
		      struct error *err)
{
	_cleanup_fclose_ FILE *crt = NULL, *key = NULL;
	char file[128];
	int r;

	snprintf(file, sizeof(file), "%s.crt", name);
	r = open_new(directory, file, &crt, err);
	if (r)
		return r;
	snprintf(file, sizeof(file), "%s.key", name);
	r = open_new(directory, file, &key, err);
	if (r)
		return r;
	if (PEM_write_X509(crt, pair->certificate) != 1 ||
	    PEM_write_PKCS8PrivateKey(key, pair->key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    fflush(crt) || fflush(key) || fsync(fileno(crt)) || fsync(fileno(key)))
		return error_set(err, -EIO, "cannot write %s/%s: %s", directory, file,
				 strerror(errno));
	return 0;
}

static int write_leaf(const char *directory, const struct pair *ca, const struct leaf *leaf,
		      struct error *err)
{
	struct pair pair = {};
	int r = make_leaf(ca, leaf, &pair, err);

	if (!r)
		r = write_pair(directory, leaf->file, &pair, err);
	pair_clear(&pair);
	return r;
}

/* "DNS:localhost,IP:127.0.0.1,..." */
static int join_names(const char *const *names, size_t count, char *ret_text, size_t size,
		      struct error *err)
{
	size_t n = (size_t)snprintf(ret_text, size, "DNS:localhost,IP:127.0.0.1,IP:::1");
	struct in6_addr address;

	for (size_t i = 0; i < count; i++) {
		bool ip = inet_pton(AF_INET, names[i], &address) == 1 ||
			  inet_pton(AF_INET6, names[i], &address) == 1;

		if (!ip &&
		    strspn(names[i], "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*") != strlen(names[i]))
			return error_set(err, -EINVAL, "--name %s is no name or address", names[i]);
		n += (size_t)snprintf(ret_text + n, n < size ? size - n : 0, ",%s:%s",
				      ip ? "IP" : "DNS", names[i]);
		if (n >= size)
			return error_set(err, -E2BIG, "too many names");
	}
	return 0;
}

static int generate(const char *directory, const char *const *names, size_t count, const char *user,
		    const char *node, struct error *err)
{
	char alternatives[4096];
	const struct leaf leaves[] = {
		{"server", "OpenShell", "openshell-gateway", alternatives, "serverAuth"},
		{"client", "openshell-admin", user, NULL, "clientAuth"},
		{"node", "openshell-node", node, NULL, "clientAuth"},
	};
	struct pair ca = {};
	int r = join_names(names, count, alternatives, sizeof(alternatives), err);

	if (r)
		return r;
	if (mkdir(directory, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", directory, strerror(errno));
	r = make_ca(&ca, err);
	if (!r)
		r = write_pair(directory, "ca", &ca, err);
	for (size_t i = 0; !r && i < ARRAY_LEN(leaves); i++)
		r = write_leaf(directory, &ca, &leaves[i], err);
	pair_clear(&ca);
	return r;
}

static int usage(FILE *out)
{
	fputs("Usage: openshell-gateway generate-certs --dir DIRECTORY [OPTION]..\n\n"
	      "  --dir DIRECTORY  where ca, server, client and node (.crt, .key) are written\n"
	      "  --name HOST      a further name or address of the gateway; may be repeated\n"
	      "  --user NAME      common name of the administrator's certificate [admin]\n"
	      "  --node NAME      name of the supervisor's certificate [this host's]\n",
	      out);
	return out == stdout ? 0 : 2;
}

int certs_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'd'},	{"name", required_argument, NULL, 'n'},
		{"user", required_argument, NULL, 'u'}, {"node", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},	{},
	};
	const char *directory = NULL, *user = "admin", *names[NAMES_MAX];
	char host[65] = "localhost", *node = host;
	struct error err = {};
	size_t count = 0;
	int c;

	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = 0;
	for (char *p = host; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'd')
			directory = optarg;
		else if (c == 'n' && count < NAMES_MAX)
			names[count++] = optarg;
		else if (c == 'u')
			user = optarg;
		else if (c == 'o')
			node = optarg;
		else
			return usage(c == 'h' ? stdout : stderr);
	}
	if (!directory || optind < argc)
		return usage(stderr);
	if (generate(directory, names, count, user, node, &err)) {
		fprintf(stderr, "openshell-gateway generate-certs: %s\n", err.message);
		return 1;
	}
	printf("%s has ca, server, client and node certificates\n", directory);
	return 0;
}
