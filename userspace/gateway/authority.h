/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is who, and who may what: certificates, bearer tokens (OIDC), tokens of sandboxes, the
 * workspaces' members, limits of rates. Decides from the table of common/rpc.h, and from nothing
 * else. The gateway's thread. Fails closed.
 */
#pragma once

#include "common/error.h"
#include "common/grpc_server.h"
#include "gateway/gateway.h"
#include "gateway/principal.h"

#include <stdint.h>

struct authority;

int authority_new(struct gateway *gateway, struct authority **ret_authority, struct error *err);
void authority_free(struct authority *authority);

/*
 * Who makes @call, told by @known, at once or later (a key set has to be fetched): @code is
 * GRPC_OK, or UNAUTHENTICATED, RESOURCE_EXHAUSTED, UNAVAILABLE with a sentence. The call must not
 * have ended by then; authority_forget() takes a question back.
 */
typedef void (*authority_known)(void *arg, int code, const char *message,
				struct principal *principal);
void authority_identify(struct authority *authority, struct grpc_call *call, authority_known known,
			void *arg);
void authority_forget(struct authority *authority, void *arg);

/*
 * Whether @principal may call @method about @workspace (NULL: none) and sandbox @sandbox_id (NULL
 * or
 * ""). -EACCES with a sentence for PERMISSION_DENIED; -EPERM for UNAUTHENTICATED.
 */
int authority_allows(struct authority *authority, const struct principal *principal,
		     const struct rpc_method *method, const char *workspace, const char *sandbox_id,
		     struct error *err);

/* A token by which a sandbox is itself: an EdDSA JWT (RFC 8037) for its id, @seconds long. */
int authority_issue(struct authority *authority, const char *sandbox_id, uint32_t seconds,
		    char **ret_token, int64_t *ret_expires_ms, struct error *err);
