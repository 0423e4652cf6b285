/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which certificate authorities servers are believed by: the host's own bundle, and files that the
 * operator gives for servers with a private one. Read once for each sandbox, in its caller's
 * thread. Fails closed: without any, no server's certificate is valid.
 */
#pragma once

#include "common/error.h"

#include <stddef.h>

#define TRUST_FILE_MAX (4u << 20) /* bytes of one file */
#define TRUST_FILES    32	  /* of the operator's */

struct trust {
	char *host;  /* the host's bundle, PEM and NUL-terminated; "" = there is none */
	char *extra; /* the operator's files, likewise */
};

/* Where systems have the bundle that their programs use; NULL at the end. */
extern const char *const trust_bundles[];

/*
 * Read them. -ENOENT and so on for a file of @files, -EBADMSG if something in it is no certificate
 * or it has none, -EFBIG, -E2BIG; a host without a bundle is no error.
 */
int trust_load(const char *const *files, size_t files_len, struct trust *ret_trust,
	       struct error *err);
void trust_free(struct trust *trust);
