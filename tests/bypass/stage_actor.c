/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who does acts: sandboxes by the real `openshell run`, and processes in their cgroup or outside.
 */
#include "stage.h"

#include "common/cleanup.h"
#include "world.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define FOREIGN_FD 9

/* Both ends of an actor; the child has its own as 0 and 1. */
static pid_t fork_actor(struct actor *actor)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		world_die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		world_die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_DFL);
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
			_exit(1);
		return 0;
	}
	close(in[0]);
	close(out[1]);
	actor->pid = pid;
	actor->to = in[1];
	actor->from = out[0];
	return pid;
}

static void write_policy(const char *name, const char *text)
{
	FILE *out = fopen(stage_path("logs/%s.yaml", name), "we");

	if (!out)
		world_die("%s", name);
	for (; *text; text++) {
		if (*text == '@')
			fputs(stage_directory(), out);
		else
			fputc(*text, out);
	}
	fclose(out);
}

static void open_foreign(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || dup2(fd, FOREIGN_FD) < 0)
		_exit(1);
}

static bool keep_socket;

void stage_keep_socket(bool keep)
{
	keep_socket = keep;
}

static void __attribute__((noreturn))
execute_run(const char *name, const char *bin, const char *options)
{
	char program[512], words[600];
	char *argv[40] = {program,
			  "run",
			  "--no-tty",
			  "--name",
			  (char *)name,
			  "--policy",
			  (char *)stage_path("logs/%s.yaml", name),
			  "--log",
			  (char *)stage_path("logs/%s", name),
			  "--workdir"};
	size_t n = 10;
	int error = open(stage_path("logs/%s.err", name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			 0644);
	char *rest = words;
	static char work[512], agent[512];

	snprintf(program, sizeof(program), "%s", stage_path("%s/openshell", bin));
	snprintf(words, sizeof(words), "%s", options ? options : "");
	snprintf(work, sizeof(work), "%s", stage_path("work"));
	snprintf(agent, sizeof(agent), "%s", stage_path("agents/agent"));
	argv[n++] = work;
	while (*words && (argv[n] = strsep(&rest, " ")) && n < 30)
		n++;
	argv[n++] = "--";
	argv[n++] = agent;
	argv[n++] = "serve";
	argv[n] = NULL;
	if (error < 0 || dup2(error, 2) < 0)
		_exit(1);
	if (keep_socket)
		open_foreign();
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	execv(program, argv);
	_exit(127);
}

static bool start_run(const char *name, const char *bin, const char *policy, const char *options,
		      struct actor *ret_actor)
{
	struct answer first;

	*ret_actor = (struct actor){};
	snprintf(ret_actor->name, sizeof(ret_actor->name), "%s", name);
	write_policy(name, policy);
	unlink(stage_path("logs/%s", name));
	if (!fork_actor(ret_actor))
		execute_run(name, bin, options);
	first = stage_ask(ret_actor, "agent kind unix");
	return first.error == 0;
}

static void print_file(const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	char line[1024];

	while (in && fgets(line, sizeof(line), in))
		printf("# %s", line);
}

void stage_run(const char *name, const char *policy, const char *options, struct actor *ret_actor)
{
	if (start_run(name, "bin", policy, options, ret_actor))
		return;
	print_file(stage_path("logs/%s.err", name));
	print_file(stage_path("logs/%s", name));
	errno = EPROTO;
	world_die("the sandbox %s did not start", name);
}

bool stage_try(const char *name, const char *bin, const char *policy, struct actor *ret_actor)
{
	return start_run(name, bin, policy, NULL, ret_actor);
}

int stage_stop(struct actor *actor)
{
	int status = -1;

	if (actor->pid <= 0)
		return -1;
	close(actor->to);
	for (int i = 0; waitpid(actor->pid, &status, WNOHANG) == 0; i++) {
		/* Long past any patience; the status says so. */
		if (i == 500)
			kill(actor->pid, SIGKILL);
		usleep(10000);
	}
	close(actor->from);
	actor->pid = 0;
	return status;
}

static void enter_cgroup(const struct actor *sandbox)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char pattern[256], text[32];

	snprintf(text, sizeof(text), "%d", getpid());
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		glob_t found = {};
		int fd;

		snprintf(pattern, sizeof(pattern), "%s/openshell/run-%d-*/cgroup.procs", mounts[i],
			 sandbox->pid);
		if (glob(pattern, 0, NULL, &found))
			continue;
		fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, text, strlen(text)) > 0) {
			close(fd);
			return;
		}
	}
	_exit(126);
}

void stage_spawn(enum stage_where where, const struct actor *sandbox, uid_t uid,
		 struct actor *ret_actor)
{
	const char *program = stage_path("agents/agent");

	*ret_actor = (struct actor){};
	if (fork_actor(ret_actor))
		return;
	if (where == STAGE_OUTSIDE)
		world_enter_outside();
	open_foreign();
	if (where == STAGE_INSIDE)
		enter_cgroup(sandbox);
	if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
		_exit(125);
	if (chdir(stage_path("work")))
		_exit(124);
	execl(program, program, "serve", NULL);
	_exit(127);
}

void stage_begin(struct actor *actor, const char *words)
{
	char text[2400];
	size_t len;

	stage_expand(words, text, sizeof(text) - 1);
	len = strlen(text);
	text[len++] = '\n';
	clock_gettime(CLOCK_MONOTONIC, &actor->asked);
	if (write(actor->to, text, len) != (ssize_t)len && errno != EPIPE)
		world_die("%s", words);
}

struct answer stage_end(struct actor *actor)
{
	struct answer answer = {.error = EPIPE};
	struct pollfd wait = {.fd = actor->from, .events = POLLIN};
	struct timespec now;
	char line[1300];
	size_t n = 0;

	while (n < sizeof(line) - 1 && poll(&wait, 1, 30000) == 1 &&
	       read(actor->from, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	clock_gettime(CLOCK_MONOTONIC, &now);
	answer.ms = (unsigned int)((now.tv_sec - actor->asked.tv_sec) * 1000 +
				   (now.tv_nsec - actor->asked.tv_nsec) / 1000000);
	if (n) {
		char *rest;

		answer.error = (int)strtol(line, &rest, 10);
		snprintf(answer.text, sizeof(answer.text), "%s", *rest ? rest + 1 : rest);
	}
	return answer;
}

struct answer stage_ask(struct actor *actor, const char *words)
{
	stage_begin(actor, words);
	return stage_end(actor);
}

bool answer_word(const struct answer *answer, const char *key, char *ret, size_t size)
{
	const char *at = strstr(answer->text, key);

	if (!at)
		return false;
	at += strlen(key);
	snprintf(ret, size, "%.*s", (int)strcspn(at, " "), at);
	return true;
}
