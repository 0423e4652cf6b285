/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact paths and globs in a directory that plays the sandbox's root. The file's own inode number
 * stands for what the kernel would answer.
 */
#include "common/cleanup.h"
#include "supervisor/egress_binaries.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PB(name) Openshell__Compiled__V1__##name

static char root[] = "/tmp/ostest-binaries-XXXXXX";
static int root_fd;

int kernel_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*ret_image = (struct os_image){
		.file = {.ino = st.st_ino, .dev = (uint32_t)st.st_dev},
		.changed = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec,
	};
	*ret_mode = st.st_mode;
	return 0;
}

static void put(const char *path, mode_t mode)
{
	int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	close(fd);
}

static int set_up(void **state)
{
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 7; i++) {
		static const char *const dirs[] = {"usr",	  "usr/bin", "usr/lib", "usr/lib/a",
						   "usr/lib/a/b", "opt",     "opt/x"};

		mkdirat(root_fd, dirs[i], 0755);
	}
	put("usr/bin/one", 0755);
	put("usr/bin/one-more", 0755);
	put("usr/bin/data", 0644);
	put("usr/lib/tool", 0755);
	put("usr/lib/a/tool", 0755);
	put("usr/lib/a/b/tool", 0755);
	put("opt/x/run", 0755);
	/* absolute links lead inside the sandbox's root, escapes end there */
	symlinkat("/usr/bin", root_fd, "bin");
	symlinkat("/opt/x/run", root_fd, "usr/bin/link");
	symlinkat("/usr/lib", root_fd, "opt/lib");
	symlinkat("../../../../../../../../usr/bin/one", root_fd, "opt/up");
	symlinkat("loop", root_fd, "opt/loop");
	return 0;
}

static int remove_all(int dir, const char *name)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	int fd;

	if (!unlinkat(dir, name, 0))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	d = fdopendir(fd);
	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_all(fd, entry->d_name);
	return unlinkat(dir, name, AT_REMOVEDIR);
}

static int tear_down(void **state)
{
	close(root_fd);
	return remove_all(AT_FDCWD, root);
}

static struct egress_binaries build(char *exact, char *glob)
{
	PB(CompiledPolicy) policy = OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	PB(BinarySet) set = OPENSHELL__COMPILED__V1__BINARY_SET__INIT, *sets[] = {&set};
	struct egress_binaries found = {};

	set.exact = &exact;
	set.n_exact = exact ? 1 : 0;
	set.globs = &glob;
	set.n_globs = glob ? 1 : 0;
	policy.binary_sets = sets;
	policy.n_binary_sets = 1;
	assert_int_equal(egress_binaries_build(NULL, &policy, root_fd, &found, NULL), 0);
	return found;
}

static bool has(const struct egress_binaries *all, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(root_fd, path, &st, 0), 0);
	for (size_t i = 0; i < all->len; i++)
		if (all->binary[i].file.ino == st.st_ino)
			return all->binary[i].rules.word[0] == 1;
	return false;
}

/* What @glob finds is exactly the files of @paths. */
static void expect(const char *glob, const char *const paths[])
{
	struct egress_binaries found = build(NULL, (char *)glob);
	size_t n = 0;

	for (; paths[n]; n++)
		if (!has(&found, paths[n]))
			fail_msg("%s does not find %s", glob, paths[n]);
	if (found.len != n)
		fail_msg("%s finds %zu files, not %zu", glob, found.len, n);
	assert_false(found.truncated);
	egress_binaries_free(&found);
}

#define EXPECT(glob, ...) expect(glob, (const char *const[]){__VA_ARGS__, NULL})

static void globs(void **state)
{
	EXPECT("/usr/bin/*", "usr/bin/one", "usr/bin/one-more", "opt/x/run");
	EXPECT("/usr/bin/one*", "usr/bin/one", "usr/bin/one-more");
	EXPECT("/usr/bin/one?more", "usr/bin/one-more");
	EXPECT("/bin/one*", "usr/bin/one", "usr/bin/one-more");
	EXPECT("/usr/*/tool", "usr/lib/tool");
	EXPECT("/usr/lib/*/tool", "usr/lib/a/tool");
	EXPECT("/usr/**/tool", "usr/lib/tool", "usr/lib/a/tool", "usr/lib/a/b/tool");
	EXPECT("/usr/lib/**", "usr/lib/tool", "usr/lib/a/tool", "usr/lib/a/b/tool");
	EXPECT("/**/b/*", "usr/lib/a/b/tool");
	EXPECT("/u[s-t]r/lib/*/b/tool", "usr/lib/a/b/tool");
	/* a linked directory is not walked, a linked file is what it links to */
	EXPECT("/opt/**", "opt/x/run", "usr/bin/one");
	expect("/opt/*/tool", (const char *const[]){NULL});
	expect("/nowhere/*", (const char *const[]){NULL});
	expect("/usr/bin/dat*", (const char *const[]){NULL});
	expect("relative/*", (const char *const[]){NULL});
}

static void exact(void **state)
{
	static const struct {
		const char *path, *is;
	} cases[] = {
		{"/usr/bin/one", "usr/bin/one"},
		{"/bin/one", "usr/bin/one"},
		{"/usr/bin/link", "opt/x/run"},
		{"/opt/up", "usr/bin/one"},
		{"/opt/lib/tool", "usr/lib/tool"},
		{"/usr/bin/data", NULL},
		{"/usr/bin", NULL},
		{"/opt/loop", NULL},
		{"/usr/bin/none", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct egress_binaries found = build((char *)cases[i].path, NULL);

		if (cases[i].is ? !has(&found, cases[i].is) : found.len != 0)
			fail_msg("%s", cases[i].path);
		assert_int_equal(found.missing, cases[i].is ? 0 : 1);
		egress_binaries_free(&found);
	}
}

static void any_is_one_entry_of_zeros(void **state)
{
	PB(CompiledPolicy) policy = OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	PB(BinarySet) set = OPENSHELL__COMPILED__V1__BINARY_SET__INIT, *sets[OS_RULE_SETS + 1];
	static const struct os_file_id zero;
	struct egress_binaries found = {};
	struct error err = {};

	set.any = 1;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		sets[i] = &set;
	policy.binary_sets = sets;
	policy.n_binary_sets = OS_RULE_SETS;
	assert_int_equal(egress_binaries_build(NULL, &policy, root_fd, &found, NULL), 0);
	assert_int_equal(found.len, 1);
	assert_memory_equal(&found.binary[0].file, &zero, sizeof(zero));
	for (size_t i = 0; i < OS_RULE_WORDS; i++)
		assert_true(found.binary[0].rules.word[i] == UINT64_MAX);
	egress_binaries_free(&found);
	policy.n_binary_sets = OS_RULE_SETS + 1;
	assert_int_equal(egress_binaries_build(NULL, &policy, root_fd, &found, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs),
		cmocka_unit_test(exact),
		cmocka_unit_test(any_is_one_entry_of_zeros),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
