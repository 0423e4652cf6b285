/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "act.h"
#include "arena.h"
#include "common/cleanup.h"
#include "common/policy.h"
#include "rows.h"
#include "supervisor/landlock.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FOREIGN_FD 9

static const char main_policy[] =
	"version: 1\n"
	"filesystem_policy:\n"
	"  include_workdir: false\n"
	"  read_only: [@/bin, @/ro, @/rw/ro, @/rw/frozen, @/rw/frozen.unlink, @/rw/frozen.rename,\n"
	"              @/rw/frozen.link, @/rw/parent/frozen, @/tmpfs/ro, @/overlay/ro]\n"
	"  read_write: [@/rw, @/ro/rw, @/rw/ro/rw, @/rw/deny/rw, @/tmpfs, @/overlay,\n"
	"               @/one/granted]\n"
	"  deny: [@/rw/deny, @/rw/secret, @/rw/secret.unlink, @/rw/secret.rename, "
	"@/rw/secret.link,\n"
	"         @/rw/secret.swap, @/rw/secret.gone, @/rw/secret.linked, @/rw/moves/secret,\n"
	"         @/rw/later, @/ro/secret, @/tmpfs/deny, @/tmpfs/secret, @/overlay/deny,\n"
	"         @/overlay/secret]\n";

static const char exec_policy[] = "version: 1\n"
				  "filesystem_policy:\n"
				  "  include_workdir: false\n"
				  "  read_only: [@/bin, @/ro]\n"
				  "  read_write: [@/rw, @/rw/programs]\n"
				  "exec_policy:\n"
				  "  allow: [@/bin/**, @/rw/programs/**]\n"
				  "  deny: [@/bin/denied]\n";

static const char still_policy[] = "version: 1\n"
				   "filesystem_policy:\n"
				   "  include_workdir: false\n"
				   "  read_only: [@/bin, @/ro]\n"
				   "  read_write: [@/rw]\n"
				   "exec_policy:\n"
				   "  allow_writable: false\n"
				   "  deny: [@/ro/denied]\n";

void stage_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("Bail out! ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	exit(1);
}

const char *stage_path(const struct stage *stage, const char *path)
{
	static char buf[4][512];
	static unsigned int next;
	char *to = buf[next++ % ARRAY_LEN(buf)];

	const char *at = path[0] == '/' ? strchr(path, '@') : NULL;

	if (at)
		snprintf(to, sizeof(buf[0]), "%.*s%s%s", (int)(at - path), path, stage->top,
			 at + 1);
	else if (path[0] == '/')
		snprintf(to, sizeof(buf[0]), "%s", path);
	else
		snprintf(to, sizeof(buf[0]), "%s/%s", stage->top, path);
	return to;
}

Openshell__Compiled__V1__CompiledPolicy *stage_compile(const struct stage *stage, const char *text,
						       uint8_t digest[static 32])
{
	Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_free_ char *yaml = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	struct error err = {};
	size_t size = 0;
	FILE *out = open_memstream(&yaml, &size);

	if (!out)
		stage_die("open_memstream");
	for (; *text; text++) {
		if (*text == '@')
			fputs(stage->top, out);
		else
			fputc(*text, out);
	}
	fclose(out);
	if (policy_load_buffer("suite", yaml, size, &policy, NULL, &err) ||
	    policy_compile(policy, &compiled, &err) || policy_digest(compiled, digest, &err))
		stage_die("policy: %d:%d: %s", err.line, err.col, err.message);
	return compiled;
}

static void become(uid_t uid)
{
	if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
		_exit(125);
}

/* As the program `act serve`, with its pipe ends; the rest of the descriptors are not for it. */
static void __attribute__((noreturn)) serve(const struct stage *stage, int in, int out)
{
	char *argv[] = {(char *)stage_path(stage, "bin/act"), "serve", NULL};
	char *envp[] = {"SECRET=of-the-victim", NULL};

	if (chdir(stage_path(stage, "bin")) || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(stage->foreign, FOREIGN_FD) < 0)
		_exit(125);
	execve(argv[0], argv, envp);
	_exit(124);
}

static void make_pipes(int in[2], int out[2])
{
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		stage_die("pipe: %s", strerror(errno));
}

void stage_spawn(struct stage *stage, const struct sandbox *sandbox, uid_t uid,
		 struct server *ret_server)
{
	int in[2], out[2];
	pid_t pid;

	make_pipes(in, out);
	pid = fork();
	if (pid < 0)
		stage_die("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (sandbox && cgroup_write(sandbox->slot.cgroup.fd, "cgroup.procs", "0"))
			_exit(123);
		become(uid);
		serve(stage, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	*ret_server = (struct server){.pid = pid, .to = in[1], .from = out[0]};
	if (server_ask(ret_server, "access /"))
		stage_die("a server did not start");
}

struct sandbox *stage_start(struct stage *stage, const char *id, const char *policy,
			    const char *workdir, bool audit, struct server *ret_server)
{
	uint8_t digest[32];
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled =
		stage_compile(stage, policy, digest);
	_cleanup_free_ char *directory = strdup(stage_path(stage, workdir));
	char *argv[] = {(char *)stage_path(stage, "bin/act"), "serve", NULL}, *envp[] = {NULL};
	struct sandbox *sandbox = NULL;
	struct sandbox_spec spec = {
		.id = id,
		.policy = compiled,
		.digest = digest,
		.argv = argv,
		.envp = envp,
		.workdir = directory,
		.uid = STAGE_UID,
		.gid = STAGE_UID,
		.audit = audit,
		.require_lsm = stage->lsm,
	};
	struct error err = {};
	int in[2], out[2], r;

	make_pipes(in, out);
	spec.stdio[0] = in[0];
	spec.stdio[1] = out[1];
	spec.stdio[2] = STDERR_FILENO;
	r = sandbox_start(stage->kernel, &spec, &sandbox, &err);
	if (r)
		stage_die("sandbox %s: %s", id, err.message);
	close(in[0]);
	close(out[1]);
	*ret_server = (struct server){.pid = -1, .to = in[1], .from = out[0]};
	return sandbox;
}

void server_send(struct server *server, const char *words)
{
	if (dprintf(server->to, "%s\n", words) < 0)
		printf("# server: %s\n", strerror(errno));
}

int server_answer(struct server *server)
{
	char line[32];
	size_t n = 0;

	while (n < sizeof(line) - 1) {
		if (read(server->from, line + n, 1) != 1)
			return -EPIPE;
		if (line[n++] == '\n')
			break;
	}
	line[n] = '\0';
	return (int)strtol(line, NULL, 10);
}

int server_ask(struct server *server, const char *words)
{
	server_send(server, words);
	return server_answer(server);
}

void server_stop(struct server *server)
{
	if (server->to > 0) {
		close(server->to);
		close(server->from);
	}
	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*server = (struct server){.to = -1, .from = -1, .pid = -1};
}

uint64_t stage_count(const struct stage *stage, unsigned int index)
{
	struct event_counters counters;

	if (event_counters_read(stage->kernel->maps.count, &counters))
		stage_die("os_count cannot be read");
	return counters.value[index];
}

static void hear(void *arg, const void *data, size_t size)
{
	struct stage *stage = arg;
	const struct os_event *event = data;

	if (size < sizeof(*event) || event->hook >= OS_HOOK_COUNT ||
	    event->verdict == OS_EVENT_ALLOWED)
		return;
	stage->heard[event->hook].count++;
	stage->heard[event->hook].error = event->error;
	stage->heard[event->hook].audited = event->verdict == OS_EVENT_AUDIT;
}

/* Whose ring tells of what @who does. */
static struct event_reader *reader_of(const struct stage *stage, enum who who)
{
	if (who == WHO_BARE || who == WHO_BARE_USER)
		who = WHO_AGENT;
	return who <= WHO_AUDIT ? stage->reader[who] : NULL;
}

void stage_listen(struct stage *stage, enum who who)
{
	struct event_reader *reader = reader_of(stage, who);

	if (reader)
		event_reader_drain(reader);
}

void stage_drain(struct stage *stage, enum who who)
{
	stage_listen(stage, who);
	memset(stage->heard, 0, sizeof(stage->heard));
}

/* Answers "KIND PATH" with a descriptor: what a helpful or bribed process outside would pass. */
static void pass_one(int connection)
{
	char line[512], *path;
	int fd = -1, pair[2];
	ssize_t n = recv(connection, line, sizeof(line) - 1, 0);

	if (n <= 0)
		return;
	line[n] = '\0';
	path = strchr(line, ' ');
	if (!path)
		return;
	*path++ = '\0';
	if (!strcmp(line, "file"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	else if (!strcmp(line, "opath"))
		fd = open(path, O_PATH | O_CLOEXEC);
	else if (!strcmp(line, "write"))
		fd = open(path, O_WRONLY | O_CLOEXEC);
	else if (!strcmp(line, "inet"))
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	else if (!strcmp(line, "netlink"))
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	else if (!strcmp(line, "unix") && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fd = pair[0];
	else if (!strcmp(line, "pipe") && !pipe2(pair, O_CLOEXEC))
		fd = pair[0];
	act_send_fd(connection, fd);
}

static pid_t start_passer(const char *path)
{
	int server;
	pid_t pid;

	if (act_unix(SOCK_STREAM, path, false, true, &server) || chmod(path, 0666))
		stage_die("%s: %s", path, strerror(errno));
	pid = fork();
	if (pid)
		return close(server), pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (;;) {
		pid_t one;
		int connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);

		/* A process for each: what it opened is closed with it. */
		one = fork();
		if (one == 0) {
			pass_one(connection);
			_exit(0);
		}
		close(connection);
		while (waitpid(one, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

static pid_t start_victim(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	become(STAGE_UID);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* A change of identity made it undumpable, which alone would keep others out. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	for (;;)
		pause();
}

/* Somebody in the agent's cgroup but init: the agent itself, by its number on the host. */
static pid_t agent_pid(const struct sandbox *sandbox)
{
	_cleanup_close_ int fd =
		openat(sandbox->slot.cgroup.fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[256], *line = text;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		stage_die("cgroup.procs: %s", strerror(errno));
	text[n] = '\0';
	while (line && *line) {
		pid_t pid = (pid_t)strtol(strsep(&line, "\n"), NULL, 10);

		if (pid && pid != sandbox->launch.init_pid)
			return pid;
	}
	stage_die("no agent in its cgroup");
}

static void start_agent(struct stage *stage, enum who who, const char *id, const char *policy)
{
	const struct event_sink sink = {.event = hear, .arg = stage};
	struct error err = {};

	stage->sandbox[who] =
		stage_start(stage, id, policy, "bin", who == WHO_AUDIT, &stage->server[who]);
	if (event_reader_open(stage->sandbox[who]->slot.ring_fd, &sink, &stage->reader[who], &err))
		stage_die("event ring: %s", err.message);
}

void stage_open(struct stage *stage)
{
	struct error err = {};
	int fd;

	signal(SIGPIPE, SIG_IGN);
	/* The suite's own mounts are seen by nobody else. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		stage_die("unshare: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	stage->foreign = fcntl(fd, F_DUPFD_CLOEXEC, 64);
	safe_close(fd);
	stage->landlock_abi = landlock_abi();
	if (kernel_open(&stage->kernel, &err))
		stage_die("%s", err.message);
	if (stage->lsm && !stage->kernel->lsm)
		stage_die("BPF-LSM is not available: %s", stage->kernel->lsm_reason);
	if (!stage->lsm && stage->kernel->lsm) {
		kernel_close(stage->kernel);
		printf("1..0 # SKIP sandboxes here are held by BPF-LSM, not by Landlock\n");
		exit(0);
	}
	arena_make(stage);
}

void stage_set_up(struct stage *stage)
{
	int fd;

	stage_open(stage);
	snprintf(stage->abstract, sizeof(stage->abstract), "openshell-enforce-%d", getpid());
	if (act_unix(SOCK_STREAM, stage->abstract, true, true, &fd))
		stage_die("abstract socket: %s", strerror(errno));
	stage->kept[stage->kept_len++] = fd;
	snprintf(stage->datagram, sizeof(stage->datagram), "%s-datagram", stage->abstract);
	if (act_unix(SOCK_DGRAM, stage->datagram, true, true, &fd))
		stage_die("abstract socket: %s", strerror(errno));
	stage->kept[stage->kept_len++] = fd;
	matrix_make_sockets(stage);
	stage->victim = start_victim();
	stage->passer = start_passer(stage_path(stage, "rw/pass.sock"));

	start_agent(stage, WHO_AGENT, "enforce-main", main_policy);
	snprintf(stage->cgroup, sizeof(stage->cgroup), "%s/" CGROUP_PARENT "/enforce-main",
		 stage->kernel->tree.mounts.v2);
	start_agent(stage, WHO_EXEC, "enforce-exec", exec_policy);
	start_agent(stage, WHO_STILL, "enforce-still", still_policy);
	stage->neighbour = agent_pid(stage->sandbox[WHO_EXEC]);
	stage_spawn(stage, NULL, STAGE_UID, &stage->server[WHO_USER]);
	stage_spawn(stage, NULL, 0, &stage->server[WHO_ROOT]);
	if (!stage->lsm)
		return;
	start_agent(stage, WHO_AUDIT, "enforce-audit", main_policy);
	stage_spawn(stage, stage->sandbox[WHO_AGENT], 0, &stage->server[WHO_BARE]);
	stage_spawn(stage, stage->sandbox[WHO_AGENT], STAGE_UID, &stage->server[WHO_BARE_USER]);
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void stage_tear_down(struct stage *stage)
{
	for (enum who who = 0; who < WHO_MAX; who++)
		server_stop(&stage->server[who]);
	for (enum who who = 0; who <= WHO_AUDIT; who++) {
		event_reader_free(stage->reader[who]);
		sandbox_free(stage->sandbox[who]);
	}
	end(stage->victim);
	end(stage->passer);
	for (size_t i = 0; i < stage->kept_len; i++)
		close(stage->kept[i]);
	kernel_close(stage->kernel);
	safe_close(stage->foreign);
	arena_remove(stage);
}
