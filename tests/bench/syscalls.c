// SPDX-License-Identifier: Apache-2.0
/*
 * usage: syscalls [--floor] [--landlock FILE] SHALLOW DEEP PROGRAM
 *
 * What open+close of SHALLOW and of DEEP, stat of SHALLOW, and execve of PROGRAM cost: one line
 * `NAME INSTRUCTIONS` each, the median of batches. For a VM that counts instructions, where the
 * time stamp counter is that count (QEMU, -icount shift=0).
 * --floor: under the system call filter that every agent has. --landlock: restricted, beneath the
 * directories that FILE lists, to reading and executing.
 */
#include "figures.h"

#include "supervisor/landlock.h"
#include "supervisor/seccomp.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define BATCHES 15

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void act_open(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		die(path);
	close(fd);
}

static void act_stat(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		die(path);
}

static void act_exec(const char *path)
{
	char *const argv[] = {(char *)path, NULL};
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execve(path, argv, argv + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die(path);
}

static void measure(const char *name, void (*act)(const char *path), const char *path,
		    unsigned int repeats)
{
	double batch[BATCHES];

	for (unsigned int i = 0; i < repeats; i++)
		act(path);
	for (int b = 0; b < BATCHES; b++) {
		unsigned long long start = __rdtsc();

		for (unsigned int i = 0; i < repeats; i++)
			act(path);
		batch[b] = (double)(__rdtsc() - start) / repeats;
	}
	figures_sort(batch, BATCHES);
	printf("%s %.0f\n", name, figures_at(batch, BATCHES, 0.5));
}

struct beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static void restrict_to(const char *list)
{
	const uint64_t rights = LANDLOCK_FS_EXECUTE | LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR;
	uint64_t handled = landlock_handled_fs(landlock_abi());
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	FILE *file = fopen(list, "re");
	char path[4096];

	if (ruleset < 0 || !file)
		die(list);
	while (fgets(path, sizeof(path), file)) {
		struct beneath rule = {.allowed = rights};

		path[strcspn(path, "\n")] = '\0';
		rule.fd = open(path, O_PATH | O_CLOEXEC);
		if (rule.fd < 0 || syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0))
			die(path);
		close(rule.fd);
	}
	fclose(file);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || landlock_restrict(ruleset))
		die("landlock");
	close(ruleset);
}

static void put_on_floor(void)
{
	struct sock_filter code[SECCOMP_FILTER_MAX];
	struct sock_fprog filter = {.filter = code};
	struct error err = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || seccomp_assemble(code, &filter.len) ||
	    seccomp_install(&filter, &err))
		die("seccomp");
}

int main(int argc, char **argv)
{
	bool floor = false;

	argv++, argc--;
	if (argc > 0 && !strcmp(*argv, "--floor")) {
		floor = true;
		argv++, argc--;
	}
	if (argc > 1 && !strcmp(*argv, "--landlock")) {
		restrict_to(argv[1]);
		argv += 2, argc -= 2;
	}
	if (floor)
		put_on_floor();
	if (argc != 3) {
		fprintf(stderr,
			"usage: syscalls [--floor] [--landlock FILE] SHALLOW DEEP PROGRAM\n");
		return 2;
	}
	measure("open4", act_open, argv[0], 200);
	measure("open12", act_open, argv[1], 200);
	measure("stat", act_stat, argv[0], 200);
	measure("exec", act_exec, argv[2], 20);
	return 0;
}
