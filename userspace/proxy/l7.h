/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy says to requests: the inspected endpoints of a CompiledPolicy, made ready once, and
 * asked for each request. Matching allocates nothing. Pure; a struct l7 is never changed after
 * l7_new(), and lives as long as somebody holds it. Fails closed: what no endpoint admits, what
 * cannot be read, and what is longer than may be looked at is denied.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "proxy/http.h"
#include "proxy/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define L7_ENDPOINTS_MAX 64 /* that one connection may match; more is denied */

struct l7;
struct l7_endpoint; /* one endpoint, ready */

/*
 * -EINVAL for what the compiler would not have written; -E2BIG; -ENOMEM. Keeps @policy, which must
 * live as long.
 */
int l7_new(const Openshell__Compiled__V1__CompiledPolicy *policy, struct l7 **ret_l7,
	   struct error *err);
void l7_free(struct l7 *l7);

/* The endpoints that speak of one connection, chosen by where it goes and who made it. */
struct l7_set {
	const struct l7 *l7;
	uint16_t count;
	const struct l7_endpoint *endpoint[L7_ENDPOINTS_MAX];
};

/*
 * Those whose host (@host: canonical name, or the canonical text of an address) and @port match,
 * and whose binary set is in @rules. -ENOENT: none; -E2BIG: more than L7_ENDPOINTS_MAX.
 * Also for endpoints without L7: L4 ones that a middleware sends here admit every request, and that
 * of inference.local, which no other endpoint names, admits none: it is answered before.
 */
int l7_select(const struct l7 *l7, const char *host, uint16_t port,
	      const struct os_rule_mask *rules, struct l7_set *ret_set);

enum l7_outcome {
	L7_DENIED = 0,
	L7_ALLOWED,
	L7_AUDIT,     /* would be denied, but enforcement is audit: goes through, and is told */
	L7_NEED_BODY, /* decided by the body: gather up to body_max bytes, then l7_body() */
};

#define L7_REASON_MAX 256

struct l7_verdict {
	enum l7_outcome outcome;
	const char *policy;   /* key of the rule whose endpoint decided; the policy's */
	const char *protocol; /* "rest", "websocket", "graphql", "mcp", "json-rpc", "tcp", "inference" */
	uint32_t endpoint;    /* index into CompiledPolicy.endpoints */
	uint32_t body_max;    /* L7_NEED_BODY: bytes; for a longer one l7_body_too_long() */
	char rule[160];	      /* the rule that decided, for people: "deny GET /admin", or "" */
	char reason[L7_REASON_MAX]; /* a sentence's end when denied or audit, else "" */
};

/*
 * The most specific endpoint for a path, whose settings hold for the request; never NULL: if none
 * is for that path, which denies the request, any.
 */
const struct l7_endpoint *l7_endpoint_for(const struct l7_set *set, const struct target *target);
const Openshell__Compiled__V1__Endpoint *l7_endpoint_policy(const struct l7_endpoint *endpoint);

/* True if an endpoint of the set lets encoded slashes stand: for target_parse(). */
bool l7_allows_encoded_slash(const struct l7_set *set);

/*
 * Judge a request by its head. Every endpoint whose `path` selects it has to admit it; deny rules
 * win. @websocket: it is an upgrade to a WebSocket.
 */
void l7_request(const struct l7_set *set, const struct http_head *head, const struct target *target,
		bool websocket, struct l7_verdict *ret_verdict);

/*
 * Judge it by its body, after L7_NEED_BODY: GraphQL (also GET with a query: @body empty), MCP,
 * JSON-RPC. @scratch: memory for parsing, of at least @body_size * 2 + 65536 bytes; parsing takes
 * none else.
 */
void l7_body(const struct l7_set *set, const struct http_head *head, const struct target *target,
	     const uint8_t *body, size_t body_size, void *scratch, size_t scratch_size,
	     struct l7_verdict *ret_verdict);

/* What becomes of a request whose body is longer than body_max: denied, or audit. */
void l7_body_too_long(const struct l7_set *set, const struct http_head *head,
		      const struct target *target, struct l7_verdict *ret_verdict);

/*
 * Whether messages of the agent over an admitted WebSocket are judged. If not, all bytes go
 * through.
 * @ret_message_max: up to which size a text message is gathered for it; 0: what it says does not
 * matter, so it is judged when it begins, with @size 0. The answer to the upgrade must have no
 * extensions (websocket.h), or no message could be read.
 */
bool l7_websocket_inspects(const struct l7_set *set, const struct target *target,
			   uint32_t *ret_message_max);

/*
 * Judge one text message from the agent: WEBSOCKET_TEXT rules, or GraphQL operations. @size above
 * the gathered size (@message is not looked at then): too long.
 */
void l7_websocket_text(const struct l7_set *set, const struct http_head *head,
		       const struct target *target, const uint8_t *message, size_t size,
		       void *scratch, size_t scratch_size, struct l7_verdict *ret_verdict);

/* Judge a binary message when it begins. What it says is never looked at. */
void l7_websocket_binary(const struct l7_set *set, const struct http_head *head,
			 const struct target *target, struct l7_verdict *ret_verdict);
