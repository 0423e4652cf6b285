/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests signed for AWS, Signature Version 4, with keys that the agent does not have:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. The agent's own SDK signs
 *with placeholders; that signature is taken off and a real one put on. In an exchange:
 *
 *	sigv4_strip()		before credentials_rewrite_head(), which would refuse its
 *placeholders sigv4_payload()		whether the body has to be gathered first sigv4_sign()
 *last: nothing that is signed may change afterwards
 *
 * Pure but for the arena; any thread. Fails closed: what cannot be signed is not sent.
 */
#pragma once

#include "common/arena.h"
#include "compiled_policy.pb-c.h"
#include "proxy/http.h"
#include "proxy/placeholder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGV4_BODY_MAX	  (10u << 20) /* of a body that is gathered for it */
#define SIGV4_REGION_MAX  64
#define SIGV4_SERVICE_MAX 64

struct sigv4_keys {
	struct text id, secret;
	struct text token; /* of temporary keys; size 0 = none */
};

/* The AWS_* keys that may go there. -ENOENT, -EACCES. */
int sigv4_keys(const struct credentials *credentials, const struct credential_scope *scope,
	       struct sigv4_keys *ret_keys);

struct sigv4 {
	struct sigv4_keys keys;
	Openshell__Compiled__V1__Signing mode;
	const char *service;
	const char *region; /* "" = as the host says */
	const char *host;   /* without a port */
	int64_t now;	    /* seconds since 1970 */
	/* a body that was gathered, or NULL: it streams, or there is none */
	const uint8_t *body;
	size_t body_size;
};

/*
 * Take off what the agent signed with: Authorization, x-amz-date, x-amz-security-token, and of a
 * signed URL its X-Amz-* parameters. x-amz-content-sha256 stays for sigv4_sign(). -ENOMEM.
 */
int sigv4_strip(struct http_head *head, struct arena *arena);

/*
 * 1 if the body has to be gathered before sigv4_sign(); 0 if not: there is none, it is not signed,
 * or the agent says its hash, which the server checks. -EOPNOTSUPP: its chunks are signed one by
 * one (STREAMING-AWS4-HMAC-SHA256-PAYLOAD), or would have to be and are not.
 */
int sigv4_payload(const struct http_head *head, Openshell__Compiled__V1__Signing mode);

/*
 * Sign. Adds fields to @head, and writes its query as it was signed; texts are the arena's.
 * -EOPNOTSUPP as sigv4_payload(); -EAGAIN: the body was not gathered; -E2BIG: too many fields, or
 * too long; -ENOMEM; -EIO if libcrypto fails. @head is untouched on failure.
 */
int sigv4_sign(const struct sigv4 *sign, struct http_head *head, struct arena *arena);

/* The region in a host's name, or the one that global services have; @buf has SIGV4_REGION_MAX. */
const char *sigv4_region(const char *host, char *buf);
