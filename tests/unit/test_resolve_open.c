// SPDX-License-Identifier: Apache-2.0
#include "common/cleanup.h"
#include "supervisor/resolve_open.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/test-resolve-open.XXXXXX";
static int root_fd = -1;

static void make(const char *path, const char *link)
{
	_cleanup_close_ int fd = -1;
	size_t n = strlen(path);

	if (link)
		assert_int_equal(symlinkat(link, root_fd, path), 0);
	else if (path[n - 1] == '/')
		assert_int_equal(mkdirat(root_fd, path, 0755), 0);
	else
		assert_true((fd = openat(root_fd, path, O_CREAT | O_WRONLY, 0644)) >= 0);
}

static int set_up(void **state)
{
	static const char *const tree[][2] = {
		{"usr/"},
		{"usr/lib/"},
		{"usr/lib/x86_64-linux-gnu/"},
		{"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"},
		{"usr/lib/x86_64-linux-gnu/libc.so.6"},
		{"usr/lib/ld-musl-x86_64.so.1"},
		{"usr/lib/ld-notes.txt"},
		{"usr/lib64/"},
		{"usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"},
		{"usr/lib64/ld-2.31.so"},
		{"lib", "usr/lib"},
		{"lib64", "/usr/lib64"},
		{"up", "../../../../usr"},
		{"loop", "loop"},
		{"gone", "nowhere"},
	};

	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(tree); i++)
		make(tree[i][0], tree[i][1]);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {
		"gone",
		"loop",
		"up",
		"lib64",
		"lib",
		"usr/lib64/ld-2.31.so",
		"usr/lib64/ld-linux-x86-64.so.2",
		"usr/lib/ld-notes.txt",
		"usr/lib/ld-musl-x86_64.so.1",
		"usr/lib/x86_64-linux-gnu/libc.so.6",
		"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"usr/lib/x86_64-linux-gnu",
		"usr/lib",
		"usr/lib64",
		"usr",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(root_fd, names[i], 0))
			unlinkat(root_fd, names[i], AT_REMOVEDIR);
	safe_close(root_fd);
	return rmdir(root);
}

/* Canonical paths are the kernel's, which knows no root but its own. */
static void leads_to(const char *path, bool follow, const char *expected)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	struct stat a, b;

	assert_int_equal(resolve_open(root_fd, path, follow, &fd, &name), 0);
	if (strncmp(name, root, strlen(root)))
		assert_string_equal(name, expected);
	else
		assert_string_equal(name + strlen(root), expected);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstatat(root_fd, expected + 1, &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

static void paths_become_canonical(void **state)
{
	leads_to("/usr/lib", true, "/usr/lib");
	leads_to("/lib", true, "/usr/lib");
	leads_to("/lib", false, "/lib");
	leads_to("/lib64/ld-2.31.so", true, "/usr/lib64/ld-2.31.so");
	leads_to("/lib64/ld-linux-x86-64.so.2", true,
		 "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
	leads_to("/lib64/ld-linux-x86-64.so.2", false, "/usr/lib64/ld-linux-x86-64.so.2");
	leads_to("/usr/../usr/./lib/", true, "/usr/lib");
	leads_to("//usr//lib", true, "/usr/lib");
	leads_to("/up/lib", true, "/usr/lib");
}

static void what_is_not_there_is_an_error(void **state)
{
	char *name = (char *)1;
	int fd = -7;

	assert_int_equal(resolve_open(root_fd, "/none", true, &fd, &name), -ENOENT);
	assert_int_equal(resolve_open(root_fd, "/gone", true, &fd, &name), -ENOENT);
	assert_int_equal(resolve_open(root_fd, "/loop", true, &fd, &name), -ELOOP);
	assert_int_equal(resolve_open(root_fd, "/usr/lib/ld-notes.txt/x", true, &fd, &name),
			 -ENOTDIR);
	assert_int_equal(fd, -7);
	assert_ptr_equal(name, (char *)1);
}

struct found {
	char text[512];
	int stop_at, n;
};

static int found(void *arg, const char *path)
{
	struct found *f = arg;

	strncat(f->text, path, sizeof(f->text) - strlen(f->text) - 2);
	strncat(f->text, " ", 2);
	return ++f->n == f->stop_at ? -ECANCELED : 0;
}

static void loaders_are_found_once(void **state)
{
	struct found f = {};

	assert_int_equal(resolve_loaders(root_fd, found, &f), 0);
	/* Two in lib64, musl's in lib, glibc's below it; not again below /usr. */
	assert_int_equal(f.n, 4);
	assert_non_null(strstr(f.text, "/lib64/ld-linux-x86-64.so.2 "));
	assert_non_null(strstr(f.text, "/lib64/ld-2.31.so "));
	assert_non_null(strstr(f.text, "/lib/ld-musl-x86_64.so.1 "));
	assert_non_null(strstr(f.text, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "));
	f = (struct found){.stop_at = 2};
	assert_int_equal(resolve_loaders(root_fd, found, &f), -ECANCELED);
	assert_int_equal(f.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_become_canonical),
		cmocka_unit_test(what_is_not_there_is_an_error),
		cmocka_unit_test(loaders_are_found_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
