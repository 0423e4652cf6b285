/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: their subject says who shows them. That they are of our CA was seen by TLS. */
#include "gateway/authority_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

#define ADMIN_ORGANIZATION "openshell-admin"
#define NODE_ORGANIZATION  "openshell-node"
#define SUBJECT_MAX	   200

/* The only entry of a kind, as UTF-8; NULL: none, several, or one with a NUL in it. */
static char *entry(X509 *certificate, int nid)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(name, nid, -1), size;
	unsigned char *utf8;
	char *text = NULL;

	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return NULL;
	size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (size < 0)
		return NULL;
	if (size && size <= SUBJECT_MAX && !memchr(utf8, 0, (size_t)size))
		text = strndup((const char *)utf8, (size_t)size);
	OPENSSL_free(utf8);
	return text;
}

int authority_read_certificate(X509 *certificate, struct principal *principal, struct error *err)
{
	_cleanup_free_ char *organization = entry(certificate, NID_organizationName);

	principal->subject = entry(certificate, NID_commonName);
	if (!principal->subject)
		return error_set(err, -EACCES, "the certificate has no single common name");
	principal->provider = "mtls";
	principal->kind = PRINCIPAL_USER;
	if (organization && !strcmp(organization, NODE_ORGANIZATION)) {
		principal->kind = PRINCIPAL_NODE;
		principal->provider = "node";
	} else if (organization && !strcmp(organization, ADMIN_ORGANIZATION)) {
		if (principal_add_role(principal, "platform_admin"))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}
