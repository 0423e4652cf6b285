/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials in place of placeholders, on their way to the server:
 *
 *	openshell:resolve:env:KEY
 *	openshell:resolve:env:v<revision>_KEY
 *	openshell:resolve:env:s<64 hex digits>_KEY
 *	<prefix>OPENSHELL-RESOLVE-ENV-KEY	and with the revision or token before KEY
 *
 * KEY is all letters, digits and `_` that follow; the prefix, which is replaced as well, all
 * letters, digits, `-` and `_` before (services that check what a token looks like want it). Only
 * these very bytes are placeholders: no server folds the case of a value. What was put in is never
 * looked at again.
 *
 * A struct credentials is never changed after credentials_new(); any thread. Fails closed: a
 * placeholder that is unknown, old, or may not go where the request goes refuses the request, and
 * so does one where none is replaced: in a method, a host, a field's name, or escaped twice.
 */
#pragma once

#include "common/arena.h"
#include "common/error.h"
#include "common/provider_key.h"
#include "proxy/http.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CREDENTIALS_MAX		256
#define CREDENTIAL_BINDINGS_MAX 1024	     /* of one credential */
#define CREDENTIAL_VALUE_MAX	16384	     /* bytes of a secret */
#define CREDENTIAL_BODY_MAX	(256u << 10) /* of a body that is searched */
#define CREDENTIAL_BODY_OUT_MAX (1u << 20)   /* of what it becomes */
#define CREDENTIAL_KEY_MAX	PROVIDER_KEY_MAX

struct credentials;

/* Copies what it needs. -EINVAL for what cannot be sent or told apart; -E2BIG; -ENOMEM. */
int credentials_new(Openshell__Worker__V1__Credential *const *credentials, size_t len,
		    struct credentials **ret_credentials, struct error *err);
/* Wipes. NULL is valid. */
void credentials_free(struct credentials *credentials);

/* Where a request goes. */
struct credential_scope {
	const char *host; /* as in struct target's origin: canonical name or address */
	uint16_t port;
	bool secure;	      /* by TLS: without it nothing goes to port 443 */
	struct text path;     /* canonical, as rules see it */
	const char *provider; /* the endpoint's credential_binding: no other's credentials; or "" */
	/* of a body, as in Content-Type: decides how a value is written into it. "" is looked at */
	struct text content_type;
};

/*
 * Replace placeholders in the values of @head's fields, inside Basic authentication, and in path
 * and query, where the value is percent-encoded. New texts are the arena's; @head is untouched on
 * failure. Costs next to nothing for a head without placeholders and without Basic authentication.
 *
 * 0: there was none, or all were replaced (*ret_changed). -EACCES: one that may not go there, or
 * stands where none is replaced (403 credential_endpoint_mismatch). -ENOENT: one that means nothing
 * here (also 403). -E2BIG: the head would become too long. -ENOMEM.
 */
int credentials_rewrite_head(const struct credentials *credentials,
			     const struct credential_scope *scope, struct http_head *head,
			     struct arena *arena, bool *ret_changed);

/*
 * The same for a body of at most CREDENTIAL_BODY_MAX bytes, or a WebSocket's text. In JSON and XML
 * the value is escaped, in forms percent-encoded. If nothing changed, @ret_body is @body. Bodies
 * with a Content-Encoding are not for here: nothing can be found in them.
 */
int credentials_rewrite_body(const struct credentials *credentials,
			     const struct credential_scope *scope, const uint8_t *body, size_t size,
			     struct arena *arena, struct text *ret_body, bool *ret_changed);

/* The value of a key for signing: as placeholders, but also of credentials that are signing_only.
 */
int credentials_find(const struct credentials *credentials, const struct credential_scope *scope,
		     const char *key, struct text *ret_value);

/* A cheap look: whether there is anything that could be a placeholder, in whatever case. */
bool credentials_suspect(const uint8_t *data, size_t size);

/*
 * Looks for placeholders in a body that passes by in pieces and is not rewritten, so that nothing
 * is kept: true once the first bytes of one, up to its KEY, are complete.
 */
struct credential_scan {
	uint8_t tail[24]; /* the end of what came before */
	uint8_t tail_size;
};

bool credential_scan(struct credential_scan *scan, const uint8_t *data, size_t size);
