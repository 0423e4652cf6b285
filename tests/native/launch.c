/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What launch.h and init.h promise, tried on this machine's kernel. The program is also its own
 * agent: inside the sandbox it prints facts, one "name value" a line, which the outside compares
 * with what it knows. Needs root and cgroup v2.
 */
#include "launch_acts.h"
#include "tap.h"
#include "test_tree.h"

#include "common/cleanup.h"
#include "supervisor/cgroup.h"
#include "supervisor/launch.h"
#include "supervisor/seccomp.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define AGENT_UID 61001
#define AGENT_GID 61002

static char home[] = "/tmp/openshell-launch.XXXXXX"; /* on the host's disk, open to all */
static char self[PATH_MAX];			     /* this program, where an agent may run it */
static struct cgroup_tree tree = CGROUP_TREE_EMPTY;
static struct cgroup cgroup = CGROUP_EMPTY;

/* The agent's side */

static void fact(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fact(const char *name, const char *fmt, ...)
{
	va_list args;

	printf("%s ", name);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

static void tell_status(void)
{
	static const char *const fields[] = {
		"Groups:", "Cap", "NoNewPrivs:", "Seccomp:", "Sig", "NSpid:"};
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			if (!strncmp(line, fields[i], strlen(fields[i]))) {
				char *tab = strchr(line, '\t');

				line[strcspn(line, "\n")] = '\0';
				*strchr(line, ':') = '\0';
				fact(line, "%s", tab ? tab + 1 : "");
			}
}

static void tell_directory(const char *name, const char *path, bool numbers)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *entry;
	char list[512] = "";

	while (d && (entry = readdir(d))) {
		size_t len = strlen(list);
		long number = strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.' || (numbers && number == 0 && entry->d_name[0] != '0'))
			continue;
		if (!strcmp(path, "/proc/self/fd") && number == dirfd(d))
			continue;
		snprintf(list + len, sizeof(list) - len, "%s,", entry->d_name);
	}
	fact(name, "%s", d ? list : strerrordesc_np(errno));
}

static int open_errno(const char *path, int flags)
{
	_cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? errno : 0;
}

static void *thread_body(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

/* 32-bit system calls through int 0x80; 20 is getpid there. The exit status of a child. */
static int foreign_status(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		long r;

		__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
		_exit(r > 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void tell_namespaces(void)
{
	static const char *const names[] = {"mnt", "pid", "ipc", "uts", "net", "user"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[64], link[64] = "";

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		if (readlink(path, link, sizeof(link) - 1) < 0)
			snprintf(link, sizeof(link), "-");
		snprintf(path, sizeof(path), "ns.%s", names[i]);
		fact(path, "%s", link);
	}
}

static void tell_limits(void)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {{"core", RLIMIT_CORE},
		      {"nofile", RLIMIT_NOFILE},
		      {"nproc", RLIMIT_NPROC},
		      {"memlock", RLIMIT_MEMLOCK}};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		char name[32];
		struct rlimit limit;

		getrlimit(limits[i].resource, &limit);
		snprintf(name, sizeof(name), "limit.%s", limits[i].name);
		fact(name, "%llu:%llu", (unsigned long long)limit.rlim_cur,
		     (unsigned long long)limit.rlim_max);
	}
}

static void tell_init(void)
{
	char link[8];

	fact("init.mem", "%d", open_errno("/proc/1/mem", O_RDWR));
	fact("init.environ", "%d", open_errno("/proc/1/environ", O_RDONLY));
	fact("init.fd", "%d", open_errno("/proc/1/fd", O_RDONLY));
	fact("init.root", "%d", readlink("/proc/1/root", link, sizeof(link)) < 0 ? errno : 0);
	fact("init.kill", "%d", kill(1, SIGKILL) < 0 ? errno : 0);
	fact("init.stop", "%d", kill(1, SIGSTOP) < 0 ? errno : 0);
	fact("init.alive", "%d", kill(1, 0) < 0 ? errno : 0);
}

static int agent_facts(int argc, char **argv)
{
	uid_t uid[3];
	gid_t gid[3];
	char buffer[PATH_MAX];
	pthread_t thread;
	bool ran = false;
	mode_t mask = umask(0);

	getresuid(&uid[0], &uid[1], &uid[2]);
	getresgid(&gid[0], &gid[1], &gid[2]);
	fact("uid", "%u %u %u", uid[0], uid[1], uid[2]);
	fact("gid", "%u %u %u", gid[0], gid[1], gid[2]);
	fact("umask", "%o", mask);
	fact("cwd", "%s", getcwd(buffer, sizeof(buffer)));
	gethostname(buffer, sizeof(buffer));
	fact("hostname", "%s", buffer);
	fact("pid", "%d", getpid());
	fact("ppid", "%d", getppid());
	fact("leader", "%d", getsid(0) == getpid() && getpgrp() == getpid());
	fact("securebits", "%d", prctl(PR_GET_SECUREBITS));
	fact("pdeathsig.open", "%d", open_errno("/dev/tty", O_RDWR));
	fact("args", "%s %s", argc > 3 ? argv[3] : "-", getenv("FACT") ? getenv("FACT") : "-");
	tell_status();
	tell_namespaces();
	tell_limits();
	tell_directory("fds", "/proc/self/fd", true);
	tell_directory("pids", "/proc", true);
	tell_init();
	for (int i = 4; i < argc; i++)
		fact(argv[i], "%d", open_errno(argv[i], O_WRONLY));
	fact("thread", "%d",
	     pthread_create(&thread, NULL, thread_body, &ran) == 0 &&
		     pthread_join(thread, NULL) == 0 && ran);
	fact("foreign", "%d", foreign_status());
	fact("x32", "%d", syscall(0x40000000 | SYS_getpid) < 0 ? errno : 0);
	fact("unknown", "%d", syscall(seccomp_last_known() + 1) < 0 ? errno : 0);
	fact("setuid", "%d", syscall(SYS_setuid, 0) < 0 ? errno : 0);
	for (size_t i = 0; i < ARRAY_LEN(syscall_acts); i++)
		printf("act %zu %d\n", i, syscall_act(&syscall_acts[i]));
	return 0;
}

/* The host's view of a sandbox's mounts, seen from inside. */
static int agent_mounts(int argc, char **argv)
{
	char path[PATH_MAX], text[64] = "";
	int fd;

	fact("tmpfs.write", "%d", open_errno(argv[3], O_WRONLY | O_CREAT));
	snprintf(path, sizeof(path), "%s/kept/file", argv[4]);
	fact("kept.read", "%d", open_errno(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/kept/new", argv[4]);
	fact("kept.write", "%d", open_errno(path, O_WRONLY | O_CREAT));
	snprintf(path, sizeof(path), "%s/other", argv[4]);
	fact("other.read", "%d", open_errno(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/ro/new", argv[5]);
	fact("ro.write", "%d", open_errno(path, O_WRONLY | O_CREAT));
	snprintf(path, sizeof(path), "%s/ro/file", argv[5]);
	fact("ro.read", "%d", open_errno(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/masked", argv[5]);
	fact("mask.dir", "%d", open_errno(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/masked.file", argv[5]);
	fact("mask.file", "%d", open_errno(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/content", argv[5]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		fact("content", "%s", text);
	safe_close(fd);
	fact("content.write", "%d", open_errno(path, O_WRONLY));
	snprintf(path, sizeof(path), "%s/noexec/true", argv[5]);
	execl(path, path, NULL);
	fact("noexec", "%d", errno);
	snprintf(path, sizeof(path), "%s/link", argv[4]);
	memset(text, 0, sizeof(text));
	fact("symlink", "%s", readlink(path, text, sizeof(text) - 1) < 0 ? "-" : text);
	return 0;
}

static int agent(int argc, char **argv)
{
	if (!strcmp(argv[2], "facts"))
		return agent_facts(argc, argv);
	if (!strcmp(argv[2], "mounts"))
		return agent_mounts(argc, argv);
	if (!strcmp(argv[2], "read"))
		return open_errno(argv[3], O_RDONLY);
	if (!strcmp(argv[2], "linger")) {
		/* A daemon that nobody waits for, and an agent that does not end by itself. */
		if (fork() == 0) {
			setsid();
			signal(SIGTERM, SIG_IGN);
			signal(SIGHUP, SIG_IGN);
		}
		for (;;)
			pause();
	}
	return 99;
}

/* The outside */

struct run {
	int start, go; /* what launch_start() and launch_go() gave */
	int status;    /* launch_wait() */
	struct error err;
	char output[65536];
};

static char *default_env[] = {"PATH=/usr/bin:/bin", "FACT=yes", NULL};

static struct launch_spec make_spec(char *const *argv)
{
	static const gid_t groups[] = {61003, 61004};

	return (struct launch_spec){
		.argv = argv,
		.envp = default_env,
		.workdir = "/",
		.hostname = "inside",
		.uid = AGENT_UID,
		.gid = AGENT_GID,
		.groups = groups,
		.groups_len = ARRAY_LEN(groups),
		.cgroup_fd = cgroup.fd,
		.stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
	};
}

/* Launch, let go, gather what it writes, wait. */
static const struct run *run(struct launch_spec *spec, int landlock_fd)
{
	static struct run result;
	struct launch launch = LAUNCH_EMPTY;
	size_t len = 0;
	int pair[2];
	ssize_t n;

	memset(&result, 0, sizeof(result));
	result.status = -1;
	if (pipe2(pair, O_CLOEXEC) < 0)
		abort();
	spec->stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	spec->stdio[1] = pair[1];
	result.start = launch_start(spec, &launch, &result.err);
	if (result.start == 0)
		result.go = launch_go(&launch, landlock_fd, &result.err);
	close(pair[1]);
	close(spec->stdio[0]);
	while (len < sizeof(result.output) - 1 &&
	       (n = read(pair[0], result.output + len, sizeof(result.output) - 1 - len)) > 0)
		len += (size_t)n;
	close(pair[0]);
	if (result.start == 0)
		launch_wait(&launch, true, &result.status);
	launch_kill(&launch);
	launch_kill(&launch);
	return &result;
}

static const struct run *run_argv(char *const *argv)
{
	struct launch_spec spec = make_spec(argv);

	return run(&spec, -1);
}

static const struct run *run_shell(const char *script)
{
	return run_argv((char *const[]){"sh", "-c", (char *)script, NULL});
}

/* The value of fact @name; "" if it was not told. */
static const char *get(const struct run *r, const char *name)
{
	static char value[1024];
	size_t len = strlen(name);

	for (const char *p = r->output; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, name, len) && p[len] == ' ') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + len + 1, "\n"),
				 p + len + 1);
			return value;
		}
	return "";
}

static void expect(const struct run *r, const char *name, const char *value, const char *what)
{
	const char *found = get(r, name);
	bool held = !strcmp(found, value);

	ok(held, "%s", what);
	if (!held)
		printf("# %s is '%s', not '%s'\n", name, found, value);
}

static void number(char text[static 16], int value)
{
	snprintf(text, 16, "%d", value);
}

static void expect_number(const struct run *r, const char *name, int value, const char *what)
{
	char text[16];

	number(text, value);
	expect(r, name, text, what);
}

static void test_identity(const struct run *r)
{
	expect(r, "uid", "61001 61001 61001", "agent has the uid three times");
	expect(r, "gid", "61002 61002 61002", "agent has the gid three times");
	expect(r, "Groups", "61003 61004 ", "agent has exactly the groups it was given");
	expect(r, "CapInh", "0000000000000000", "no inheritable capability");
	expect(r, "CapPrm", "0000000000000000", "no permitted capability");
	expect(r, "CapEff", "0000000000000000", "no effective capability");
	expect(r, "CapBnd", "0000000000000000", "empty bounding set");
	expect(r, "CapAmb", "0000000000000000", "no ambient capability");
	expect(r, "NoNewPrivs", "1", "no_new_privs is set");
	expect(r, "Seccomp", "2", "a system call filter is in force");
	expect_number(r, "securebits", 0xeb, "securebits are locked");
	expect_number(r, "setuid", EPERM, "agent cannot become root");
}

static void test_state(const struct run *r)
{
	struct rlimit nofile, nproc;
	char text[64];

	expect(r, "fds", "0,1,2,", "agent inherits three descriptors");
	expect(r, "pids", "1,2,", "/proc shows the sandbox's processes only");
	expect(r, "pid", "2", "agent is process 2");
	expect(r, "ppid", "1", "of our init");
	expect(r, "NSpid", "2", "in a pid namespace without a view of the host's");
	expect(r, "leader", "1", "agent leads a session and a process group");
	expect_number(r, "pdeathsig.open", ENXIO, "agent has no controlling terminal");
	expect(r, "umask", "22", "umask is 022");
	expect(r, "cwd", "/", "working directory is the one given");
	expect(r, "hostname", "inside", "host name is the sandbox's");
	expect(r, "SigBlk", "0000000000000000", "no signal is blocked");
	expect(r, "SigIgn", "0000000000000000", "no signal is ignored");
	expect(r, "limit.core", "0:0", "no core files");
	/* Never more than the caller has. */
	getrlimit(RLIMIT_NOFILE, &nofile);
	snprintf(text, sizeof(text), "1024:%llu",
		 (unsigned long long)(nofile.rlim_max < 524288 ? nofile.rlim_max : 524288));
	expect(r, "limit.nofile", text, "descriptors are bounded");
	getrlimit(RLIMIT_NPROC, &nproc);
	nproc.rlim_max = nproc.rlim_max < 16384 ? nproc.rlim_max : 16384;
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)nproc.rlim_max,
		 (unsigned long long)nproc.rlim_max);
	expect(r, "limit.nproc", text, "processes are bounded");
	expect(r, "limit.memlock", "8388608:8388608", "locked memory is bounded");
	expect(r, "args", "given yes", "agent gets its arguments and its environment");
}

static void test_namespaces(const struct run *r)
{
	static const struct {
		const char *name;
		bool differs;
	} namespaces[] = {{"mnt", true}, {"pid", true},	 {"ipc", true},
			  {"uts", true}, {"net", false}, {"user", false}};

	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		char path[64], name[16], link[64] = "";

		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i].name);
		snprintf(name, sizeof(name), "ns.%s", namespaces[i].name);
		if (readlink(path, link, sizeof(link) - 1) < 0)
			abort();
		ok(*get(r, name) && !strcmp(get(r, name), link) == !namespaces[i].differs,
		   "%s namespace is %s", namespaces[i].name,
		   namespaces[i].differs ? "the sandbox's own" : "the host's");
	}
}

/* Some virtual machines have no 32-bit system calls at all: there the instruction faults. */
static void test_foreign(const struct run *r)
{
	int outside = foreign_status();

	if (outside == 128 + SIGSEGV) {
		skip("a 32-bit system call kills", "it faults on this machine, outside too");
		return;
	}
	expect_number(r, "foreign", 128 + SIGSYS, "a 32-bit system call kills");
	ok(outside == 0, "outside it does not");
}

static void test_init_closed(const struct run *r)
{
	expect_number(r, "init.mem", EACCES, "init's memory is closed to the agent");
	expect_number(r, "init.environ", EACCES, "init's environment is closed to the agent");
	expect_number(r, "init.fd", EACCES, "init's descriptors are closed to the agent");
	expect_number(r, "init.root", EACCES, "init's root link is closed to the agent");
	expect_number(r, "init.alive", 0, "init survives SIGKILL and SIGSTOP from the agent");
}

static void test_acts(const struct run *r)
{
	for (size_t i = 0; i < ARRAY_LEN(syscall_acts); i++) {
		const struct syscall_act *act = &syscall_acts[i];
		char name[16];
		int outside, status;
		pid_t pid;

		/* In a child, since some of these change the process. */
		fflush(stdout);
		pid = fork();
		if (pid == 0)
			_exit(syscall_act(act));
		waitpid(pid, &status, 0);
		outside = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		snprintf(name, sizeof(name), "act %zu", i);
		if (act->expected)
			ok(outside != act->expected, "%s: outside not refused like that (%d)",
			   act->name, outside);
		else
			ok(outside == 0, "%s: works outside", act->name);
		expect_number(r, name, act->expected, act->name);
	}
}

static void test_facts(void)
{
	char procs[PATH_MAX + 32], own[PATH_MAX + 128];
	char *argv[] = {self, "agent", "facts", "given", procs, own, NULL};
	int extra = open("/", O_RDONLY | O_DIRECTORY);
	const struct run *r;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", tree.mounts.v2);
	snprintf(own, sizeof(own), "%s/%s/%s/cgroup.procs", tree.mounts.v2, TEST_PARENT,
		 cgroup.name);
	if (dup2(extra, 77) < 0)
		abort();
	signal(SIGHUP, SIG_IGN);
	umask(077);
	r = run_argv(argv);
	umask(022);
	signal(SIGHUP, SIG_DFL);
	close(77);
	close(extra);
	ok(r->start == 0 && r->go == 0 && r->status == 0, "an agent starts, runs and ends");
	if (r->start || r->go)
		printf("# %s\n", r->err.message);
	test_identity(r);
	test_state(r);
	test_namespaces(r);
	test_init_closed(r);
	expect_number(r, procs, EACCES, "the host's root cgroup takes no process from the agent");
	expect_number(r, own, EACCES, "nor does the agent's own");
	expect(r, "thread", "1", "threads start without clone3");
	test_foreign(r);
	expect_number(r, "x32", ENOSYS, "x32 numbers are unknown");
	expect_number(r, "unknown", ENOSYS, "numbers newer than the table are unknown");
	test_acts(r);
}

static void test_exit_codes(void)
{
	ok(run_shell("exit 0")->status == 0, "exit 0");
	ok(run_shell("exit 7")->status == 7, "exit 7");
	ok(run_shell("exit 255")->status == 255, "exit 255");
	ok(run_shell("kill -TERM $$")->status == 128 + SIGTERM, "death by SIGTERM is 143");
	ok(run_shell("kill -SEGV $$")->status == 128 + SIGSEGV, "death by SIGSEGV is 139");
	ok(run_shell("kill -KILL $$")->status == 128 + SIGKILL, "death by SIGKILL is 137");
	ok(run_shell("(sleep 100 >/dev/null 2>&1 &) ; exit 3")->status == 3,
	   "the agent's end ends its background processes");
	ok(run_shell("for i in 1 2 3 4 5 6 7 8; do (true &); done; sleep 0.1; "
		     "ls -d /proc/[0-9]* | grep -v -e '/1$' -e '/2$' | xargs cat 2>/dev/null; "
		     "grep -l '^State:.Z' /proc/[0-9]*/status && exit 9; exit 4")
			   ->status == 4,
	   "orphans are reaped");
}

static void write_file(const char *path, const char *content, mode_t mode)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, content, strlen(content)) < 0 || fchmod(fd, mode) < 0)
		abort();
}

static const char *at_home(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned int next;
	char *p = path[next++ % ARRAY_LEN(path)];

	snprintf(p, PATH_MAX, "%s/%s", home, name);
	return p;
}

static void expect_go(char *const *argv, int code, const char *word, const char *what)
{
	const struct run *r = run_argv(argv);
	bool held = r->start == 0 && r->go == code && strstr(r->err.message, word);

	ok(held, "%s", what);
	if (!held)
		printf("# start %d go %d: %s\n", r->start, r->go, r->err.message);
}

static void test_exec_failures(void)
{
	char *plain = strdup(at_home("plain")), *bare = strdup(at_home("bare"));
	char *lost = strdup(at_home("lost")), *closed = strdup(at_home("closed"));
	char path_env[PATH_MAX + 64];
	char *env[] = {path_env, NULL};
	struct launch_spec spec;

	write_file(plain, "#!/bin/sh\n", 0644);
	write_file(bare, "echo no interpreter\n", 0755);
	write_file(lost, "#!/no/such/interpreter\n", 0755);
	write_file(closed, "#!/bin/sh\n", 0700);
	expect_go((char *const[]){"no-such-command", NULL}, -ENOENT, "no-such-command",
		  "a command that PATH does not have");
	expect_go((char *const[]){"/no/such/file", NULL}, -ENOENT, "/no/such/file",
		  "a path that does not exist");
	expect_go((char *const[]){"", NULL}, -ENOENT, "empty", "an empty command");
	expect_go((char *const[]){plain, NULL}, -EACCES, "not executable",
		  "a file that is not executable");
	expect_go((char *const[]){"/usr", NULL}, -EACCES, "not a regular file", "a directory");
	expect_go((char *const[]){bare, NULL}, -ENOEXEC, "#!", "a script without an interpreter");
	expect_go((char *const[]){lost, NULL}, -ENOENT, "interpreter",
		  "a script whose interpreter does not exist");
	expect_go((char *const[]){closed, NULL}, -EACCES, "permission denied",
		  "a file that only root may execute");

	write_file(at_home("tool"), "#!/bin/sh\nexit 42\n", 0755);
	snprintf(path_env, sizeof(path_env), "PATH=/nowhere:%s", home);
	spec = make_spec((char *const[]){"tool", NULL});
	spec.envp = env;
	ok(run(&spec, -1)->status == 42, "PATH is the agent's, not the caller's");
	spec = make_spec((char *const[]){"plain", NULL});
	spec.envp = env;
	ok(run(&spec, -1)->go == -EACCES, "a file in PATH that is not executable is told apart");
	free(plain);
	free(bare);
	free(lost);
	free(closed);
}

static void test_refusals(void)
{
	char *argv[] = {"true", NULL};
	gid_t root_group[] = {0};
	struct launch_spec spec = make_spec(argv);
	const struct run *r;

	spec.uid = 0;
	ok(run(&spec, -1)->start == -EINVAL, "uid 0 is refused");
	spec = make_spec(argv);
	spec.gid = 0;
	ok(run(&spec, -1)->start == -EINVAL, "gid 0 is refused");
	spec = make_spec(argv);
	spec.uid = (uid_t)-1;
	ok(run(&spec, -1)->start == -EINVAL, "uid -1 is refused");
	spec = make_spec(argv);
	spec.groups = root_group;
	spec.groups_len = 1;
	ok(run(&spec, -1)->start == -EINVAL, "group 0 is refused");
	spec = make_spec(argv);
	spec.workdir = "/no/such/directory";
	r = run(&spec, -1);
	ok(r->start == -ENOENT && strstr(r->err.message, "/no/such/directory"),
	   "a working directory that does not exist");
	if (mkdir(at_home("private"), 0700) < 0)
		abort();
	spec.workdir = at_home("private");
	ok(run(&spec, -1)->start == -EACCES, "a working directory that is closed to the agent");
	spec = make_spec(argv);
	spec.cgroup_fd = -1;
	ok(run(&spec, -1)->start < 0, "no cgroup, no launch");
	spec = make_spec(argv);
	spec.stdio[2] = 999;
	ok(run(&spec, -1)->start == -EBADF, "stdio must be open");
}

static int landlock_ruleset(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
	struct landlock_path_beneath_attr usr = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		usr.parent_fd =
			open((const char *[]){"/usr", "/proc", home}[i], O_PATH | O_CLOEXEC);
		if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &usr, 0) < 0)
			abort();
		close(usr.parent_fd);
	}
	return fd;
}

static void test_landlock(void)
{
	char *argv[] = {self, "agent", "read", "/etc/passwd", NULL};
	struct launch_spec spec = make_spec(argv);
	int fd = landlock_ruleset();

	ok(run(&spec, -1)->status == 0, "without a ruleset the agent reads a file");
	if (fd < 0) {
		skip("the ruleset restricts the agent", "this kernel has no Landlock");
		return;
	}
	ok(run(&spec, fd)->status == EACCES, "the ruleset restricts the agent");
	close(fd);
}

static bool is_empty(void)
{
	_cleanup_close_ int fd = openat(cgroup.fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char c;

	return read(fd, &c, 1) == 0;
}

static bool becomes_empty(void)
{
	for (int i = 0; i < 300; i++) {
		if (is_empty())
			return true;
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	return false;
}

static unsigned int count_processes(void)
{
	_cleanup_close_ int fd = openat(cgroup.fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text));
	unsigned int count = 0;

	for (ssize_t i = 0; i < n; i++)
		count += text[i] == '\n';
	return count;
}

/* A launcher that is killed between @go or before it. */
static void test_launcher_killed(bool go)
{
	char *argv[] = {self, "agent", "linger", NULL};
	struct launch_spec spec = make_spec(argv);
	unsigned int wanted = go ? 3 : 1;
	int pair[2], status;
	char c;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		abort();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct launch launch = LAUNCH_EMPTY;

		if (launch_start(&spec, &launch, NULL) || (go && launch_go(&launch, -1, NULL)) ||
		    write(pair[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(pair[1]);
	ok(read(pair[0], &c, 1) == 1, "a launcher of its own runs a sandbox");
	close(pair[0]);
	for (int i = 0; i < 100 && count_processes() < wanted; i++)
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	ok(count_processes() == wanted, "%u processes are in the cgroup", wanted);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ok(becomes_empty(), "SIGKILL of the launcher %s leaves none",
	   go ? "of a running agent" : "of a waiting init");
}

static void test_control(void)
{
	char *argv[] = {self, "agent", "linger", NULL};
	struct launch_spec spec = make_spec(argv);
	struct launch launch = LAUNCH_EMPTY;
	struct pollfd pidfd;
	int status = -1;

	ok(launch_start(&spec, &launch, NULL) == 0, "a sandbox stands before its agent");
	ok(count_processes() == 1, "init alone is in the cgroup");
	ok(launch_wait(&launch, false, &status) == -EAGAIN && status == -1,
	   "waiting without blocking says that it runs");
	ok(launch_go(&launch, -1, NULL) == 0, "the agent starts");
	ok(launch_signal(&launch, 0) == -EINVAL && launch_signal(&launch, 999) == -EINVAL,
	   "signal numbers are checked");
	pidfd = (struct pollfd){.fd = launch.init_pidfd, .events = POLLIN};
	ok(poll(&pidfd, 1, 0) == 0, "the pidfd is not readable while the agent runs");
	ok(launch_signal(&launch, SIGTERM) == 0, "a signal is taken");
	ok(poll(&pidfd, 1, 5000) == 1, "the pidfd is readable after the end");
	ok(launch_wait(&launch, true, &status) == 0 && status == 128 + SIGTERM,
	   "the agent died of the signal");
	ok(launch_wait(&launch, true, &status) == 0 && status == 128 + SIGTERM,
	   "the status can be asked for again");
	ok(is_empty(), "the daemon it left has gone too");
	ok(launch_signal(&launch, SIGTERM) == -ESRCH, "no signal reaches what has ended");
	launch_kill(&launch);

	spec = make_spec(argv);
	ok(launch_start(&spec, &launch, NULL) == 0 && launch_go(&launch, -1, NULL) == 0,
	   "another sandbox runs");
	launch_kill(&launch);
	ok(is_empty() && launch.init_pidfd == -1 && launch.control_fd == -1,
	   "launch_kill() leaves no process and no descriptor");
}

/* Everything the host sees of mounts, to compare. */
static char *read_mountinfo(void)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	char *text = calloc(1, 1 << 20);
	size_t len = 0;
	ssize_t n;

	while (text && (n = read(fd, text + len, (1 << 20) - 1 - len)) > 0)
		len += (size_t)n;
	return text;
}

static void add_step(struct mount_plan *plan, enum mount_op op, const char *target,
		     const char *content)
{
	const struct mount_step step = {
		.op = op,
		.target = (char *)target,
		.content = (char *)content,
		.size = 1 << 20,
		.mode = 01777,
	};

	if (mount_plan_add(plan, &step) < 0)
		abort();
}

static void test_mounts(void)
{
	char *shared = strdup(at_home("shared")), *hidden = strdup(at_home("hidden"));
	char *before, *after, fresh[PATH_MAX], text[PATH_MAX];
	struct mount_plan plan = {};
	struct launch_spec spec;
	const struct run *r;

	/* Shared, so that a mount that is not made private first would come back to the host. */
	if (mkdir(shared, 0755) < 0 || mkdir(hidden, 0755) < 0 ||
	    mount("test", shared, "tmpfs", 0, "mode=0755") < 0 ||
	    mount(NULL, shared, NULL, MS_SHARED, NULL) < 0)
		abort();
	mkdir(at_home("shared/ro"), 0777);
	chmod(at_home("shared/ro"), 0777);
	mkdir(at_home("shared/masked"), 0755);
	mkdir(at_home("shared/noexec"), 0755);
	mkdir(at_home("hidden/kept"), 0777);
	chmod(at_home("hidden/kept"), 0777);
	write_file(at_home("shared/ro/file"), "x", 0644);
	write_file(at_home("shared/masked.file"), "secret", 0644);
	write_file(at_home("shared/content"), "host", 0666);
	write_file(at_home("shared/noexec/true"), "#!/bin/true\n", 0755);
	write_file(at_home("hidden/kept/file"), "x", 0644);
	write_file(at_home("hidden/other"), "x", 0644);

	add_step(&plan, MOUNT_OP_TMPFS, hidden, NULL);
	add_step(&plan, MOUNT_OP_BIND_HOST, at_home("hidden/kept"), NULL);
	add_step(&plan, MOUNT_OP_SYMLINK, at_home("hidden/link"), "kept/file");
	add_step(&plan, MOUNT_OP_READ_ONLY, at_home("shared/ro"), NULL);
	add_step(&plan, MOUNT_OP_MASK, at_home("shared/masked"), NULL);
	add_step(&plan, MOUNT_OP_MASK, at_home("shared/masked.file"), NULL);
	add_step(&plan, MOUNT_OP_CONTENT, at_home("shared/content"), "inside");
	add_step(&plan, MOUNT_OP_NO_EXEC, at_home("shared/noexec"), NULL);
	snprintf(fresh, sizeof(fresh), "%s/fresh", hidden);
	spec = make_spec((char *const[]){self, "agent", "mounts", fresh, hidden, shared, NULL});
	spec.mounts = &plan;
	before = read_mountinfo();
	r = run(&spec, -1);
	after = read_mountinfo();
	ok(r->start == 0 && r->go == 0, "a plan with every kind of step is carried out");
	if (r->start)
		printf("# %s\n", r->err.message);
	expect_number(r, "tmpfs.write", 0, "a tmpfs is writable");
	expect_number(r, "kept.read", 0, "what is bound shows again in it");
	expect_number(r, "kept.write", 0, "and is the host's");
	expect_number(r, "other.read", ENOENT, "what is not bound is gone");
	expect_number(r, "ro.read", 0, "a read-only directory can be read");
	expect_number(r, "ro.write", EROFS, "and not written");
	expect_number(r, "mask.dir", EACCES, "a masked directory is closed");
	expect_number(r, "mask.file", EACCES, "a masked file is closed");
	expect(r, "content", "inside", "a replaced file has the content given");
	expect_number(r, "content.write", EACCES, "and cannot be written, whatever its mode was");
	expect_number(r, "noexec", EACCES, "nothing is executed below no_exec");
	expect(r, "symlink", "kept/file", "a symbolic link is made");
	ok(before && after && !strcmp(before, after), "no mount of it reaches the host");
	ok(access(fresh, F_OK) < 0, "no file of the sandbox's tmpfs is on the host");
	ok(access(at_home("hidden/kept/new"), F_OK) == 0, "what was bound keeps what was written");
	ok(readlink(at_home("hidden/link"), text, sizeof(text)) < 0, "no link is on the host");
	mount_plan_free(&plan);

	add_step(&plan, MOUNT_OP_BIND_HOST, at_home("hidden/no/such"), NULL);
	spec.mounts = &plan;
	r = run(&spec, -1);
	ok(r->start == -ENOENT && strstr(r->err.message, "hidden/no/such"),
	   "a source that does not exist ends the launch");
	mount_plan_free(&plan);
	add_step(&plan, MOUNT_OP_TMPFS, at_home("made"), NULL);
	spec.mounts = &plan;
	ok(run(&spec, -1)->start == -ENOENT && access(at_home("made"), F_OK) < 0,
	   "a target is never made on the host");
	mount_plan_free(&plan);
	if (symlink(shared, at_home("through")) < 0)
		abort();
	add_step(&plan, MOUNT_OP_MASK, at_home("through/masked"), NULL);
	spec.mounts = &plan;
	ok(run(&spec, -1)->start == -ELOOP, "a target with a symbolic link in it is refused");
	mount_plan_free(&plan);
	umount2(shared, MNT_DETACH);
	free(shared);
	free(hidden);
	free(before);
	free(after);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Told, not judged: a shared machine's clock decides nothing. */
static void tell_time(void)
{
	double start[21], go[21];
	char *argv[] = {"/bin/true", NULL};

	for (size_t i = 0; i < ARRAY_LEN(start); i++) {
		struct launch_spec spec = make_spec(argv);
		struct launch launch = LAUNCH_EMPTY;
		double a = now_us(), b;
		int status;

		if (launch_start(&spec, &launch, NULL) < 0)
			return;
		b = now_us();
		launch_go(&launch, -1, NULL);
		start[i] = b - a;
		go[i] = now_us() - b;
		launch_wait(&launch, true, &status);
		launch_kill(&launch);
	}
	qsort(start, ARRAY_LEN(start), sizeof(double), compare_double);
	qsort(go, ARRAY_LEN(go), sizeof(double), compare_double);
	printf("# median: start %.0f us, go with exec %.0f us\n", start[ARRAY_LEN(start) / 2],
	       go[ARRAY_LEN(go) / 2]);
}

static bool copy_self(void)
{
	_cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = -1;
	struct stat st;

	snprintf(self, sizeof(self), "%s/agent", home);
	to = open(self, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return false;
	for (off_t done = 0; done < st.st_size;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)(st.st_size - done));

		if (n <= 0)
			return false;
		done += n;
	}
	return fchmod(to, 0755) == 0;
}

static void remove_home(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", "--one-file-system", home, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	struct error err = {};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && !strcmp(argv[1], "agent"))
		return agent(argc, argv);
	if (geteuid() != 0) {
		skip("launch", "needs root");
		return tap_end();
	}
	/* Test mounts stay out of the host's namespace. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mkdtemp(home) || chmod(home, 0755) < 0 || !copy_self()) {
		ok(false, "a place for the tests: %s", strerrordesc_np(errno));
		return tap_end();
	}
	if (test_tree_open(&tree, &err) < 0 ||
	    cgroup_create(&tree, "test-launch", &cgroup, &err) < 0) {
		printf("# %s\n", err.message);
		ok(false, "a cgroup for the sandboxes");
		remove_home();
		return tap_end();
	}
	test_facts();
	test_exit_codes();
	test_exec_failures();
	test_refusals();
	test_landlock();
	test_launcher_killed(false);
	test_launcher_killed(true);
	test_control();
	test_mounts();
	tell_time();
	ok(cgroup_destroy(&cgroup) == 0, "the cgroup can be removed");
	test_tree_close(&tree);
	remove_home();
	return tap_end();
}
