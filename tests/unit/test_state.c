/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char top[64], file[PATH_MAX];

static int set_up(void **state)
{
	snprintf(top, sizeof(top), "/tmp/state-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(file, sizeof(file), "%s/report", top);
	return 0;
}

static int tear_down(void **state)
{
	unlink(file);
	return rmdir(top);
}

static void what_was_written_last_is_read(void **state)
{
	Openshell__Node__V1__SandboxReport report = OPENSHELL__NODE__V1__SANDBOX_REPORT__INIT, *got;
	struct stat st;

	assert_null(state_read(top));
	report.instance_id = (char *)"first";
	assert_int_equal(state_write(top, &report), 0);
	report.instance_id = (char *)"second";
	report.exit_code = 7;
	assert_int_equal(state_write(top, &report), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	got = state_read(top);
	assert_non_null(got);
	assert_string_equal(got->instance_id, "second");
	assert_int_equal(got->exit_code, 7);
	openshell__node__v1__sandbox_report__free_unpacked(got, NULL);
	assert_int_equal(state_write("/nonexistent", &report), -ENOENT);
}

static void write_file(const void *data, size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static void what_is_no_report_is_none(void **state)
{
	uint8_t bad[] = {0x0a, 0xff, 0xff};

	write_file(bad, sizeof(bad));
	assert_null(state_read(top));
	write_file("", 0);
	assert_null(state_read(top));
	unlink(file);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_null(state_read(top));
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_null(state_read(top));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_last_is_read),
		cmocka_unit_test(what_is_no_report_is_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
