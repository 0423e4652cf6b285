/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/l7_internal.h"

#include "common/inference.h"
#include "common/policy_host.h"
#include "common/policy_inference.h"

#include <errno.h>
#include <stdio.h>

#define ARENA_MAX     (1u << 30)
#define ENDPOINTS_MAX (1u << 20)

/* FNV-1a; @wildcards are beside the names. */
static uint32_t hash_host(const char *host, bool wildcard)
{
	uint32_t h = 2166136261u ^ wildcard;

	for (; *host; host++)
		h = (h ^ (uint8_t)*host) * 16777619u;
	return h ^ h >> 15;
}

/* What a wildcard's names all end with: policy_host_parse() sees to it that there is something. */
static const char *wildcard_end(const char *host)
{
	const char *star = strrchr(host, '*'), *dot = star ? strchr(star, '.') : NULL;

	return dot ? dot + 1 : NULL;
}

static int index_endpoint(struct l7 *l7, uint32_t i)
{
	struct l7_endpoint *endpoint = &l7->endpoint[i];
	const char *host = endpoint->policy->host;
	uint32_t *bucket;

	if (!*host) {
		l7->hostless[l7->hostless_count++] = i;
		return 0;
	}
	if (endpoint->policy->host_is_wildcard)
		host = wildcard_end(host);
	if (!host)
		return -EINVAL;
	bucket = &l7->bucket[hash_host(host, endpoint->policy->host_is_wildcard) &
			     (l7->buckets - 1)];
	endpoint->next = *bucket;
	*bucket = i;
	return 0;
}

static int build(struct l7 *l7, const PB(CompiledPolicy) * policy, struct error *err)
{
	l7->count = (uint32_t)policy->n_endpoints;
	for (l7->buckets = 16; l7->buckets < l7->count * 2;)
		l7->buckets *= 2;
	l7->endpoint = arena_alloc_array(l7->arena, l7->count, sizeof(*l7->endpoint));
	l7->hostless = arena_alloc_array(l7->arena, l7->count, sizeof(*l7->hostless));
	l7->bucket = arena_alloc_array(l7->arena, l7->buckets, sizeof(*l7->bucket));
	if (!l7->endpoint || !l7->hostless || !l7->bucket)
		return error_set(err, -ENOMEM, "no memory for the rules of requests");
	memset(l7->bucket, 0xff, l7->buckets * sizeof(*l7->bucket));
	/* The last first, so that a bucket's list is in the policy's order. */
	for (uint32_t i = l7->count; i-- > 0;) {
		int r = l7_endpoint_build(l7->arena, policy, i, &l7->endpoint[i], err);

		if (r < 0)
			return r;
		if (index_endpoint(l7, i) < 0)
			return error_set(err, -EINVAL, "'%s' in the policy is no host",
					 policy->endpoints[i]->host);
	}
	return 0;
}

int l7_new(const PB(CompiledPolicy) * policy, struct l7 **ret_l7, struct error *err)
{
	struct arena *arena;
	struct l7 *l7;
	int r;

	if (policy->n_endpoints > ENDPOINTS_MAX)
		return error_set(err, -E2BIG, "the policy has too many endpoints");
	arena = arena_new(ARENA_MAX);
	l7 = arena ? arena_alloc(arena, sizeof(*l7)) : NULL;
	if (!l7) {
		arena_free(arena);
		return error_set(err, -ENOMEM, "no memory for the rules of requests");
	}
	l7->arena = arena;
	r = build(l7, policy, err);
	if (r < 0) {
		arena_free(arena);
		return r;
	}
	*ret_l7 = l7;
	return 0;
}

void l7_free(struct l7 *l7)
{
	if (l7)
		arena_free(l7->arena);
}

static bool has_port(const struct l7_endpoint *endpoint, uint16_t port)
{
	for (size_t i = 0; i < endpoint->policy->n_ports; i++)
		if (endpoint->policy->ports[i] == port)
			return true;
	return false;
}

static bool has_binary(const struct l7_endpoint *endpoint, const struct os_rule_mask *rules)
{
	uint32_t set = endpoint->policy->binary_set;

	return rules->word[set / 64] >> (set % 64) & 1;
}

struct selection {
	const struct l7 *l7;
	const char *host;
	uint16_t port;
	bool inference; /* it is the host that only the supervisor's own endpoint means */
	const struct os_rule_mask *rules;
	struct l7_set *set;
};

static int add(const struct selection *selection, const struct l7_endpoint *endpoint)
{
	struct l7_set *set = selection->set;

	if (policy_is_inference(endpoint->policy) != selection->inference ||
	    !has_port(endpoint, selection->port) || !has_binary(endpoint, selection->rules))
		return 0;
	if (set->count == L7_ENDPOINTS_MAX)
		return -E2BIG;
	set->endpoint[set->count++] = endpoint;
	return 0;
}

static int add_bucket(const struct selection *selection, const char *end, bool wildcard)
{
	const struct l7 *l7 = selection->l7;
	uint32_t i = l7->bucket[hash_host(end, wildcard) & (l7->buckets - 1)];

	for (; i != L7_NO_ENDPOINT; i = l7->endpoint[i].next) {
		const struct l7_endpoint *endpoint = &l7->endpoint[i];
		const char *host = endpoint->policy->host;
		int r;

		if (!endpoint->policy->host_is_wildcard == wildcard)
			continue;
		if (wildcard ? strcmp(wildcard_end(host), end) ||
				       !policy_host_match(host, selection->host)
			     : strcmp(host, selection->host))
			continue;
		r = add(selection, endpoint);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_hostless(const struct selection *selection, const struct policy_cidr *address)
{
	const struct l7 *l7 = selection->l7;

	for (uint32_t i = 0; i < l7->hostless_count; i++) {
		const struct l7_endpoint *endpoint = &l7->endpoint[l7->hostless[i]];
		bool within = false;
		int r;

		for (size_t j = 0; j < endpoint->cidrs && !within; j++)
			within = policy_cidr_overlaps(&endpoint->cidr[j], address);
		r = within ? add(selection, endpoint) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int l7_select(const struct l7 *l7, const char *host, uint16_t port,
	      const struct os_rule_mask *rules, struct l7_set *ret_set)
{
	struct l7_set set = {.l7 = l7};
	const struct selection selection = {
		.l7 = l7,
		.host = host,
		.port = port,
		.inference = !strcmp(host, INFERENCE_HOST),
		.rules = rules,
		.set = &set,
	};
	struct policy_cidr address;
	int r;

	if (!*host)
		return -ENOENT;
	r = add_bucket(&selection, host, false);
	if (!r && !policy_address_parse(host, &address)) {
		r = add_hostless(&selection, &address);
	} else {
		for (const char *dot = strchr(host, '.'); dot && !r; dot = strchr(dot + 1, '.'))
			r = add_bucket(&selection, dot + 1, true);
	}
	if (r < 0)
		return r;
	if (!set.count)
		return -ENOENT;
	*ret_set = set;
	return 0;
}

const PB(Endpoint) * l7_endpoint_policy(const struct l7_endpoint *endpoint)
{
	return endpoint->policy;
}

bool l7_allows_encoded_slash(const struct l7_set *set)
{
	for (uint16_t i = 0; i < set->count; i++) {
		const PB(L7) *l7 = set->endpoint[i]->policy->l7;

		if (!l7 || l7->allow_encoded_slash)
			return true;
	}
	return false;
}

/*
 * Of two endpoints for one path, the one that says how it is read. Where they are as specific, the
 * policy's check has seen to it that they agree, but for those that only admit.
 */
static bool is_more_specific(const struct l7_endpoint *a, const struct l7_endpoint *b)
{
	if (!b || a->specificity != b->specificity)
		return !b || a->specificity > b->specificity;
	if (!a->policy->l7 != !b->policy->l7)
		return a->policy->l7;
	return *a->policy->credential_provider && !*b->policy->credential_provider;
}

static const struct l7_endpoint *most_specific(const struct l7_set *set,
					       const struct l7_question *question)
{
	const struct l7_endpoint *best = NULL;
	bool admits;

	for (uint16_t i = 0; i < set->count; i++)
		if (l7_endpoint_selects(set->endpoint[i], question, &admits) &&
		    is_more_specific(set->endpoint[i], best))
			best = set->endpoint[i];
	return best ? best : set->endpoint[0];
}

const struct l7_endpoint *l7_endpoint_for(const struct l7_set *set, const struct target *target)
{
	struct l7_question question;

	l7_question_init(&question, NULL, target, false);
	return most_specific(set, &question);
}

/* Whoever reflects a request shows the credentials that were put into it; a tunnel hides it. */
static bool is_refused_method(struct text method)
{
	static const char *const refused[] = {"TRACE", "TRACK", "CONNECT"};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (method.size == strlen(refused[i]) &&
		    !strncasecmp(method.data, refused[i], method.size))
			return true;
	return false;
}

/* What no rule can admit. */
static bool is_refused(const struct l7_question *question, struct l7_answer *answer)
{
	char quoted[L7_QUOTED_MAX];

	for (size_t i = 0; i < question->methods; i++)
		if (is_refused_method(question->method[i])) {
			l7_deny(answer, NULL, "%s is refused whatever the rules say",
				l7_quote(question->method[i], quoted));
			return true;
		}
	if (question->unreadable) {
		l7_deny(answer, NULL, "%s", question->unreadable);
		return true;
	}
	return false;
}

static void judge_endpoint(const struct l7_endpoint *endpoint, struct l7_question *question,
			   struct l7_answer *answer)
{
	PB(Protocol) protocol = endpoint->policy->protocol;

	if (question->encoded_slash && endpoint->policy->l7 &&
	    !endpoint->policy->l7->allow_encoded_slash) {
		l7_deny(answer, NULL, "the path has an encoded slash, and %s does not allow it",
			endpoint->policy->rule);
		return;
	}
	switch (protocol) {
	case PB_ENUM(PROTOCOL__PROTOCOL_TCP):
		l7_allow(answer, NULL);
		return;
	case PB_ENUM(PROTOCOL__PROTOCOL_REST):
	case PB_ENUM(PROTOCOL__PROTOCOL_WEBSOCKET):
		if (question->kind.size && endpoint->reads_operations)
			l7_judge_graphql_message(endpoint, question, answer);
		else if (question->kind.size)
			l7_judge_message_kind(endpoint, question, answer);
		else
			l7_judge_http(endpoint, question, answer);
		return;
	case PB_ENUM(PROTOCOL__PROTOCOL_GRAPHQL):
	case PB_ENUM(PROTOCOL__PROTOCOL_MCP):
	case PB_ENUM(PROTOCOL__PROTOCOL_JSON_RPC):
		if (question->websocket || question->kind.size)
			l7_deny(answer, NULL,
				"%s is for protocol %s over requests; a WebSocket needs protocol "
				"websocket",
				endpoint->policy->rule, l7_protocol_text(protocol));
		else if (protocol == PB_ENUM(PROTOCOL__PROTOCOL_GRAPHQL))
			l7_judge_graphql(endpoint, question, answer);
		else
			l7_judge_rpc(endpoint, question, answer);
		return;
	case PB_ENUM(PROTOCOL__PROTOCOL_INFERENCE):
		l7_deny(answer, NULL, "%s is answered here, and no rule admits more",
			endpoint->policy->rule);
		return;
	default:
		l7_deny(answer, NULL, "%s is for protocol %s, and this is HTTP",
			endpoint->policy->rule, l7_protocol_text(protocol));
	}
}

static void tell(const struct l7_endpoint *endpoint, const struct l7_answer *answer,
		 enum l7_outcome outcome, struct l7_verdict *verdict)
{
	const char *rule = answer->rule ? answer->rule : "";
	size_t size = strnlen(rule, sizeof(verdict->rule) - 1);
	bool told = outcome == L7_DENIED || outcome == L7_AUDIT;

	verdict->outcome = outcome;
	verdict->policy = endpoint->policy->rule;
	verdict->protocol = l7_protocol_text(endpoint->policy->protocol);
	verdict->endpoint = endpoint->index;
	verdict->body_max = 0;
	memcpy(verdict->rule, rule, size);
	verdict->rule[size] = '\0';
	memcpy(verdict->reason, told ? answer->reason : "", told ? strlen(answer->reason) + 1 : 1);
}

struct judgement {
	const struct l7_endpoint *endpoint;
	struct l7_answer answer;
};

/*
 * Every endpoint whose path selects the request has its say. What an enforcing one denies is
 * denied; otherwise what an auditing one would deny is told. An endpoint that selects it in the
 * wider reading only can deny but not admit.
 */
static void judge(const struct l7_set *set, struct l7_question *question,
		  struct l7_verdict *verdict)
{
	struct judgement allowed = {0}, audit = {0}, now;
	const struct l7_endpoint *reader = NULL;
	bool admitted = false, admits;
	char quoted[L7_QUOTED_MAX];
	uint32_t body_max = 0;

	if (is_refused(question, &now.answer)) {
		tell(most_specific(set, question), &now.answer, L7_DENIED, verdict);
		return;
	}
	for (uint16_t i = 0; i < set->count; i++) {
		now.endpoint = set->endpoint[i];
		if (!l7_endpoint_selects(now.endpoint, question, &admits))
			continue;
		admitted |= admits;
		judge_endpoint(now.endpoint, question, &now.answer);
		if (now.answer.outcome == L7_NEED_BODY) {
			if (is_more_specific(now.endpoint, reader))
				reader = now.endpoint;
			if (now.endpoint->policy->l7->max_body_bytes > body_max)
				body_max = now.endpoint->policy->l7->max_body_bytes;
		} else if (now.answer.outcome == L7_DENIED && !now.endpoint->policy->audit) {
			tell(now.endpoint, &now.answer, L7_DENIED, verdict);
			return;
		} else if (now.answer.outcome == L7_DENIED && !audit.endpoint) {
			audit = now;
		} else if (now.answer.outcome == L7_ALLOWED &&
			   is_more_specific(now.endpoint, allowed.endpoint)) {
			allowed.endpoint = now.endpoint;
			allowed.answer.rule = now.answer.rule;
		}
	}
	if (!admitted) {
		l7_deny(&now.answer, NULL, "no endpoint of %s is for path %s",
			set->endpoint[0]->policy->rule, l7_quote(question->target->path, quoted));
		tell(most_specific(set, question), &now.answer, L7_DENIED, verdict);
	} else if (reader) {
		now.answer.rule = NULL;
		tell(reader, &now.answer, L7_NEED_BODY, verdict);
		verdict->body_max = body_max;
	} else if (audit.endpoint) {
		tell(audit.endpoint, &audit.answer, L7_AUDIT, verdict);
	} else {
		tell(allowed.endpoint, &allowed.answer, L7_ALLOWED, verdict);
	}
}

void l7_request(const struct l7_set *set, const struct http_head *head, const struct target *target,
		bool websocket, struct l7_verdict *ret_verdict)
{
	struct l7_question question;

	l7_question_init(&question, head, target, websocket);
	judge(set, &question, ret_verdict);
}

void l7_body(const struct l7_set *set, const struct http_head *head, const struct target *target,
	     const uint8_t *body, size_t body_size, void *scratch, size_t scratch_size,
	     struct l7_verdict *ret_verdict)
{
	struct l7_question question;

	l7_question_init(&question, head, target, false);
	question.has_body = true;
	question.body = body;
	question.body_size = body_size;
	question.scratch = scratch;
	question.scratch_size = scratch_size;
	judge(set, &question, ret_verdict);
}

void l7_body_too_long(const struct l7_set *set, const struct http_head *head,
		      const struct target *target, struct l7_verdict *ret_verdict)
{
	l7_body(set, head, target, NULL, SIZE_MAX, NULL, 0, ret_verdict);
}

static void judge_message(const struct l7_set *set, const struct target *target, struct text kind,
			  const uint8_t *message, size_t size, void *scratch, size_t scratch_size,
			  struct l7_verdict *ret_verdict)
{
	struct l7_question question;

	l7_question_init(&question, NULL, target, false);
	question.kind = kind;
	question.has_body = true;
	question.body = message;
	question.body_size = size;
	question.scratch = scratch;
	question.scratch_size = scratch_size;
	judge(set, &question, ret_verdict);
}

void l7_websocket_text(const struct l7_set *set, const struct http_head *head,
		       const struct target *target, const uint8_t *message, size_t size,
		       void *scratch, size_t scratch_size, struct l7_verdict *ret_verdict)
{
	judge_message(set, target, TEXT("WEBSOCKET_TEXT"), message, size, scratch, scratch_size,
		      ret_verdict);
}

void l7_websocket_binary(const struct l7_set *set, const struct http_head *head,
			 const struct target *target, struct l7_verdict *ret_verdict)
{
	judge_message(set, target, TEXT("WEBSOCKET_BINARY"), NULL, 0, NULL, 0, ret_verdict);
}

bool l7_websocket_inspects(const struct l7_set *set, const struct target *target,
			   uint32_t *ret_message_max)
{
	struct l7_verdict text, binary;
	struct l7_question question;
	uint32_t max = 0;
	bool admits;

	l7_question_init(&question, NULL, target, false);
	for (uint16_t i = 0; i < set->count; i++) {
		const struct l7_endpoint *endpoint = set->endpoint[i];

		if (endpoint->reads_operations &&
		    l7_endpoint_selects(endpoint, &question, &admits) &&
		    endpoint->policy->l7->max_body_bytes > max)
			max = endpoint->policy->l7->max_body_bytes;
	}
	*ret_message_max = max;
	if (max)
		return true;
	l7_websocket_text(set, NULL, target, NULL, 0, NULL, 0, &text);
	l7_websocket_binary(set, NULL, target, &binary);
	return text.outcome != L7_ALLOWED || binary.outcome != L7_ALLOWED;
}
