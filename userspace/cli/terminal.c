/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

/* Global, because signal handlers and atexit() have no argument. */
static struct termios saved;
static volatile sig_atomic_t raw_fd = -1;
static bool hooked;

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

static int set_termios(int fd, const struct termios *termios)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	int r;

	/* A process in the background would be stopped by SIGTTOU while it leaves. */
	sigaction(SIGTTOU, &ignore, &before);
	r = tcsetattr(fd, TCSANOW, termios) < 0 ? -errno : 0;
	sigaction(SIGTTOU, &before, NULL);
	return r;
}

void terminal_restore(void)
{
	int fd = raw_fd, saved_errno = errno;

	if (fd < 0)
		return;
	raw_fd = -1;
	set_termios(fd, &saved);
	errno = saved_errno;
}

static void on_fatal(int signal_number)
{
	terminal_restore();
	/* The handler was for one time; the signal ends the process as it would have. */
	raise(signal_number);
}

static void hook_exits(void)
{
	struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_RESETHAND | SA_NODEFER};

	if (hooked)
		return;
	hooked = true;
	atexit(terminal_restore);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		struct sigaction before;

		/* A sanitizer's handler tells more than ours. */
		if (sigaction(fatal_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &action, NULL);
	}
}

int terminal_raw(int fd)
{
	struct termios raw;

	if (raw_fd >= 0)
		return 0;
	if (tcgetattr(fd, &saved) < 0)
		return -errno;
	hook_exits();
	raw = saved;
	cfmakeraw(&raw);
	/* Unlike set_termios(): in the background this stops us until we are in front. */
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return -errno;
	raw_fd = fd;
	return 0;
}

bool terminal_is_raw(void)
{
	return raw_fd >= 0;
}

void terminal_suspend(void)
{
	int fd = raw_fd;

	terminal_restore();
	kill(getpid(), SIGSTOP);
	/* Here again after SIGCONT. */
	if (fd >= 0)
		terminal_raw(fd);
}

int terminal_size(struct winsize *ret_size)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		struct winsize size;

		if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
			*ret_size = size;
			return 0;
		}
	}
	return -ENOTTY;
}

int terminal_open_pty(int *ret_master, int *ret_slave, char ret_path[static 64])
{
	_cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_close_ int slave = -1;
	struct termios termios;
	struct winsize size;
	int r;

	if (master < 0)
		return -errno;
	if (unlockpt(master) < 0)
		return -errno;
	r = ptsname_r(master, ret_path, 64);
	if (r)
		return -r;
	/* By descriptor: another file system may be mounted where the path leads. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	if (tcgetattr(STDIN_FILENO, &termios) == 0)
		tcsetattr(slave, TCSANOW, &termios);
	if (terminal_size(&size) == 0)
		ioctl(master, TIOCSWINSZ, &size);
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}
