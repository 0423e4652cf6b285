/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND 1000000000ull

typedef Openshell__Worker__V1__InferenceLimits limits_t;

static const limits_t none = OPENSHELL__WORKER__V1__INFERENCE_LIMITS__INIT;

static limits_t limits(uint32_t requests, uint32_t tokens, uint32_t concurrent)
{
	limits_t all = none;

	all.requests_per_minute = requests;
	all.tokens_per_minute = tokens;
	all.concurrent = concurrent;
	return all;
}

/* Without a limit there is no end of them, and what is under way is counted all the same. */
static void unlimited(void **state)
{
	struct inference_limiter limiter = {};
	uint32_t seconds = 77;

	for (int i = 0; i < 1000; i++) {
		const limits_t *told = i % 2 ? &none : NULL;

		assert_int_equal(inference_limiter_begin(&limiter, told, SECOND, &seconds), 0);
		if (i >= 10)
			inference_limiter_end(&limiter, UINT64_MAX);
	}
	assert_int_equal(limiter.under_way, 10);
	assert_int_equal(seconds, 77);
}

static void requests(void **state)
{
	struct inference_limiter limiter = {};
	limits_t told = limits(10, 0, 0);
	uint64_t now = 5 * SECOND;
	uint32_t seconds = 0;

	for (int i = 0; i < 10; i++)
		assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds),
			 INFERENCE_LIMIT_REQUESTS);
	assert_int_equal(seconds, 6);
	assert_int_equal(limiter.under_way, 10);
	/* Asking again and again neither helps nor harms. */
	for (int i = 0; i < 5999; i++) {
		now += SECOND / 1000;
		assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds),
				 INFERENCE_LIMIT_REQUESTS);
	}
	assert_int_equal(seconds, 1);
	now += SECOND / 1000;
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds),
			 INFERENCE_LIMIT_REQUESTS);
	/* After however long a pause it is full, and no fuller. */
	now += 86400 * SECOND;
	for (int i = 0; i < 10; i++)
		assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds),
			 INFERENCE_LIMIT_REQUESTS);
}

/* What is promised holds: after the seconds that it says, one may go. */
static void promises(void **state)
{
	for (uint32_t rate = 1; rate < 4000; rate = rate * 3 + 1) {
		struct inference_limiter limiter = {};
		limits_t told = limits(rate, rate, 0);
		uint64_t now = 7 * SECOND;
		uint32_t seconds = 0;

		for (int i = 0; i < 200; i++) {
			if (inference_limiter_begin(&limiter, &told, now, &seconds)) {
				assert_in_range(seconds, 1, 61);
				now += seconds * SECOND;
				assert_int_equal(
					inference_limiter_begin(&limiter, &told, now, &seconds), 0);
			}
			inference_limiter_end(&limiter, 1);
			now += 1234567;
		}
	}
}

static void tokens(void **state)
{
	struct inference_limiter limiter = {};
	limits_t told = limits(0, 600, 0);
	uint64_t now = SECOND;
	uint32_t seconds = 0;

	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	inference_limiter_end(&limiter, 599);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds), 0);
	inference_limiter_end(&limiter, 1200);
	/* 1199 below empty, at ten a second, and then one more. */
	assert_int_equal(inference_limiter_begin(&limiter, &told, now, &seconds),
			 INFERENCE_LIMIT_TOKENS);
	assert_int_equal(seconds, 120);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now + 119 * SECOND, &seconds),
			 INFERENCE_LIMIT_TOKENS);
	assert_int_equal(seconds, 1);
	assert_int_equal(inference_limiter_begin(&limiter, &told, now + 121 * SECOND, &seconds), 0);
	assert_int_equal(limiter.under_way, 2);
}

static void concurrent(void **state)
{
	struct inference_limiter limiter = {};
	limits_t told = limits(0, 0, 2);
	uint32_t seconds = 0;

	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds),
			 INFERENCE_LIMIT_CONCURRENT);
	assert_int_equal(seconds, 1);
	inference_limiter_end(&limiter, 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds), 0);
}

/* A request that another limit stops costs none of the bucket. */
static void stopped_for_free(void **state)
{
	struct inference_limiter limiter = {};
	limits_t told = limits(2, 0, 1);
	uint32_t seconds = 0;

	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds),
				 INFERENCE_LIMIT_CONCURRENT);
	inference_limiter_end(&limiter, 0);
	assert_int_equal(inference_limiter_begin(&limiter, &told, SECOND, &seconds), 0);
}

static void changes(void **state)
{
	struct inference_limiter limiter = {};
	limits_t before = limits(10, 100, 0), after = limits(20, 50, 0);
	uint32_t seconds = 0;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(inference_limiter_begin(&limiter, &before, SECOND, &seconds), 0);
		inference_limiter_end(&limiter, 4);
	}
	for (int i = 0; i < 10; i++) {
		assert_int_equal(inference_limiter_begin(&limiter, &after, SECOND, &seconds), 0);
		inference_limiter_end(&limiter, 1);
	}
	/* 50 of 50 tokens are used, and 20 of 20 requests. */
	assert_int_equal(limiter.tokens, 0);
	assert_int_equal(limiter.requests, 0);
	/* A limit that is taken away and comes back finds nothing used. */
	assert_int_equal(inference_limiter_begin(&limiter, NULL, SECOND, &seconds), 0);
	assert_int_equal(inference_limiter_begin(&limiter, &before, SECOND, &seconds), 0);
}

/* Nothing overflows: the sanitizer would say so. */
static void extremes(void **state)
{
	struct inference_limiter limiter = {};
	limits_t most = limits(UINT32_MAX, UINT32_MAX, UINT32_MAX), least = limits(1, 1, 1);
	uint32_t seconds = 0;

	assert_int_equal(inference_limiter_begin(&limiter, &most, 1, &seconds), 0);
	inference_limiter_end(&limiter, UINT64_MAX);
	for (int i = 0; i < 10; i++)
		inference_limiter_end(&limiter, UINT64_MAX);
	assert_int_equal(inference_limiter_begin(&limiter, &least, SECOND, &seconds),
			 INFERENCE_LIMIT_TOKENS);
	assert_true(seconds > 1000000);
	/* A clock that goes back is one that stands still. */
	assert_int_equal(inference_limiter_begin(&limiter, &most, 5, &seconds),
			 INFERENCE_LIMIT_TOKENS);
	assert_int_equal(limiter.under_way, 0);
	assert_int_equal(inference_limiter_begin(&limiter, &most, UINT64_MAX, &seconds), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlimited),  cmocka_unit_test(requests),
		cmocka_unit_test(promises),   cmocka_unit_test(tokens),
		cmocka_unit_test(concurrent), cmocka_unit_test(stopped_for_free),
		cmocka_unit_test(changes),    cmocka_unit_test(extremes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
