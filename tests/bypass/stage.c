/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "common/cleanup.h"
#include "world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define FOREIGN_FD 9
#define COUNTERS   "/sys/fs/bpf/openshell/os_count"

static char directory[] = "/var/tmp/openshell-bypass-XXXXXX";
static const char *tools;

/* Copies of the agent: what rules name, and what they do not. */
static const char *const programs[] = {"agent", "admitted", "other", "parent"};

const char *stage_directory(void)
{
	return directory;
}

static void copy(const char *from, const char *to, mode_t mode)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n;

	if (in < 0 || out < 0 || fchmod(out, mode))
		world_die("%s to %s", from, to);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	if (n < 0)
		world_die("%s", to);
}

static const char *inside(const char *fmt, ...)
{
	static char path[4][512];
	static unsigned int next;
	char *to = path[next++ % 4];
	int n = snprintf(to, sizeof(path[0]), "%s/", directory);
	va_list args;

	va_start(args, fmt);
	vsnprintf(to + n, sizeof(path[0]) - (size_t)n, fmt, args);
	va_end(args);
	return to;
}

static void make_directory(const char *name, mode_t mode)
{
	if (mkdir(inside("%s", name), mode) || chmod(inside("%s", name), mode))
		world_die("%s", name);
}

void stage_open(const char *bin, const char *agents)
{
	char from[512];

	tools = bin;
	if (!mkdtemp(directory) || chmod(directory, 0755))
		world_die("%s", directory);
	make_directory("bin", 0755);
	make_directory("agents", 0755);
	make_directory("logs", 0755);
	make_directory("work", 01777);
	snprintf(from, sizeof(from), "%s/openshell", bin);
	copy(from, inside("bin/openshell"), 0755);
	snprintf(from, sizeof(from), "%s/openshell-proxy", bin);
	if (!access(from, X_OK))
		copy(from, inside("bin/openshell-proxy"), 0755);
	snprintf(from, sizeof(from), "%s/act", agents);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		copy(from, inside("agents/%s", programs[i]), 0755);
	snprintf(from, sizeof(from), "%s/preload.so", agents);
	copy(from, inside("work/preload.so"), 0755);
	stage_set("dir", directory);
	stage_set("work", inside("work"));
}

void stage_close(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--one-file-system", directory, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* Names */

static struct {
	char name[32], value[600];
} names[64];

void stage_set(const char *name, const char *value)
{
	size_t i = 0;

	while (i < ARRAY_LEN(names) && names[i].name[0] && strcmp(names[i].name, name))
		i++;
	if (i == ARRAY_LEN(names))
		world_die("too many names");
	snprintf(names[i].name, sizeof(names[i].name), "%s", name);
	snprintf(names[i].value, sizeof(names[i].value), "%s", value);
}

const char *stage_get(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names) && names[i].name[0]; i++)
		if (!strcmp(names[i].name, name))
			return names[i].value;
	return NULL;
}

void stage_expand(const char *words, char *ret, size_t size)
{
	size_t n = 0;

	while (*words && n + 1 < size) {
		const char *end = *words == '{' ? strchr(words, '}') : NULL, *value;
		char name[32];

		if (!end) {
			ret[n++] = *words++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(end - words - 1), words + 1);
		value = stage_get(name);
		if (!value)
			world_die("nobody set {%s}", name);
		n += (size_t)snprintf(ret + n, size - n, "%s", value);
		words = end + 1;
	}
	ret[n < size ? n : size - 1] = '\0';
}

/* Actors */

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
	FILE *out = fopen(inside("logs/%s.yaml", name), "we");

	if (!out)
		world_die("%s", name);
	for (; *text; text++) {
		if (*text == '@')
			fputs(directory, out);
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
			  (char *)inside("logs/%s.yaml", name),
			  "--log",
			  (char *)inside("logs/%s", name),
			  "--workdir"};
	size_t n = 10;
	int error =
		open(inside("logs/%s.err", name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char *rest = words;
	static char work[512], agent[512];

	snprintf(program, sizeof(program), "%s/%s/openshell", directory, bin);
	snprintf(words, sizeof(words), "%s", options ? options : "");
	snprintf(work, sizeof(work), "%s/work", directory);
	snprintf(agent, sizeof(agent), "%s/agents/agent", directory);
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
	unlink(inside("logs/%s", name));
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
	print_file(inside("logs/%s.err", name));
	print_file(inside("logs/%s", name));
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
	const char *program = inside("agents/agent");

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
	if (chdir(inside("work")))
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

/* What the kernel side counted, and userspace wrote */

void stage_counters(struct event_counters *ret_counters)
{
	static int fd = -1;

	if (fd < 0)
		fd = bpf_obj_get(COUNTERS);
	if (fd < 0 || event_counters_read(fd, ret_counters))
		world_die(COUNTERS);
}

static unsigned int count_lines(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	unsigned int count = 0;
	size_t size = 0;

	while (in && getline(&line, &size, in) > 0)
		count += strstr(line, text) != NULL;
	return count;
}

unsigned int stage_count_logged(const struct actor *sandbox, const char *text)
{
	return count_lines(inside("logs/%s", sandbox->name), text);
}

bool stage_logged(const struct actor *sandbox, const char *text)
{
	for (int i = 0; i < 100; i++) {
		if (stage_count_logged(sandbox, text))
			return true;
		usleep(20000);
	}
	return false;
}

bool stage_said(const char *name, const char *text)
{
	return count_lines(inside("logs/%s.err", name), text) > 0;
}

bool stage_has_lsm(void)
{
	struct os_meta meta;
	const uint32_t key = 0;
	int fd = bpf_obj_get("/sys/fs/bpf/openshell/os_meta");
	bool has;

	if (fd < 0 || bpf_map_lookup_elem(fd, &key, &meta))
		world_die("os_meta");
	has = meta.flags & OS_META_LSM;
	close(fd);
	return has;
}

void stage_keep_socket(bool keep)
{
	keep_socket = keep;
}

bool stage_wait_file(const char *name)
{
	for (int i = 0; i < 200; i++) {
		if (!unlink(inside("work/%s", name)))
			return true;
		usleep(10000);
	}
	return false;
}

/* TAP */

static unsigned int points, failures;

void point(bool ok, const char *fmt, ...)
{
	va_list args;

	failures += !ok;
	printf("%sok %u - ", ok ? "" : "not ", ++points);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

int points_end(void)
{
	printf("1..%u\n", points);
	return failures != 0;
}
