// SPDX-License-Identifier: Apache-2.0
/*
 * usage: sandboxes COUNT PROGRAM [USAGE-FILE]
 *
 * What a sandbox costs in memory beside the agent itself. First COUNT plain processes run PROGRAM,
 * then one supervisor process starts COUNT sandboxes with it; the difference, for each sandbox, is
 * printed as `NAME KIB` lines. USAGE-FILE is the counter of a memory cgroup that holds this
 * process and the sandboxes: user pages, and what the kernel allocates for them. Without one,
 * MemAvailable tells, which takes a machine that does nothing else.
 */
#include "agent.h"

#include "figures.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

static const char *usage_file;

/* KiB that are in use, by one counter or the other. */
static double used_kib(void)
{
	FILE *file = fopen(usage_file ? usage_file : "/proc/meminfo", "re");
	double value = 0;
	char line[256];

	/* Freed memory goes back by way of RCU and of per-CPU batches. */
	if (!file) {
		perror(usage_file ? usage_file : "/proc/meminfo");
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		if (usage_file)
			value = strtod(line, NULL) / 1024;
		else if (!strncmp(line, "MemAvailable:", 13))
			value = -strtod(line + 13, NULL);
	}
	fclose(file);
	return value;
}

static double pss_kib(pid_t pid)
{
	char path[64], line[256];
	double value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "Pss:", 4))
			value = strtod(line + 4, NULL);
	if (file)
		fclose(file);
	return value;
}

static pid_t plain_agent(const char *program)
{
	char *const argv[] = {(char *)program, (char *)"sleep", NULL}, *const envp[] = {NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		if (setgid(AGENT_ID) || setuid(AGENT_ID))
			_exit(126);
		execve(program, argv, envp);
		_exit(127);
	}
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	return pid;
}

static double plain_agents(size_t count, const char *program)
{
	pid_t *pid = calloc(count, sizeof(*pid));
	double before, after;

	sleep(1);
	before = used_kib();
	for (size_t i = 0; i < count; i++)
		pid[i] = plain_agent(program);
	sleep(1);
	after = used_kib();
	for (size_t i = 0; i < count; i++)
		kill(pid[i], SIGKILL);
	for (size_t i = 0; i < count; i++)
		waitpid(pid[i], NULL, 0);
	free(pid);
	return (after - before) / (double)count;
}

static size_t open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	size_t count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	double plain, before, after, start, took, own, user = 0;
	struct agent_policy policy = {};
	struct kernel *kernel = NULL;
	struct sandbox **sandbox;
	struct error err = {};
	size_t files;

	if (!count || argc > 4) {
		fprintf(stderr, "usage: sandboxes COUNT PROGRAM [USAGE-FILE]\n");
		return 2;
	}
	usage_file = argc > 3 ? argv[3] : NULL;
	agent_raise_limits();
	sandbox = calloc(count, sizeof(*sandbox));
	plain = plain_agents(count, argv[2]);

	agent_policy_load(NULL, &policy);
	if (kernel_open(&kernel, &err))
		agent_fail(&err);
	sleep(1);
	before = used_kib();
	own = pss_kib(getpid());
	files = open_files();
	start = figures_now_ms();
	for (size_t i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof(id), "bench-%d-%zu", getpid(), i);
		sandbox[i] = agent_start(kernel, id, &policy, argv[2]);
	}
	took = figures_now_ms() - start;
	sleep(1);
	after = used_kib();
	for (size_t i = 0; i < count; i++)
		user += pss_kib(sandbox[i]->launch.init_pid);
	user += pss_kib(getpid()) - own;
	files = open_files() - files;

	printf("backend %s\n", kernel->lsm ? "bpf-lsm" : "landlock");
	printf("sandbox %.1f\n", (after - before) / (double)count - plain);
	printf("agent %.1f\n", plain);
	printf("user-pss %.1f\n", user / (double)count);
	printf("files %.1f\n", (double)files / (double)count);
	printf("start-ms %.2f\n", took / (double)count);
	start = figures_now_ms();
	for (size_t i = 0; i < count; i++)
		sandbox_free(sandbox[i]);
	printf("end-ms %.2f\n", (figures_now_ms() - start) / (double)count);
	kernel_close(kernel);
	return 0;
}
