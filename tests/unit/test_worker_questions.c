/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/worker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct questions questions;

static int set_up(void **state)
{
	questions_init(&questions);
	return 0;
}

static int tear_down(void **state)
{
	questions_free(&questions);
	return 0;
}

static void questions_are_counted(void **state)
{
	struct question *question, *first = NULL;

	for (uint32_t id = 0; id < WORKER_OUTSTANDING_MAX; id++) {
		assert_int_equal(questions_add(&questions, id * 7, &question), 0);
		first = first ? first : question;
	}
	assert_int_equal(questions_add(&questions, 7, &question), -EBADMSG);
	assert_int_equal(questions_add(&questions, 1, &question), -E2BIG);
	questions_remove(&questions, first);
	assert_int_equal(questions_add(&questions, 0, &question), 0);
	assert_int_equal(questions_add(&questions, 0, &question), -EBADMSG);
	questions_forget(&questions);
	assert_int_equal(questions.asked_len, 0);
}

static void equal_names_share_a_lookup(void **state)
{
	struct question *a, *b, *c, *waiting;
	struct lookup *lookup, *same, *other;

	assert_int_equal(questions_add(&questions, 1, &a), 0);
	assert_int_equal(questions_add(&questions, 2, &b), 0);
	assert_int_equal(questions_add(&questions, 3, &c), 0);
	assert_int_equal(questions_look_up(&questions, "a.example", 9, 100, &lookup), 0);
	questions_wait(lookup, a);
	assert_int_equal(questions_look_up(&questions, "a.example", 9, 200, &same), 0);
	assert_ptr_equal(lookup, same);
	questions_wait(same, b);
	/* A name that another one begins with is another one. */
	assert_int_equal(questions_look_up(&questions, "a.exampl", 8, 200, &other), 0);
	assert_ptr_not_equal(lookup, other);
	questions_wait(other, c);
	assert_int_equal(lookup->since, 100);
	assert_ptr_equal(questions_find(&questions, other->id), other);
	assert_null(questions_find(&questions, other->id + 1));
	waiting = questions_finish(&questions, lookup);
	assert_ptr_equal(waiting, a);
	assert_ptr_equal(waiting->next, b);
	assert_null(waiting->next->next);
	assert_int_equal(questions.lookups_len, 1);

	/* The worker goes, the look-up stays; nobody waits for it any more. */
	questions_forget(&questions);
	assert_null(questions_finish(&questions, other));
}

static void lookups_are_bounded(void **state)
{
	struct lookup *lookup;
	char name[32];
	int r = 0;

	for (int i = 0; i < QUESTIONS_LOOKUPS_MAX && !r; i++) {
		int n = snprintf(name, sizeof(name), "n%d.example", i);

		r = questions_look_up(&questions, name, (size_t)n, 0, &lookup);
	}
	assert_int_equal(r, 0);
	assert_int_equal(questions_look_up(&questions, "x.example", 9, 0, &lookup), -ENOSPC);
	assert_int_equal(questions_look_up(&questions, "n7.example", 10, 0, &lookup), 0);
}

static void answers_keep_their_order(void **state)
{
	struct question *question[3];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(questions_add(&questions, i, &question[i]), 0);
		questions_push(&questions.out, question[i]);
	}
	for (int i = 0; i < 2; i++)
		assert_ptr_equal(questions_pop(&questions.out), question[i]);
	questions_push(&questions.out, question[0]);
	assert_ptr_equal(questions_pop(&questions.out), question[2]);
	assert_ptr_equal(questions_pop(&questions.out), question[0]);
	assert_null(questions_pop(&questions.out));
	question[1]->fd = fd;
	questions_remove(&questions, question[1]);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Never slower than one try a second, never faster than the deaths ask for, and told sparsely. */
static void deaths_slow_down_starts(void **state)
{
	struct worker_backoff backoff = {};
	uint64_t now = WORKER_SECOND, last = 0;
	unsigned int told = 0, starts = 0;

	assert_true(worker_backoff_died(&backoff, now));
	assert_int_equal(backoff.next, now);
	told = 1;
	for (uint64_t end = now + 100 * WORKER_SECOND; now < end; starts++) {
		now = backoff.next;
		worker_backoff_started(&backoff, now);
		now += 1000;
		told += worker_backoff_died(&backoff, now);
		assert_true(backoff.next - now <= WORKER_SECOND);
		assert_true(backoff.next - now >= last || last == WORKER_SECOND * 9 / 10);
		last = backoff.next - now;
	}
	assert_true(starts >= 100 && starts <= 120);
	assert_true(told >= 4 && told <= 5);
	assert_true(backoff.untold > 0);

	/* One that lived for a while is another series. */
	now = backoff.next;
	worker_backoff_started(&backoff, now);
	now += 10 * WORKER_SECOND;
	assert_true(worker_backoff_died(&backoff, now));
	assert_int_equal(backoff.next, now);
}

static void a_budget_fills_slowly(void **state)
{
	struct worker_budget budget = {.left = 10, .burst = 10, .rate = 4, .filled = 0};
	uint64_t now = 1;

	assert_int_equal(worker_budget_left(&budget, now), 10);
	budget.left = 0;
	/* Looked at ever so often, it still fills. */
	for (; now < WORKER_SECOND; now += WORKER_SECOND / 100)
		assert_true(worker_budget_left(&budget, now) < 4);
	assert_int_equal(worker_budget_left(&budget, now), 4);
	assert_int_equal(worker_budget_left(&budget, now + 100 * WORKER_SECOND), 10);
	budget.left = 9;
	assert_int_equal(worker_budget_left(&budget, now + UINT64_MAX / 4), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(questions_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(equal_names_share_a_lookup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lookups_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answers_keep_their_order, set_up, tear_down),
		cmocka_unit_test(deaths_slow_down_starts),
		cmocka_unit_test(a_budget_fills_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
