/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/inference.h"
#include "supervisor/inference_trial.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define PB(name)  Openshell__Worker__V1__##name
#define API(name) OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name

static void route_init(PB(InferenceRoute) * route)
{
	openshell__worker__v1__inference_route__init(route);
	route->name = (char *)"fast";
	route->host = (char *)"api.example.com";
	route->port = 443;
	route->tls = true;
	route->base_path = (char *)"/v1";
	route->model = (char *)"m";
}

static void requests_are_whole(void **state)
{
	static const struct {
		PB(InferenceApi) api;
		const char *model, *line, *in_body;
	} rows[] = {
		{API(CHAT_COMPLETIONS), "m", "POST /v1/chat/completions ", "\"messages\":[{"},
		{API(COMPLETIONS), "m", "POST /v1/completions ", "\"prompt\":"},
		{API(RESPONSES), "m", "POST /v1/responses ", "\"max_output_tokens\":16"},
		{API(EMBEDDINGS), "m", "POST /v1/embeddings ", "\"input\":"},
		{API(MESSAGES), "m", "POST /v1/messages ", "\"max_tokens\":1"},
		{API(BEDROCK_INVOKE), "amazon.titan", "POST /model/probe/invoke ",
		 "\"inputText\":"},
		{API(BEDROCK_INVOKE), "us.anthropic.claude", "POST /model/probe/invoke ",
		 "\"bedrock-2023-05-31\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		PB(InferenceApi) apis[] = {API(MODELS), rows[i].api, API(COMPLETIONS)};
		char request[INFERENCE_TRIAL_REQUEST_MAX], length[64];
		PB(InferenceRoute) route;
		const char *body;
		json_t *json;
		int size;

		route_init(&route);
		route.model = (char *)rows[i].model;
		route.apis = apis;
		route.n_apis = 3;
		size = inference_trial_request(&route, request);
		assert_true(size > 0 && size < (int)sizeof(request));
		assert_int_equal(strlen(request), size);
		assert_memory_equal(request, rows[i].line, strlen(rows[i].line));
		assert_non_null(strstr(request, "\r\nHost: inference.local:443\r\n"));
		body = strstr(request, "\r\n\r\n") + 4;
		snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", strlen(body));
		assert_non_null(strstr(request, length));
		assert_non_null(strstr(body, rows[i].in_body));
		json = json_loads(body, 0, NULL);
		assert_non_null(json);
		json_decref(json);
	}
}

static void what_has_no_model_is_not_asked(void **state)
{
	PB(InferenceApi) apis[] = {API(MODELS)};
	char request[INFERENCE_TRIAL_REQUEST_MAX];
	PB(InferenceRoute) route;

	route_init(&route);
	assert_int_equal(inference_trial_request(&route, request), -ENOENT);
	route.apis = apis;
	route.n_apis = 1;
	assert_int_equal(inference_trial_request(&route, request), -ENOENT);
}

static void the_status_decides(void **state)
{
	static const struct {
		const char *response;
		int status;
		enum inference_trial running, ended;
	} rows[] = {
		{"", 0, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.", 0, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 20", 0, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 200", 0, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 200 ", 200, INFERENCE_TRIAL_FINE, INFERENCE_TRIAL_FINE},
		{"HTTP/1.1 201\r", 201, INFERENCE_TRIAL_FINE, INFERENCE_TRIAL_FINE},
		{"HTTP/1.1 400 x", 400, INFERENCE_TRIAL_UNSURE, INFERENCE_TRIAL_UNSURE},
		{"HTTP/1.1 422 x", 422, INFERENCE_TRIAL_UNSURE, INFERENCE_TRIAL_UNSURE},
		{"HTTP/1.1 401 x", 401, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 302 x", 302, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 101 x", 101, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 999 x", 999, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 099 x", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 2x0 x", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 2000 x", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.0 200 x", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"HTTP/2", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"\x16\x03\x01", 0, INFERENCE_TRIAL_FAILED, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 103 Hints\r\nx: y\r\n", 0, INFERENCE_TRIAL_MORE, INFERENCE_TRIAL_FAILED},
		{"HTTP/1.1 103 Hints\r\nx: y\r\n\r\nHTTP/1.1 200 OK", 200, INFERENCE_TRIAL_FINE,
		 INFERENCE_TRIAL_FINE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint8_t *data = (const uint8_t *)rows[i].response;
		size_t size = strlen(rows[i].response);
		int status = -1;

		if (inference_trial_judge(data, size, false, &status) != rows[i].running ||
		    status != rows[i].status)
			fail_msg("%s: status %d", rows[i].response, status);
		if (inference_trial_judge(data, size, true, &status) != rows[i].ended ||
		    status != rows[i].status)
			fail_msg("%s, ended: status %d", rows[i].response, status);
	}
}

static const char *reason(const char *response)
{
	static char buf[2048];
	struct text text;

	text_init(&text, buf, sizeof(buf));
	return inference_trial_reason((const uint8_t *)response, strlen(response), &text) ? buf
											  : NULL;
}

#define HEAD "HTTP/1.1 401 No\r\nContent-Type: application/json\r\n\r\n"

static void the_reason_is_shown_as_somebody_elses(void **state)
{
	char longer[2048];

	assert_string_equal(
		reason(HEAD "{\"type\":\"error\",\"error\":{\"message\":\"no such key\"}}"),
		"no such key");
	assert_string_equal(reason(HEAD "{\"error\":\"denied\",\"detail\":\"why\"}"), "why");
	assert_string_equal(reason(HEAD "{\"error\":\"denied\"}"), "denied");
	assert_string_equal(reason(HEAD "{\"message\":\"m\"}"), "m");
	assert_string_equal(reason(HEAD "1c\r\n{\"error\":{\"message\":\"parts\"}}\r\n0\r\n\r\n"),
			    "parts");
	assert_string_equal(reason("HTTP/1.1 103 H\r\n\r\n" HEAD "{\"message\":\"m\"}"), "m");
	assert_null(strchr(reason(HEAD "{\"message\":\"a\\u001b[31m\\nb\"}"), '\x1b'));
	assert_null(strchr(reason(HEAD "{\"message\":\"a\\u001b[31m\\nb\"}"), '\n'));
	assert_null(reason(HEAD "{\"message\":7}"));
	assert_null(reason(HEAD "{\"message\":\"\"}"));
	assert_null(reason(HEAD "{\"message\":\"cut"));
	assert_null(reason(HEAD "<html>"));
	assert_null(reason(HEAD));
	assert_null(reason("HTTP/1.1 401 No\r\n{\"message\":\"m\"}"));
	snprintf(longer, sizeof(longer), HEAD "{\"message\":\"%0900d\"}", 7);
	assert_int_equal(strlen(reason(longer)), 303);
}

static const char *name(PB(InferenceRoute) * route)
{
	static char buf[512];
	struct text text;

	text_init(&text, buf, sizeof(buf));
	inference_trial_name(route, &text);
	return buf;
}

static void a_route_is_named_without_secrets(void **state)
{
	PB(InferenceRoute) route;

	route_init(&route);
	assert_string_equal(name(&route), "route fast (https://api.example.com/v1)");
	route.port = 8443;
	assert_string_equal(name(&route), "route fast (https://api.example.com:8443/v1)");
	route.host = (char *)"::1";
	route.tls = false;
	route.base_path = (char *)"";
	route.port = 80;
	assert_string_equal(name(&route), "route fast (http://[::1])");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_whole),
		cmocka_unit_test(what_has_no_model_is_not_asked),
		cmocka_unit_test(the_status_decides),
		cmocka_unit_test(the_reason_is_shown_as_somebody_elses),
		cmocka_unit_test(a_route_is_named_without_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
