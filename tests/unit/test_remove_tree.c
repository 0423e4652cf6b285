/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/remove_tree.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char top[64];

static int set_up(void **state)
{
	snprintf(top, sizeof(top), "/tmp/remove-tree-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static const char *in(const char *name)
{
	static char path[4][PATH_MAX];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", top, name);
	return path[n];
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void all_kinds_go_and_links_are_not_followed(void **state)
{
	struct error err = {};

	mkdir(in("out"), 0700);
	touch(in("out/kept"));
	mkdir(in("t"), 0700);
	mkdir(in("t/.moved-1"), 0700);
	touch(in("t/.moved-1/a"));
	mkdir(in("t/closed"), 0700);
	touch(in("t/closed/a"));
	chmod(in("t/closed"), 0);
	mkfifo(in("t/fifo"), 0600);
	assert_int_equal(symlink(in("out"), in("t/to_directory")), 0);
	assert_int_equal(symlink(in("out/kept"), in("t/to_file")), 0);
	assert_int_equal(symlink("nothing", in("t/to_nothing")), 0);
	assert_int_equal(link(in("out/kept"), in("t/hard")), 0);
	assert_int_equal(remove_tree(in("t"), NULL, &err), 0);
	assert_false(there(in("t")));
	assert_true(there(in("out/kept")));
	assert_int_equal(remove_tree(in("out"), NULL, &err), 0);
}

/* Deeper than a path can name, than descriptors are there, and than a stack is large. */
static void depth_does_not_matter(void **state)
{
	struct error err = {};
	int fd;

	mkdir(in("deep"), 0700);
	fd = open(in("deep"), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 4000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "directory", 0700), 0);
		if (i % 100 == 0)
			close(openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		next = openat(fd, "directory", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(remove_tree(in("deep"), NULL, &err), 0);
	assert_false(there(in("deep")));
}

static void what_is_not_there_is_removed(void **state)
{
	struct error err = {};

	assert_int_equal(remove_tree(in("nothing"), NULL, &err), 0);
}

static void a_link_or_a_file_is_no_tree(void **state)
{
	struct error err = {};

	mkdir(in("out"), 0700);
	assert_int_equal(symlink(in("out"), in("link")), 0);
	touch(in("file"));
	assert_true(remove_tree(in("link"), NULL, &err) < 0);
	assert_true(remove_tree(in("file"), NULL, &err) < 0);
	assert_true(there(in("out")));
	unlink(in("link"));
	unlink(in("file"));
	rmdir(in("out"));
}

static void it_can_be_stopped(void **state)
{
	volatile bool stop = true;
	struct error err = {};

	mkdir(in("t"), 0700);
	touch(in("t/a"));
	assert_int_equal(remove_tree(in("t"), &stop, &err), -ECANCELED);
	assert_true(there(in("t/a")));
	stop = false;
	assert_int_equal(remove_tree(in("t"), &stop, &err), 0);
}

static int tear_down(void **state)
{
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_go_and_links_are_not_followed),
		cmocka_unit_test(depth_does_not_matter),
		cmocka_unit_test(what_is_not_there_is_removed),
		cmocka_unit_test(a_link_or_a_file_is_no_tree),
		cmocka_unit_test(it_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
