/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of l7. What is ready lives in one arena of struct l7 and never changes.
 */
#pragma once

#include "common/arena.h"
#include "common/policy_address.h"
#include "proxy/l7.h"
#include "proxy/l7_glob.h"

#define PB(name)      Openshell__Compiled__V1__##name
#define PB_ENUM(name) OPENSHELL__COMPILED__V1__##name

#define L7_QUERY_PAIRS_MAX 256
#define L7_OVERRIDES_MAX   4 /* headers that give another method */

struct l7_matcher {
	struct text key;
	size_t globs;
	const struct l7_glob *glob;
};

/* Methods of HTTP as bits. */
#define L7_METHOD_OTHER (1u << 0) /* that have no bit of their own */
#define L7_METHOD_GET	(1u << 1)
#define L7_METHOD_HEAD	(1u << 2)
#define L7_METHOD_ANY	(~0u)

/* The bit of a method; @fold: whatever its letter case. */
unsigned int l7_method_bit(struct text method, bool fold);

struct l7_rule {
	struct l7_glob path; /* first, and with it what decides about most requests */
	bool has_path;
	bool any_method;
	unsigned int methods; /* L7_METHOD_*; 0: a GraphQL rule */
	enum l7_reading reading;
	struct text method;
	size_t queries;
	const struct l7_matcher *query;
	PB(OperationType) operation; /* UNSPECIFIED: no GraphQL rule */
	bool has_name;
	struct l7_glob name;   /* of a GraphQL operation */
	struct l7_glob called; /* JSON-RPC's and MCP's method */
	size_t fields, tools;
	const struct l7_glob *field, *tool;
	const char *text; /* for people */
};

struct l7_endpoint {
	const PB(Endpoint) * policy;
	uint32_t index;
	size_t specificity;
	bool has_path;
	struct l7_glob narrow, wide; /* its `path`, in both readings */
	size_t allows, denies;
	const struct l7_rule *allow, *deny;
	bool names_tools;      /* an allow rule is for some tools only */
	bool reads_operations; /* a rule is for GraphQL operations */
	size_t cidrs;	       /* of an endpoint without a host */
	const struct policy_cidr *cidr;
	uint32_t next; /* in its bucket of the index; L7_NO_ENDPOINT at the end */
};

#define L7_NO_ENDPOINT UINT32_MAX

struct l7 {
	struct arena *arena;
	uint32_t count;
	struct l7_endpoint *endpoint;
	uint32_t *bucket; /* by host, or by what follows a wildcard */
	uint32_t buckets; /* a power of two */
	uint32_t *hostless;
	uint32_t hostless_count;
};

/* l7_build.c: one endpoint, made ready. -EINVAL, -ENOMEM. */
int l7_endpoint_build(struct arena *arena, const PB(CompiledPolicy) * policy, uint32_t index,
		      struct l7_endpoint *ret_endpoint, struct error *err);

/* What is asked of an endpoint about one request: its parts, read once. */
struct l7_question {
	const struct http_head *head; /* NULL: a message of a WebSocket */
	const struct target *target;
	const char *unreadable; /* why no rule can be asked; NULL */
	struct text kind;	/* of a message: WEBSOCKET_TEXT; size 0: it is a request */
	bool websocket;		/* the request is an upgrade */
	struct text plain;	/* the path as servers read it */
	struct text other;	/* and as some do; size 0: no other */
	struct l7_pairs plain_pairs, other_pairs;
	bool encoded_slash;
	size_t methods; /* more than one when headers override it */
	struct text method[1 + L7_OVERRIDES_MAX];
	unsigned int method_bit[1 + L7_OVERRIDES_MAX][2]; /* as written, and in any letter case */
	/* the body, or a message */
	bool has_body;
	const uint8_t *body;
	size_t body_size;
	void *scratch;
	size_t scratch_size;
	/* the query, decoded when a rule asks for it */
	int pairs; /* -1: not yet; -2: it cannot be */
	struct text pair[L7_QUERY_PAIRS_MAX][2];
	char buffers[3][HTTP_TARGET_MAX]; /* of plain, other, and the query's */
};

/* What an endpoint says to it. */
struct l7_answer {
	enum l7_outcome outcome; /* ALLOWED, DENIED, NEED_BODY */
	const char *rule;	 /* NULL: none decided */
	char reason[L7_REASON_MAX];
};

/* l7_request.c */
void l7_question_init(struct l7_question *question, const struct http_head *head,
		      const struct target *target, bool websocket);
/* Whether the endpoint's `path` selects the request; @ret_admits: also in the narrower reading. */
bool l7_endpoint_selects(const struct l7_endpoint *endpoint, const struct l7_question *question,
			 bool *ret_admits);
/* REST, and WebSocket's upgrades and messages: by method, path and query. */
void l7_judge_http(const struct l7_endpoint *endpoint, struct l7_question *question,
		   struct l7_answer *answer);
/* A message from the client, of which only its kind counts. */
void l7_judge_message_kind(const struct l7_endpoint *endpoint, struct l7_question *question,
			   struct l7_answer *answer);
/* Whether the body is one JSON text to every server: by its type and coding. Else denies. */
bool l7_is_json(const struct l7_question *question, struct l7_answer *answer);

/* Whether a request that must have no body has one. */
bool l7_has_body(const struct l7_question *question);
/* Whether the body that came is longer than the endpoint looks at. Denies then. */
bool l7_is_too_long(const struct l7_endpoint *endpoint, const struct l7_question *question,
		    struct l7_answer *answer);

/* l7_graphql.c */
void l7_judge_graphql(const struct l7_endpoint *endpoint, struct l7_question *question,
		      struct l7_answer *answer);
void l7_judge_graphql_message(const struct l7_endpoint *endpoint, struct l7_question *question,
			      struct l7_answer *answer);

/* l7_rpc.c: JSON-RPC and MCP. */
void l7_judge_rpc(const struct l7_endpoint *endpoint, struct l7_question *question,
		  struct l7_answer *answer);

/* l7_reason.c */
void l7_allow(struct l7_answer *answer, const char *rule);
/* @rule: the deny rule, or NULL. The sentence is cut at L7_REASON_MAX. */
void l7_deny(struct l7_answer *answer, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *l7_access_text(PB(Access) access);
const char *l7_protocol_text(PB(Protocol) protocol);
/* A rule as people would say it: "deny GET /admin/ **"; NULL without memory. */
const char *l7_rule_text(struct arena *arena, PB(Protocol) protocol, const PB(L7Rule) * rule,
			 enum l7_reading reading);
/* Text from outside, for a sentence: printable, cut, in @buffer. Returns it. */
#define L7_QUOTED_MAX 80
const char *l7_quote(struct text text, char buffer[L7_QUOTED_MAX]);
