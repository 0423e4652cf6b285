/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_name.h"
#include "common/learn.h"
#include "common/policy.h"
#include "common/policy_host.h"
#include "event_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PB(name) Openshell__Compiled__V1__##name

static struct record record;
static struct event event;
static char directory[] = "/tmp/test_learn_network.XXXXXX";
static char out[64];
static char text[1 << 20];

static int setup(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(out, sizeof(out), "%s/out.yaml", directory);
	return 0;
}

static int teardown(void **state)
{
	unlink(out);
	return rmdir(directory);
}

/* A run under @base: its text for what is learnt, and compiled for what is decided. */
struct run {
	struct learn *learn;
	struct policy *policy;
	PB(CompiledPolicy) * compiled;
};

static struct run start(const char *base)
{
	struct learn_options o = {.base = base, .base_len = strlen(base), .root_fd = -1};
	struct run run;

	assert_int_equal(learn_new(&o, &run.learn, NULL), 0);
	assert_int_equal(policy_load_buffer("base", base, strlen(base), &run.policy, NULL, NULL),
			 0);
	assert_int_equal(policy_compile(run.policy, &run.compiled, NULL), 0);
	return run;
}

/*
 * What a kernel in audit mode says of @exe that connects to @host, a name or an address: looked up
 * in the compiled policy by another way than the kernel's maps. UINT32_MAX: no endpoint has it.
 */
static uint32_t find(const PB(CompiledPolicy) * policy, const char *exe, const char *host,
		     uint16_t port, bool *ret_admitted)
{
	uint32_t found = UINT32_MAX;

	*ret_admitted = false;
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *e = policy->endpoints[i];
		const PB(BinarySet) *set = policy->binary_sets[e->binary_set];
		bool has_port = false, has_exe = set->any;

		for (size_t p = 0; p < e->n_ports; p++)
			has_port |= e->ports[p] == port;
		if (!has_port)
			continue;
		if (e->host_is_address ? strcmp(e->host, host) != 0
				       : !policy_host_match(e->host, host))
			continue;
		for (size_t b = 0; b < set->n_exact; b++)
			has_exe |= !strcmp(set->exact[b], exe);
		if (!*ret_admitted)
			found = (uint32_t)i;
		*ret_admitted |= has_exe;
	}
	return found;
}

static bool is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static const char *name_of(const void *arg, const uint8_t address[16])
{
	return is_address(arg) ? NULL : arg;
}

/* True if it was let pass because of the policy, not of audit mode. */
static bool try_connect(struct run *run, const char *exe, const char *host, uint16_t port,
			const char *real)
{
	struct event_context ctx = fixture_context(run->compiled);
	bool admitted;
	uint32_t endpoint = find(run->compiled, exe, host, port, &admitted);
	struct record other = {0};

	ctx.name = name_of;
	ctx.name_arg = host;
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, exe);
	fixture_endpoint(&record, is_address(host) ? host : "198.18.0.9", port);
	if (real) {
		fixture_endpoint(&other, real, port);
		memcpy(record.event.real, other.event.address, sizeof(record.event.real));
	}
	record.event.verdict = admitted ? OS_EVENT_ALLOWED : OS_EVENT_AUDIT;
	record.event.endpoint = endpoint;
	record.event.reason = admitted		       ? OS_REASON_NONE
			      : endpoint == UINT32_MAX ? OS_REASON_NO_ENDPOINT
						       : OS_REASON_BINARY;
	assert_int_equal(event_decode(&record, fixture_size(&record), &ctx, &event), 0);
	if (run->learn)
		learn_add(run->learn, &event);
	return admitted;
}

/* Write what was learnt, and go on under it without learning. */
static struct learn_result finish(struct run *run)
{
	struct learn_result result = {0};
	struct error err = {0};
	size_t n;
	FILE *f;

	if (learn_write(run->learn, out, &result, &err) < 0)
		fail_msg("%s", err.message);
	learn_free(run->learn);
	run->learn = NULL;
	f = fopen(out, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	policy_compiled_free(run->compiled);
	policy_free(run->policy);
	if (policy_load_buffer("out.yaml", text, n, &run->policy, NULL, &err) < 0)
		fail_msg("%s\n%s", text, err.message);
	assert_int_equal(policy_compile(run->policy, &run->compiled, NULL), 0);
	return result;
}

static void end(struct run *run)
{
	policy_compiled_free(run->compiled);
	policy_free(run->policy);
}

static void assert_network(const char *expected)
{
	const char *found = strstr(text, "network_policies:");

	assert_non_null(found);
	assert_string_equal(found, expected);
}

static void names_become_rules(void **state)
{
	struct run run = start("version: 1\n");
	struct learn_result r;

	/* Both families, twice, and names that YAML would read as something else. */
	try_connect(&run, "/usr/bin/curl", "api.example.com", 443, "192.0.2.1");
	try_connect(&run, "/usr/bin/curl", "api.example.com", 443, "2001:db8::1");
	try_connect(&run, "/usr/bin/curl", "api.example.com", 80, "192.0.2.1");
	try_connect(&run, "/usr/bin/curl", "null", 443, "192.0.2.1");
	try_connect(&run, "/usr/bin/curl", "198.51.100.1", 8080, NULL);
	try_connect(&run, "/usr/bin/git", "api.example.com", 443, "192.0.2.1");
	try_connect(&run, "/usr/bin/wget", "api.example.com", 443, "192.0.2.1");
	r = finish(&run);
	assert_int_equal(r.endpoints, 6);
	assert_int_equal(r.not_learned, 0);
	assert_network("network_policies:\n"
		       "  learned_curl:\n"
		       "    endpoints:\n"
		       "    - {host: 198.51.100.1, port: 8080}\n"
		       "    - {host: api.example.com, ports: [80, 443]}\n"
		       "    - {host: \"null\", port: 443}\n"
		       "    binaries:\n"
		       "    - {path: /usr/bin/curl}\n"
		       "  learned_git:\n"
		       "    endpoints:\n"
		       "    - {host: api.example.com, port: 443}\n"
		       "    binaries:\n"
		       "    - {path: /usr/bin/git}\n"
		       "    - {path: /usr/bin/wget}\n");
	assert_true(try_connect(&run, "/usr/bin/curl", "null", 443, "192.0.2.1"));
	assert_false(try_connect(&run, "/usr/bin/git", "null", 443, "192.0.2.1"));
	end(&run);
}

static void names_that_were_only_asked_for(void **state)
{
	struct run run = start("version: 1\n");
	struct event_context ctx = fixture_context(run.compiled);
	struct os_proc proc = {.identity.exe.file = {.ino = 11, .dev = 8 << 20 | 1}};
	struct event_question q = {.name = "asked.example.com",
				   .type = 1,
				   .pid = 1,
				   .exe = proc.identity.exe.file,
				   .proc = &proc};

	proc.path_len = (uint16_t)fixture_components(proc.path, "/usr/bin/curl");
	event_name_refused(&q, &ctx, &event);
	learn_add(run.learn, &event);
	/* An address whose name is not known is nothing that a rule could list. */
	try_connect(&run, "/usr/bin/curl", "198.18.0.9", 443, NULL);
	assert_int_equal(finish(&run).endpoints, 0);
	assert_null(strstr(text, "network_policies"));
	end(&run);
}

static const char base[] =
	"version: 1\n"
	"network_policies:\n"
	"  wild:\n"
	"    endpoints: [{host: \"*.example.com\", port: 443, protocol: tcp}]\n"
	"    binaries: [{path: /usr/bin/curl}]\n"
	"  inner:\n"
	"    endpoints: [{host: db.corp.example, port: 5432, allowed_ips: [10.0.0.0/8]}]\n"
	"    binaries: [{path: /usr/bin/psql}]\n"
	"  rest:\n"
	"    endpoints: [{host: \"**.rest.example\", port: 443, protocol: rest,"
	" enforcement: enforce, access: read-only}]\n"
	"    binaries: [{path: /usr/bin/curl}]\n";

static void what_the_base_has_is_not_repeated(void **state)
{
	struct run run = start(base);
	struct learn_result r;

	assert_true(try_connect(&run, "/usr/bin/curl", "a.example.com", 443, "192.0.2.1"));
	assert_true(try_connect(&run, "/usr/bin/psql", "db.corp.example", 5432, "10.0.0.5"));
	/* A wildcard is never widened, nor guessed: another program gets what it used. */
	try_connect(&run, "/usr/bin/git", "a.example.com", 443, "192.0.2.1");
	try_connect(&run, "/usr/bin/git", "b.example.com", 443, "192.0.2.1");
	/* Endpoints that overlap must agree: the rule gets the program. */
	try_connect(&run, "/usr/bin/python3", "db.corp.example", 5432, "10.0.0.5");
	/* So does one that is inspected, and stays so. */
	try_connect(&run, "/usr/bin/git", "x.rest.example", 443, "192.0.2.1");
	r = finish(&run);
	assert_int_equal(r.not_learned, 0);
	assert_non_null(strstr(text, "  inner:\n    endpoints: [{host: db.corp.example, port: 5432,"
				     " allowed_ips: [10.0.0.0/8]}]\n"
				     "    binaries: [{path: /usr/bin/psql}, {path: "
				     "/usr/bin/python3}]\n"));
	assert_non_null(strstr(text, "  learned_git:\n"
				     "    endpoints:\n"
				     "    - {host: a.example.com, port: 443, protocol: tcp}\n"
				     "    - {host: b.example.com, port: 443, protocol: tcp}\n"
				     "    binaries:\n"
				     "    - {path: /usr/bin/git}\n"));
	assert_null(strstr(strstr(text, "learned_git"), "rest.example"));
	assert_non_null(strstr(text,
			       "access: read-only}]\n"
			       "    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/git}]\n"));
	assert_true(try_connect(&run, "/usr/bin/git", "x.rest.example", 443, "192.0.2.1"));
	end(&run);
}

/* One that contradicts a rule is left out with a word, the others are learnt all the same. */
static void what_contradicts_the_base_is_left_out(void **state)
{
	struct run run = start(base);
	struct learn_result r;

	try_connect(&run, "/usr/bin/git", "c.example.com", 80, "192.0.2.1");
	/* Its port is not the rule's; then an event that does not know that there is a rule. */
	try_connect(&run, "/usr/bin/git", "db.corp.example", 5433, "10.0.0.5");
	try_connect(&run, "/usr/bin/git", "db.corp.example", 5432, "10.0.0.5");
	event.rule[0] = '\0';
	snprintf(event.exe, sizeof(event.exe), "/usr/bin/other");
	learn_add(run.learn, &event);
	r = finish(&run);
	assert_int_equal(r.not_learned, 1);
	assert_int_equal(r.endpoints, 3);
	assert_non_null(strstr(text, "# - still denied: connecting: db.corp.example:5432 by "
				     "/usr/bin/other (it contradicts the base's rules)\n"));
	assert_true(try_connect(&run, "/usr/bin/git", "c.example.com", 80, "192.0.2.1"));
	assert_true(try_connect(&run, "/usr/bin/git", "db.corp.example", 5433, "10.0.0.5"));
	assert_true(try_connect(&run, "/usr/bin/git", "db.corp.example", 5432, "10.0.0.5"));
	end(&run);
}

/* Private addresses: what a wildcard may not have, a name that is spelt out may. */
static void a_private_address_needs_the_name_itself(void **state)
{
	struct run run = start(base);

	assert_true(try_connect(&run, "/usr/bin/curl", "in.example.com", 443, "10.0.0.5"));
	/* As the kernel says it: the rules admit it, its address they do not. */
	record.event.verdict = OS_EVENT_AUDIT;
	record.event.reason = OS_REASON_STALE_NAME;
	event.action = EVENT_AUDIT;
	event.raw.verdict = OS_EVENT_AUDIT;
	event.raw.reason = OS_REASON_STALE_NAME;
	learn_add(run.learn, &event);
	assert_int_equal(finish(&run).endpoints, 1);
	assert_non_null(strstr(text, "    - {host: in.example.com, port: 443, protocol: tcp}\n"));
	end(&run);
}

/* Whatever a run connects to, the same run under what was learnt is denied nothing more. */
static void the_policy_admits_the_run(void **state)
{
	static const char *const exes[] = {"/usr/bin/curl", "/usr/bin/git", "/opt/a b", "/bin/x#y",
					   "/usr/bin/psql"};
	static const char *const hosts[] = {"a.example.com",
					    "b.example.com",
					    "example.com",
					    "db.corp.example",
					    "x.y.rest.example",
					    "192.0.2.77",
					    "2001:db8::7",
					    "true",
					    "1.e3",
					    "_dmarc.ab-c.d",
					    "xn--bcher-kva.ch",
					    "h"};
	static const uint16_t ports[] = {22, 80, 443, 5432, 65535};
	struct {
		const char *exe, *host;
		uint16_t port;
	} act[200];

	srand(3);
	for (int round = 0; round < 12; round++) {
		struct run run = start(round % 2 ? base : "version: 1\n");
		size_t n = 5 + (size_t)rand() % (ARRAY_LEN(act) - 5), denied = 0;
		struct learn_result r;

		for (size_t i = 0; i < n; i++) {
			act[i].exe = exes[(size_t)rand() % ARRAY_LEN(exes)];
			act[i].host = hosts[(size_t)rand() % ARRAY_LEN(hosts)];
			act[i].port = ports[(size_t)rand() % ARRAY_LEN(ports)];
			try_connect(&run, act[i].exe, act[i].host, act[i].port, NULL);
		}
		r = finish(&run);
		for (size_t i = 0; i < n; i++)
			denied += !try_connect(&run, act[i].exe, act[i].host, act[i].port, NULL);
		assert_int_equal(denied, 0);
		assert_int_equal(r.not_learned, 0);
		end(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_rules),
		cmocka_unit_test(names_that_were_only_asked_for),
		cmocka_unit_test(what_the_base_has_is_not_repeated),
		cmocka_unit_test(what_contradicts_the_base_is_left_out),
		cmocka_unit_test(a_private_address_needs_the_name_itself),
		cmocka_unit_test(the_policy_admits_the_run),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
