/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups and limits on this machine's hierarchies: made, locked, limited, killed, swept, and
 * nothing left. Needs root and cgroup v2.
 */
#include "tap.h"
#include "test_tree.h"

#include "supervisor/launch.h"
#include "supervisor/limits.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

static struct cgroup_tree tree = CGROUP_TREE_EMPTY;

static bool exists(const char *path)
{
	return faccessat(tree.agents_fd, path, F_OK, 0) == 0;
}

/* A process in @path below the tests' parent, which ignores what it can and holds nothing open. */
static pid_t put_process(const char *path)
{
	char procs[256], text[16];
	int ready[2];
	pid_t pid;

	fflush(stdout);
	if (pipe2(ready, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		/* The cgroup's lock is the parent's alone; the pipe goes last, to say so. */
		close_range(3, (unsigned int)ready[1] - 1, 0);
		close_range((unsigned int)ready[1] + 1, ~0U, 0);
		close(ready[1]);
		for (;;)
			pause();
	}
	/* The end of the pipe tells that the child has let go of what it inherited. */
	close(ready[1]);
	if (pid < 0 || read(ready[0], text, 1) != 0)
		abort();
	close(ready[0]);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	snprintf(text, sizeof(text), "%d", pid);
	if (cgroup_write(tree.agents_fd, procs, text) < 0)
		abort();
	return pid;
}

static void test_life(void)
{
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  "a/b",
					  "a.b",
					  "-\n",
					  "cgroup.procs",
					  "0123456789012345678901234567890123456789"
					  "0123456789012345678901234"};
	struct cgroup a = CGROUP_EMPTY, b = CGROUP_EMPTY;
	struct error err = {};
	struct stat st;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ok(cgroup_create(&tree, bad[i], &a, &err) == -EINVAL && err.message[0],
		   "name %zu is refused", i);
	ok(cgroup_create(&tree, "life", &a, &err) == 0 && exists("life"), "a cgroup is made");
	ok(fstat(a.fd, &st) == 0 && a.id == st.st_ino && a.id != tree.agents_id,
	   "its id is the kernel's");
	ok(cgroup_create(&tree, "life", &b, &err) == -EEXIST && strstr(err.message, "life"),
	   "a second of that name is refused");
	ok(cgroup_sweep(&tree, NULL, NULL) == 0 && exists("life"), "a sweep leaves it alone");
	if (mkdirat(a.fd, "x", 0755) < 0 || mkdirat(a.fd, "x/y", 0755) < 0)
		abort();
	pid = put_process("life/x/y");
	ok(cgroup_destroy(&a) == 0 && !exists("life"), "it goes with its children and processes");
	ok(waitpid(pid, NULL, 0) == pid && cgroup_destroy(&a) == 0, "once and for all");
}

static void note_id(void *arg, uint64_t id)
{
	*(uint64_t *)arg = id;
}

/* What a supervisor that was killed leaves: processes, children, no lock. */
static void test_stale(void)
{
	struct cgroup stale = CGROUP_EMPTY, again = CGROUP_EMPTY;
	uint64_t id = 0, swept = 0;
	pid_t pid;

	if (cgroup_create(&tree, "stale", &stale, NULL) < 0 || mkdirat(stale.fd, "child", 0755) < 0)
		abort();
	pid = put_process("stale/child");
	id = stale.id;
	stale.fd = safe_close(stale.fd);
	ok(cgroup_sweep(&tree, note_id, &swept) == 1 && !exists("stale"), "a sweep takes it");
	ok(swept == id, "and tells whose it was");
	ok(waitpid(pid, NULL, 0) == pid, "its process is dead");

	if (cgroup_create(&tree, "stale", &stale, NULL) < 0)
		abort();
	id = stale.id;
	stale.fd = safe_close(stale.fd);
	ok(cgroup_create(&tree, "stale", &again, NULL) == 0 && again.id != id,
	   "a name that a dead one had gets a new cgroup");
	ok(cgroup_destroy(&again) == 0 && !exists("stale"), "which goes as any other");
}

/* Creators and sweepers at once: a sweeper must never take what a creator holds. */
static void test_race(void)
{
	pid_t sweeper, creator[3];
	int status, lost = 0;

	fflush(stdout);
	sweeper = fork();
	if (sweeper == 0)
		for (;;)
			cgroup_sweep(&tree, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(creator); i++) {
		creator[i] = fork();
		if (creator[i] == 0) {
			char name[16];
			int taken = 0;

			snprintf(name, sizeof(name), "race%zu", i);
			for (int n = 0; n < 200; n++) {
				struct cgroup c = CGROUP_EMPTY;

				if (cgroup_create(&tree, name, &c, NULL) < 0 || !exists(name))
					taken++;
				cgroup_destroy(&c);
			}
			_exit(taken > 100 ? 100 : taken);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(creator); i++) {
		waitpid(creator[i], &status, 0);
		lost += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	}
	kill(sweeper, SIGKILL);
	waitpid(sweeper, NULL, 0);
	ok(lost == 0, "600 cgroups made under a sweeper's eyes: none lost");
	if (lost)
		printf("# %d\n", lost);
}

static int run_limited(const struct limits *limits, char *const *argv, struct error *err)
{
	char *envp[] = {"PATH=/usr/bin:/bin", NULL};
	struct cgroup cgroup = CGROUP_EMPTY;
	struct launch launch = LAUNCH_EMPTY;
	int r = cgroup_create(&tree, "limited", &cgroup, err), status = -1;
	struct launch_spec spec = {
		.argv = argv,
		.envp = envp,
		.workdir = "/",
		.uid = 61001,
		.gid = 61001,
		.cgroup_fd = cgroup.fd,
		.stdio = {0, 1, 2},
	};

	if (r == 0)
		r = launch_start(&spec, &launch, err);
	if (r == 0)
		r = limits_apply(limits, &cgroup, launch.init_pid, err);
	if (r == 0)
		r = launch_go(&launch, -1, err);
	if (r == 0)
		r = launch_wait(&launch, true, &status);
	launch_kill(&launch);
	if (cgroup_destroy(&cgroup) < 0)
		return -EBUSY;
	return r < 0 ? r : status;
}

static double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void test_limits(void)
{
	/* 64 MiB in one string. */
	char *eat[] = {"awk",
		       "BEGIN { s = \"0123456789abcdef\"; while (length(s) < 67108864) s = s s; }",
		       NULL};
	/* A second of processor time, as the process itself counts it. */
	char *burn[] = {"sh", "-c",
			"while :; do :; done & p=$!; (ulimit -t 1; exec sh -c "
			"'while :; do :; done'); kill $p",
			NULL};
	const struct limits none = {}, memory = {.memory_bytes = 16 << 20};
	const struct limits cpu = {.cpu_milli = 250};
	struct error err = {};
	double start, took;
	int r;

	r = run_limited(&memory, eat, &err);
	if (r == -EOPNOTSUPP) {
		skip("--memory", "no memory controller on this host");
	} else {
		ok(r == 128 + SIGKILL || r == 2, "an agent cannot have more memory than its limit");
		if (r != 128 + SIGKILL)
			printf("# %d %s\n", r, err.message);
		ok(run_limited(&none, eat, &err) == 0, "without the limit it can");
	}
	start = now_seconds();
	r = run_limited(&cpu, burn, &err);
	took = now_seconds() - start;
	if (r == -EOPNOTSUPP) {
		skip("--cpu", "no cpu controller on this host");
	} else {
		/* Two loops share a quarter of a processor, and one of them gets its second. */
		ok(r >= 0 && took > 4, "an agent cannot have more processor time than its limit");
		printf("# %d %.1f s %s\n", r, took, err.message);
	}
	for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
		char path[PATH_MAX + 64];

		if (!tree.mounts.v1[c][0])
			continue;
		snprintf(path, sizeof(path), "%s/%s/limited", tree.mounts.v1[c], CGROUP_PARENT);
		ok(access(path, F_OK) < 0, "nothing is left of it in v1's %s",
		   cgroup_controller_name(c));
		/* Unless others have sandboxes there. */
		*strrchr(path, '/') = '\0';
		rmdir(path);
	}
}

int main(void)
{
	struct error err = {};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		skip("cgroup", "needs root");
		return tap_end();
	}
	if (test_tree_open(&tree, &err) < 0) {
		ok(false, "a cgroup v2 hierarchy: %s", err.message);
		return tap_end();
	}
	/* Of an earlier run that was killed. */
	cgroup_sweep(&tree, NULL, NULL);
	test_life();
	test_stale();
	test_race();
	test_limits();
	test_tree_close(&tree);
	return tap_end();
}
