/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy.h"
#include "cli/verb.h"
#include "common/cleanup.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct policy_command {
	const char *name;
	int (*call)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"check", policy_check_main, "FILE..  parse, validate and lint policy files"},
	{"compile", policy_compile_main, "FILE    show what a policy compiles to, and its digest"},
};

static int usage(FILE *out)
{
	fputs("Usage: openshell policy COMMAND FILE.. [-o table|json]\n\n"
	      "Needs no root. Exit status: 0, 1 if a policy is not valid, 2 if it cannot be "
	      "read.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	return out == stderr ? EXIT_USAGE : EXIT_DONE;
}

int verb_policy(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return usage(stdout);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].call(argc - 1, argv + 1);
	fprintf(stderr, "openshell policy: unknown command '%s'; see openshell policy --help\n",
		argv[1]);
	return EXIT_USAGE;
}

int policy_parse_options(int argc, char **argv, const char *text, enum policy_output *ret_output,
			 int *ret_first)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int c;

	optind = 0; /* 0, not 1: glibc then forgets the previous scan */
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (c == 'h') {
			printf("Usage: openshell policy %s\n", text);
			return 1;
		}
		if (c == 'o' && !strcmp(optarg, "table")) {
			*ret_output = POLICY_OUTPUT_TABLE;
		} else if (c == 'o' && !strcmp(optarg, "json")) {
			*ret_output = POLICY_OUTPUT_JSON;
		} else {
			if (c == 'o')
				fprintf(stderr, "openshell policy: unknown output '%s'\n", optarg);
			fprintf(stderr, "Usage: openshell policy %s\n", text);
			return -1;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "openshell policy: no file named\nUsage: openshell policy %s\n",
			text);
		return -1;
	}
	*ret_first = optind;
	return 0;
}

const char *policy_printable_name(const char *file, char *buf, size_t size)
{
	snprintf(buf, size, "%s", file);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return buf;
}

void policy_print_diagnostics(FILE *out, const char *file, const struct diagnostics *diag)
{
	size_t hidden = diag->errors + diag->warnings - diag->count;

	for (size_t i = 0; i < diag->count; i++) {
		const struct policy_diagnostic *item = &diag->items[i];

		fprintf(out, "%s:%d:%d: %s: %s [%s]\n", file, item->at.line, item->at.col,
			item->is_error ? "error" : "warning", item->message, item->rule);
	}
	if (hidden)
		fprintf(out, "%s: %zu more not shown\n", file, hidden);
}

void policy_format_digest(const uint8_t digest[POLICY_DIGEST_SIZE],
			  char ret_text[POLICY_DIGEST_TEXT])
{
	size_t used = (size_t)snprintf(ret_text, POLICY_DIGEST_TEXT, "sha256:");

	for (size_t i = 0; i < POLICY_DIGEST_SIZE; i++)
		used += (size_t)snprintf(ret_text + used, POLICY_DIGEST_TEXT - used, "%02x",
					 digest[i]);
}
