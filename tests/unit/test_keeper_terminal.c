/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/keeper_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
	uv_loop_t loop;
	struct keeper_terminal *terminal;
	int process[3]; /* what the process has */
};

static void open_terminal(struct world *w, bool tty)
{
	struct error err = {};

	uv_loop_init(&w->loop);
	assert_int_equal(keeper_terminal_new(&w->loop, tty, getuid(), &w->terminal, &err), 0);
	for (int i = 0; i < 3; i++)
		w->process[i] = dup(keeper_terminal_fd(w->terminal, i));
	keeper_terminal_started(w->terminal);
}

static void turn(struct world *w)
{
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void end_process(struct world *w, int code)
{
	for (int i = 0; i < 3; i++)
		w->process[i] = safe_close(w->process[i]);
	keeper_terminal_exited(w->terminal, code);
}

static void close_terminal(struct world *w)
{
	for (int i = 0; i < 3; i++)
		w->process[i] = safe_close(w->process[i]);
	keeper_terminal_free(w->terminal);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static int attach(struct world *w, uint32_t columns, uint32_t rows)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(keeper_terminal_attach(w->terminal, pair[1], columns, rows), 0);
	return pair[0];
}

/* What has come of one kind. */
struct heard {
	char output[1 << 20], error[4096];
	size_t output_size, error_size;
	int code;
};

static struct heard heard;

static void hear(struct world *w, int fd)
{
	char packet[1 + CHANNEL_DATA_MAX];
	int32_t code;

	heard.output_size = heard.error_size = 0;
	heard.code = -1;
	/* A terminal echoes when the kernel gets to it. */
	for (int idle = 0; idle < 5; idle++) {
		ssize_t n;

		usleep(2000);
		turn(w);
		while ((n = recv(fd, packet, sizeof(packet), 0)) > 0) {
			idle = 0;
			if (packet[0] == CHANNEL_EXIT) {
				memcpy(&code, packet + 1, sizeof(code));
				heard.code = code;
			} else if (packet[0] == CHANNEL_OUTPUT) {
				memcpy(heard.output + heard.output_size, packet + 1, (size_t)n - 1);
				heard.output_size += (size_t)n - 1;
			} else {
				memcpy(heard.error + heard.error_size, packet + 1, (size_t)n - 1);
				heard.error_size += (size_t)n - 1;
			}
			turn(w);
		}
	}
}

static void say(int fd, char kind, const void *data, size_t size)
{
	char packet[1 + CHANNEL_DATA_MAX] = {kind};

	memcpy(packet + 1, data, size);
	assert_int_equal(send(fd, packet, size + 1, 0), size + 1);
}

static void both_outputs_come_and_the_end(void **state)
{
	struct world w = {};
	int fd;

	open_terminal(&w, false);
	assert_int_equal(write(w.process[1], "before ", 7), 7);
	turn(&w);
	fd = attach(&w, 0, 0);
	assert_int_equal(write(w.process[1], "out", 3), 3);
	assert_int_equal(write(w.process[2], "err", 3), 3);
	hear(&w, fd);
	assert_int_equal(heard.output_size, 10);
	assert_memory_equal(heard.output, "before out", 10);
	assert_int_equal(heard.error_size, 3);
	assert_int_equal(heard.code, -1);
	assert_int_equal(write(w.process[1], "last", 4), 4);
	end_process(&w, 42);
	hear(&w, fd);
	assert_int_equal(heard.output_size, 4);
	assert_int_equal(heard.code, 42);
	close(fd);
	/* Who comes after the end gets the same. */
	fd = attach(&w, 0, 0);
	hear(&w, fd);
	assert_int_equal(heard.output_size, 14);
	assert_int_equal(heard.code, 42);
	close(fd);
	close_terminal(&w);
}

static void input_reaches_the_process_and_ends(void **state)
{
	struct world w = {};
	char text[16];
	int fd;

	open_terminal(&w, false);
	fd = attach(&w, 0, 0);
	say(fd, CHANNEL_INPUT, "hello", 5);
	turn(&w);
	assert_int_equal(read(w.process[0], text, sizeof(text)), 5);
	say(fd, CHANNEL_END, "", 0);
	turn(&w);
	assert_int_equal(read(w.process[0], text, sizeof(text)), 0);
	close(fd);
	close_terminal(&w);
}

/* What is kept is bounded, and it is the newest. */
static void the_newest_is_kept(void **state)
{
	struct world w = {};
	char line[1024];
	int fd;

	open_terminal(&w, false);
	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 2048; i++) {
		snprintf(line, sizeof(line), "%06d", i);
		assert_int_equal(write(w.process[1], line, sizeof(line)), sizeof(line));
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	fd = attach(&w, 0, 0);
	hear(&w, fd);
	assert_true(heard.output_size <= TERMINAL_REPLAY_MAX);
	assert_true(heard.output_size > TERMINAL_REPLAY_MAX / 2);
	assert_memory_equal(heard.output + heard.output_size - sizeof(line), "002047", 6);
	close(fd);
	close_terminal(&w);
}

/* Whoever is there and does not read holds up the process; nobody loses a byte. */
static void a_slow_reader_holds_up_the_process(void **state)
{
	struct world w = {};
	size_t written = 0, got = 0;
	char data[4096] = {};
	int fd;

	open_terminal(&w, false);
	fd = attach(&w, 0, 0);
	fcntl(w.process[1], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2000; i++) {
		ssize_t n = write(w.process[1], data, sizeof(data));

		if (n > 0)
			written += (size_t)n;
		turn(&w);
	}
	assert_true(written < 2000 * sizeof(data));
	for (int i = 0; i < 100 && got < written; i++) {
		hear(&w, fd);
		got += heard.output_size;
	}
	assert_int_equal(got, written);
	close(fd);
	turn(&w);
	/* Once it is gone the process is not held up. */
	for (int i = 0; i < 500; i++) {
		turn(&w);
		assert_int_equal(write(w.process[1], data, sizeof(data)), sizeof(data));
	}
	close_terminal(&w);
}

static void a_terminal_has_a_size_and_echoes(void **state)
{
	const uint16_t pair[2] = {132, 50};
	struct winsize size = {};
	struct world w = {};
	int fd, other;

	open_terminal(&w, true);
	assert_non_null(keeper_terminal_name(w.terminal));
	fd = attach(&w, 100, 30);
	assert_int_equal(ioctl(w.process[0], TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_col, 100);
	assert_int_equal(size.ws_row, 30);
	say(fd, CHANNEL_RESIZE, pair, sizeof(pair));
	turn(&w);
	assert_int_equal(ioctl(w.process[0], TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_col, 132);
	other = attach(&w, 0, 0);
	say(fd, CHANNEL_INPUT, "hi\n", 3);
	hear(&w, other);
	assert_int_equal(heard.output_size, 4);
	assert_memory_equal(heard.output, "hi\r\n", 4);
	close(fd);
	close(other);
	close_terminal(&w);
}

static void what_is_malformed_does_nothing(void **state)
{
	struct world w = {};
	int fd;

	open_terminal(&w, false);
	fd = attach(&w, 0, 0);
	say(fd, CHANNEL_RESIZE, "abc", 3);
	say(fd, '?', "abc", 3);
	say(fd, CHANNEL_INPUT, "", 0);
	turn(&w);
	assert_int_equal(write(w.process[1], "on", 2), 2);
	hear(&w, fd);
	assert_int_equal(heard.output_size, 2);
	close(fd);
	close_terminal(&w);
}

static void channels_are_bounded(void **state)
{
	int fd[TERMINAL_CHANNELS_MAX], pair[2];
	struct world w = {};

	open_terminal(&w, false);
	for (int i = 0; i < TERMINAL_CHANNELS_MAX; i++)
		fd[i] = attach(&w, 0, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(keeper_terminal_attach(w.terminal, pair[1], 0, 0), -ENOSPC);
	close(pair[0]);
	close(fd[0]);
	turn(&w);
	fd[0] = attach(&w, 0, 0);
	for (int i = 0; i < TERMINAL_CHANNELS_MAX; i++)
		close(fd[i]);
	close_terminal(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_outputs_come_and_the_end),
		cmocka_unit_test(input_reaches_the_process_and_ends),
		cmocka_unit_test(the_newest_is_kept),
		cmocka_unit_test(a_slow_reader_holds_up_the_process),
		cmocka_unit_test(a_terminal_has_a_size_and_echoes),
		cmocka_unit_test(what_is_malformed_does_nothing),
		cmocka_unit_test(channels_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
