/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_line.h"
#include "common/event_name.h"
#include "common/event_ocsf.h"
#include "event_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PB(name) Openshell__Compiled__V1__##name

static struct record record;
static struct event event;
static char buf[EVENT_LINE_SIZE];

/* The sandbox's only name is number 7. */
static const char *name_of(const void *arg, const uint8_t address[16])
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 198, 18, 0, 7};
	static const uint8_t v6[16] = {0xfd, 0x6f, 0x70, 0x65, 0x6e, 0x73, 0x68, 0x65, [15] = 7};

	assert_string_equal(arg, "names");
	return memcmp(address, v4, 16) && memcmp(address, v6, 16) ? NULL : "api.example.com";
}

static struct event_context context(const PB(CompiledPolicy) * policy)
{
	struct event_context ctx = fixture_context(policy);

	ctx.name = name_of;
	ctx.name_arg = "names";
	return ctx;
}

static const char *decoded_line(const PB(CompiledPolicy) * policy)
{
	struct event_context ctx = context(policy);
	struct text t;

	assert_int_equal(event_decode(&record, fixture_size(&record), &ctx, &event), 0);
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	return strstr(buf, " OCSF ") + 6;
}

static void to(const char *address, uint16_t port, uint16_t verdict, uint16_t reason)
{
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, "/usr/bin/curl");
	fixture_endpoint(&record, address, port);
	record.event.verdict = verdict;
	record.event.reason = reason;
}

static void sent_on_to(const char *address)
{
	struct record other = {0};

	fixture_endpoint(&other, address, 1);
	memcpy(record.event.real, other.event.address, sizeof(record.event.real));
}

static bool is_synthetic(const char *address)
{
	struct record r = {0};

	fixture_endpoint(&r, address, 1);
	return event_address_is_synthetic(r.event.address);
}

static void synthetic_addresses_are_known(void **state)
{
	assert_true(is_synthetic("198.18.0.0"));
	assert_true(is_synthetic("198.19.255.255"));
	assert_false(is_synthetic("198.17.255.255"));
	assert_false(is_synthetic("198.20.0.0"));
	assert_true(is_synthetic("fd6f:7065:6e73:6865::1"));
	assert_true(is_synthetic("fd6f:7065:6e73:6865:ffff::1"));
	assert_false(is_synthetic("fd6f:7065:6e73:6866::1"));
	assert_false(is_synthetic("::c612:1"));
	assert_false(is_synthetic("::"));
}

static void a_name_is_told_and_where_it_is(void **state)
{
	to("198.18.0.7", 443, OS_EVENT_ALLOWED, 0);
	sent_on_to("140.82.121.6");
	assert_string_equal(decoded_line(NULL),
			    "NET:OPEN [INFO] ALLOWED /usr/bin/curl(66) -> api.example.com:443 "
			    "[policy:- engine:bpf] [to:140.82.121.6]");
	to("fd6f:7065:6e73:6865::7", 443, OS_EVENT_ALLOWED, 0);
	sent_on_to("2001:db8::6");
	assert_string_equal(decoded_line(NULL),
			    "NET:OPEN [INFO] ALLOWED /usr/bin/curl(66) -> api.example.com:443 "
			    "[policy:- engine:bpf] [to:2001:db8::6]");
	/* Another generation's policy is not at hand, but the name is the same. */
	record.event.generation = 99;
	assert_non_null(strstr(decoded_line(NULL), "-> api.example.com:443 "));
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	assert_string_equal(decoded_line(NULL),
			    "NET:OPEN [MED] DENIED /usr/bin/curl(66) -> api.example.com:443 "
			    "[policy:- engine:bpf] [reason:endpoint api.example.com:443 is not "
			    "allowed by any policy; a rule of network_policies with this host, "
			    "this port and the binary /usr/bin/curl would admit it]");
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_STALE_NAME);
	assert_non_null(strstr(decoded_line(NULL), "[reason:api.example.com:443 has no valid "
						   "address now; look the name up again."));
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_CHANGED);
	assert_non_null(strstr(decoded_line(NULL),
			       "[reason:the content of /usr/bin/curl, or of an ancestor of it, "
			       "changed since it was identified,"));
}

static void an_address_of_no_name(void **state)
{
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	to("198.18.0.8", 443, OS_EVENT_DENIED, OS_REASON_STALE_NAME);
	assert_non_null(strstr(decoded_line(NULL),
			       "-> 198.18.0.8:443 [policy:- engine:bpf] [reason:198.18.0.8 is not "
			       "an address of any name now; look the name up again]"));
	record.event.reason = OS_REASON_NO_ENDPOINT;
	assert_non_null(strstr(decoded_line(NULL), "[reason:198.18.0.8 is not an address of any "));
	assert_int_equal(event_remedies(&event, remedy), 0);
}

static void what_a_rule_could_grant(void **state)
{
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	decoded_line(NULL);
	assert_int_equal(event_remedies(&event, remedy), 1);
	assert_int_equal(remedy[0].kind, EVENT_REMEDY_NETWORK);
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_STALE_NAME);
	decoded_line(NULL);
	assert_int_equal(event_remedies(&event, remedy), 0);
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_CHANGED);
	decoded_line(NULL);
	assert_int_equal(event_remedies(&event, remedy), 0);
	/* Let pass by audit mode to an address that only a spelt out name may have. */
	to("198.18.0.7", 443, OS_EVENT_AUDIT, OS_REASON_STALE_NAME);
	sent_on_to("10.0.0.5");
	assert_non_null(strstr(decoded_line(NULL), "[reason:api.example.com is at 10.0.0.5, "));
	assert_int_equal(event_remedies(&event, remedy), 1);
	/* Ports that no policy may name on a private address, whichever way it was found. */
	to("198.18.0.7", 6443, OS_EVENT_AUDIT, OS_REASON_NO_ENDPOINT);
	sent_on_to("10.0.0.5");
	assert_non_null(strstr(decoded_line(NULL), "none can grant the port of a cluster's"));
	assert_int_equal(event_remedies(&event, remedy), 0);
	/* A rule for the resolver would not help who wants a name. */
	to("192.0.2.53", 53, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	assert_non_null(strstr(decoded_line(NULL), "names no host"));
	assert_int_equal(event_remedies(&event, remedy), 0);
	to("10.0.0.5", 6443, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	decoded_line(NULL);
	assert_int_equal(event_remedies(&event, remedy), 0);
	to("192.0.2.5", 6443, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	decoded_line(NULL);
	assert_int_equal(event_remedies(&event, remedy), 1);
}

static struct {
	PB(CompiledPolicy) policy;
	PB(Endpoint) endpoint, *list[1];
} p;

static const PB(CompiledPolicy) * inspecting(void)
{
	openshell__compiled__v1__compiled_policy__init(&p.policy);
	openshell__compiled__v1__endpoint__init(&p.endpoint);
	p.endpoint.rule = (char *)"rest_rule";
	p.endpoint.host = (char *)"api.example.com";
	p.endpoint.protocol = OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST;
	p.list[0] = &p.endpoint;
	p.policy.endpoints = p.list;
	p.policy.n_endpoints = 1;
	return &p.policy;
}

static void what_is_inspected_is_said(void **state)
{
	struct event_remedy remedy[EVENT_REMEDIES_MAX];
	const PB(CompiledPolicy) *policy = inspecting();

	/* Who may not go there is told as elsewhere, and what would help. */
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_BINARY);
	record.event.endpoint = 0;
	assert_non_null(strstr(decoded_line(policy), "[policy:rest_rule engine:bpf] [reason:rule "
						     "rest_rule names api.example.com:443, but "));
	assert_int_equal(event_remedies(&event, remedy), 1);

	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_INSPECTED);
	record.event.endpoint = 0;
	record.event.protocol = IPPROTO_UDP;
	assert_non_null(strstr(decoded_line(policy), "[reason:what is said to api.example.com:443 "
						     "is inspected, which can be done with TCP "
						     "alone"));
	assert_int_equal(event_remedies(&event, remedy), 0);
	record.event.protocol = IPPROTO_TCP;
	assert_non_null(strstr(decoded_line(policy), "has to be inspected, and the sandbox's proxy "
						     "takes no more connections"));
	record.event.flags |= OS_EVENT_RECORDED;
	assert_non_null(strstr(decoded_line(policy), "is inspected under the policy in force and "
						     "was not before"));
	assert_int_equal(event_remedies(&event, remedy), 0);
}

static struct os_proc proc;

static struct event_question question(const char *name, const char *exe)
{
	memset(&proc, 0, sizeof(proc));
	proc.start_time = 5;
	proc.path_len = (uint16_t)fixture_components(proc.path, exe);
	proc.identity.exe.file = (struct os_file_id){.ino = 11, .dev = 8 << 20 | 1};
	return (struct event_question){.name = name,
				       .type = 1,
				       .pid = 4064,
				       .ns_pid = 64,
				       .uid = 1500,
				       .generation = 7,
				       .start_time = 5,
				       .exe = proc.identity.exe.file,
				       .proc = &proc};
}

static const char *refused_line(const struct event_question *q)
{
	struct event_context ctx = context(NULL);
	struct text t;

	event_name_refused(q, &ctx, &event);
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	return strstr(buf, " OCSF ") + 6;
}

static void a_refused_name(void **state)
{
	struct event_question q = question("httpbin.org", "/usr/bin/curl");
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	assert_string_equal(refused_line(&q),
			    "DNS:QUERY [MED] DENIED /usr/bin/curl(64) -> httpbin.org A "
			    "[policy:- engine:dns] [reason:no rule admits the name httpbin.org; a "
			    "rule of network_policies with this host and the binary "
			    "/usr/bin/curl would]");
	assert_int_equal(event_remedies(&event, remedy), 1);
	assert_int_equal(remedy[0].kind, EVENT_REMEDY_NAME);
	q.type = 28;
	assert_non_null(strstr(refused_line(&q), "httpbin.org AAAA ["));
	q.type = 64999;
	assert_non_null(strstr(refused_line(&q), "httpbin.org TYPE64999 ["));
	/* The process is gone, or another one has its number, or it executed something else. */
	q.proc = NULL;
	assert_non_null(strstr(refused_line(&q), "DENIED ?(64) -> httpbin.org"));
	assert_int_equal(event_remedies(&event, remedy), 0);
	q = question("httpbin.org", "/usr/bin/curl");
	proc.start_time = 6;
	assert_non_null(strstr(refused_line(&q), "DENIED ?(64) -> httpbin.org"));
	q = question("httpbin.org", "/usr/bin/curl");
	proc.identity.exe.file.ino = 12;
	assert_non_null(strstr(refused_line(&q), "DENIED ?(64) -> httpbin.org"));
	/* A map's entry that makes no sense tells no path, and the event all the same. */
	q = question("httpbin.org", "/usr/bin/curl");
	proc.path[proc.path_len - 1] = 'x';
	assert_non_null(strstr(refused_line(&q), "DENIED ?(64) -> httpbin.org"));
	q = question("httpbin.org", "/usr/bin/curl");
	proc.path_len = sizeof(proc.path) + 1;
	assert_non_null(strstr(refused_line(&q), "DENIED ?(64) -> httpbin.org"));
	/* Nobody knows who it was. */
	q = (struct event_question){.name = "httpbin.org", .type = 1};
	assert_non_null(strstr(refused_line(&q), "DENIED ? -> httpbin.org A ["));
}

static void too_many_names_are_a_finding(void **state)
{
	struct event_question q = question("q1.tunnel.example", "/usr/bin/dig");
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	q.limited = true;
	assert_non_null(strstr(refused_line(&q), "FINDING:CREATE [HIGH] DENIED /usr/bin/dig(64) -> "
						 "q1.tunnel.example A [policy:- engine:dns] "
						 "[reason:too many new names in a short time"));
	assert_int_equal(event_remedies(&event, remedy), 0);
	/* What was said of this one is not said of the next. */
	q.limited = false;
	assert_non_null(strstr(refused_line(&q), "DNS:QUERY [MED]"));
}

static json_t *ocsf(void)
{
	char *text = event_ocsf(&event);
	json_t *root;

	assert_non_null(text);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static const char *text_at(json_t *root, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(root, a), b));
}

static void names_in_ocsf(void **state)
{
	struct event_question q = question("httpbin.org", "/usr/bin/curl");
	json_t *root, *between;

	to("198.18.0.7", 443, OS_EVENT_ALLOWED, 0);
	sent_on_to("140.82.121.6");
	decoded_line(NULL);
	root = ocsf();
	assert_string_equal(text_at(root, "dst_endpoint", "hostname"), "api.example.com");
	assert_string_equal(text_at(root, "dst_endpoint", "ip"), "140.82.121.6");
	between = json_object_get(json_object_get(root, "dst_endpoint"), "intermediate_ips");
	assert_int_equal(json_array_size(between), 1);
	assert_string_equal(json_string_value(json_array_get(between, 0)), "198.18.0.7");
	json_decref(root);
	/* It went nowhere: there is no address to tell, and the stand-in is not one. */
	to("198.18.0.7", 443, OS_EVENT_DENIED, OS_REASON_NO_ENDPOINT);
	decoded_line(NULL);
	root = ocsf();
	assert_string_equal(text_at(root, "dst_endpoint", "hostname"), "api.example.com");
	assert_null(text_at(root, "dst_endpoint", "ip"));
	json_decref(root);

	refused_line(&q);
	root = ocsf();
	assert_int_equal(json_integer_value(json_object_get(root, "type_uid")), 400301);
	assert_string_equal(text_at(root, "query", "hostname"), "httpbin.org");
	assert_string_equal(text_at(root, "query", "type"), "A");
	assert_int_equal(json_integer_value(json_object_get(root, "rcode_id")), 5);
	assert_int_equal(json_integer_value(json_object_get(root, "disposition_id")), 2);
	assert_null(json_object_get(root, "dst_endpoint"));
	assert_string_equal(
		text_at(json_object_get(json_object_get(root, "actor"), "process"), "file", "path"),
		"/usr/bin/curl");
	assert_string_equal(text_at(json_object_get(root, "actor"), "process", "name"), "curl");
	json_decref(root);
	q.limited = true;
	refused_line(&q);
	root = ocsf();
	assert_int_equal(json_integer_value(json_object_get(root, "type_uid")), 200401);
	assert_string_equal(text_at(root, "finding_info", "title"), "possible DNS tunnelling");
	assert_int_equal(json_array_size(json_object_get(root, "evidences")), 1);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synthetic_addresses_are_known),
		cmocka_unit_test(a_name_is_told_and_where_it_is),
		cmocka_unit_test(an_address_of_no_name),
		cmocka_unit_test(what_a_rule_could_grant),
		cmocka_unit_test(what_is_inspected_is_said),
		cmocka_unit_test(a_refused_name),
		cmocka_unit_test(too_many_names_are_a_finding),
		cmocka_unit_test(names_in_ocsf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
