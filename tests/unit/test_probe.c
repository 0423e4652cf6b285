/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"
#include "common/cleanup.h"
#include "supervisor/landlock.h"
#include "supervisor/probe.h"
#include "supervisor/probe_report.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct probe_row *find_row(const struct probe_report *report, const char *id)
{
	for (size_t i = 0; i < report->len; i++)
		if (!strcmp(report->row[i].id, id))
			return &report->row[i];
	return NULL;
}

static void every_hook_and_program_has_a_row(void **state)
{
	static const char *const names[] = {
#define HOOK_NAME(id, name, kind) name,
		OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
	};
	_cleanup_(probe_report_free) struct probe_report report = {};
	struct error err = {};
	char id[96];

	assert_int_equal(probe_report_make(&report, &err), 0);
	for (size_t i = OS_HOOK_NONE + 1; i < ARRAY_LEN(names); i++) {
		/* The responder decides that one. */
		if (i == OS_HOOK_DNS)
			continue;
		if (i == OS_HOOK_EXEC)
			snprintf(id, sizeof(id), "program.raw_tp/%s", names[i]);
		else
			snprintf(id, sizeof(id), "%s.%s",
				 strchr(names[i], '/') || i == OS_HOOK_SOCKOPS ? "program" : "hook",
				 names[i]);
		if (!find_row(&report, id))
			fail_msg("no row %s", id);
	}
	for (size_t i = 0; i < landlock_gaps_len; i++) {
		snprintf(id, sizeof(id), "landlock.%s", landlock_gaps[i].id);
		if (!find_row(&report, id))
			fail_msg("no row %s", id);
	}
}

static void rows_say_what_follows_and_what_to_do(void **state)
{
	_cleanup_(probe_report_free) struct probe_report report = {};
	struct error err = {};

	assert_int_equal(probe_report_make(&report, &err), 0);
	assert_true(report.len < PROBE_ROWS_MAX);
	for (size_t i = 0; i < report.len; i++) {
		const struct probe_row *row = &report.row[i];

		assert_true(row->found[0]);
		assert_int_equal(strncmp(row->id, row->group, strlen(row->group)), 0);
		assert_true(strlen(row->found) < sizeof(row->found) - 1);
		assert_true(strlen(row->consequence) < sizeof(row->consequence) - 1);
		assert_true(strlen(row->action) < sizeof(row->action) - 1);
		if (row->status == PROBE_MISSING && (!row->consequence[0] || !row->action[0]))
			fail_msg("%s is missing and says not what to do", row->id);
		if (row->status == PROBE_FOUND && (row->consequence[0] || row->action[0]))
			fail_msg("%s is found and wants something done", row->id);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(row->id, report.row[j].id);
	}
}

static void absent_hooks_are_told_from_refused_ones(void **state)
{
	struct probe probe;

	assert_int_equal(probe_open(&probe), 0);
	if (!probe.vmlinux) {
		probe_close(&probe);
		skip();
	}
	assert_int_equal(probe_lsm_load(&probe, "no_such_hook"), -ENOENT);
	assert_int_not_equal(probe_lsm_load(&probe, "file_open"), -ENOENT);
	probe_close(&probe);
}

static void a_cgroup_that_is_not_there_is_an_error_throughout(void **state)
{
	struct probe_cgroup_trial t;

	probe_cgroup_try("/nonexistent", &t);
	assert_int_equal(t.create, -ENOENT);
	assert_int_equal(t.kill, -ENOENT);
	assert_int_equal(t.attach, -ENOENT);
	assert_int_equal(t.clone3, -ENOENT);
	assert_int_equal(t.denial, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hook_and_program_has_a_row),
		cmocka_unit_test(rows_say_what_follows_and_what_to_do),
		cmocka_unit_test(absent_hooks_are_told_from_refused_ones),
		cmocka_unit_test(a_cgroup_that_is_not_there_is_an_error_throughout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
