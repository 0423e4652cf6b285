// SPDX-License-Identifier: Apache-2.0
/*
 * usage: alternate [-n PAIRS] [-w WARM-UPS] [-a PATH | -p PATH] A.. :: B..
 *
 * Runs two commands in turn, A B A B, and prints for the time from fork to wait, and for the
 * processor time of all their processes: ratio of the medians, the ratios of single pairs at their
 * quartiles and extremes, both medians in ms. Their output goes to /dev/null; a command that
 * fails ends everything.
 * -a: before each A wait up to a minute until PATH is absent; -p: refuse to go on unless it is
 * present. Somebody else's use of the same kernel side would make it another benchmark.
 */
#include "figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABSENT_TIMEOUT_MS 60000

struct figures {
	double wall[FIGURES_MAX], cpu[FIGURES_MAX];
};

static void run(char **argv, struct figures *figures, size_t i)
{
	double start = figures_now_ms();
	pid_t pid = vfork();
	struct rusage usage;
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		perror("alternate: cannot run");
		exit(1);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "alternate: %s failed (wait status 0x%x)\n", argv[0], status);
		exit(1);
	}
	figures->wall[i] = figures_now_ms() - start;
	figures->cpu[i] = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
			  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void need(const char *absent, const char *present)
{
	double start = figures_now_ms();

	if (present && access(present, F_OK)) {
		fprintf(stderr, "alternate: %s has gone\n", present);
		exit(1);
	}
	while (absent && !access(absent, F_OK)) {
		if (figures_now_ms() - start > ABSENT_TIMEOUT_MS) {
			fprintf(stderr, "alternate: %s is there: something else is using it\n",
				absent);
			exit(1);
		}
		usleep(20000);
	}
}

static void print(const char *what, double *a, double *b, size_t n)
{
	static double ratio[FIGURES_MAX];

	for (size_t i = 0; i < n; i++)
		ratio[i] = a[i] / b[i];
	figures_sort(a, n);
	figures_sort(b, n);
	figures_sort(ratio, n);
	printf("%s\t%.2f\t%.2f..%.2f\t%.2f..%.2f\t%.1f\t%.1f\n", what,
	       figures_at(a, n, 0.5) / figures_at(b, n, 0.5), figures_at(ratio, n, 0.25),
	       figures_at(ratio, n, 0.75), ratio[0], ratio[n - 1], figures_at(a, n, 0.5),
	       figures_at(b, n, 0.5));
}

int main(int argc, char **argv)
{
	static struct figures a, b;
	const char *absent = NULL, *present = NULL;
	size_t pairs = 15, warm_ups = 2;
	char **second = NULL;
	int option;

	while ((option = getopt(argc, argv, "+n:w:a:p:")) != -1) {
		switch (option) {
		case 'n':
			pairs = strtoul(optarg, NULL, 10);
			break;
		case 'w':
			warm_ups = strtoul(optarg, NULL, 10);
			break;
		case 'a':
			absent = optarg;
			break;
		case 'p':
			present = optarg;
			break;
		default:
			return 2;
		}
	}
	for (int i = optind; i < argc && !second; i++) {
		if (!strcmp(argv[i], "::")) {
			argv[i] = NULL;
			second = argv + i + 1;
		}
	}
	if (optind >= argc || !argv[optind] || !second || !*second || pairs < 5 ||
	    pairs > FIGURES_MAX) {
		fprintf(stderr,
			"usage: alternate [-n PAIRS >= 5] [-w N] [-a PATH|-p PATH] A.. :: B..\n");
		return 2;
	}
	for (size_t i = 0; i < warm_ups; i++) {
		need(absent, present);
		run(argv + optind, &a, 0);
		run(second, &b, 0);
	}
	for (size_t i = 0; i < pairs; i++) {
		need(absent, present);
		run(argv + optind, &a, i);
		run(second, &b, i);
	}
	print("wall", a.wall, b.wall, pairs);
	print("cpu", a.cpu, b.cpu, pairs);
	return 0;
}
