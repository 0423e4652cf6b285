// SPDX-License-Identifier: Apache-2.0
/*
 * usage: rules ROUNDS
 *
 * What judging costs, in ns: `WHAT MEDIAN QUARTILES EXTREMES`. `request` is l7_request() among 100
 * rules like those of published policies, of which the last one decides; `request-none` among
 * those, if none does; `select` is l7_select() among 10,000 endpoints; `graphql` and `mcp` are
 * l7_body() of a body of 700 and 300 bytes.
 */
#include "figures.h"

#include "common/policy.h"
#include "proxy/l7.h"

#include <stdio.h>
#include <string.h>

#define CALLS	   20000
#define ROUNDS_MAX 1000
#define TEXT_OF(s) ((struct text){s, (uint32_t)strlen(s)})

struct side {
	struct policy *policy;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	struct l7 *l7;
	struct l7_set set;
};

static const struct os_rule_mask everybody = {{~0ull, ~0ull, ~0ull, ~0ull}};
static uint8_t scratch[262144];

static void side_load(struct side *side, const char *text, const char *host)
{
	struct error err = {0};

	if (policy_load_buffer("bench", text, strlen(text), &side->policy, NULL, &err) ||
	    policy_compile(side->policy, &side->compiled, &err) ||
	    l7_new(side->compiled, &side->l7, &err)) {
		fprintf(stderr, "rules: %s\n", err.message);
		exit(1);
	}
	if (l7_select(side->l7, host, 443, &everybody, &side->set)) {
		fprintf(stderr, "rules: no endpoint for %s\n", host);
		exit(1);
	}
}

static char *rules_policy(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "version: 1\nnetwork_policies:\n  one:\n    endpoints:\n      - host: "
		   "api.bench.test\n        port: 443\n        protocol: rest\n        "
		   "enforcement: enforce\n        rules:\n");
	for (int i = 0; i < 90; i++) {
		fprintf(f, "          - allow: {method: %s, path: \"", i % 3 ? "GET" : "POST");
		fprintf(f,
			i % 5 == 0   ? "/repos/*/*/pulls/%d/reviews"
			: i % 5 == 1 ? "/repos/acme/p%d/**"
			: i % 5 == 2 ? "/orgs/acme/teams/%d"
			: i % 5 == 3 ? "/**/x%d/info/refs*"
				     : "/users/u%d-*/keys",
			i);
		fprintf(f, "\"}\n");
	}
	/* Sorted by their packed bytes, a long one is late. */
	fprintf(f, "          - allow: {method: GET, path: "
		   "\"/repos/*/*/actions/workflows/*/runs/latest/artifacts/and/more/**\"}\n"
		   "        deny_rules:\n");
	for (int i = 0; i < 9; i++)
		fprintf(f, "          - {method: \"*\", path: \"/repos/*/*/secret-%d/**\"}\n", i);
	fprintf(f, "    binaries: [{path: /usr/bin/env}]\n");
	fclose(f);
	return text;
}

static char *hosts_policy(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "version: 1\nnetwork_policies:\n  one:\n    endpoints:\n");
	for (int i = 0; i < 10000; i++)
		fprintf(f,
			"      - {host: \"%shost-%d.bench.test\", port: 443, protocol: rest, "
			"enforcement: enforce, access: read-only}\n",
			i % 10 ? "" : "*.", i);
	fprintf(f, "    binaries: [{path: /usr/bin/env}]\n");
	fclose(f);
	return text;
}

static const char bodies_policy[] =
	"version: 1\nnetwork_policies:\n  one:\n    endpoints:\n"
	"      - {host: api.bench.test, port: 443, protocol: graphql, path: /graphql, enforcement: "
	"enforce, access: read-only, deny_rules: [{operation_type: '*', fields: [secrets]}]}\n"
	"      - {host: api.bench.test, port: 443, protocol: mcp, path: /mcp, enforcement: "
	"enforce, "
	"rules: [{allow: {method: initialize}}, {allow: {method: tools/list}}, {allow: {method: "
	"tools/call, tool: {any: [search_web, 'list_*', read_document]}}}]}\n"
	"    binaries: [{path: /usr/bin/env}]\n";

static void head_for(struct http_head *head, const char *method)
{
	static const char *const names[] = {"user-agent",    "accept",	     "accept-encoding",
					    "authorization", "content-type", "x-request-id"};

	*head = (struct http_head){.version = 11, .method = TEXT_OF(method)};
	for (size_t i = 0; i < 6; i++)
		head->field[head->fields++] = (struct http_field){
			TEXT_OF(names[i]), i == 4 ? TEXT("application/json") : TEXT("some value")};
}

static void report(const char *what, double *ns, size_t rounds)
{
	figures_sort(ns, rounds);
	printf("%s %.0f %.0f..%.0f %.0f..%.0f\n", what, figures_at(ns, rounds, 0.5),
	       figures_at(ns, rounds, 0.25), figures_at(ns, rounds, 0.75), ns[0], ns[rounds - 1]);
}

static void requests(struct side *side, const char *what, const char *path, enum l7_outcome outcome,
		     size_t rounds)
{
	double ns[ROUNDS_MAX];
	struct l7_verdict verdict;
	struct http_head head;
	struct target target = {.path = TEXT_OF(path)};

	head_for(&head, "GET");
	for (size_t i = 0; i < rounds; i++) {
		double start = figures_now_ms();

		for (int n = 0; n < CALLS; n++)
			l7_request(&side->set, &head, &target, false, &verdict);
		ns[i] = (figures_now_ms() - start) * 1e6 / CALLS;
	}
	if (verdict.outcome != outcome) {
		fprintf(stderr, "rules: %s: %s %s\n", what, verdict.rule, verdict.reason);
		exit(1);
	}
	report(what, ns, rounds);
}

static void bodies(struct side *side, const char *what, const char *path, const char *body,
		   size_t rounds)
{
	double ns[ROUNDS_MAX];
	struct l7_verdict verdict;
	struct http_head head;
	struct target target = {.path = TEXT_OF(path)};

	head_for(&head, "POST");
	for (size_t i = 0; i < rounds; i++) {
		double start = figures_now_ms();

		for (int n = 0; n < CALLS; n++)
			l7_body(&side->set, &head, &target, (const uint8_t *)body, strlen(body),
				scratch, sizeof(scratch), &verdict);
		ns[i] = (figures_now_ms() - start) * 1e6 / CALLS;
	}
	if (verdict.outcome != L7_ALLOWED) {
		fprintf(stderr, "rules: %s: %s\n", what, verdict.reason);
		exit(1);
	}
	report(what, ns, rounds);
}

static void selects(struct side *side, const char *what, const char *host, size_t rounds)
{
	double ns[ROUNDS_MAX];
	struct l7_set set;

	for (size_t i = 0; i < rounds; i++) {
		double start = figures_now_ms();

		for (int n = 0; n < CALLS; n++)
			if (l7_select(side->l7, host, 443, &everybody, &set))
				exit(1);
		ns[i] = (figures_now_ms() - start) * 1e6 / CALLS;
	}
	report(what, ns, rounds);
}

int main(int argc, char **argv)
{
	size_t rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct side one = {0}, many = {0}, body = {0};
	char *text;

	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: rules ROUNDS\n");
		return 2;
	}
	text = rules_policy();
	side_load(&one, text, "api.bench.test");
	free(text);
	requests(&one, "request",
		 "/repos/acme/widget/actions/workflows/7/runs/latest/artifacts/and/more/1",
		 L7_ALLOWED, rounds);
	requests(&one, "request-none", "/repos/acme/widget/pulls/1234/comments", L7_DENIED, rounds);
	side_load(&body, bodies_policy, "api.bench.test");
	bodies(&body, "graphql", "/graphql",
	       "{\"operationName\": \"IssueList\", \"query\": \"query IssueList($owner: String!, "
	       "$repo: String!, $limit: Int!, $after: String) { repository(owner: $owner, name: "
	       "$repo) { hasIssuesEnabled issues(first: $limit, after: $after, orderBy: {field: "
	       "CREATED_AT, direction: DESC}, states: [OPEN, CLOSED]) { totalCount nodes { "
	       "...issue } "
	       "pageInfo { hasNextPage endCursor } } } } fragment issue on Issue { number title "
	       "url "
	       "state updatedAt labels(first: 10) { nodes { name color } totalCount } author { "
	       "login "
	       "... on User { id name } } }\", \"variables\": {\"owner\": \"acme\", \"repo\": "
	       "\"widget\", \"limit\": 30, \"after\": null}}",
	       rounds);
	bodies(&body, "mcp", "/mcp",
	       "{\"jsonrpc\": \"2.0\", \"id\": 17, \"method\": \"tools/call\", \"params\": "
	       "{\"name\": "
	       "\"search_web\", \"arguments\": {\"query\": \"how many rules does it take to judge "
	       "a "
	       "request\", \"limit\": 10, \"language\": \"en\", \"sites\": [\"example.org\", "
	       "\"example.com\"]}, \"_meta\": {\"progressToken\": \"abcdef\"}}}",
	       rounds);
	text = hosts_policy();
	side_load(&many, text, "host-7777.bench.test");
	free(text);
	selects(&many, "select", "host-7777.bench.test", rounds);
	selects(&many, "select-wildcard", "a.host-7770.bench.test", rounds);
	return 0;
}
