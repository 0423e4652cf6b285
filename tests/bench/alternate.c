// SPDX-License-Identifier: Apache-2.0
/*
 * usage: alternate [-n PAIRS] [-w WARM-UPS] [-a PATH | -p PATH] A.. :: B..
 *
 * Runs two commands in turn, A B A B, and prints how long each took from fork to wait: ratio of
 * the medians, the ratios of single pairs at their quartiles and extremes, both medians in ms.
 * Standard output and error of the commands go to /dev/null; a command that fails ends everything.
 * -a: before each A wait up to a minute until PATH is absent; -p: refuse to go on unless it is
 * present. Somebody else's use of the same kernel side would make it another benchmark.
 */
#include "figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABSENT_TIMEOUT_MS 60000

static double run(char **argv)
{
	double start = figures_now_ms();
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("alternate: cannot run");
		exit(1);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "alternate: %s failed (wait status 0x%x)\n", argv[0], status);
		exit(1);
	}
	return figures_now_ms() - start;
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

int main(int argc, char **argv)
{
	static double a[FIGURES_MAX], b[FIGURES_MAX], ratio[FIGURES_MAX];
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
		run(argv + optind);
		run(second);
	}
	for (size_t i = 0; i < pairs; i++) {
		need(absent, present);
		a[i] = run(argv + optind);
		b[i] = run(second);
		ratio[i] = a[i] / b[i];
	}
	figures_sort(a, pairs);
	figures_sort(b, pairs);
	figures_sort(ratio, pairs);
	printf("%.2f\t%.2f..%.2f\t%.2f..%.2f\t%.1f\t%.1f\n",
	       figures_at(a, pairs, 0.5) / figures_at(b, pairs, 0.5),
	       figures_at(ratio, pairs, 0.25), figures_at(ratio, pairs, 0.75), ratio[0],
	       ratio[pairs - 1], figures_at(a, pairs, 0.5), figures_at(b, pairs, 0.5));
	return 0;
}
