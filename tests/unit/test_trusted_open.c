/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/trusted_open.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char top[32];

static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int make_top(void **state)
{
	snprintf(top, sizeof(top), "/tmp/trusted-unit-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(mkdir(at("dir"), 0755), 0);
	assert_int_equal(symlink("dir", at("ours")), 0);
	assert_int_equal(symlink("/proc/self/fd/../../..", at("up")), 0);
	assert_int_equal(symlink("loop", at("loop")), 0);
	assert_int_equal(symlink("dir/made", at("file")), 0);
	assert_int_equal(symlink("dir", at("theirs")), 0);
	assert_int_equal(symlink("dir/victim", at("log")), 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int remove_top(void **state)
{
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The error, or 0 if what was opened is the file that @path names. */
static int try(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat there, opened;
	int r = trusted_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0600, &fd);

	if (r)
		return r;
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_int_equal(stat(path, &there), 0);
	assert_int_equal(there.st_ino, opened.st_ino);
	return 0;
}

static void files_are_opened_and_made(void **state)
{
	char cwd[PATH_MAX];

	assert_int_equal(try(at("new")), 0);
	assert_int_equal(try(at("new")), 0);
	assert_int_equal(try(at("dir//./../dir/new")), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(top), 0);
	assert_int_equal(try("relative"), 0);
	assert_int_equal(try("./dir/relative"), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(try(""), -ENOENT);
	assert_int_equal(try("/"), -EISDIR);
	assert_int_equal(try(at("dir")), -EISDIR);
	assert_int_equal(try(at("none/new")), -ENOENT);
	assert_int_equal(try(at("new/below")), -ENOTDIR);
}

static void own_links_are_followed(void **state)
{
	int pair[2];
	char path[32];

	assert_int_equal(try(at("ours/through")), 0);
	assert_int_equal(access(at("dir/through"), F_OK), 0);
	assert_int_equal(try(at("file")), 0);
	assert_int_equal(access(at("dir/made"), F_OK), 0);
	assert_int_equal(try(at("loop")), -ELOOP);
	assert_int_equal(try(at("up/dev/null")), 0);
	/* A pipe that only the kernel can find: what a shell's >(..) gives. */
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", pair[1]);
	assert_int_equal(try(path), 0);
	close(pair[0]);
	close(pair[1]);
}

static void others_links_are_not(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(lchown(at("theirs"), 65534, 65534), 0);
	assert_int_equal(lchown(at("log"), 65534, 65534), 0);
	assert_int_equal(try(at("theirs/new")), -ELOOP);
	assert_int_equal(try(at("log")), -ELOOP);
	assert_int_not_equal(access(at("dir/victim"), F_OK), 0);
	/* It is the link that is theirs; a directory may be anybody's. */
	assert_int_equal(chown(at("dir"), 65534, 65534), 0);
	assert_int_equal(try(at("ours/new")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_opened_and_made),
		cmocka_unit_test(own_links_are_followed),
		cmocka_unit_test(others_links_are_not),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
