/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a call: from a certificate, a bearer token, a sandbox's token, the socket's owner, or
 * nobody. Plain data; belongs to the call. Fails closed: what is not known is PRINCIPAL_NONE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum principal_kind {
	PRINCIPAL_NONE,
	PRINCIPAL_USER,
	PRINCIPAL_SANDBOX, /* a workload, by its own token */
	PRINCIPAL_NODE,	   /* a supervisor */
};

struct principal {
	enum principal_kind kind;
	char *subject; /* of a user; of a node its name; of a sandbox its id */
	char *display_name;
	const char *provider; /* "mtls", "oidc", "local", "sandbox", "node": static */
	char **role;	      /* global ones, such as "platform_admin" */
	size_t roles;
	char **scope; /* of a token that has scopes */
	size_t scopes;
	bool scoped; /* only what is among the scopes */
};

void principal_clear(struct principal *principal);
bool principal_has_role(const struct principal *principal, const char *role);
bool principal_has_scope(const struct principal *principal, const char *scope);
