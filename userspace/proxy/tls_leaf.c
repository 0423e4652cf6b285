/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls_leaf.h"

#include "common/cleanup.h"
#include "proxy/tls_x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <string.h>

#define DAYS	     90
#define RENEWED	     (30 * TLS_DAY) /* after that long, well before an agent would mind */
#define CN_MAX	     64		    /* RFC 5280 appendix A, ub-common-name */
#define EXTENSIONS   5
#define ORGANIZATION "OpenShell"

struct entry {
	uint32_t hash;
	uint64_t used; /* turn of the last use */
	time_t made;
	char *host; /* NULL = unused */
	X509 *certificate;
};

struct tls_leaves {
	struct tls_ca *ca;
	EVP_PKEY *key;
	X509_EXTENSION *extension[EXTENSIONS]; /* what all have, made once */
	uint64_t turn;
	size_t capacity;
	struct entry entry[];
};

static const struct {
	int nid;
	const char *value;
} extensions[EXTENSIONS] = {
	{NID_basic_constraints, "critical,CA:FALSE"},
	{NID_key_usage, "critical,digitalSignature"},
	{NID_ext_key_usage, "serverAuth"},
	{NID_subject_key_identifier, "hash"},
	{NID_authority_key_identifier, "keyid"},
};

static int make_extensions(struct tls_leaves *leaves)
{
	_cleanup_x509_ X509 *subject = X509_new();
	int r = 0;

	if (!subject || !X509_set_pubkey(subject, leaves->key))
		return -ENOMEM;
	for (size_t i = 0; i < EXTENSIONS && !r; i++)
		r = tls_x509_extension(tls_ca_certificate(leaves->ca), subject, extensions[i].nid,
				       extensions[i].value, &leaves->extension[i]);
	return r;
}

int tls_leaves_new(struct tls_ca *ca, size_t capacity, struct tls_leaves **ret_leaves)
{
	struct tls_leaves *leaves;
	int r;

	if (!capacity || capacity > TLS_LEAF_HOSTS)
		return -EINVAL;
	leaves = calloc(1, sizeof(*leaves) + capacity * sizeof(leaves->entry[0]));
	if (!leaves)
		return -ENOMEM;
	leaves->ca = ca;
	leaves->capacity = capacity;
	r = tls_x509_key(&leaves->key);
	if (!r)
		r = make_extensions(leaves);
	if (r) {
		tls_leaves_free(leaves);
		return r;
	}
	*ret_leaves = leaves;
	return 0;
}

static void clear(struct entry *entry)
{
	free(entry->host);
	X509_free(entry->certificate);
	*entry = (struct entry){};
}

void tls_leaves_free(struct tls_leaves *leaves)
{
	if (!leaves)
		return;
	for (size_t i = 0; i < leaves->capacity; i++)
		clear(&leaves->entry[i]);
	for (size_t i = 0; i < EXTENSIONS; i++)
		X509_EXTENSION_free(leaves->extension[i]);
	EVP_PKEY_free(leaves->key);
	free(leaves);
}

/* FNV-1a: only to compare fewer strings; the agent chooses among names that policy admits. */
static uint32_t hash_of(const char *host)
{
	uint32_t hash = 2166136261u;

	for (; *host; host++)
		hash = (hash ^ (uint8_t)*host) * 16777619u;
	return hash;
}

/* The host as RFC 5280 section 4.2.1.6 has it: an address is not a name. */
static GENERAL_NAME *general_name(const char *host)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_OCTET_STRING *value;
	uint8_t address[16];
	int kind = GEN_IPADD, size;
	bool set;

	if (inet_pton(AF_INET, host, address) == 1) {
		size = 4;
	} else if (inet_pton(AF_INET6, host, address) == 1) {
		size = 16;
	} else {
		kind = GEN_DNS;
		size = (int)strlen(host);
	}
	value = kind == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();
	set = value && ASN1_STRING_set(value, kind == GEN_DNS ? (const void *)host : address, size);
	if (!name || !set) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, kind, value);
	return name;
}

static int add_host(X509 *x, const char *host)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = general_name(host);
	int r = -ENOMEM;

	if (names && name && sk_GENERAL_NAME_push(names, name)) {
		name = NULL;
		if (X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1)
			r = 0;
	}
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return r;
}

static int make(struct tls_leaves *leaves, const char *host, time_t now, X509 **ret_certificate)
{
	_cleanup_x509_ X509 *x = NULL;
	int r = tls_x509_new(leaves->key, DAYS, now, &x);

	if (r)
		return r;
	/* A subject must not be empty, unless clients understand a critical SAN. */
	r = strlen(host) <= CN_MAX ? tls_x509_subject(x, "CN", host)
				   : tls_x509_subject(x, "O", ORGANIZATION);
	if (!r && !X509_set_issuer_name(x, X509_get_subject_name(tls_ca_certificate(leaves->ca))))
		r = -ENOMEM;
	for (size_t i = 0; i < EXTENSIONS && !r; i++)
		if (!X509_add_ext(x, leaves->extension[i], -1))
			r = -ENOMEM;
	if (!r)
		r = add_host(x, host);
	if (!r && !X509_sign(x, tls_ca_key(leaves->ca), EVP_sha256()))
		r = -EIO;
	if (!r)
		*ret_certificate = TAKE_PTR(x);
	return r;
}

static bool is_fresh(const struct entry *entry, time_t now)
{
	/* A clock that was set back makes them stale as well. */
	return now >= entry->made && now - entry->made < RENEWED;
}

int tls_leaves_get(struct tls_leaves *leaves, const char *host, time_t now, X509 **ret_certificate)
{
	struct entry *entry = &leaves->entry[0];
	struct entry made = {.hash = hash_of(host), .made = now, .used = ++leaves->turn};
	size_t length = strnlen(host, TLS_LEAF_HOST_MAX + 1);
	int r;

	if (!length || length > TLS_LEAF_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < leaves->capacity; i++) {
		struct entry *e = &leaves->entry[i];

		if (e->host && e->hash == made.hash && !strcmp(e->host, host)) {
			entry = e;
			break;
		}
		if (e->used < entry->used)
			entry = e;
	}
	if (!entry->host || strcmp(entry->host, host) || !is_fresh(entry, now)) {
		made.host = strdup(host);
		r = made.host ? make(leaves, host, now, &made.certificate) : -ENOMEM;
		ERR_clear_error();
		if (r) {
			clear(&made);
			return r;
		}
		clear(entry);
		*entry = made;
	}
	entry->used = leaves->turn;
	*ret_certificate = entry->certificate;
	return 0;
}

EVP_PKEY *tls_leaves_key(const struct tls_leaves *leaves)
{
	return leaves->key;
}
