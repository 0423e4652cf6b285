/* SPDX-License-Identifier: Apache-2.0 */
/* A file that changes, in the ways that people and programs change files. Prints TAP. */
#include "tap.h"

#include "cli/file_watch.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

static char top[] = "/tmp/file-watch-XXXXXX";
static unsigned int changes;

static void changed(void *arg)
{
	changes++;
}

static const char *at(const char *name)
{
	static char path[2][PATH_MAX];
	static unsigned int turn;
	char *text = path[turn++ % 2];

	snprintf(text, PATH_MAX, "%s/%s", top, name);
	return text;
}

static void write_to(const char *name, const char *text)
{
	_cleanup_close_ int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(name);
}

static void on_enough(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* How often it was told within half a second, which is long enough for all of it. */
static unsigned int told(uv_loop_t *loop, uv_timer_t *timer)
{
	changes = 0;
	uv_timer_start(timer, on_enough, 500, 0);
	uv_run(loop, UV_RUN_DEFAULT);
	return changes;
}

static void close_all(uv_handle_t *handle, void *arg)
{
	uv_close(handle, NULL);
}

static void test_changes(uv_loop_t *loop, uv_timer_t *timer)
{
	ok(told(loop, timer) == 0, "nothing happens, nothing is told");
	write_to("routes", "two");
	write_to("routes", "three");
	ok(told(loop, timer) == 1, "two writes are told once");
	write_to("other", "x");
	ok(told(loop, timer) == 0, "another file is not told");
	write_to("new", "four");
	rename(at("new"), at("routes"));
	ok(told(loop, timer) == 1, "a file that is put in its place is told");
	unlink(at("routes"));
	ok(told(loop, timer) == 0, "a file that goes is not told");
	write_to("routes", "five");
	ok(told(loop, timer) == 1, "a file that comes back is told");
	unlink(at("routes"));
	if (symlink(at("other"), at("routes")))
		perror("symlink");
	ok(told(loop, timer) == 1, "a link in its place is told");
	write_to("other", "yy");
	ok(told(loop, timer) == 1, "a change of what it is a link to is told");
}

int main(void)
{
	_cleanup_free_ char *path = NULL;
	struct file_watch *watch = NULL;
	char why[ERROR_MESSAGE_MAX];
	struct error err = {};
	uv_timer_t timer;
	uv_loop_t loop;
	struct stat read;

	if (!mkdtemp(top) || uv_loop_init(&loop) || uv_timer_init(&loop, &timer))
		return 1;
	write_to("routes", "one");
	path = strdup(at("routes"));
	read = file_watch_look(path);
	write_to("routes", "between");
	if (!ok(!file_watch_start(&loop, path, &read, changed, NULL, &watch, &err),
		"it is watched"))
		printf("# %s\n", error_format(&err, why, sizeof(why)));
	ok(told(&loop, &timer) == 1, "a change before it was watched is told");
	test_changes(&loop, &timer);
	uv_walk(&loop, close_all, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	ok(uv_loop_close(&loop) == 0, "nothing of it is left on the loop");
	file_watch_free(watch);
	unlink(at("routes"));
	unlink(at("other"));
	rmdir(top);
	return tap_end();
}
