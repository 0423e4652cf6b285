/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_repeat.h"
#include "event_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SECOND 1000000000ull

static struct record record;
static struct event event;
static uint64_t told, summed;

static void tell(void *arg, const struct event *e)
{
	told++;
	summed += e->repeated;
}

static void make(const char *path)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, path, OS_RIGHT_READ, 0);
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
}

static struct event_repeat *start(unsigned int per_second)
{
	told = summed = 0;
	return event_repeat_new(per_second, (struct event_repeat_sink){tell, NULL});
}

static void the_rest_of_a_second_is_summed(void **state)
{
	struct event_repeat *r = start(3);
	int taken = 0;

	make("/a");
	for (int i = 0; i < 100; i++)
		taken += event_repeat_take(r, &event, SECOND + (uint64_t)i);
	assert_int_equal(taken, 3);
	assert_true(event_repeat_pending(r));
	event_repeat_flush(r, SECOND + SECOND / 2, false);
	assert_int_equal(told, 0);
	event_repeat_flush(r, 2 * SECOND + 1, false);
	assert_int_equal(told, 1);
	assert_int_equal(summed, 97);
	assert_false(event_repeat_pending(r));
	/* A new second starts anew. */
	assert_true(event_repeat_take(r, &event, 2 * SECOND + 2));
	event_repeat_free(r);
}

static void a_new_second_tells_the_old_sum_first(void **state)
{
	struct event_repeat *r = start(1);

	make("/a");
	assert_true(event_repeat_take(r, &event, SECOND));
	assert_false(event_repeat_take(r, &event, SECOND + 1));
	assert_true(event_repeat_take(r, &event, 2 * SECOND));
	assert_int_equal(summed, 1);
	event_repeat_free(r);
}

static void what_differs_is_told(void **state)
{
	struct event_repeat *r = start(1);

	make("/a");
	assert_true(event_repeat_take(r, &event, SECOND));
	make("/b");
	assert_true(event_repeat_take(r, &event, SECOND));
	event.raw.wanted = OS_RIGHT_WRITE;
	assert_true(event_repeat_take(r, &event, SECOND));
	event.raw.port = 1;
	assert_true(event_repeat_take(r, &event, SECOND));
	/* The process does not count: a loop of many short processes is still a loop. */
	event.raw.pid = event.raw.ns_pid = 99;
	assert_false(event_repeat_take(r, &event, SECOND));
	event_repeat_free(r);
}

static void allowed_ones_are_not_summed(void **state)
{
	struct event_repeat *r = start(1);

	make("/a");
	event.action = EVENT_ALLOWED;
	for (int i = 0; i < 10; i++)
		assert_true(event_repeat_take(r, &event, SECOND));
	event_repeat_free(r);
}

/* However many kinds there are, each event is either told or in a sum. */
static void nothing_is_lost_in_a_flood(void **state)
{
	struct event_repeat *r = start(2);
	uint64_t taken = 0, all = 0;
	char path[32];

	for (int kind = 0; kind < 2000; kind++) {
		snprintf(path, sizeof(path), "/f%d", kind);
		make(path);
		for (int i = 0; i < 5; i++, all++)
			taken += event_repeat_take(r, &event, SECOND + all);
	}
	event_repeat_flush(r, SECOND, true);
	assert_int_equal(taken + summed, all);
	assert_false(event_repeat_pending(r));
	event_repeat_free(r);
}

static void ask(const char *name, uint32_t type)
{
	fixture_record(&record, OS_HOOK_DNS, OS_EVENT_NET);
	record.event.reason = OS_REASON_NAME;
	record.event.detail = type;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	snprintf(event.host, sizeof(event.host), "%s", name);
}

/* What one call of a program asks: both types, and again, since the answer was no. */
static void a_name_is_told_once_a_second(void **state)
{
	struct event_repeat *r = start(5);
	int taken = 0;

	for (int i = 0; i < 8; i++) {
		ask("httpbin.org", i % 2 ? 28 : 1);
		taken += event_repeat_take(r, &event, SECOND + (uint64_t)i);
	}
	assert_int_equal(taken, 1);
	ask("www.httpbin.org", 1);
	assert_true(event_repeat_take(r, &event, SECOND + 9));
	event_repeat_flush(r, 2 * SECOND + 10, false);
	assert_int_equal(told, 1);
	assert_int_equal(summed, 7);
	event_repeat_free(r);
}

/* An agent that makes up names cannot flood a log with them; they are counted all the same. */
static void a_flood_of_names_is_summed(void **state)
{
	struct event_repeat *r = start(5);
	uint64_t taken = 0, all = 0;
	char name[32];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		for (uint32_t type = 1; type <= 28; type += 27, all++) {
			ask(name, type);
			taken += event_repeat_take(r, &event, SECOND + all);
		}
	}
	assert_int_equal(taken, EVENT_REPEAT_NAMES);
	event_repeat_flush(r, SECOND, true);
	assert_true(told < 100);
	assert_int_equal(taken + summed, all);
	event_repeat_free(r);
}

static void too_many_names_are_one_finding_a_minute(void **state)
{
	struct event_repeat *r = start(5);
	uint64_t taken = 0;
	char name[32];

	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d.example", (int)i);
		ask(name, 1);
		event.limited = true;
		taken += event_repeat_take(r, &event, SECOND + i * SECOND / 20);
		event_repeat_flush(r, SECOND + i * SECOND / 20, false);
	}
	assert_int_equal(taken, 1);
	assert_int_equal(told, 0);
	event_repeat_flush(r, 62 * SECOND, false);
	assert_int_equal(told, 1);
	assert_int_equal(summed, 999);
	event_repeat_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_of_a_second_is_summed),
		cmocka_unit_test(a_new_second_tells_the_old_sum_first),
		cmocka_unit_test(what_differs_is_told),
		cmocka_unit_test(allowed_ones_are_not_summed),
		cmocka_unit_test(nothing_is_lost_in_a_flood),
		cmocka_unit_test(a_name_is_told_once_a_second),
		cmocka_unit_test(a_flood_of_names_is_summed),
		cmocka_unit_test(too_many_names_are_one_finding_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
