/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/landlock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FILE_BITS                                                                                  \
	(LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_READ_FILE |                    \
	 LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV | LANDLOCK_FS_RESOLVE_UNIX)

static void each_abi_handles_all_it_knows(void **state)
{
	assert_int_equal(landlock_handled_fs(0), 0);
	assert_int_equal(landlock_handled_fs(-1), 0);
	assert_int_equal(landlock_handled_fs(1), (1ULL << 13) - 1);
	assert_int_equal(landlock_handled_fs(2), (1ULL << 14) - 1);
	assert_int_equal(landlock_handled_fs(3), (1ULL << 15) - 1);
	assert_int_equal(landlock_handled_fs(4), (1ULL << 15) - 1);
	assert_int_equal(landlock_handled_fs(5), (1ULL << 16) - 1);
	assert_int_equal(landlock_handled_fs(8), (1ULL << 16) - 1);
	assert_int_equal(landlock_handled_fs(9), (1ULL << 17) - 1);
	assert_int_equal(landlock_handled_fs(99), landlock_handled_fs(LANDLOCK_ABI_KNOWN));
}

static void rights_become_access(void **state)
{
	const uint64_t all = landlock_access(OS_RIGHTS_ALL, true, 9);

	assert_int_equal(landlock_access(0, true, 9), 0);
	assert_int_equal(landlock_access(OS_RIGHT_STAT | OS_RIGHT_ATTR, true, 9), 0);
	assert_int_equal(landlock_access(OS_RIGHTS_READ, true, 9),
			 LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR);
	assert_int_equal(landlock_access(OS_RIGHT_EXEC, true, 9), LANDLOCK_FS_EXECUTE);
	/* A tree of libraries is not a tree of programs, an ELF interpreter must be openable. */
	assert_int_equal(landlock_access(OS_RIGHT_LIBRARY, true, 9), 0);
	assert_int_equal(landlock_access(OS_RIGHT_LIBRARY, false, 9), LANDLOCK_FS_EXECUTE);
	/* Nobody makes device nodes; all else that is handled can be granted. */
	assert_int_equal(all, landlock_handled_fs(9) &
				      ~(LANDLOCK_FS_MAKE_CHAR | LANDLOCK_FS_MAKE_BLOCK));
	assert_int_equal(landlock_access(OS_RIGHTS_ALL, true, 1) & ~landlock_handled_fs(1), 0);
	/* Moving between directories needs both halves. */
	assert_false(landlock_access(OS_RIGHT_CREATE, true, 9) & LANDLOCK_FS_REFER);
	assert_false(landlock_access(OS_RIGHT_REMOVE, true, 9) & LANDLOCK_FS_REFER);
}

static void files_take_file_rights_only(void **state)
{
	for (int abi = 0; abi <= LANDLOCK_ABI_KNOWN; abi++)
		assert_int_equal(landlock_access(OS_RIGHTS_ALL, false, abi),
				 FILE_BITS & landlock_handled_fs(abi));
}

struct tree {
	char dir[32];
	struct resolved_path path[3];
	struct resolved resolved;
};

/* A directory, a directory in it and a file in that, with the given rights. */
static void tree_make(struct tree *t, uint32_t top, uint32_t middle, uint32_t leaf)
{
	const uint32_t rights[] = {top, middle, leaf};
	static const char *const names[] = {"", "/d", "/d/f"};

	*t = (struct tree){.dir = "/tmp/landlock-unit-XXXXXX"};
	assert_non_null(mkdtemp(t->dir));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct resolved_path *path = &t->path[i];
		struct stat st;
		int fd;

		assert_true(asprintf(&path->path, "%s%s", t->dir, names[i]) > 0);
		if (i == 1)
			assert_int_equal(mkdir(path->path, 0755), 0);
		if (i == 2) {
			fd = open(path->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
			assert_true(fd >= 0);
			close(fd);
		}
		path->fd = open(path->path, O_PATH | O_CLOEXEC);
		assert_true(path->fd >= 0);
		assert_int_equal(fstat(path->fd, &st), 0);
		path->mode = st.st_mode;
		path->subtree = path->self = rights[i];
	}
	t->resolved = (struct resolved){.path = t->path, .len = ARRAY_LEN(t->path)};
}

static void tree_free(struct tree *t)
{
	for (size_t i = ARRAY_LEN(t->path); i-- > 0;) {
		close(t->path[i].fd);
		assert_int_equal(remove(t->path[i].path), 0);
		free(t->path[i].path);
	}
}

static int build(uint32_t top, uint32_t middle, uint32_t leaf, struct error *err)
{
	struct tree tree;
	int fd = -1, r;

	tree_make(&tree, top, middle, leaf);
	r = landlock_build(&tree.resolved, &fd, err);
	assert_true((r == 0) == (fd >= 0));
	if (r == 0)
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	safe_close(fd);
	tree_free(&tree);
	return r;
}

static void wider_paths_are_rules(void **state)
{
	struct error err = {};

	if (landlock_abi() < 1)
		skip();
	assert_int_equal(build(OS_RIGHTS_READ, OS_RIGHTS_WRITE, OS_RIGHTS_ALL, &err), 0);
	assert_int_equal(build(0, 0, OS_RIGHTS_READ, &err), 0);
	assert_int_equal(build(OS_RIGHTS_ALL, OS_RIGHTS_ALL, OS_RIGHTS_ALL, &err), 0);
	/* Attributes are not Landlock's, so having fewer of them is not narrower. */
	assert_int_equal(
		build(OS_RIGHTS_READ | OS_RIGHT_ATTR, OS_RIGHTS_READ, OS_RIGHTS_READ, &err), 0);
}

static void narrower_paths_without_a_mount_are_refused(void **state)
{
	struct error err = {};

	if (landlock_abi() < 1)
		skip();
	assert_int_equal(build(OS_RIGHTS_WRITE, OS_RIGHTS_READ, OS_RIGHTS_READ, &err), -EPERM);
	assert_non_null(strstr(err.message, "/d must not be written"));
	assert_int_equal(build(OS_RIGHTS_WRITE, OS_RIGHTS_WRITE, OS_RIGHTS_READ, &err), -EPERM);
	assert_non_null(strstr(err.message, "/d/f must not be written"));
	assert_int_equal(build(OS_RIGHTS_READ, 0, 0, &err), -EPERM);
	assert_non_null(strstr(err.message, "/d must not be read"));
	assert_int_equal(build(OS_RIGHTS_READ, OS_RIGHTS_READ, 0, &err), -EPERM);
	assert_int_equal(build(OS_RIGHTS_READ | OS_RIGHT_EXEC, OS_RIGHTS_READ | OS_RIGHT_EXEC,
			       OS_RIGHTS_READ, &err),
			 -EPERM);
	assert_non_null(strstr(err.message, "/d/f must not be executed"));
}

static void nothing_to_grant_is_an_error(void **state)
{
	struct resolved none = {};
	struct error err = {};
	int fd = -7;

	if (landlock_abi() < 1)
		skip();
	assert_int_equal(landlock_build(&none, &fd, &err), -ENOENT);
	assert_int_equal(fd, -7);
	assert_int_equal(build(0, 0, 0, &err), -ENOENT);
}

static void gaps_are_described_by_abi(void **state)
{
	char old[LANDLOCK_GAPS_MAX], new[LANDLOCK_GAPS_MAX], small[16];

	landlock_gaps_describe(1, old, sizeof(old));
	landlock_gaps_describe(LANDLOCK_ABI_KNOWN, new, sizeof(new));
	assert_true(strlen(old) < sizeof(old) - 1);
	assert_non_null(strstr(old, "abstract unix sockets can be connected"));
	assert_null(strstr(new, "abstract unix sockets can be connected"));
	assert_non_null(strstr(old, "makes below a read_only"));
	assert_null(strstr(new, "makes below a read_only"));
	assert_non_null(strstr(new, "ld.so"));
	assert_int_equal(strlen(landlock_gaps_describe(1, small, sizeof(small))),
			 sizeof(small) - 1);
	for (size_t i = 0; i < landlock_gaps_len; i++) {
		const struct landlock_gap *gap = &landlock_gaps[i];

		/* Somebody holds it, or something is open: a row says at least one. */
		assert_true(gap->covered_by || gap->remains);
		assert_true(gap->since_abi <= LANDLOCK_ABI_KNOWN);
		if (gap->since_abi)
			assert_false(landlock_gap_open(gap, gap->since_abi));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(gap->id, landlock_gaps[j].id);
	}
}

/* Run from the top of the tree, as every test is. */
static void the_documentation_has_every_gap(void **state)
{
	_cleanup_fclose_ FILE *file = fopen("docs/backends.md", "re");
	static char text[65536];
	char row[1024];
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	assert_true(len > 0 && len < sizeof(text) - 1);
	for (size_t i = 0; i < landlock_gaps_len; i++) {
		const struct landlock_gap *gap = &landlock_gaps[i];
		char closed[16] = "";

		if (gap->since_abi)
			snprintf(closed, sizeof(closed), "ABI %d", gap->since_abi);
		else if (gap->probe)
			snprintf(closed, sizeof(closed), "Linux 6.3");
		snprintf(row, sizeof(row), "| `%s` | %s | %s | %s | %s |\n", gap->id, gap->what,
			 closed, gap->covered_by ? gap->covered_by : "",
			 gap->remains ? gap->remains : "");
		if (!strstr(text, row))
			fail_msg("docs/backends.md lacks: %s", row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_abi_handles_all_it_knows),
		cmocka_unit_test(rights_become_access),
		cmocka_unit_test(files_take_file_rights_only),
		cmocka_unit_test(wider_paths_are_rules),
		cmocka_unit_test(narrower_paths_without_a_mount_are_refused),
		cmocka_unit_test(nothing_to_grant_is_an_error),
		cmocka_unit_test(gaps_are_described_by_abi),
		cmocka_unit_test(the_documentation_has_every_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
