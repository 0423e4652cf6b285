/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens by which an SSH client may be led to a sandbox's sshd. Only a token's SHA-256 is kept. The
 * gateway's thread. Fails closed: expired, revoked and unknown are the same.
 */
#pragma once

#include "gateway/request.h"

void ssh_session_create(struct request *request);
void ssh_session_revoke(struct request *request);

/* Whether @token is good for that sandbox now. -EACCES. */
int ssh_session_check(struct gateway *gateway, const char *token, const char *sandbox_id,
		      struct error *err);
