/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act serve          read acts, one a line, from stdin; answer each with a line: 0 or -errno
 * act true           be a program that can be started
 * act NAME [ARG..]   do one act, print `ok` or the name of the errno
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define ACT_SECONDS 20

static const struct act *find(const char *name)
{
	static const struct act *const tables[] = {acts_file,	 acts_name,   acts_exec,
						   acts_process, acts_socket, acts_system,
						   acts_uring,	 acts_hammer};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct act *act = tables[i]; act->name; act++)
			if (!strcmp(act->name, name))
				return act;
	return NULL;
}

static int run(char **word)
{
	const struct act *act = find(word[0]);

	return act ? act->call(word + 1) : -ENOTSUP;
}

/* A process of its own for each; one that does not answer is killed. */
static int run_apart(char **word)
{
	int answer[2], r = ACT_KILLED, status;
	struct pollfd wait;
	pid_t pid;

	/* An act about the process that stays, or about children that outlive the act. */
	if (!strncmp(word[0], "self_", 5))
		return run(word);
	if (pipe2(answer, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		r = run(word);
		_exit(write(answer[1], &r, sizeof(r)) == sizeof(r) ? 0 : 1);
	}
	close(answer[1]);
	wait = (struct pollfd){.fd = answer[0], .events = POLLIN};
	if (poll(&wait, 1, ACT_SECONDS * 1000) <= 0)
		r = -ETIMEDOUT;
	else if (read(answer[0], &r, sizeof(r)) != sizeof(r))
		r = ACT_KILLED;
	close(answer[0]);
	if (r == -ETIMEDOUT)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}

static int serve(void)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	signal(SIGPIPE, SIG_IGN);
	while (getline(&line, &size, stdin) > 0) {
		char *word[ACT_ARGS_MAX + 2] = {}, *next = line;
		size_t n = 0;

		line[strcspn(line, "\n")] = '\0';
		while (n <= ACT_ARGS_MAX && (word[n] = strsep(&next, " ")))
			n++;
		printf("%d\n", run_apart(word));
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *word[ACT_ARGS_MAX + 2] = {};
	int r;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve();
	/* A `#!` interpreter gets the script's name as its last argument. */
	if (argc < 2 || argv[1][0] == '/' || !strcmp(argv[1], "true"))
		return 0;
	for (int i = 1; i < argc && i <= ACT_ARGS_MAX; i++)
		word[i - 1] = argv[i];
	r = run(word);
	printf("%s\n", r ? strerrorname_np(-r) : "ok");
	return r != 0;
}
