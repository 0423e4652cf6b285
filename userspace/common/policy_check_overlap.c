/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two endpoints that one connection, or one request, could fall under must not contradict each
 * other: otherwise the order of a map would decide how it is treated. Compared pairwise, with a
 * budget, so that no file makes this take long.
 */
#include "common/policy_address.h"
#include "common/policy_check.h"
#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OVERLAP_STEPS (1u << 26)

struct contender {
	const struct policy_endpoint *endpoint;
	const struct policy_rule *rule;
	char host[POLICY_HOST_MAX + 1]; /* canonical; "" = by address */
	uint32_t exact;		 /* hash of a host without wildcards; 0 = it may be many hosts */
	struct policy_cidr *ips; /* sorted, distinct */
	size_t ips_count;
	int64_t low_port, high_port;
};

struct contest {
	struct contender *contenders;
	size_t count;
	size_t steps;
	struct diagnostics *diag;
};

static void contest_clear(struct contest *contest)
{
	for (size_t i = 0; i < contest->count; i++)
		free(contest->contenders[i].ips);
	free(contest->contenders);
}

static int cidr_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct policy_cidr));
}

static size_t drop_repeated(struct policy_cidr *cidrs, size_t count)
{
	size_t kept = 1;

	for (size_t i = 1; i < count; i++)
		if (cidr_compare(&cidrs[i], &cidrs[kept - 1]))
			cidrs[kept++] = cidrs[i];
	return kept;
}

/* FNV-1a, never 0. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h | 1;
}

static int add_contender(struct contest *contest, const struct policy_rule *rule,
			 const struct policy_endpoint *endpoint)
{
	struct contender *contender = &contest->contenders[contest->count];
	const struct policy_strings *ips = &endpoint->allowed_ips;
	enum policy_host_kind kind = POLICY_HOST_WILDCARD;
	const char *why;

	*contender = (struct contender){.endpoint = endpoint, .rule = rule};
	if (policy_given(endpoint->host) &&
	    (!endpoint->host.value ||
	     policy_host_parse(endpoint->host.value, &kind, contender->host, &why) < 0))
		return 0; /* reported already, and nothing to compare */
	if (contender->host[0] && kind != POLICY_HOST_WILDCARD)
		contender->exact = hash(contender->host);
	contender->low_port = contender->high_port = endpoint->port.value;
	for (size_t i = 0; i < endpoint->ports.count; i++) {
		int64_t port = endpoint->ports.items[i].value;

		if (!contender->low_port || port < contender->low_port)
			contender->low_port = port;
		if (port > contender->high_port)
			contender->high_port = port;
	}
	contender->ips = calloc(ips->count + 1, sizeof(*contender->ips));
	if (!contender->ips)
		return -ENOMEM;
	contest->count++;
	for (size_t i = 0; i < ips->count; i++)
		if (!policy_cidr_parse(ips->items[i].value, &contender->ips[contender->ips_count]))
			contender->ips_count++;
	qsort(contender->ips, contender->ips_count, sizeof(*contender->ips), cidr_compare);
	if (contender->ips_count)
		contender->ips_count = drop_repeated(contender->ips, contender->ips_count);
	return 0;
}

static bool has_port(const struct policy_endpoint *endpoint, int64_t port)
{
	if (endpoint->port.value == port)
		return true;
	for (size_t i = 0; i < endpoint->ports.count; i++)
		if (endpoint->ports.items[i].value == port)
			return true;
	return false;
}

/* A port that both have, 0 for none. */
static int64_t common_port(struct contest *contest, const struct contender *a,
			   const struct contender *b)
{
	const struct policy_numbers *ports = &a->endpoint->ports;
	size_t cost = (ports->count + 1) * (b->endpoint->ports.count + 1);

	if (a->high_port < b->low_port || b->high_port < a->low_port)
		return 0;
	contest->steps = cost < contest->steps ? contest->steps - cost : 0;
	if (!contest->steps)
		return 0;
	if (a->endpoint->port.value && has_port(b->endpoint, a->endpoint->port.value))
		return a->endpoint->port.value;
	for (size_t i = 0; i < ports->count; i++)
		if (ports->items[i].value && has_port(b->endpoint, ports->items[i].value))
			return ports->items[i].value;
	return 0;
}

/* An endpoint without a host admits addresses, and any name can have one of them. */
static int hosts_overlap(struct contest *contest, const struct contender *a,
			 const struct contender *b)
{
	if (!a->host[0] || !b->host[0])
		return 1;
	return policy_host_overlap(a->host, b->host, &contest->steps);
}

static bool is_every_path(const struct policy_string *path)
{
	return !path->value || !*path->value || !strcmp(path->value, "**") ||
	       !strcmp(path->value, "/**");
}

/* How specific a path is: its characters that are not wildcards, as published. */
static size_t specificity(const struct policy_string *path)
{
	size_t count = 0;

	for (const char *c = path->value ? path->value : ""; *c; c++)
		count += *c != '*';
	return count;
}

static int paths_overlap(struct contest *contest, const struct policy_string *a,
			 const struct policy_string *b)
{
	if (is_every_path(a) || is_every_path(b))
		return 1;
	return policy_glob_overlap(a->value, b->value, '/', POLICY_GLOB_CROSS, &contest->steps);
}

static bool same_text(const struct policy_string *a, const struct policy_string *b)
{
	return !strcmp(a->value ? a->value : "", b->value ? b->value : "");
}

static bool same_ips(const struct contender *a, const struct contender *b)
{
	return a->ips_count == b->ips_count &&
	       !memcmp(a->ips, b->ips, a->ips_count * sizeof(*a->ips));
}

static bool is_audit(const struct policy_endpoint *endpoint)
{
	return endpoint->enforcement.value != POLICY_ENFORCEMENT_ENFORCE;
}

/* What a connection needs to know before its first byte. NULL when both agree. */
static const char *connection_conflict(const struct contender *a, const struct contender *b)
{
	const struct policy_endpoint *x = a->endpoint, *y = b->endpoint;

	if ((x->protocol.value == POLICY_PROTOCOL_TCP) !=
	    (y->protocol.value == POLICY_PROTOCOL_TCP))
		return "protocol (one is tcp)";
	if ((x->tls.value == POLICY_TLS_SKIP) != (y->tls.value == POLICY_TLS_SKIP))
		return "tls";
	if (!same_ips(a, b))
		return "allowed_ips";
	return NULL;
}

/* Endpoints that say nothing but "admitted" leave the treatment of a request to the others. */
static bool treats_requests(const struct policy_endpoint *endpoint)
{
	return policy_is_inspected(endpoint) || endpoint->allowed_ips.count ||
	       endpoint->tls.value == POLICY_TLS_SKIP ||
	       policy_given(endpoint->credential_binding.head);
}

static int64_t body_limit(const struct policy_endpoint *endpoint)
{
	const struct policy_number *limits[] = {
		&endpoint->graphql_max_body_bytes, &endpoint->json_rpc_max_body_bytes,
		&endpoint->mcp.max_body_bytes, &endpoint->json_rpc.max_body_bytes};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (limits[i]->value)
			return limits[i]->value;
	return POLICY_BODY_BYTES_DEFAULT;
}

static bool is_strict(const struct policy_endpoint *endpoint)
{
	return !policy_given(endpoint->mcp.strict_tool_names) ||
	       endpoint->mcp.strict_tool_names.value;
}

static bool same_versions(const struct policy_endpoint *x, const struct policy_endpoint *y)
{
	const struct policy_strings *a = &x->mcp.versions, *b = &y->mcp.versions;
	static const struct policy_string standard = {.value = POLICY_MCP_VERSION_DEFAULT};
	const struct policy_string *items_a = a->count ? a->items : &standard;
	const struct policy_string *items_b = b->count ? b->items : &standard;
	size_t count_a = a->count ? a->count : 1, count_b = b->count ? b->count : 1;

	for (size_t i = 0; i < count_a + count_b; i++) {
		const struct policy_string *item =
			i < count_a ? &items_a[i] : &items_b[i - count_a];
		const struct policy_string *other = i < count_a ? items_b : items_a;
		size_t count = i < count_a ? count_b : count_a;
		bool found = false;

		for (size_t j = 0; j < count && j < 16 && !found; j++)
			found = same_text(item, &other[j]);
		if (!found)
			return false;
	}
	return true;
}

static const char *request_conflict(const struct policy_endpoint *x,
				    const struct policy_endpoint *y)
{
	if (x->protocol.value != y->protocol.value)
		return "protocol";
	if (is_audit(x) != is_audit(y))
		return "enforcement";
	if (x->allow_encoded_slash.value != y->allow_encoded_slash.value)
		return "allow_encoded_slash";
	if (x->websocket_credential_rewrite.value != y->websocket_credential_rewrite.value)
		return "websocket_credential_rewrite";
	if (x->request_body_credential_rewrite.value != y->request_body_credential_rewrite.value)
		return "request_body_credential_rewrite";
	if (x->credential_signing.value != y->credential_signing.value)
		return "credential_signing";
	if (!same_text(&x->signing_service, &y->signing_service))
		return "signing_service";
	if (!same_text(&x->signing_region, &y->signing_region))
		return "signing_region";
	if (!same_text(&x->credential_binding.provider, &y->credential_binding.provider))
		return "credential_binding";
	if (body_limit(x) != body_limit(y))
		return "the limit of the body";
	if (is_strict(x) != is_strict(y))
		return "mcp.strict_tool_names";
	if (!same_versions(x, y))
		return "mcp.versions";
	return NULL;
}

static int compare_pair(struct contest *contest, const struct contender *a,
			const struct contender *b)
{
	const struct policy_endpoint *x = a->endpoint, *y = b->endpoint;
	const char *conflict;
	int64_t port;
	int r;

	/* What nearly every pair of a long list is: two names that are not the same. */
	if (a->exact && b->exact && a->exact != b->exact)
		return 0;
	port = common_port(contest, a, b);
	if (!port)
		return 0;
	r = hosts_overlap(contest, a, b);
	if (r <= 0)
		return r;
	conflict = connection_conflict(a, b);
	if (!conflict && treats_requests(x) && treats_requests(y) &&
	    specificity(&x->path) == specificity(&y->path)) {
		conflict = request_conflict(x, y);
		if (conflict) {
			r = paths_overlap(contest, &x->path, &y->path);
			if (r <= 0)
				return r;
		}
	}
	if (conflict)
		policy_error(
			contest->diag, y->head.at, "endpoint.overlap",
			"endpoint '%s' port %lld of '%s' overlaps '%s' of '%s' in line %d, and "
			"they differ in %s",
			b->host[0] ? b->host : "by address", (long long)port, b->rule->head.key,
			a->host[0] ? a->host : "by address", a->rule->head.key, x->head.at.line,
			conflict);
	return 0;
}

static int gather(struct contest *contest, const struct policy *policy)
{
	const struct policy_rule *rules = policy->rules.items;

	for (size_t i = 0; i < policy->rules.count; i++) {
		const struct policy_endpoint *endpoints = rules[i].endpoints.items;

		for (size_t j = 0; j < rules[i].endpoints.count; j++) {
			int r = add_contender(contest, &rules[i], &endpoints[j]);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int policy_check_overlap(const struct policy *policy, struct diagnostics *diag)
{
	__attribute__((cleanup(contest_clear))) struct contest contest = {.steps = OVERLAP_STEPS,
									  .diag = diag};
	const struct policy_rule *rules = policy->rules.items;
	size_t total = 0;
	int r;

	for (size_t i = 0; i < policy->rules.count; i++)
		total += rules[i].endpoints.count;
	if (!total || total > POLICY_ENDPOINTS_MAX)
		return 0; /* too many is an error of its own */
	contest.contenders = calloc(total, sizeof(*contest.contenders));
	if (!contest.contenders)
		return -ENOMEM;
	r = gather(&contest, policy);
	for (size_t i = 0; i < contest.count && r >= 0; i++)
		for (size_t j = 0; j < i && r >= 0; j++) {
			r = compare_pair(&contest, &contest.contenders[j], &contest.contenders[i]);
			if (diag->errors > POLICY_ERRORS_MAX)
				return 0;
			if (!contest.steps)
				r = -E2BIG;
		}
	if (r == -E2BIG) {
		policy_error(diag, policy->rules.at, "endpoint.overlap",
			     "the endpoints overlap in too many ways to be compared: use fewer "
			     "wildcards");
		return 0;
	}
	return r < 0 ? r : 0;
}
