/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void processors(void **state)
{
	static const struct {
		const char *text;
		uint32_t milli;
	} good[] = {{"1", 1000},       {"1.5", 1500},	{"0.25", 250}, {"0.01", 10},
		    {"8192", 8192000}, {"2.125", 2125}, {"007", 7000}};
	static const char *const bad[] = {
		"",    "0",	 "0.009", "8193", "1.",
		".5",  "1.2345", "-1",	  "1e3",  "1 ",
		" 1",  "1,5",	 "x",	  "inf",  "99999999999999999999999999999",
		"0x10"};
	uint32_t milli = 77;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(limits_parse_cpu(good[i].text, &milli, NULL), 0);
		assert_int_equal(milli, good[i].milli);
	}
	milli = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {};

		assert_int_equal(limits_parse_cpu(bad[i], &milli, &err), -EINVAL);
		assert_non_null(strstr(err.message, "processors"));
		assert_int_equal(milli, 77);
	}
}

static void memory(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"4194304", 4194304},    {"4M", 4194304},	   {"512m", 512ULL << 20},
		    {"1.5G", 1536ULL << 20}, {"2GiB", 2ULL << 30}, {"1Ti", 1ULL << 40},
		    {"8192K", 8ULL << 20},   {"4194304B", 4194304}};
	static const char *const bad[] = {"",	     "M",  "G4",  "5 M",      "-4M", "4MB!",
					  "1.2345G", "4X", "4MM", "0x400000", " 8M"};
	static const char *const out_of_range[] = {"0",	    "1",      "4194303",
						   "4095K", "0.001G", "9999999999T"};
	uint64_t bytes = 77;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(limits_parse_memory(good[i].text, &bytes, NULL), 0);
		assert_true(bytes == good[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(limits_parse_memory(bad[i], &bytes, NULL), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(out_of_range); i++)
		assert_int_equal(limits_parse_memory(out_of_range[i], &bytes, NULL), -ERANGE);
	assert_true(bytes == 77);
}

static void a_limit_that_no_hierarchy_offers_is_an_error(void **state)
{
	struct cgroup_tree tree = CGROUP_TREE_EMPTY;
	struct cgroup cgroup = CGROUP_EMPTY;
	const struct limits cpu = {.cpu_milli = 1000}, none = {};
	struct error err = {};

	cgroup.tree = &tree;
	assert_int_equal(limits_apply(&cpu, &cgroup, 1, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "--cpu"));
	assert_int_equal(limits_apply(&none, &cgroup, 1, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processors),
		cmocka_unit_test(memory),
		cmocka_unit_test(a_limit_that_no_hierarchy_offers_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
