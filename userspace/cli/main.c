/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/verb.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct verb {
	const char *name, *alias;
	int (*call)(int argc, char **argv);
	const char *help;
};

static const struct verb verbs[] = {
	{"run", NULL, verb_run, "run one command in a sandbox, no daemon needed"},
	{"doctor", NULL, verb_doctor, "what this kernel and host can enforce"},
};

static int usage(FILE *out)
{
	fputs("Usage: openshell COMMAND [OPTION]..\n\n"
	      "Run AI agents in sandboxes that the kernel holds to a policy.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-11s %s\n", verbs[i].name, verbs[i].help);
	command_list(out);
	fputs("\n`openshell COMMAND --help` says more, `openshell --version` which version this "
	      "is.\n",
	      out);
	return out == stderr ? EXIT_USAGE : EXIT_DONE;
}

/* A closed standard stream would lend its number to the next file that is opened. */
static int complete_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	if (complete_streams())
		return EXIT_FAILED;
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout);
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("openshell %s\n", OPENSHELL_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (verbs[i].call && (!strcmp(argv[1], verbs[i].name) ||
				      (verbs[i].alias && !strcmp(argv[1], verbs[i].alias))))
			return verbs[i].call(argc - 1, argv + 1);
	if (command_dispatch(argc, argv, &status))
		return status;
	fprintf(stderr, "openshell: unknown command '%s'; see openshell --help\n", argv[1]);
	return EXIT_USAGE;
}
