/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_inference.h"
#include "common/event_line.h"
#include "common/event_ocsf.h"
#include "common/event_request.h"

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

static struct worker_record make(void)
{
	return (struct worker_record){
		.time = 1,
		.up = 3120,
		.down = 18322,
		.pid = 4711,
		.ns_pid = 58,
		.generation = 2,
		.microseconds = 4102345,
		.first_byte = 312400,
		.tokens_in = 812,
		.tokens_out = 154,
		.flags = WORKER_RECORD_STREAM | WORKER_RECORD_TOKENS,
		.status = 200,
		.port = 443,
		.kind = WORKER_RECORD_INFERENCE,
		.verdict = WORKER_RECORD_ALLOWED,
		.scheme = WORKER_RECORD_HTTPS,
		.text = {[WORKER_RECORD_METHOD] = text("POST"),
			 [WORKER_RECORD_HOST] = text("inference.local"),
			 [WORKER_RECORD_PATH] = text("/v1/chat/completions"),
			 [WORKER_RECORD_PROTOCOL] = text("chat_completions"),
			 [WORKER_RECORD_BINARY] = text("/usr/bin/node"),
			 [WORKER_RECORD_ROUTE] = text("fast"),
			 [WORKER_RECORD_PROVIDER] = text("openai"),
			 [WORKER_RECORD_MODEL] = text("gpt-4o-mini"),
			 [WORKER_RECORD_ASKED] = text("gpt-4o-mini")},
	};
}

static struct worker_record make_denied(void)
{
	struct worker_record record = make();

	record.verdict = WORKER_RECORD_DENIED;
	record.status = 429;
	record.first_byte = record.tokens_in = record.tokens_out = 0;
	record.flags = 0;
	record.text[WORKER_RECORD_ERROR] = text("rate_limited");
	record.text[WORKER_RECORD_REASON] = text("60 requests a minute are the most");
	for (int i = WORKER_RECORD_ROUTE; i < WORKER_RECORD_ASKED; i++)
		record.text[i].size = 0;
	return record;
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

#define ASKS "/usr/bin/node(58) -> POST https://inference.local/v1/chat/completions"

static void lines_are_as_documented(void **state)
{
	struct worker_record record = make();

	assert_string_equal(line(&record, 0, false),
			    "API:INFERENCE [INFO] ALLOWED " ASKS " 200 "
			    "[route:fast provider:openai model:gpt-4o-mini api:chat_completions "
			    "engine:inference] "
			    "[tokens:812+154 first-byte:0.312s took:4.102s bytes:3120/18322 "
			    "stream]");
	record.flags = WORKER_RECORD_ESTIMATED | WORKER_RECORD_FAILOVER;
	record.text[WORKER_RECORD_ASKED] = text("gpt-5");
	assert_string_equal(line(&record, 0, false),
			    "API:INFERENCE [INFO] ALLOWED " ASKS " 200 "
			    "[route:fast provider:openai model:gpt-4o-mini asked:gpt-5 "
			    "api:chat_completions engine:inference failover] "
			    "[tokens:~812+154 first-byte:0.312s took:4.102s bytes:3120/18322]");
	record = make_denied();
	assert_string_equal(line(&record, 0, false),
			    "API:INFERENCE [MED] DENIED " ASKS " 429 "
			    "[route:- asked:gpt-4o-mini api:chat_completions error:rate_limited "
			    "engine:inference] [reason:60 requests a minute are the most]");
}

static void failures_show(void **state)
{
	struct worker_record record = make();

	/* Our own answer. */
	record.status = 502;
	record.first_byte = record.tokens_in = record.tokens_out = 0;
	record.flags = 0;
	record.text[WORKER_RECORD_ERROR] = text("upstream_unreachable");
	record.text[WORKER_RECORD_REASON] = text("connection refused");
	assert_string_equal(line(&record, 0, false),
			    "API:INFERENCE [MED] ALLOWED " ASKS " 502 "
			    "[route:fast provider:openai model:gpt-4o-mini api:chat_completions "
			    "error:upstream_unreachable engine:inference] "
			    "[took:4.102s bytes:3120/18322] [reason:connection refused]");
	assert_true(event_inference_failed(&event));
	/* A stream that broke. */
	record = make();
	record.text[WORKER_RECORD_ERROR] = text("upstream_failed");
	line(&record, 0, false);
	assert_true(event_inference_failed(&event));
	assert_int_equal(event.severity, EVENT_SEVERITY_MED);
	/* The provider's answer. */
	record = make();
	record.status = 401;
	line(&record, 0, false);
	assert_true(event_inference_failed(&event));
	assert_int_equal(event.severity, EVENT_SEVERITY_LOW);
	record = make();
	line(&record, 0, false);
	assert_false(event_inference_failed(&event));
	record = make_denied();
	line(&record, 0, false);
	assert_false(event_inference_failed(&event));
}

static void sums_say_so(void **state)
{
	struct worker_record record = make();

	assert_non_null(strstr(line(&record, 17, false), " stream] [repeated 17 times]"));
	record.text[WORKER_RECORD_ASKED] = text("gpt-5");
	record.tokens_in = UINT64_C(10000000000);
	assert_string_equal(
		line(&record, 17, true),
		"API:INFERENCE [INFO] ALLOWED /usr/bin/node(58) -> 17 requests to "
		"https://inference.local 200 "
		"[route:fast provider:openai model:gpt-4o-mini api:chat_completions "
		"engine:inference] [tokens:10000000000+154 first-byte:0.312s took:4.102s "
		"bytes:3120/18322 stream]");
}

static void what_others_wrote_is_no_field(void **state)
{
	static const char hostile[] = "x] [engine:lsm\n2026 OCSF \x1b[31m\xff";
	struct worker_record record = make();
	const char *told;

	for (int i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		record.text[i] = text(hostile);
	record.text[WORKER_RECORD_ASKED] = text("other] [engine:lsm");
	told = line(&record, 0, false);
	assert_null(strchr(told, '\n'));
	assert_null(strchr(told, '\x1b'));
	/* Words are quoted, and a sentence's brackets escaped. */
	for (const char *p = told; (p = strstr(p, "x] [engine:lsm")); p++)
		assert_true(p[-1] == '"' || strstr(told, "https://") < p);
	assert_non_null(strstr(told, "asked:\"other] [engine:lsm\""));
	assert_null(strstr(told, "[reason:x]"));
}

static json_t *at(json_t *root, const char *path)
{
	char key[64];

	while (*path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		root = json_object_get(root, key);
		if (!root)
			fail_msg("no %s", key);
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

static void check_int(json_t *root, const char *path, json_int_t value)
{
	assert_int_equal(json_integer_value(at(root, path)), value);
}

static void check_text(json_t *root, const char *path, const char *value)
{
	assert_string_equal(json_string_value(at(root, path)), value);
}

static void ocsf_has_its_fields(void **state)
{
	struct worker_record record = make();
	json_t *root;

	record.text[WORKER_RECORD_ASKED] = text("gpt-5");
	record.text[WORKER_RECORD_POLICY] = text("inference.local");
	root = ocsf(&record);
	check_int(root, "class_uid", 6003);
	check_text(root, "class_name", "API Activity");
	check_int(root, "category_uid", 6);
	check_int(root, "activity_id", 99);
	check_int(root, "type_uid", 600399);
	check_text(root, "type_name", "API Activity: Inference");
	check_int(root, "status_id", 1);
	check_text(root, "api.operation", "chat_completions");
	check_text(root, "api.service.name", "openai");
	check_int(root, "api.response.code", 200);
	check_text(root, "http_request.http_method", "POST");
	check_text(root, "http_request.url.hostname", "inference.local");
	check_text(root, "http_request.url.path", "/v1/chat/completions");
	check_int(root, "http_response.code", 200);
	check_int(root, "duration", 4102);
	check_text(root, "src_endpoint.name", "box");
	check_text(root, "dst_endpoint.hostname", "inference.local");
	assert_null(json_object_get(at(root, "dst_endpoint"), "ip"));
	check_text(root, "actor.process.file.path", "/usr/bin/node");
	check_text(root, "unmapped.engine", "inference");
	check_text(root, "unmapped.route", "fast");
	check_text(root, "unmapped.model", "gpt-4o-mini");
	check_text(root, "unmapped.model_asked", "gpt-5");
	check_int(root, "unmapped.tokens_in", 812);
	check_int(root, "unmapped.tokens_out", 154);
	assert_true(json_is_false(at(root, "unmapped.tokens_estimated")));
	assert_true(json_is_true(at(root, "unmapped.stream")));
	assert_true(json_is_false(at(root, "unmapped.failover")));
	check_int(root, "unmapped.first_byte_us", 312400);
	check_int(root, "unmapped.duration_us", 4102345);
	check_int(root, "unmapped.bytes_out", 3120);
	check_int(root, "unmapped.bytes_in", 18322);
	json_decref(root);
}

static void ocsf_of_what_was_denied_or_failed(void **state)
{
	struct worker_record record = make_denied();
	json_t *root = ocsf(&record);

	check_int(root, "status_id", 2);
	check_int(root, "disposition_id", 2);
	check_int(root, "http_response.code", 429);
	check_text(root, "api.response.error", "rate_limited");
	check_text(root, "status_detail", "60 requests a minute are the most");
	assert_null(json_object_get(at(root, "api"), "service"));
	assert_null(json_object_get(at(root, "unmapped"), "tokens_in"));
	assert_null(json_object_get(at(root, "unmapped"), "route"));
	json_decref(root);

	record = make();
	record.status = 503;
	record.text[WORKER_RECORD_ERROR] = text("upstream_unreachable");
	root = ocsf(&record);
	check_int(root, "status_id", 2);
	check_int(root, "action_id", 1);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_documented),
		cmocka_unit_test(failures_show),
		cmocka_unit_test(sums_say_so),
		cmocka_unit_test(what_others_wrote_is_no_field),
		cmocka_unit_test(ocsf_has_its_fields),
		cmocka_unit_test(ocsf_of_what_was_denied_or_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
