/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act serve          read acts, one a line, from stdin; answer each with a line: errno and text
 * act NAME [ARG..]   do one act and answer it
 *
 * In a line for `serve` the first word is a program beside this one, which is executed with the
 * others: copies of this program under several names are the policy's binaries.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>

#define ACT_SECONDS 25

static char text[ACT_TEXT_MAX];
static char directory[PATH_MAX];

void act_say(const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list args;

	if (len && len < sizeof(text) - 1) {
		text[len++] = ' ';
		text[len] = '\0';
	}
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, args);
	va_end(args);
}

/* Where this program is, by the name it was executed by: no other needs a right to /proc. */
static int find_directory(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	char self[PATH_MAX] = "";

	if (name && name[0] == '/' && strncmp(name, "/dev/fd/", 8))
		snprintf(self, sizeof(self), "%s", name);
	else if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return -errno;
	snprintf(directory, sizeof(directory), "%s", dirname(self));
	return 0;
}

const char *act_beside(const char *name)
{
	static char path[2][PATH_MAX + 256];
	static unsigned int next;
	char *ret = path[next++ % 2];

	snprintf(ret, sizeof(path[0]), "%s/%s", directory, name);
	return strchr(name, '/') ? name : ret;
}

int act_execute(char **argv)
{
	fflush(stdout);
	execv(act_beside(argv[0]), argv);
	return -errno;
}

static const struct act *find(const char *name)
{
	static const struct act *const tables[] = {acts_connect,  acts_datagram, acts_socket,
						   acts_uring,	  acts_pass,	 acts_dns,
						   acts_identity, acts_listen};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct act *act = tables[i]; act->name; act++)
			if (!strcmp(act->name, name))
				return act;
	return NULL;
}

static int run(char **word)
{
	const struct act *act = find(word[0]);
	int r = act ? act->call(word + 1) : -ENOTSUP;

	if (r != ACT_ELSEWHERE)
		printf("%d %s\n", -r, text);
	fflush(stdout);
	return r != 0;
}

/* All that the act's processes write, until the last has ended or closed its output. */
static void gather(int fd, char *answer, size_t size)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && poll(&wait, 1, ACT_SECONDS * 1000) == 1 &&
	       (n = read(fd, answer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
}

/* In a process group of its own; whatever of it does not end is killed. */
static void run_apart(char **word)
{
	char answer[ACT_TEXT_MAX + 64];
	int out[2], status;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		printf("%d cannot fork\n", errno);
		return;
	}
	if (pid == 0) {
		setpgid(0, 0);
		if (dup2(out[1], STDOUT_FILENO) < 0)
			_exit(1);
		printf("%d cannot execute %s\n", -act_execute(word), word[0]);
		fflush(stdout);
		_exit(1);
	}
	close(out[1]);
	gather(out[0], answer, sizeof(answer));
	close(out[0]);
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!answer[0])
		snprintf(answer, sizeof(answer), "%d no answer", EOWNERDEAD);
	printf("%s\n", answer);
}

static int serve(void)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		char *word[ACT_ARGS_MAX + 3] = {}, *next = line;
		size_t n = 0;

		line[strcspn(line, "\n")] = '\0';
		while (n < ACT_ARGS_MAX + 2 && (word[n] = strsep(&next, " ")))
			n++;
		run_apart(word);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *word[ACT_ARGS_MAX + 2] = {};

	if (find_directory())
		return 1;
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve();
	if (argc < 2)
		return 2;
	for (int i = 1; i < argc && i <= ACT_ARGS_MAX + 1; i++)
		word[i - 1] = argv[i];
	/* An interpreter gets all that is in the first line of its script as one word. */
	if (strchr(argv[1], ' ')) {
		char *next = argv[1];

		memset(word, 0, sizeof(word));
		for (size_t n = 0; n <= ACT_ARGS_MAX && (word[n] = strsep(&next, " ")); n++)
			;
	}
	return run(word);
}
