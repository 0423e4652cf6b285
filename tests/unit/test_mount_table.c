/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event.h"
#include "supervisor/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>

static const char sample[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:21 / /proc rw - proc proc rw\n"
	"24 22 0:30 / /tmp rw master:3 propagate_from:2 - tmpfs tmpfs rw\n"
	"25 24 8:1 /srv/work /tmp/work rw - ext4 /dev/sda1 rw\n"
	"26 22 8:1 /srv/a\\040b /mnt/with\\040space\\134slash ro - ext4 /dev/sda1 rw\n"
	"27 22 0:4 net:[4026531840] /run/netns/x rw - nsfs nsfs rw\n"
	"28 22 259:1048575 / /data rw - xfs /dev/x rw\n";

static int parse(const char *text, struct mount_table *ret, struct error *err)
{
	size_t size = strlen(text);
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	memcpy(copy, text, size);
	r = mount_table_parse(copy, size, ret, err);
	free(copy);
	return r;
}

static void assert_path(const struct mount_table *table, uint32_t dev, const char *inside,
			int state, const char *path)
{
	struct os_file_id file = {.dev = dev, .ino = 77};
	char buf[EVENT_PATH_SIZE];

	assert_int_equal(mount_table_path(table, &file, inside, buf, sizeof(buf)), state);
	assert_string_equal(buf, path);
}

static void paths_take_the_longest_root(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};

	assert_int_equal(parse(sample, &t, NULL), 0);
	assert_int_equal(t.len, 6); /* nsfs has no paths */
	assert_path(&t, 8 << 20 | 1, "/usr/bin/cat", EVENT_PATH_FULL, "/usr/bin/cat");
	assert_path(&t, 8 << 20 | 1, "/srv/work/x", EVENT_PATH_FULL, "/tmp/work/x");
	assert_path(&t, 8 << 20 | 1, "/srv/work", EVENT_PATH_FULL, "/tmp/work");
	assert_path(&t, 8 << 20 | 1, "/srv/workshop", EVENT_PATH_FULL, "/srv/workshop");
	assert_path(&t, 8 << 20 | 1, "/", EVENT_PATH_FULL, "/");
	assert_path(&t, 8 << 20 | 1, "/srv/a b/c", EVENT_PATH_FULL, "/mnt/with space\\slash/c");
	assert_path(&t, 30, "/", EVENT_PATH_FULL, "/tmp");
	assert_path(&t, 30, "/f", EVENT_PATH_FULL, "/tmp/f");
	assert_path(&t, 259u << 20 | 1048575, "/f", EVENT_PATH_FULL, "/data/f");
}

static void unknown_devices_say_so(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};

	assert_int_equal(parse("22 1 8:1 /sub / rw - ext4 x rw\n", &t, NULL), 0);
	assert_path(&t, 8 << 20 | 2, "/a", EVENT_PATH_INSIDE, "[dev 8:2]/a");
	/* The filesystem is known, but what is outside the mounted part has no name here. */
	assert_path(&t, 8 << 20 | 1, "/a", EVENT_PATH_INSIDE, "[dev 8:1]/a");
	t.pipe_dev = 13;
	t.memfd_dev = 1;
	assert_path(&t, 13, "/", EVENT_PATH_UNNAMED, "pipe:[77]");
	assert_path(&t, 1, "/", EVENT_PATH_UNNAMED, "memfd:[77]");
}

static void the_first_of_equal_mounts_counts(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};

	assert_int_equal(parse("1 0 8:1 / /a rw - x x x\n2 0 8:1 / /b rw - x x x\n", &t, NULL), 0);
	assert_path(&t, 8 << 20 | 1, "/f", EVENT_PATH_FULL, "/a/f");
}

static void too_long_is_an_error(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};
	struct os_file_id file = {.dev = 8 << 20 | 1};
	char buf[8];

	assert_int_equal(parse("1 0 8:1 / /abc rw - x x x\n", &t, NULL), 0);
	assert_int_equal(mount_table_path(&t, &file, "/def", buf, sizeof(buf)), -ENAMETOOLONG);
	assert_int_equal(mount_table_path(&t, &file, "/de", buf, sizeof(buf)), EVENT_PATH_FULL);
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const bad[] = {
		"x\n",
		"1 0 8:1 / \n",
		"1 0 8:1 /\n",
		"1 0 8 / / rw\n",
		"1 0 8: / / rw\n",
		"1 0 :1 / / rw\n",
		"1 0 8:1x / / rw\n",
		"1 0 4096:1 / / rw\n",
		"1 0 8:1048576 / / rw\n",
		"1 0 99999999999:1 / / rw\n",
		"1 0 8:1 / relative rw\n",
		"1 0 8:1 /a\\000b / rw\n",
		"1  8:1 / / rw\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mount_table t = {.len = 99};
		struct error err = {0};

		assert_int_equal(parse(bad[i], &t, &err), -EINVAL);
		assert_int_equal(err.line, 1);
		assert_int_equal(t.len, 99);
	}
}

static void odd_escapes_stay_literal(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};

	assert_int_equal(parse("1 0 8:1 / /a\\9\\04 rw - x x x", &t, NULL), 0);
	assert_string_equal(t.entry[0].point, "/a\\9\\04");
}

static void the_number_of_mounts_is_bounded(void **state)
{
	static const char line[] = "1 0 8:1 / /a rw - x x x\n";
	char *text = malloc((MOUNT_TABLE_MAX + 1) * strlen(line) + 1), *p = text;
	struct mount_table t = {0};

	for (int i = 0; i < MOUNT_TABLE_MAX; i++)
		p = stpcpy(p, line);
	assert_int_equal(parse(text, &t, NULL), 0);
	mount_table_free(&t);
	stpcpy(p, line);
	assert_int_equal(parse(text, &t, NULL), -E2BIG);
	assert_int_equal(t.len, 0);
	free(text);
}

static void our_own_mounts_name_our_own_files(void **state)
{
	_cleanup_(mount_table_free) struct mount_table t = {0};
	_cleanup_close_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct os_file_id file = {0};
	char buf[EVENT_PATH_SIZE];
	struct stat st;
	int fds[2];

	assert_int_equal(mount_table_load(getpid(), &t, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	file.dev = (uint32_t)major(st.st_dev) << 20 | minor(st.st_dev);
	assert_int_equal(mount_table_path(&t, &file, "/1/status", buf, sizeof(buf)),
			 EVENT_PATH_FULL);
	assert_string_equal(buf, "/proc/1/status");

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fstat(fds[0], &st), 0);
	file = (struct os_file_id){.dev = minor(st.st_dev), .ino = st.st_ino};
	assert_int_equal(mount_table_path(&t, &file, "/", buf, sizeof(buf)), EVENT_PATH_UNNAMED);
	assert_memory_equal(buf, "pipe:[", 6);
	close(fds[0]);
	close(fds[1]);
}

static void a_process_that_is_not_there(void **state)
{
	struct mount_table t = {.len = 99};
	struct error err = {0};

	assert_int_equal(mount_table_load(0x7ffffffe, &t, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/proc/2147483646/mountinfo"));
	assert_int_equal(t.len, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_take_the_longest_root),
		cmocka_unit_test(unknown_devices_say_so),
		cmocka_unit_test(the_first_of_equal_mounts_counts),
		cmocka_unit_test(too_long_is_an_error),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(odd_escapes_stay_literal),
		cmocka_unit_test(the_number_of_mounts_is_bounded),
		cmocka_unit_test(our_own_mounts_name_our_own_files),
		cmocka_unit_test(a_process_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
