/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the authority share. */
#pragma once

#include "gateway/authority.h"
#include "gateway/config.h"
#include "gateway/rate_limit.h"

#include <openssl/evp.h>

struct oidc;

struct authority {
	struct gateway *gateway;
	EVP_PKEY *key; /* signs sandboxes' tokens */
	char key_id[37];
	char *node_token;
	struct rate_limit *limit;
	struct oidc *oidc; /* NULL = no issuer is configured */
};

/* The key from the store, made the first time. */
int authority_key_load(struct authority *authority, struct error *err);

/* -EACCES with a sentence for a token that is not ours, was changed, has expired. */
int authority_verify_sandbox(struct authority *authority, const char *token,
			     struct principal *principal, struct error *err);

/* Whether a token says that it is one of ours, before anything is verified. */
bool authority_is_sandbox_token(const char *token);

/* Who a verified certificate is for. -EACCES: it names nobody. */
int authority_read_certificate(X509 *certificate, struct principal *principal, struct error *err);

int principal_add_role(struct principal *principal, const char *role);
int principal_add_scope(struct principal *principal, const char *scope, size_t size);

/* authority_oidc.c */
int oidc_new(struct gateway *gateway, struct oidc **ret_oidc, struct error *err);
void oidc_free(struct oidc *oidc);
/* As authority_identify(). */
void oidc_identify(struct oidc *oidc, const char *token, authority_known known, void *arg);
void oidc_forget(struct oidc *oidc, void *arg);
