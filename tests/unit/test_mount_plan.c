/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/mount_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void steps_are_copied_in_order(void **state)
{
	struct mount_plan plan = {};
	char target[16] = "/a", content[16] = "text";
	struct mount_step step = {.op = MOUNT_OP_CONTENT, .target = target, .content = content};

	assert_int_equal(mount_plan_add(&plan, &step), 0);
	target[1] = content[0] = 'b';
	step.op = MOUNT_OP_TMPFS;
	step.content = NULL;
	step.size = 1ULL << 40;
	step.mode = 01777;
	assert_int_equal(mount_plan_add(&plan, &step), 0);
	assert_int_equal(plan.len, 2);
	assert_string_equal(plan.step[0].target, "/a");
	assert_string_equal(plan.step[0].content, "text");
	assert_string_equal(plan.step[1].target, "/b");
	assert_null(plan.step[1].content);
	assert_true(plan.step[1].size == 1ULL << 40 && plan.step[1].mode == 01777);
	mount_plan_free(&plan);
	assert_null(plan.step);
	mount_plan_free(&plan);
	mount_plan_free(NULL);
}

static void a_plan_is_bounded(void **state)
{
	char target[] = "/a";
	const struct mount_step step = {.op = MOUNT_OP_MASK, .target = target};
	struct mount_plan plan = {};

	for (size_t i = 0; i < MOUNT_PLAN_MAX; i++)
		assert_int_equal(mount_plan_add(&plan, &step), 0);
	assert_int_equal(mount_plan_add(&plan, &step), -E2BIG);
	assert_int_equal(plan.len, MOUNT_PLAN_MAX);
	mount_plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_are_copied_in_order),
		cmocka_unit_test(a_plan_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
