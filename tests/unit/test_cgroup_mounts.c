/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/cgroup_mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct cgroup_mounts parse(const char *text)
{
	struct cgroup_mounts mounts;

	cgroup_mounts_parse((const uint8_t *)text, strlen(text), &mounts);
	return mounts;
}

static void unified(void **state)
{
	struct cgroup_mounts m = parse(
		"24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		"32 24 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");

	assert_string_equal(m.v2, "/sys/fs/cgroup");
	assert_int_equal(m.v2_depth, 0);
	assert_string_equal(m.v1[CGROUP_CPU], "");
	assert_string_equal(m.v1[CGROUP_MEMORY], "");
}

static void hybrid(void **state)
{
	struct cgroup_mounts m = parse(
		"33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		"40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");

	assert_string_equal(m.v2, "/sys/fs/cgroup/unified");
	assert_string_equal(m.v1[CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(m.v1[CGROUP_MEMORY], "/sys/fs/cgroup/memory");
}

static void the_whole_hierarchy_is_preferred(void **state)
{
	struct cgroup_mounts part = parse("1 0 0:1 /docker/ab /a rw - cgroup2 c rw\n");
	struct cgroup_mounts both = parse("1 0 0:1 /docker/ab /a rw - cgroup2 c rw\n"
					  "2 0 0:1 / /b\\040c rw - cgroup2 c rw\n"
					  "3 0 0:1 / /d rw - cgroup2 c rw\n");

	assert_string_equal(part.v2, "/a");
	assert_int_equal(part.v2_depth, 2);
	assert_string_equal(both.v2, "/b c");
	assert_int_equal(both.v2_depth, 0);
}

static void nonsense_is_passed_over(void **state)
{
	static const char *const lines[] = {
		"",
		"\n\n\n",
		"1 2 3\n",
		"1 0 0:1 / /x rw shared:1\n",
		"1 0 0:1 / /x rw -\n",
		"1 0 0:1 / /x rw - cgroup\n",
		"- - - - - - - - -\n",
		"1 0 0:1 / /x rw - cgroup cgroup rw,cpuset,xmemory,memoryx\n",
		"1 0 0:1 / /cgroup2 rw - tmpfs cgroup2 rw,cpu,memory\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct cgroup_mounts m = parse(lines[i]);

		assert_string_equal(m.v2, "");
		assert_string_equal(m.v1[CGROUP_CPU], "");
		assert_string_equal(m.v1[CGROUP_MEMORY], "");
	}
}

static void a_path_that_is_too_long_is_not_cut(void **state)
{
	static char text[PATH_MAX * 2];
	struct cgroup_mounts m;

	snprintf(text, sizeof(text), "1 0 0:1 / /%0*d rw - cgroup2 c rw\n", PATH_MAX, 1);
	m = parse(text);
	assert_string_equal(m.v2, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unified),
		cmocka_unit_test(hybrid),
		cmocka_unit_test(the_whole_hierarchy_is_preferred),
		cmocka_unit_test(nonsense_is_passed_over),
		cmocka_unit_test(a_path_that_is_too_long_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
