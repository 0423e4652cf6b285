/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy.h"
#include "supervisor/agent_reach.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static char top[] = "/tmp/agent-reach-XXXXXX";

static const char *below(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned int turn;
	char *text = path[turn++ % 4];

	snprintf(text, PATH_MAX, "%s/%s", top, name);
	return text;
}

static void make_file(const char *name)
{
	_cleanup_close_ int fd = open(below(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
}

static int make_tree(void **state)
{
	assert_non_null(mkdtemp(top));
	assert_int_equal(mkdir(below("etc"), 0755), 0);
	assert_int_equal(mkdir(below("work"), 0755), 0);
	assert_int_equal(mkdir(below("work/kept"), 0755), 0);
	make_file("etc/routes");
	make_file("work/routes");
	make_file("work/kept/routes");
	assert_int_equal(symlink(below("etc/routes"), below("work/link")), 0);
	assert_int_equal(symlink(below("work/routes"), below("etc/link")), 0);
	assert_int_equal(symlink(below("work"), below("etc/work")), 0);
	return 0;
}

static int remove_tree(void **state)
{
	static const char *const files[] = {"etc/routes", "etc/link",	      "etc/work",
					    "work/link",  "work/kept/routes", "work/routes"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(below(files[i]));
	rmdir(below("work/kept"));
	rmdir(below("work"));
	rmdir(below("etc"));
	return rmdir(top);
}

static bool writes(const char *filesystem, const char *path)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_free_ char *text = NULL;
	struct error err = {};

	assert_true(asprintf(&text, "version: 1\nfilesystem_policy: {%s}\n", filesystem) > 0);
	if (policy_load_buffer("test", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s", err.message);
	assert_int_equal(policy_compile(policy, &compiled, &err), 0);
	return agent_reach_writes(compiled, below("work"), path);
}

static void the_working_directory_is_the_agents(void **state)
{
	assert_true(writes("include_workdir: true", below("work/routes")));
	assert_true(writes("include_workdir: true", below("work/kept/routes")));
	assert_false(writes("include_workdir: true", below("etc/routes")));
	assert_false(writes("include_workdir: false, read_only: [/usr]", below("work/routes")));
}

static void links_do_not_help(void **state)
{
	assert_true(writes("include_workdir: true", below("work/link")));
	assert_true(writes("include_workdir: true", below("etc/link")));
	assert_true(writes("include_workdir: true", below("etc/work/routes")));
}

static void the_policy_decides(void **state)
{
	char rules[PATH_MAX * 2];

	snprintf(rules, sizeof(rules), "include_workdir: false, read_write: [%s]", below("etc"));
	assert_true(writes(rules, below("etc/routes")));
	assert_false(writes(rules, below("work/routes")));
	/* By way of a link in the policy. */
	snprintf(rules, sizeof(rules), "include_workdir: false, read_write: [%s]",
		 below("etc/work"));
	assert_true(writes(rules, below("work/routes")));
	/* One file, in a directory that it may write, can be replaced; a directory cannot. */
	snprintf(rules, sizeof(rules), "include_workdir: true, read_only: [%s]",
		 below("work/routes"));
	assert_true(writes(rules, below("work/routes")));
	snprintf(rules, sizeof(rules), "include_workdir: true, read_only: [%s]",
		 below("work/kept"));
	assert_false(writes(rules, below("work/kept/routes")));
	/* The sandbox's /tmp is its own. */
	assert_false(writes("include_workdir: false, read_write: [/tmp]", below("etc/routes")));
}

static void what_cannot_be_told_is_within_reach(void **state)
{
	assert_true(writes("include_workdir: false, read_only: [/usr]", below("none")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_working_directory_is_the_agents),
		cmocka_unit_test(links_do_not_help),
		cmocka_unit_test(the_policy_decides),
		cmocka_unit_test(what_cannot_be_told_is_within_reach),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
