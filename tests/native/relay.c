/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What relay.h promises: bytes, ends of file, back-pressure, signals, terminals. The program is
 * also the driver that is tested: `relay drive [-t] CMD..` runs a command in a sandbox with its
 * own stdio relayed, as `openshell run` does. Needs root and cgroup v2.
 */
#include "tap.h"
#include "test_tree.h"

#include "cli/relay.h"
#include "cli/terminal.h"
#include "common/cleanup.h"
#include "supervisor/cgroup.h"
#include "supervisor/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define AGENT_ID 61001
#define BULK	 (10 << 20)

/* The driver */

static struct launch launch = LAUNCH_EMPTY;

static int send_signal(void *arg, int signal_number)
{
	return launch_signal(&launch, signal_number);
}

static void on_ended(void *arg)
{
	*(bool *)arg = true;
}

static int drive(bool tty, char **argv)
{
	char *envp[] = {"PATH=/usr/bin:/bin", NULL};
	struct cgroup_tree tree = CGROUP_TREE_EMPTY;
	struct cgroup cgroup = CGROUP_EMPTY;
	struct relay *relay = NULL;
	struct error err = {};
	bool ended = false;
	uv_loop_t loop;
	char name[32];
	int status = 1;

	snprintf(name, sizeof(name), "test-relay-%d", getpid());
	if (uv_loop_init(&loop) < 0 || test_tree_open(&tree, &err) < 0 ||
	    cgroup_create(&tree, name, &cgroup, &err) < 0 || relay_open(tty, &relay, &err) < 0)
		goto out;
	struct launch_spec spec = {
		.argv = argv,
		.envp = envp,
		.workdir = "/",
		.uid = AGENT_ID,
		.gid = AGENT_ID,
		.cgroup_fd = cgroup.fd,
		.stdio = {relay_agent_fd(relay, 0), relay_agent_fd(relay, 1),
			  relay_agent_fd(relay, 2)},
		.tty = tty,
	};
	if (launch_start(&spec, &launch, &err) < 0 || launch_go(&launch, -1, &err) < 0)
		goto out;
	struct relay_target target = {
		.ended_fd = launch.init_pidfd,
		.signal = send_signal,
		.ended = on_ended,
		.arg = &ended,
	};
	if (relay_start(relay, &loop, &target, &err) < 0)
		goto out;
	if (getenv("DRIVER_ABORTS")) {
		uv_run(&loop, UV_RUN_NOWAIT);
		abort();
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	if (ended && launch_wait(&launch, true, &status) < 0)
		status = 1;
	if (uv_loop_close(&loop) < 0)
		status = 98;
out:
	if (err.code)
		fprintf(stderr, "%s\n", err.message);
	relay_free(relay);
	launch_kill(&launch);
	cgroup_destroy(&cgroup);
	test_tree_close(&tree);
	return status;
}

/* The tests */

struct driver {
	pid_t pid;
	int in, out, err; /* our ends */
};

static const char *program;

/* Start the driver; ends that are given (>= 0) are used as they are, others become pipes. */
static struct driver start(int in, int out, const char *const *command)
{
	struct driver d = {.in = -1, .out = -1, .err = -1};
	const char *argv[16] = {"relay", "drive"};
	int to[2] = {in, -1}, from[2] = {-1, out}, error[2];

	for (size_t i = 0; command[i]; i++)
		argv[2 + i] = command[i];
	if ((in < 0 && pipe2(to, O_CLOEXEC) < 0) || (out < 0 && pipe2(from, O_CLOEXEC) < 0) ||
	    pipe2(error, O_CLOEXEC) < 0)
		abort();
	fflush(stdout);
	d.pid = fork();
	if (d.pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		dup2(error[1], 2);
		/* Where a shell's background job would start with these ignored. */
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		execv(program, (char *const *)argv);
		_exit(127);
	}
	close(error[1]);
	d.err = error[0];
	if (in < 0) {
		close(to[0]);
		d.in = to[1];
	}
	if (out < 0) {
		close(from[1]);
		d.out = from[0];
	}
	return d;
}

static int wait_status(pid_t pid)
{
	int status;

	/* Bounded: a driver that hangs is a failure, not a test that never ends. */
	for (int i = 0; i < 2000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static int finish_driver(struct driver *d)
{
	safe_close(d->in);
	safe_close(d->out);
	safe_close(d->err);
	return wait_status(d->pid);
}

static size_t read_all(int fd, void *buffer, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(fd, (char *)buffer + len, size - len)) > 0)
		len += (size_t)n;
	return len;
}

/* Read until @word has come, at most 10 s. */
static bool read_until(int fd, const char *word, char *buffer, size_t size)
{
	size_t len = 0;

	memset(buffer, 0, size);
	while (len < size - 1 && !strstr(buffer, word)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 10000) <= 0)
			return false;
		n = read(fd, buffer + len, size - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return strstr(buffer, word) != NULL;
}

/* Read on and on until @line has come. */
static bool read_to_line(int fd, const char *line)
{
	char text[4096 + 16] = "";
	size_t keep = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 10000) <= 0)
			return false;
		n = read(fd, text + keep, 4096);
		if (n <= 0)
			return false;
		if (memmem(text, keep + (size_t)n, line, strlen(line)))
			return true;
		/* It may be cut in two. */
		n += (ssize_t)keep;
		keep = n < 16 ? (size_t)n : 16;
		memmove(text, text + (size_t)n - keep, keep);
	}
}

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Ten megabytes of everything through `cat` and back, while both directions flow. */
static void test_bulk(void)
{
	unsigned char *sent = malloc(BULK), *got = malloc(BULK + 1);
	struct driver d;
	size_t len;
	uint32_t x = 2463534242;
	pid_t writer;
	int flags;

	for (size_t i = 0; i < BULK; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		sent[i] = (unsigned char)x;
	}
	d = start(-1, -1, COMMAND("cat"));
	fflush(stdout);
	writer = fork();
	if (writer == 0) {
		for (size_t done = 0; done < BULK;) {
			ssize_t n = write(d.in, sent + done, BULK - done);

			if (n < 0)
				_exit(1);
			done += (size_t)n;
		}
		_exit(0);
	}
	flags = fcntl(d.in, F_GETFL) | fcntl(d.out, F_GETFL);
	close(d.in);
	d.in = -1;
	len = read_all(d.out, got, BULK + 1);
	waitpid(writer, NULL, 0);
	ok(len == BULK && !memcmp(sent, got, BULK), "10 MiB of binary come back as they went in");
	ok(!(flags & O_NONBLOCK), "the caller's pipes keep their flags");
	ok(finish_driver(&d) == 0, "end of file on stdin ends the agent");
	free(sent);
	free(got);
}

static void test_streams(void)
{
	struct driver d = start(-1, -1, COMMAND("sh", "-c", "echo out; echo err >&2; exit 5"));
	char out[64] = "", err[64] = "";

	read_all(d.out, out, sizeof(out) - 1);
	read_all(d.err, err, sizeof(err) - 1);
	ok(!strcmp(out, "out\n") && !strcmp(err, "err\n"), "stdout and stderr stay apart");
	ok(finish_driver(&d) == 5, "the exit status is the agent's");

	d = start(-1, -1, COMMAND("sh", "-c", "exec <&-; echo closed; exec cat /dev/null"));
	memset(out, 0, sizeof(out));
	/* More than any pipe holds, so that the driver notices that nobody reads. */
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 256; i++) {
		char block[4096] = "";

		if (write(d.in, block, sizeof(block)) < 0)
			break;
	}
	signal(SIGPIPE, SIG_DFL);
	read_all(d.out, out, sizeof(out) - 1);
	ok(!strcmp(out, "closed\n") && finish_driver(&d) == 0,
	   "an agent that closes its stdin is not waited for");

	d = start(-1, -1, COMMAND("sh", "-c", "(sleep 100 &); echo started; exit 3"));
	memset(out, 0, sizeof(out));
	read_all(d.out, out, sizeof(out) - 1);
	ok(!strcmp(out, "started\n") && finish_driver(&d) == 3,
	   "a grandchild that holds the pipes is not waited for");

	d = start(-1, -1, COMMAND("sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 6"));
	ok(read_all(d.out, out, sizeof(out)) == 0 && finish_driver(&d) == 6,
	   "an agent that closes its output still runs to its end");
}

static void test_files(void)
{
	char path[] = "/tmp/openshell-relay.XXXXXX", text[64] = "";
	int file = mkostemp(path, O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct driver d;

	if (file < 0 || write(file, "from a file\n", 12) != 12 || lseek(file, 0, SEEK_SET) != 0)
		abort();
	d = start(file, -1, COMMAND("cat"));
	read_all(d.out, text, sizeof(text) - 1);
	ok(!strcmp(text, "from a file\n") && finish_driver(&d) == 0, "stdin may be a file");
	d = start(null, file, COMMAND("sh", "-c", "cat; echo into a file"));
	ok(finish_driver(&d) == 0 && pread(file, text, sizeof(text) - 1, 12) == 12 &&
		   !strncmp(text, "into a file\n", 12),
	   "stdin may be /dev/null and stdout a file, written where it stood");
	unlink(path);
	close(file);
	close(null);
}

static void test_socket(void)
{
	struct driver d;
	char text[64] = "";
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	d = start(pair[1], pair[1], COMMAND("cat"));
	close(pair[1]);
	if (write(pair[0], "through a socket\n", 17) != 17 || shutdown(pair[0], SHUT_WR) < 0)
		abort();
	read_all(pair[0], text, sizeof(text) - 1);
	ok(!strcmp(text, "through a socket\n") && finish_driver(&d) == 0,
	   "stdin and stdout may be one socket");
	close(pair[0]);
}

static void test_back_pressure(void)
{
	struct driver d =
		start(-1, -1, COMMAND("sh", "-c", "head -c 8000000 /dev/zero; echo done >&2"));
	struct pollfd p = {.fd = d.err, .events = POLLIN};
	char *buffer = malloc(8000001);

	ok(poll(&p, 1, 500) == 0, "a caller that does not read holds the agent back");
	ok(read_all(d.out, buffer, 8000001) == 8000000, "and gets every byte later");
	ok(poll(&p, 1, 5000) == 1 && finish_driver(&d) == 0, "upon which the agent goes on");
	free(buffer);

	d = start(-1, -1, COMMAND("yes"));
	close(d.out);
	d.out = -1;
	ok(finish_driver(&d) == 128 + SIGPIPE, "a caller that goes away is a broken pipe inside");
}

static void test_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1};
	char text[64];
	struct driver d;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		d = start(-1, -1, COMMAND("sh", "-c", "echo ready; exec sleep 100"));
		read_until(d.out, "ready", text, sizeof(text));
		kill(d.pid, signals[i]);
		ok(finish_driver(&d) == 128 + signals[i], "SIG%s reaches the agent",
		   sigabbrev_np(signals[i]));
	}
	d = start(-1, -1,
		  COMMAND("sh", "-c",
			  "trap 'exit 21' TERM; echo ready; while :; do sleep 0.05; done"));
	read_until(d.out, "ready", text, sizeof(text));
	kill(d.pid, SIGTERM);
	ok(finish_driver(&d) == 21, "the agent may handle it");
	d = start(-1, -1,
		  COMMAND("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"));
	read_until(d.out, "ready", text, sizeof(text));
	kill(d.pid, SIGTERM);
	nanosleep(&(struct timespec){0, 100000000}, NULL);
	ok(waitpid(d.pid, NULL, WNOHANG) == 0, "or ignore it");
	kill(d.pid, SIGTERM);
	ok(finish_driver(&d) == 128 + SIGKILL, "but not twice");
}

/* A driver with a terminal of ours as its controlling one. */
static struct driver start_tty(int *ret_slave, const char *const *command)
{
	struct driver d = {.in = -1, .err = -1};
	const char *argv[16] = {"relay", "drive", "-t"};
	struct winsize size = {.ws_row = 33, .ws_col = 111};
	char path[64];
	int slave;

	for (size_t i = 0; command[i]; i++)
		argv[3 + i] = command[i];
	if (terminal_open_pty(&d.out, &slave, path) < 0)
		abort();
	ioctl(d.out, TIOCSWINSZ, &size);
	fcntl(d.out, F_SETFL, fcntl(d.out, F_GETFL) & ~O_NONBLOCK);
	fflush(stdout);
	d.pid = fork();
	if (d.pid == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		for (int i = 0; i < 3; i++)
			dup2(slave, i);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		execv(program, (char *const *)argv);
		_exit(127);
	}
	*ret_slave = slave;
	return d;
}

static bool is_raw(int fd)
{
	struct termios t;

	return tcgetattr(fd, &t) == 0 && !(t.c_lflag & (ICANON | ECHO | ISIG));
}

static bool is_cooked(int fd)
{
	struct termios t;

	return tcgetattr(fd, &t) == 0 && (t.c_lflag & ICANON) && (t.c_lflag & ECHO) &&
	       (t.c_lflag & ISIG) && (t.c_oflag & OPOST);
}

static void test_terminal(void)
{
	static const char script[] =
		"stty size; tty; test -r $(tty) && test -w $(tty) && echo own; echo hi >/dev/tty;"
		"trap 'stty size; exit 9' WINCH; echo ready; while :; do sleep 0.05; done";
	struct winsize size = {.ws_row = 44, .ws_col = 55};
	char text[4096], name[64];
	struct driver d;
	int slave;

	d = start_tty(&slave, COMMAND("sh", "-c", script));
	ok(read_until(d.out, "ready", text, sizeof(text)), "an agent runs on a terminal");
	ok(strstr(text, "33 111") != NULL, "with the size of the caller's");
	ok(ttyname_r(slave, name, sizeof(name)) == 0 && strstr(text, "/dev/pts/") &&
		   !strstr(text, name),
	   "which is not the caller's terminal");
	ok(strstr(text, "own") != NULL, "which it may open by name");
	ok(strstr(text, "hi") != NULL, "and which is its controlling terminal");
	ok(is_raw(slave), "the caller's terminal is raw meanwhile");
	ioctl(d.out, TIOCSWINSZ, &size);
	ok(read_until(d.out, "44 55", text, sizeof(text)), "a new size gets through");
	ok(wait_status(d.pid) == 9, "with the signal that tells of it");
	ok(is_cooked(slave), "the terminal is as it was after the end");
	close(d.out);
	close(slave);

	d = start_tty(&slave,
		      COMMAND("sh", "-c", "echo ready; read x; echo got:$x; exec sleep 100"));
	read_until(d.out, "ready", text, sizeof(text));
	ok(write(d.out, "typed\r", 6) == 6 && read_until(d.out, "got:typed", text, sizeof(text)),
	   "keys reach the agent");
	ok(write(d.out, "\003", 1) == 1 && wait_status(d.pid) == 128 + SIGINT,
	   "Ctrl-C is a key for the agent's terminal");
	close(d.out);
	close(slave);

	d = start_tty(&slave, COMMAND("sh", "-c", "echo ready; exec sleep 100"));
	read_until(d.out, "ready", text, sizeof(text));
	kill(d.pid, SIGTERM);
	ok(wait_status(d.pid) == 128 + SIGTERM && is_cooked(slave),
	   "the terminal is as it was after SIGTERM");
	close(d.out);
	close(slave);

	setenv("DRIVER_ABORTS", "1", 1);
	d = start_tty(&slave, COMMAND("sh", "-c", "echo ready; exec sleep 100"));
	unsetenv("DRIVER_ABORTS");
	ok(wait_status(d.pid) == 1000 + SIGABRT, "a driver that crashes");
	ok(is_cooked(slave), "leaves the terminal as it was");
	close(d.out);
	close(slave);

	d = start_tty(&slave, COMMAND("sh", "-c", "seq 1 20000; exit 4"));
	ok(read_to_line(d.out, "20000\r\n"), "a terminal delivers everything");
	ok(wait_status(d.pid) == 4, "written before the end");
	close(d.out);
	close(slave);
}

static void test_stop(void)
{
	struct driver d;
	char text[64];
	int slave, status;

	d = start_tty(&slave, COMMAND("sh", "-c", "echo ready; exec sleep 100"));
	read_until(d.out, "ready", text, sizeof(text));
	kill(d.pid, SIGTSTP);
	ok(waitpid(d.pid, &status, WUNTRACED) == d.pid && WIFSTOPPED(status) && is_cooked(slave),
	   "SIGTSTP stops the caller's side, with its terminal as it was");
	kill(d.pid, SIGCONT);
	for (int i = 0; i < 200 && !is_raw(slave); i++)
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	ok(is_raw(slave), "SIGCONT makes it raw again");
	kill(d.pid, SIGTERM);
	ok(wait_status(d.pid) == 128 + SIGTERM, "and signals go on working");
	close(d.out);
	close(slave);
}

/* `--tty` with stdin from elsewhere: its end is the terminal's end-of-file key. */
static void test_tty_without_terminal(void)
{
	struct driver d = start(-1, -1, COMMAND("-t", "cat"));
	char text[256] = "";

	if (write(d.in, "line\n", 5) != 5)
		abort();
	close(d.in);
	d.in = -1;
	read_all(d.out, text, sizeof(text) - 1);
	ok(strstr(text, "line\r\n") != NULL, "a terminal without the caller's works");
	ok(finish_driver(&d) == 0, "and ends with the caller's input");
}

static void test_left_behind(void)
{
	struct cgroup_tree tree = CGROUP_TREE_EMPTY;
	struct driver d = start(-1, -1, COMMAND("sh", "-c", "echo ready; exec sleep 100"));
	char text[64], path[64];
	int procs = -1;

	read_until(d.out, "ready", text, sizeof(text));
	if (test_tree_open(&tree, NULL) < 0)
		abort();
	snprintf(path, sizeof(path), "test-relay-%d/cgroup.procs", d.pid);
	procs = openat(tree.agents_fd, path, O_RDONLY | O_CLOEXEC);
	ok(procs >= 0 && pread(procs, text, sizeof(text), 0) > 0, "the sandbox has processes");
	kill(d.pid, SIGKILL);
	ok(finish_driver(&d) == 1000 + SIGKILL, "SIGKILL ends the driver");
	for (int i = 0; i < 300 && pread(procs, text, sizeof(text), 0) > 0; i++)
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	ok(pread(procs, text, sizeof(text), 0) == 0, "and every process of the sandbox");
	ok(cgroup_sweep(&tree, NULL, NULL) >= 1 && faccessat(tree.agents_fd, path, F_OK, 0) < 0,
	   "the cgroup it left is swept");
	safe_close(procs);
	test_tree_close(&tree);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	program = argv[0];
	if (argc > 2 && !strcmp(argv[1], "drive")) {
		bool tty = !strcmp(argv[2], "-t");

		return drive(tty, argv + 2 + tty);
	}
	if (geteuid() != 0) {
		skip("relay", "needs root");
		return tap_end();
	}
	test_bulk();
	test_streams();
	test_files();
	test_socket();
	test_back_pressure();
	test_signals();
	test_terminal();
	test_stop();
	test_tty_without_terminal();
	test_left_behind();
	return tap_end();
}
