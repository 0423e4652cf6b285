/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_line.h"
#include "common/event_ocsf.h"
#include "common/event_request.h"
#include "common/summary.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct event event;
static const struct event_context context = {.sandbox = "box"};

static struct worker_record_string text(const char *string)
{
	return (struct worker_record_string){string, strlen(string)};
}

static struct worker_record make(enum worker_record_verdict verdict)
{
	return (struct worker_record){
		.time = 1,
		.up = 20,
		.down = 5000,
		.pid = 4711,
		.ns_pid = 58,
		.generation = 2,
		.microseconds = 12345,
		.status = verdict == WORKER_RECORD_ALLOWED ? 201 : 403,
		.port = 443,
		.kind = WORKER_RECORD_REQUEST,
		.verdict = (uint8_t)verdict,
		.scheme = WORKER_RECORD_HTTPS,
		.text = {[WORKER_RECORD_METHOD] = text("POST"),
			 [WORKER_RECORD_HOST] = text("api.github.com"),
			 [WORKER_RECORD_PATH] = text("/user/repos"),
			 [WORKER_RECORD_PROTOCOL] = text("rest"),
			 [WORKER_RECORD_POLICY] = text("github_api"),
			 [WORKER_RECORD_BINARY] = text("/usr/bin/curl")},
	};
}

/* What follows the time and "OCSF " of its line. */
static const char *line(const struct worker_record *record, uint64_t repeated, bool others)
{
	static char buf[EVENT_LINE_SIZE];
	struct text t;

	event_request(record, repeated, others, &context, &event);
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	return strstr(buf, "OCSF ") + 5;
}

static void lines_are_as_documented(void **state)
{
	struct worker_record record = make(WORKER_RECORD_DENIED);

	record.text[WORKER_RECORD_REASON] = text("no rule admits POST /user/repos");
	assert_string_equal(line(&record, 0, false),
			    "HTTP:POST [MED] DENIED POST https://api.github.com/user/repos "
			    "[policy:github_api engine:l7] "
			    "[reason:no rule admits POST /user/repos]");
	record = make(WORKER_RECORD_ALLOWED);
	record.text[WORKER_RECORD_RULE] = text("allow POST /user/**");
	record.port = 8443;
	assert_string_equal(line(&record, 0, false),
			    "HTTP:POST [INFO] ALLOWED POST https://api.github.com:8443/user/repos "
			    "[policy:github_api engine:l7 status:201 up:20 down:5000 ms:12.345] "
			    "[rule:allow POST /user/**]");
	record = make(WORKER_RECORD_AUDIT);
	record.status = 0;
	record.text[WORKER_RECORD_METHOD] = text("PROPFIND");
	record.text[WORKER_RECORD_HOST] = text("2001:db8::1");
	record.scheme = WORKER_RECORD_HTTP;
	record.port = 80;
	record.text[WORKER_RECORD_REASON] = text("no");
	assert_string_equal(line(&record, 0, false),
			    "HTTP:OTHER [LOW] AUDIT PROPFIND \"http://[2001:db8::1]/user/repos\" "
			    "[policy:github_api engine:l7 up:20 down:5000 ms:12.345] [reason:no]");
}

static void what_an_agent_wrote_is_no_field(void **state)
{
	struct worker_record record = make(WORKER_RECORD_DENIED);
	const char *told;

	record.text[WORKER_RECORD_PATH] = text("/a\n2026 OCSF [policy:x] \x1b[31m");
	record.text[WORKER_RECORD_METHOD] = text("GET [x]");
	record.text[WORKER_RECORD_REASON] = text("a] [engine:bpf");
	told = line(&record, 0, false);
	assert_null(strchr(told, '\n'));
	assert_null(strchr(told, '\x1b'));
	assert_null(strstr(told, "] [engine:bpf"));
}

static void sums_say_so(void **state)
{
	struct worker_record record = make(WORKER_RECORD_ALLOWED);

	assert_string_equal(line(&record, 17, false),
			    "HTTP:POST [INFO] ALLOWED POST https://api.github.com/user/repos "
			    "[policy:github_api engine:l7 status:201 up:20 down:5000 ms:12.345] "
			    "[repeated 17 times]");
	assert_string_equal(line(&record, 17, true),
			    "HTTP:OTHER [INFO] ALLOWED 17 requests to https://api.github.com "
			    "[policy:github_api engine:l7 up:20 down:5000 ms:12.345]");
}

static void findings_are_sentences(void **state)
{
	struct worker_record record = make(WORKER_RECORD_TOLD);

	record.kind = WORKER_RECORD_FINDING;
	record.text[WORKER_RECORD_REASON] = text("KEY was sent to a host that it is not for");
	record.text[WORKER_RECORD_ERROR] = text("credential_endpoint_mismatch");
	assert_string_equal(line(&record, 0, false),
			    "FINDING:CREATE [HIGH] FOUND KEY was sent to a host that it is not for "
			    "[policy:github_api engine:l7 error:credential_endpoint_mismatch "
			    "binary:/usr/bin/curl]");
	record.kind = WORKER_RECORD_UPSTREAM;
	record.text[WORKER_RECORD_REASON] = text("");
	assert_string_equal(line(&record, 0, false),
			    "FINDING:CREATE [MED] FOUND the proxy had trouble with "
			    "api.github.com:443 [policy:github_api engine:l7 "
			    "error:credential_endpoint_mismatch binary:/usr/bin/curl]");
}

static json_t *at(json_t *root, const char *path)
{
	char key[64];

	while (*path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		root = json_object_get(root, key);
		assert_non_null(root);
		path += n + (path[n] == '.');
	}
	return root;
}

static json_t *ocsf(const struct worker_record *record)
{
	char *json;
	json_t *root;

	event_request(record, 0, false, &context, &event);
	json = event_ocsf(&event);
	assert_non_null(json);
	root = json_loads(json, 0, NULL);
	free(json);
	assert_non_null(root);
	return root;
}

static void ocsf_has_its_fields(void **state)
{
	struct worker_record record = make(WORKER_RECORD_ALLOWED);
	json_t *root = ocsf(&record);

	assert_int_equal(json_integer_value(at(root, "class_uid")), 4002);
	assert_int_equal(json_integer_value(at(root, "category_uid")), 4);
	assert_int_equal(json_integer_value(at(root, "activity_id")), 6);
	assert_int_equal(json_integer_value(at(root, "type_uid")), 400206);
	assert_string_equal(json_string_value(at(root, "type_name")), "HTTP Activity: Post");
	assert_string_equal(json_string_value(at(root, "http_request.http_method")), "POST");
	assert_string_equal(json_string_value(at(root, "http_request.url.hostname")),
			    "api.github.com");
	assert_string_equal(json_string_value(at(root, "http_request.url.path")), "/user/repos");
	assert_string_equal(json_string_value(at(root, "http_request.url.scheme")), "https");
	assert_int_equal(json_integer_value(at(root, "http_response.code")), 201);
	assert_int_equal(json_integer_value(at(root, "duration")), 12);
	assert_int_equal(json_integer_value(at(root, "traffic.bytes_in")), 5000);
	assert_int_equal(json_integer_value(at(root, "traffic.bytes_out")), 20);
	assert_string_equal(json_string_value(at(root, "dst_endpoint.hostname")), "api.github.com");
	assert_null(json_object_get(at(root, "dst_endpoint"), "ip"));
	assert_int_equal(json_integer_value(at(root, "actor.process.pid")), 58);
	assert_string_equal(json_string_value(at(root, "actor.process.file.path")),
			    "/usr/bin/curl");
	assert_string_equal(json_string_value(at(root, "firewall_rule.name")), "github_api");
	assert_string_equal(json_string_value(at(root, "unmapped.protocol")), "rest");
	json_decref(root);

	record = make(WORKER_RECORD_DENIED);
	record.text[WORKER_RECORD_ERROR] = text("policy_denied");
	root = ocsf(&record);
	assert_int_equal(json_integer_value(at(root, "disposition_id")), 2);
	assert_int_equal(json_integer_value(at(root, "http_response.code")), 403);
	assert_string_equal(json_string_value(at(root, "unmapped.answer")), "policy_denied");
	json_decref(root);
}

static void a_summary_counts_sums(void **state)
{
	struct worker_record record = make(WORKER_RECORD_DENIED);
	struct summary *summary = summary_new();
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	event_request(&record, 0, false, &context, &event);
	summary_add(summary, &event);
	event_request(&record, 41, false, &context, &event);
	summary_add(summary, &event);
	assert_int_equal(summary_denied(summary), 42);
	summary_print(summary, NULL, file);
	fclose(file);
	assert_non_null(strstr(out, "42 x HTTP    POST https://api.github.com/user/repos  by "
				    "/usr/bin/curl\n"));
	assert_non_null(strstr(out, "42 of them are requests that the rules of their endpoint"));
	assert_null(strstr(out, "no policy can allow"));
	free(out);
	summary_free(summary);
}

static void a_time_that_cannot_be_is_now(void **state)
{
	struct worker_record record = make(WORKER_RECORD_ALLOWED);
	const struct event_context offset = {.sandbox = "box",
					     .clock_offset = event_clock_offset()};
	uint64_t before;

	event_request(&record, 0, false, &offset, &event);
	assert_true(event.time == (uint64_t)offset.clock_offset + 1);
	record.time = UINT64_MAX;
	event_request(&record, 0, false, &offset, &event);
	before = event.time;
	record.time = 0;
	event_request(&record, 0, false, &offset, &event);
	assert_true(event.time - before < UINT64_C(60000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_documented),
		cmocka_unit_test(what_an_agent_wrote_is_no_field),
		cmocka_unit_test(sums_say_so),
		cmocka_unit_test(findings_are_sentences),
		cmocka_unit_test(ocsf_has_its_fields),
		cmocka_unit_test(a_summary_counts_sums),
		cmocka_unit_test(a_time_that_cannot_be_is_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
