/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/request_fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

/* What was told, in sum and last. */
static struct {
	unsigned int lines, sums, others;
	uint64_t stand_for, down;
	char path[64];
	uint64_t microseconds, first_byte, tokens_in, tokens_out;
	char route[64];
} told;

static void tell(void *arg, const struct worker_record *record, uint64_t repeated, bool others)
{
	told.lines++;
	told.sums += repeated > 0;
	told.others += others;
	told.stand_for += repeated ? repeated : 1;
	told.down += record->down;
	told.microseconds = record->microseconds;
	told.first_byte += record->first_byte;
	told.tokens_in += record->tokens_in;
	told.tokens_out += record->tokens_out;
	snprintf(told.route, sizeof(told.route), "%.*s",
		 (int)record->text[WORKER_RECORD_ROUTE].size,
		 record->text[WORKER_RECORD_ROUTE].data);
	snprintf(told.path, sizeof(told.path), "%.*s", (int)record->text[WORKER_RECORD_PATH].size,
		 record->text[WORKER_RECORD_PATH].data);
}

static struct worker_record_string text(const char *string)
{
	return (struct worker_record_string){string, strlen(string)};
}

static struct worker_record make(const char *path)
{
	return (struct worker_record){
		.down = 100,
		.microseconds = 7,
		.port = 443,
		.kind = WORKER_RECORD_REQUEST,
		.verdict = WORKER_RECORD_ALLOWED,
		.text = {[WORKER_RECORD_METHOD] = text("GET"),
			 [WORKER_RECORD_HOST] = text("a.example"),
			 [WORKER_RECORD_PATH] = text(path)},
	};
}

static int begin(void **state)
{
	memset(&told, 0, sizeof(told));
	*state = request_fold_new((struct request_fold_sink){.tell = tell});
	return *state ? 0 : -1;
}

static int end(void **state)
{
	request_fold_free(*state);
	return 0;
}

static void few_are_told_each(void **state)
{
	struct worker_record record = make("/a");

	for (int i = 0; i < REQUEST_FOLD_EACH; i++)
		request_fold_add(*state, &record, SECOND);
	request_fold_flush(*state, SECOND, true);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH);
	assert_int_equal(told.sums, 0);
}

static void many_of_a_kind_are_a_sum(void **state)
{
	char path[] = "/a";
	struct worker_record record = make(path);

	for (int i = 0; i < 1000; i++) {
		record.pid = (uint32_t)i;
		record.time = (uint64_t)i;
		request_fold_add(*state, &record, SECOND);
	}
	assert_int_equal(told.lines, REQUEST_FOLD_EACH);
	request_fold_flush(*state, SECOND + SECOND / 2, false);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH);
	/* The batch that it was in is another one by now. */
	memset(path, 'x', 2);
	request_fold_flush(*state, 2 * SECOND, false);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH + 1);
	assert_int_equal(told.stand_for, 1000);
	assert_int_equal(told.down, 100000);
	assert_int_equal(told.microseconds, 7 * (1000 - REQUEST_FOLD_EACH));
	assert_string_equal(told.path, "/a");
	assert_int_equal(told.others, 0);
	/* Another second, and they are told again. */
	memcpy(path, "/a", 2);
	request_fold_add(*state, &record, 2 * SECOND + 1);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH + 2);
}

static void another_answer_is_another_kind(void **state)
{
	struct worker_record record = make("/a");

	for (int i = 0; i < 10; i++) {
		record.status = (uint16_t)(200 + i);
		request_fold_add(*state, &record, SECOND);
	}
	record.verdict = WORKER_RECORD_DENIED;
	request_fold_add(*state, &record, SECOND);
	assert_int_equal(told.lines, 11);
}

static void ever_new_paths_have_a_budget(void **state)
{
	const int n = 20000;
	char path[32];

	for (int i = 0; i < n; i++) {
		struct worker_record record;

		snprintf(path, sizeof(path), "/item/%d", i);
		record = make(path);
		request_fold_add(*state, &record, SECOND);
	}
	assert_true(told.lines <= REQUEST_FOLD_BURST + 1);
	assert_true(told.lines >= REQUEST_FOLD_BURST);
	request_fold_flush(*state, SECOND, true);
	assert_int_equal(told.stand_for, n);
	assert_int_equal(told.down, n * 100);
	assert_int_equal(told.others, 1);
	/* A little later there is a little budget. */
	told.lines = 0;
	for (int i = 0; i < n; i++) {
		struct worker_record record;

		snprintf(path, sizeof(path), "/more/%d", i);
		record = make(path);
		request_fold_add(*state, &record, SECOND + SECOND / 2);
	}
	assert_true(told.lines <= REQUEST_FOLD_RATE);
	assert_true(told.lines > 0);
	request_fold_flush(*state, 3 * SECOND, true);
	assert_int_equal(told.stand_for, 2 * n);
}

static struct worker_record make_inference(const char *route, const char *asked)
{
	struct worker_record record = make("/v1/chat/completions");

	record.kind = WORKER_RECORD_INFERENCE;
	record.status = 200;
	record.first_byte = 5;
	record.tokens_in = UINT32_MAX;
	record.tokens_out = 3;
	record.flags = WORKER_RECORD_TOKENS;
	record.text[WORKER_RECORD_ROUTE] = text(route);
	record.text[WORKER_RECORD_ASKED] = text(asked);
	return record;
}

static void tokens_add_up(void **state)
{
	struct worker_record record = make_inference("fast", "gpt-5");
	const int n = 1000;

	for (int i = 0; i < REQUEST_FOLD_EACH_INFERENCE; i++)
		request_fold_add(*state, &record, SECOND);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH_INFERENCE);
	for (int i = 0; i < n - REQUEST_FOLD_EACH_INFERENCE; i++)
		request_fold_add(*state, &record, SECOND);
	request_fold_flush(*state, SECOND, true);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH_INFERENCE + 1);
	assert_int_equal(told.stand_for, n);
	/* Past what one record can say. */
	assert_true(told.tokens_in == (uint64_t)n * UINT32_MAX);
	assert_int_equal(told.tokens_out, n * 3);
	assert_int_equal(told.first_byte, n * 5);
}

/* An agent that is told no over and over is as any other request. */
static void refused_inference_is_a_sum(void **state)
{
	struct worker_record record = make_inference("", "");

	record.verdict = WORKER_RECORD_DENIED;
	record.status = 429;
	record.first_byte = record.tokens_in = record.tokens_out = 0;
	record.flags = 0;
	for (int i = 0; i < 1000; i++)
		request_fold_add(*state, &record, SECOND);
	request_fold_flush(*state, SECOND, true);
	assert_int_equal(told.lines, REQUEST_FOLD_EACH + 1);
	assert_int_equal(told.stand_for, 1000);
	assert_int_equal(told.tokens_in, 0);
}

/* Whatever an agent asks for, tokens of one route are not told as those of another. */
static void a_flood_keeps_routes_apart(void **state)
{
	static const char *const routes[] = {"one", "two"};
	const int n = 20000;
	char asked[32];

	for (int i = 0; i < n; i++) {
		struct worker_record record;

		snprintf(asked, sizeof(asked), "model-%d", i);
		record = make_inference(routes[i % 4 == 0], asked);
		record.tokens_in = i % 4 == 0 ? 1 : 0;
		record.tokens_out = 0;
		request_fold_add(*state, &record, SECOND);
	}
	assert_int_equal(told.lines, REQUEST_FOLD_BURST);
	request_fold_flush(*state, SECOND, true);
	assert_int_equal(told.others, 2);
	assert_int_equal(told.stand_for, n);
	assert_int_equal(told.tokens_in, n / 4);
	assert_true(strlen(told.route) == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_are_told_each, begin, end),
		cmocka_unit_test_setup_teardown(many_of_a_kind_are_a_sum, begin, end),
		cmocka_unit_test_setup_teardown(another_answer_is_another_kind, begin, end),
		cmocka_unit_test_setup_teardown(ever_new_paths_have_a_budget, begin, end),
		cmocka_unit_test_setup_teardown(tokens_add_up, begin, end),
		cmocka_unit_test_setup_teardown(refused_inference_is_a_sum, begin, end),
		cmocka_unit_test_setup_teardown(a_flood_keeps_routes_apart, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
