/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_writer.h"
#include "event_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

static struct record record;
static struct event event;
static char directory[] = "/tmp/test_event_writer.XXXXXX";
static char path[64];

static int setup(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(directory);
}

static void make(uint32_t hook, uint32_t kind, uint16_t verdict)
{
	fixture_record(&record, hook, kind);
	fixture_object(&record, "/srv/x", OS_RIGHT_READ, 0);
	record.event.verdict = verdict;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
}

static char *read_file(const char *name)
{
	FILE *f = fopen(name, "re");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void a_file_is_appended_to(void **state)
{
	struct event_writer_options o = {.path = path, .warn_fd = -1};
	struct event_writer *w;
	struct stat st;
	char *text;

	unlink(path);
	for (int i = 0; i < 2; i++) {
		make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_DENIED);
		assert_int_equal(event_writer_open(&o, &w, NULL), 0);
		event_writer_write(w, &event);
		assert_true(event_writer_pending(w));
		event_writer_flush(w);
		assert_false(event_writer_pending(w));
		assert_int_equal(event_writer_close(w, NULL), 0);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = read_file(path);
	assert_int_equal(count_lines(text), 2);
	assert_null(strchr(text, '\033')); /* a file is no terminal */
	free(text);
}

static void filters(void **state)
{
	struct event_writer_options o = {.path = path, .warn_fd = -1};
	struct event_writer *w;

	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	make(OS_HOOK_MMAP_FILE, OS_EVENT_EXEC, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	assert_int_equal(event_writer_stats(w)->written, 0);
	assert_int_equal(event_writer_stats(w)->filtered, 2);
	make(OS_HOOK_CONNECT4, OS_EVENT_NET, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	make(OS_HOOK_EXEC, OS_EVENT_EXEC, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_AUDIT);
	event_writer_write(w, &event);
	event_stopped(&event, "demo", 0);
	event_writer_write(w, &event);
	assert_int_equal(event_writer_stats(w)->written, 4);
	event_writer_close(w, NULL);

	o.allowed_files = o.hide_allowed_net = o.hide_allowed_exec = true;
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	make(OS_HOOK_CONNECT4, OS_EVENT_NET, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	make(OS_HOOK_EXEC, OS_EVENT_EXEC, OS_EVENT_ALLOWED);
	event_writer_write(w, &event);
	assert_int_equal(event_writer_stats(w)->written, 1);
	assert_int_equal(event_writer_stats(w)->filtered, 2);
	event_writer_close(w, NULL);
}

static void json_lines(void **state)
{
	struct event_writer_options o = {.path = path, .format = EVENT_FORMAT_OCSF, .warn_fd = -1};
	struct event_writer *w;
	char *text, *end;
	int n = 0;

	unlink(path);
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	for (uint32_t hook = 0; hook < OS_HOOK_COUNT; hook++) {
		make(hook, OS_EVENT_FILE + hook % 6, OS_EVENT_DENIED);
		event_writer_write(w, &event);
	}
	assert_int_equal(event_writer_close(w, NULL), 0);
	text = read_file(path);
	for (char *line = text; *line; line = end + 1, n++) {
		json_t *root;

		end = strchr(line, '\n');
		root = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_non_null(root);
		json_decref(root);
	}
	assert_int_equal(n, OS_HOOK_COUNT);
	free(text);
}

static void repeats_are_summed_at_the_end(void **state)
{
	struct event_writer_options o = {.path = path, .warn_fd = -1, .repeats = 2};
	struct event_writer *w;
	char *text;

	unlink(path);
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_DENIED);
	for (int i = 0; i < 50; i++)
		event_writer_write(w, &event);
	assert_int_equal(event_writer_stats(w)->repeated, 48);
	event_writer_flush(w); /* its second is not over */
	assert_true(event_writer_pending(w));
	event_writer_settle(w);
	assert_false(event_writer_pending(w));
	assert_int_equal(event_writer_close(w, NULL), 0);
	text = read_file(path);
	assert_int_equal(count_lines(text), 3);
	assert_non_null(strstr(text, "[repeated 48 times]"));
	free(text);
}

static void a_full_disk_is_said_once_and_counted(void **state)
{
	struct event_writer_options o = {.path = "/dev/full"};
	struct event_writer *w;
	struct error err = {0};
	char said[4096] = "";
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	o.warn_fd = fds[1];
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	for (int i = 0; i < 5000; i++) {
		make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_DENIED);
		snprintf(event.path, sizeof(event.path), "/srv/%d", i);
		event_writer_write(w, &event);
		if (i % 100 == 0)
			event_writer_flush(w);
	}
	assert_int_equal(event_writer_close(w, &err), -ENOSPC);
	assert_string_equal(err.message, "5000 events could not be written to /dev/full: No space "
					 "left on device");
	n = read(fds[0], said, sizeof(said) - 1);
	assert_true(n > 0);
	assert_int_equal(count_lines(said), 1);
	assert_non_null(strstr(said, "events cannot be written to /dev/full: No space left"));
	close(fds[0]);
	close(fds[1]);
}

/* When there is room again the log goes on where it stopped, in the middle of a line if need be. */
static void a_disk_that_was_full_for_a_while(void **state)
{
	struct event_writer_options o = {.path = path, .warn_fd = -1};
	struct rlimit old, small = {.rlim_cur = 1000, .rlim_max = 1000};
	struct event_writer *w;
	char *text, *end;

	unlink(path);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 20; i++) {
		make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_DENIED);
		snprintf(event.path, sizeof(event.path), "/srv/%d", i);
		event_writer_write(w, &event);
	}
	event_writer_flush(w);
	assert_true(event_writer_pending(w));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(event_writer_close(w, NULL), 0);
	text = read_file(path);
	assert_int_equal(count_lines(text), 20);
	for (char *line = text; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_memory_equal(line, "2026-04-01T", 11);
	}
	free(text);
}

static void a_reader_that_goes_away_kills_nobody(void **state)
{
	struct event_writer_options o = {.warn_fd = -1};
	struct event_writer *w;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	o.fd = fds[1];
	assert_int_equal(event_writer_open(&o, &w, NULL), 0);
	make(OS_HOOK_FILE_OPEN, OS_EVENT_FILE, OS_EVENT_DENIED);
	event_writer_write(w, &event);
	/* SIGPIPE would end this test. */
	assert_int_equal(event_writer_close(w, NULL), -EPIPE);
	close(fds[1]);
}

static void a_log_that_cannot_be_opened(void **state)
{
	struct event_writer_options o = {.path = "/nonexistent/log", .warn_fd = -1};
	struct event_writer *w = (void *)1;
	struct error err = {0};

	assert_int_equal(event_writer_open(&o, &w, &err), -ENOENT);
	assert_ptr_equal(w, (void *)1);
	assert_string_equal(err.message,
			    "opening the log /nonexistent/log: No such file or directory");
}

static void formats(void **state)
{
	enum event_format f;

	assert_int_equal(event_format_parse("ocsf", &f), 0);
	assert_int_equal(f, EVENT_FORMAT_OCSF);
	assert_int_equal(event_format_parse("shorthand", &f), 0);
	assert_int_equal(f, EVENT_FORMAT_SHORTHAND);
	assert_int_equal(event_format_parse("xml", &f), -EINVAL);
}

static void links_of_others_are_not_followed(void **state)
{
	const struct event_writer_options o = {.path = path, .fd = -1, .warn_fd = -1};
	struct event_writer *w = NULL;
	struct error err = {};
	char target[80];
	struct stat st;

	snprintf(target, sizeof(target), "%s.target", directory);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(event_writer_open(&o, &w, &err), 0);
	assert_int_equal(event_writer_close(w, NULL), 0);
	assert_int_equal(lstat(target, &st), 0);
	unlink(target);
	if (geteuid() == 0) {
		assert_int_equal(lchown(path, 12345, 12345), 0);
		assert_int_equal(event_writer_open(&o, &w, &err), -ELOOP);
		assert_non_null(strstr(err.message, "symbolic link"));
		assert_int_equal(lstat(target, &st), -1);
	}
	unlink(path);
	if (geteuid() != 0) {
		print_message("a link of somebody else's needs root to be made\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_appended_to),
		cmocka_unit_test(filters),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(repeats_are_summed_at_the_end),
		cmocka_unit_test(a_full_disk_is_said_once_and_counted),
		cmocka_unit_test(a_disk_that_was_full_for_a_while),
		cmocka_unit_test(a_reader_that_goes_away_kills_nobody),
		cmocka_unit_test(a_log_that_cannot_be_opened),
		cmocka_unit_test(formats),
		cmocka_unit_test(links_of_others_are_not_followed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
