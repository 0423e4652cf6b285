/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy and requests made from the input, out of few words, so that rules meet. The verdict is
 * that of a second judge, who looks at every endpoint and every rule with policy_glob_match(), and
 * writes no code for speed. And globs by themselves: a glob and a text, bytes as they come.
 */
#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"
#include "proxy/l7.h"
#include "proxy/l7_glob.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PB(name)      Openshell__Compiled__V1__##name
#define PB_ENUM(name) OPENSHELL__COMPILED__V1__##name

#define ENDPOINTS 6
#define RULES	  4
#define WORDS	  6

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *in, uint8_t below)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++ % below;
}

#define PICK(in, words) ((char *)(words)[take(in, (uint8_t)ARRAY_LEN(words))])

static const char *const hosts[] = {"a.x.org",	"b.x.org", "*.x.org", "**.x.org",
				    "a*.x.org", "x.org",   "a.*.org", "c.b.x.org"};
static const char *const names[] = {"a.x.org", "b.x.org",  "c.b.x.org",
				    "x.org",   "ab.x.org", "y.org"};
static const char *const glob_words[] = {"/a", "/*",   "/**", "/b", "*", "b",
					 "?",  "[ab]", "**",  "/@", "@"};
static const char *const path_words[] = {"/a",	"/b",  "a",	 "b",  "/@",
					 "%40", "/ab", "/a%2Fb", ";p", "/"};
static const char *const rule_methods[] = {"GET", "POST", "*", "HEAD", "DELETE"};
static const char *const methods[] = {"GET", "POST", "HEAD", "DELETE", "delete", "OPTIONS", "head"};
static const char *const values[] = {"a", "b*", "*", "[ab]", "a/b", "**"};
static const char *const queries[] = {"",	 "k=a",	  "k=b&k=a", "k=a%2Fb",
				      "k=c&j=b", "%6B=a", "k=%f",    "j=bb"};
static const char *const keys[] = {"k", "j"};

struct rule {
	PB(L7Rule) message;
	PB(Matcher) matcher;
	PB(Matcher) * matchers[1];
	char *globs[2];
	char path[64];
};

struct world {
	PB(CompiledPolicy) policy;
	PB(Endpoint) * list[ENDPOINTS];
	PB(Endpoint) endpoint[ENDPOINTS];
	PB(L7) l7[ENDPOINTS];
	PB(L7Rule) * allow[ENDPOINTS][RULES], *deny[ENDPOINTS][RULES];
	struct rule rule[ENDPOINTS][2][RULES];
	char path[ENDPOINTS][64];
};

static void make_path(struct input *in, char *out, size_t size)
{
	size_t have = 0;

	out[0] = '\0';
	for (int n = take(in, WORDS); n--;)
		have += (size_t)snprintf(out + have, size - have, "%s", PICK(in, glob_words));
	if (policy_glob_check(out))
		out[0] = '\0';
}

static size_t make_rules(struct input *in, struct rule *rules, PB(L7Rule) * *list)
{
	size_t count = take(in, RULES + 1);

	for (size_t i = 0; i < count; i++) {
		struct rule *rule = &rules[i];

		rule->message = (PB(L7Rule))OPENSHELL__COMPILED__V1__L7_RULE__INIT;
		rule->message.method = PICK(in, rule_methods);
		make_path(in, rule->path, sizeof(rule->path));
		rule->message.path = rule->path;
		if (take(in, 3) == 0) {
			rule->matcher = (PB(Matcher))OPENSHELL__COMPILED__V1__MATCHER__INIT;
			rule->matcher.key = PICK(in, keys);
			rule->globs[0] = PICK(in, values);
			rule->globs[1] = PICK(in, values);
			rule->matcher.globs = rule->globs;
			rule->matcher.n_globs = 1u + take(in, 2);
			rule->matchers[0] = &rule->matcher;
			rule->message.query = rule->matchers;
			rule->message.n_query = 1;
		}
		list[i] = &rule->message;
	}
	return count;
}

static void make_world(struct input *in, struct world *world)
{
	static uint32_t port = 443;

	world->policy = (PB(CompiledPolicy))OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	world->policy.n_endpoints = 1u + take(in, ENDPOINTS);
	world->policy.endpoints = world->list;
	for (size_t i = 0; i < world->policy.n_endpoints; i++) {
		PB(Endpoint) *endpoint = &world->endpoint[i];
		PB(L7) *l7 = &world->l7[i];

		*endpoint = (PB(Endpoint))OPENSHELL__COMPILED__V1__ENDPOINT__INIT;
		*l7 = (PB(L7))OPENSHELL__COMPILED__V1__L7__INIT;
		world->list[i] = endpoint;
		endpoint->rule = (char *)"r";
		endpoint->host = PICK(in, hosts);
		endpoint->host_is_wildcard = strchr(endpoint->host, '*') != NULL;
		endpoint->ports = &port;
		endpoint->n_ports = 1;
		endpoint->binary_set = take(in, 2);
		endpoint->audit = take(in, 3) == 0;
		if (take(in, 6) == 0)
			continue; /* tcp */
		make_path(in, world->path[i], sizeof(world->path[i]));
		endpoint->path = world->path[i];
		endpoint->protocol = PB_ENUM(PROTOCOL__PROTOCOL_REST);
		endpoint->l7 = l7;
		l7->allow_encoded_slash = take(in, 2);
		l7->access = (PB(Access))take(in, 4);
		l7->allow = world->allow[i];
		l7->deny = world->deny[i];
		if (!l7->access)
			l7->n_allow = make_rules(in, world->rule[i][0], l7->allow);
		l7->n_deny = make_rules(in, world->rule[i][1], l7->deny);
	}
}

/* The second judge. */
struct request {
	const char *method, *query;
	const char *path; /* decoded, but for %2F */
	char other[512];  /* "" for none */
};

static bool glob(const char *pattern, const char *text, bool deny, bool is_path)
{
	char narrow[128];
	size_t n = 0;

	/* `**` that is not a segment is `*` in paths that allow */
	for (const char *c = pattern; *c; c++) {
		bool two = !strncmp(c, "**", 2);
		bool segment = two && (c == pattern || c[-1] == '/') && (!c[2] || c[2] == '/');

		narrow[n++] = *c;
		if (two && (segment || deny || !is_path))
			narrow[n++] = '*';
		c += two;
	}
	narrow[n] = '\0';
	return policy_glob_match(narrow, text, '/', deny ? POLICY_GLOB_CROSS : 0);
}

static bool path_glob(const char *pattern, const struct request *request, bool deny)
{
	return !*pattern || glob(pattern, request->path, deny, true) ||
	       (deny && *request->other && glob(pattern, request->other, deny, true));
}

static bool query_glob(const PB(L7Rule) * rule, const char *query, bool deny)
{
	const PB(Matcher) *matcher = rule->n_query ? rule->query[0] : NULL;
	unsigned int same = 0, matching = 0;
	char key[64], value[64];
	uint32_t place = 0;
	char buffer[256];
	struct text k, v;
	int r;

	if (!matcher)
		return true;
	while ((r = target_query_next((struct text){query, (uint32_t)strlen(query)}, &place, buffer,
				      sizeof(buffer), &k, &v)) > 0) {
		bool one = false;

		snprintf(key, sizeof(key), "%.*s", (int)k.size, k.data);
		snprintf(value, sizeof(value), "%.*s", (int)v.size, v.data);
		if (strcmp(key, matcher->key))
			continue;
		for (size_t i = 0; i < matcher->n_globs; i++)
			one |= glob(matcher->globs[i], value, deny, false);
		same++;
		matching += one;
	}
	if (r < 0)
		return deny;
	return deny ? matching > 0 : same > 0 && matching == same;
}

static bool rule_has(const PB(L7Rule) * rule, const struct request *request, bool deny)
{
	int (*compare)(const char *, const char *) = deny ? strcasecmp : strcmp;

	if (strcmp(rule->method, "*") && compare(rule->method, request->method) &&
	    (strcmp(rule->method, "GET") || compare("HEAD", request->method)))
		return false;
	return path_glob(rule->path, request, deny) && query_glob(rule, request->query, deny);
}

static bool admits(const PB(Endpoint) * endpoint, const struct request *request)
{
	static const char *const access[] = {"", " GET HEAD OPTIONS ",
					     " GET HEAD OPTIONS POST PUT PATCH "};
	const PB(L7) *l7 = endpoint->l7;
	char word[32];

	if (!l7)
		return true;
	if (strstr(request->path, "%2F") && !l7->allow_encoded_slash)
		return false;
	for (size_t i = 0; i < l7->n_deny; i++)
		if (rule_has(l7->deny[i], request, true))
			return false;
	snprintf(word, sizeof(word), " %s ", request->method);
	if (l7->access == PB_ENUM(ACCESS__ACCESS_FULL) ||
	    (l7->access && strstr(access[l7->access], word)))
		return true;
	for (size_t i = 0; i < l7->n_allow; i++)
		if (rule_has(l7->allow[i], request, false))
			return true;
	return false;
}

static bool is_selected(const PB(Endpoint) * endpoint, const char *name, uint64_t sets)
{
	return (sets >> endpoint->binary_set & 1) &&
	       (endpoint->host_is_wildcard ? policy_host_match(endpoint->host, name)
					   : !strcmp(endpoint->host, name));
}

static enum l7_outcome judge(const PB(CompiledPolicy) * policy, const char *name, uint64_t sets,
			     const struct request *request)
{
	bool admitted = false, denied = false, audit = false;

	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];

		if (!is_selected(endpoint, name, sets) || !path_glob(endpoint->path, request, true))
			continue;
		admitted |= path_glob(endpoint->path, request, false);
		if (admits(endpoint, request))
			continue;
		denied |= !endpoint->audit;
		audit |= endpoint->audit;
	}
	return denied || !admitted ? L7_DENIED : audit ? L7_AUDIT : L7_ALLOWED;
}

static void decode(const char *path, char *out)
{
	for (; *path; path++) {
		if (!strncmp(path, "%40", 3)) {
			*out++ = '@';
			path += 2;
		} else {
			*out++ = *path;
		}
	}
	*out = '\0';
}

static void ask(struct input *in, const struct world *world, const struct l7 *l7)
{
	char raw[512] = "/a", buffer[HTTP_TARGET_MAX], plain[512];
	struct os_rule_mask mask = {{1u + take(in, 3)}};
	const char *name = PICK(in, names);
	struct request request = {0};
	struct l7_verdict verdict;
	struct http_head head;
	struct target target;
	size_t have = 2, selected = 0;
	struct l7_set set;
	struct text other;

	memset(&head, 0, offsetof(struct http_head, field));
	request.method = PICK(in, methods);
	request.query = PICK(in, queries);
	for (int n = take(in, WORDS); n--;)
		have += (size_t)snprintf(raw + have, sizeof(raw) - have, "%s",
					 PICK(in, path_words));
	snprintf(raw + have, sizeof(raw) - have, "?%s", request.query);
	for (size_t i = 0; i < world->policy.n_endpoints; i++)
		selected += is_selected(&world->endpoint[i], name, mask.word[0]);
	if (l7_select(l7, name, 443, &mask, &set) < 0) {
		expect(!selected);
		return;
	}
	expect(set.count == selected);
	if (target_parse((struct text){raw, (uint32_t)strlen(raw)}, true, buffer, sizeof(buffer),
			 &target) != TARGET_OK)
		return;
	buffer[target.path.size] = '\0';
	decode(buffer, plain);
	request.path = plain;
	if (target_other_reading(target.path, request.other, sizeof(request.other) - 1, &other) > 0)
		request.other[other.size] = '\0';
	head.method = (struct text){request.method, (uint32_t)strlen(request.method)};
	l7_request(&set, &head, &target, false, &verdict);
	expect(verdict.outcome == judge(&world->policy, name, mask.word[0], &request));
	expect((verdict.outcome == L7_ALLOWED) == !*verdict.reason);
}

static void compare_globs(const uint8_t *data, size_t size)
{
	char pattern[256] = "", text[256] = "";
	const uint8_t *nul = memchr(data, '\0', size);
	size_t n = nul ? (size_t)(nul - data) : size;
	_cleanup_arena_ struct arena *arena = arena_new(1 << 20);
	struct l7_glob ready;

	if (!arena || n >= sizeof(pattern) || size - n >= sizeof(text))
		return;
	memcpy(pattern, data, n);
	if (nul)
		memcpy(text, nul + 1, size - n - 1);
	for (int deny = 0; deny < 2; deny++) {
		int r = l7_glob_new(arena, pattern, L7_GLOB_TEXT,
				    deny ? L7_READING_DENY : L7_READING_ALLOW, &ready);

		expect(!r == !policy_glob_check(pattern));
		if (!r)
			expect(l7_glob_match(&ready, (struct text){text, (uint32_t)strlen(text)}) ==
			       policy_glob_match(pattern, text, '/', deny ? POLICY_GLOB_CROSS : 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct input in = {data, size};
	struct l7 *l7;

	if (!size)
		return 0;
	if (take(&in, 4) == 0) {
		compare_globs(in.data, in.size);
		return 0;
	}
	memset(&world, 0, sizeof(world));
	make_world(&in, &world);
	expect(!l7_new(&world.policy, &l7, NULL));
	for (int i = 0; i < 8; i++)
		ask(&in, &world, l7);
	l7_free(l7);
	return 0;
}
