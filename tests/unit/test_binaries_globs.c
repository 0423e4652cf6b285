/* SPDX-License-Identifier: Apache-2.0 */
/* Globs against the paths that the kernel records, in a directory that plays the sandbox's root. */
#include "common/cleanup.h"
#include "supervisor/binaries_globs.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PB(name) Openshell__Compiled__V1__##name

static char root[] = "/tmp/ostest-globs-XXXXXX";
static int root_fd;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"usr", "usr/bin", "opt", "opt/[x]"};

	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		mkdirat(root_fd, dirs[i], 0755);
	symlinkat("/usr/bin", root_fd, "bin");
	symlinkat("[x]", root_fd, "opt/odd");
	return 0;
}

static int tear_down(void **state)
{
	close(root_fd);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/*
 * What the kernel calls a path of the root that is played, where a link led there; in a sandbox it
 * is the same.
 */
static const char *real(const char *path)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s%s", root, path);
	return text;
}

static struct os_rule_mask match(char **globs, size_t len, const char *path)
{
	PB(CompiledPolicy) policy = OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	PB(BinarySet) set[4], *sets[4];
	struct binaries_globs built = {};
	struct os_rule_mask mask;

	assert_true(len <= ARRAY_LEN(set));
	for (size_t i = 0; i < len; i++) {
		openshell__compiled__v1__binary_set__init(&set[i]);
		set[i].globs = &globs[i];
		set[i].n_globs = 1;
		sets[i] = &set[i];
	}
	policy.binary_sets = sets;
	policy.n_binary_sets = len;
	assert_int_equal(binaries_globs_build(&policy, root_fd, &built, NULL), 0);
	mask = binaries_globs_match(&built, path);
	binaries_globs_free(&built);
	return mask;
}

static bool matches(char *glob, const char *path)
{
	return match(&glob, 1, path).word[0] == 1;
}

static void directories_are_resolved(void **state)
{
	assert_true(matches("/usr/bin/*", "/usr/bin/new"));
	assert_true(matches("/bin/*", real("/usr/bin/new")));
	assert_true(matches("/bin/one-*", real("/usr/bin/one-more")));
	assert_false(matches("/bin/*", real("/bin/new")));
	assert_false(matches("/bin/*", real("/usr/bin/below/new")));
	assert_true(matches("/bin/**", real("/usr/bin/below/new")));
	assert_false(matches("/usr/bin/*", "/opt/new"));
}

/* Nothing is there yet: what comes is there under that very name. */
static void missing_directories_stay(void **state)
{
	assert_true(matches("/opt/later/*", "/opt/later/tool"));
	assert_true(matches("/opt/later/**/tool", "/opt/later/a/b/tool"));
	assert_false(matches("/opt/later/*", "/opt/later/a/b"));
	assert_true(matches("/**/tool", "/anywhere/tool"));
	assert_true(matches("/*/tool", "/anywhere/tool"));
}

/* A directory whose name reads as a pattern is not one. */
static void odd_names_match_nothing(void **state)
{
	assert_false(matches("/opt/odd/*", real("/opt/x/tool")));
	assert_false(matches("/opt/odd/*", real("/opt/[x]/tool")));
	assert_false(matches("relative/*", "relative/tool"));
}

static void every_set_has_its_bit(void **state)
{
	char *globs[] = {"/a/*", "/b/*", "/*/tool", "/a/t?ol"};

	assert_int_equal(match(globs, 4, "/a/tool").word[0], 1 | 4 | 8);
	assert_int_equal(match(globs, 4, "/b/tool").word[0], 2 | 4);
	assert_int_equal(match(globs, 4, "/c/other").word[0], 0);
	assert_int_equal(match(globs, 0, "/a/tool").word[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_are_resolved),
		cmocka_unit_test(missing_directories_stay),
		cmocka_unit_test(odd_names_match_nothing),
		cmocka_unit_test(every_set_has_its_bit),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
