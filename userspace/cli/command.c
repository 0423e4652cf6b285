/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4096

static const struct command *const tables[] = {
	sandbox_commands,  sandbox_run_commands, sandbox_file_commands, policy_commands,
	provider_commands, profile_commands,	 inference_commands,	log_commands,
	setting_commands,  forward_commands,	 service_commands,	workspace_commands,
	gateway_commands,  status_commands,
};

const struct command_group command_groups[] = {
	{"sandbox", "sb", "make, use and delete sandboxes"},
	{"policy", "pol", "set and read policies; check and compile files"},
	{"provider", NULL, "credentials of services, which agents use without having them"},
	{"inference", NULL, "which model answers https://inference.local"},
	{"settings", NULL, "settings of a sandbox or of all"},
	{"forward", "fwd", "ports of sandboxes on this machine"},
	{"service", "svc", "names for what listens in a sandbox"},
	{"workspace", "ws", "workspaces and who is in them"},
	{"gateway", "gw", "which gateway to use; start one here"},
	{},
};

static const struct option_row global_rows[] = {
	ROW_STRING("gateway", 'g', gateway, "NAME", "which gateway (OPENSHELL_GATEWAY)"),
	ROW_STRING("gateway-endpoint", 0, endpoint, "URL", "a gateway that is not registered"),
	ROW_FLAG("gateway-insecure", 0, insecure, "believe whoever answers there"),
	ROW_STRING("workspace", 0, workspace, "NAME", "which workspace (OPENSHELL_WORKSPACE)"),
	ROW_STRING("output", 'o', output, "table|json|yaml", "how to print"),
};

int command_fail(const struct command_call *call, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "openshell %s%s%s: ", call->command->group ? call->command->group : "",
		call->command->group ? " " : "", call->command->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int command_usage(const struct command_call *call, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "openshell %s%s%s: ", call->command->group ? call->command->group : "",
		call->command->group ? " " : "", call->command->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see --help\n", stderr);
	return EXIT_USAGE;
}

int command_number(const struct command_call *call, const char *option, const char *text,
		   unsigned long max, unsigned long *ret_number)
{
	char *end;
	unsigned long n;

	if (!text)
		return 0;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > max)
		return command_usage(call, "--%s: '%s' is no number from 0 to %lu", option, text,
				     max);
	*ret_number = n;
	return 0;
}

char *command_split(const char *text, const char **ret_value)
{
	const char *equals = strchr(text, '=');

	*ret_value = equals ? equals + 1 : NULL;
	return strndup(text, equals ? (size_t)(equals - text) : strlen(text));
}

void command_each(void (*visit)(void *arg, const struct command *command), void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->call; c++)
			visit(arg, c);
}

static const struct command *find(const char *group, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->call; c++)
			if (!strcmp(c->name, name) &&
			    (group ? c->group && !strcmp(c->group, group) : !c->group))
				return c;
	return NULL;
}

static const struct command_group *find_group(const char *name)
{
	for (const struct command_group *g = command_groups; g->name; g++)
		if (!strcmp(g->name, name) || (g->alias && !strcmp(g->alias, name)))
			return g;
	return NULL;
}

static int help_command(const struct command *c)
{
	printf("Usage: openshell %s%s%s%s%s [OPTION]..%s\n\n%s\n\n", c->group ? c->group : "",
	       c->group ? " " : "", c->name, c->arguments ? " " : "",
	       c->arguments ? c->arguments : "", c->takes_rest ? " -- COMMAND.." : "", c->help);
	options_help(c->rows, c->rows_len, stdout);
	puts("\nOf all commands:");
	options_help(global_rows, ARRAY_LEN(global_rows), stdout);
	return EXIT_DONE;
}

static int help_group(const struct command_group *g, FILE *out)
{
	fprintf(out, "Usage: openshell %s COMMAND [OPTION]..\n\n", g->name);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->call; c++)
			if (c->group && !strcmp(c->group, g->name))
				fprintf(out, "  %-16s %s\n", c->name, c->help);
	if (!strcmp(g->name, "policy"))
		fputs("  check            parse, validate and lint policy files\n"
		      "  compile          show what a policy compiles to, and its digest\n",
		      out);
	return out == stderr ? EXIT_USAGE : EXIT_DONE;
}

void command_list(FILE *out)
{
	for (const struct command_group *g = command_groups; g->name; g++)
		fprintf(out, "  %-11s %s\n", g->name, g->help);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->call; c++)
			if (!c->group)
				fprintf(out, "  %-11s %s\n", c->name, c->help);
}

static const struct option_row *find_row(const struct option_row *rows, size_t count,
					 const char *word, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		if (size > 2 && word[1] == '-' && strlen(rows[i].name) == size - 2 &&
		    !strncmp(rows[i].name, word + 2, size - 2))
			return &rows[i];
		if (size == 2 && rows[i].letter && word[1] == rows[i].letter)
			return &rows[i];
	}
	return NULL;
}

static int store(const struct command_call *call, const struct option_row *row, const char *value,
		 struct command_options *o)
{
	void *field = (char *)o + row->offset;
	struct option_strings *list = field;

	if (row->kind == OPTION_FLAG) {
		*(bool *)field = true;
	} else if (row->kind == OPTION_STRING) {
		*(const char **)field = value;
	} else {
		if (list->len == OPTION_STRINGS_MAX)
			return command_usage(call, "--%s is there too often", row->name);
		list->item[list->len++] = value;
	}
	return 0;
}

/* 0, a status, or -1 when help was asked for. */
static int parse_option(struct command_call *call, int argc, char **argv, int *at)
{
	const struct command *c = call->command;
	const char *word = argv[(*at)++], *value = strchr(word, '=');
	size_t size = value ? (size_t)(value++ - word) : strlen(word);
	const struct option_row *row;

	if (!strcmp(word, "-h") || !strcmp(word, "--help"))
		return -1;
	if (!strcmp(word, "-v") || !strcmp(word, "-vv") || !strcmp(word, "-vvv"))
		return 0;
	row = find_row(c->rows, c->rows_len, word, size);
	if (!row)
		row = find_row(global_rows, ARRAY_LEN(global_rows), word, size);
	if (!row)
		return command_usage(call, "unknown option %.*s", (int)size, word);
	if (row->kind == OPTION_FLAG && value)
		return command_usage(call, "--%s takes no value", row->name);
	if (row->kind != OPTION_FLAG && !value) {
		if (*at == argc)
			return command_usage(call, "--%s needs a value: %s", row->name,
					     row->metavar);
		value = argv[(*at)++];
	}
	return store(call, row, value, &call->o);
}

static int parse(struct command_call *call, int argc, char **argv, int at)
{
	const struct command *c = call->command;

	while (at < argc) {
		int r;

		if (!strcmp(argv[at], "--")) {
			call->rest = argv + at + 1;
			call->rest_count = argc - at - 1;
			break;
		}
		if (argv[at][0] == '-' && argv[at][1]) {
			r = parse_option(call, argc, argv, &at);
			if (r)
				return r;
			continue;
		}
		if (call->count == WORDS_MAX)
			return command_usage(call, "too many words");
		call->words[call->count++] = argv[at++];
	}
	if (call->rest && !c->takes_rest)
		return command_usage(call, "nothing may follow --");
	if (call->count < c->least)
		return command_usage(call, "expected %s", c->arguments);
	if (c->most >= 0 && call->count > c->most)
		return command_usage(call, "'%s' is too much", call->words[c->most]);
	if (call->o.output && strcmp(call->o.output, "table") && strcmp(call->o.output, "json") &&
	    strcmp(call->o.output, "yaml"))
		return command_usage(call, "--output: table, json or yaml");
	return 0;
}

/* Options of all commands may stand first: they are kept for whichever command comes. */
static int leading(int argc, char **argv, struct command_call *call)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-') {
		size_t size = strcspn(argv[at], "=");
		const struct option_row *row =
			find_row(global_rows, ARRAY_LEN(global_rows), argv[at], size);

		if (!row || (row->kind != OPTION_FLAG && !argv[at][size] && at + 1 == argc))
			return -1;
		if (row->kind == OPTION_FLAG)
			*(bool *)((char *)&call->o + row->offset) = true;
		else if (argv[at][size])
			*(const char **)((char *)&call->o + row->offset) = argv[at] + size + 1;
		else
			*(const char **)((char *)&call->o + row->offset) = argv[++at];
		at++;
	}
	return at;
}

bool command_dispatch(int argc, char **argv, int *ret_status)
{
	struct command_call *call = calloc(1, sizeof(*call));
	const struct command_group *group = NULL;
	int at = call ? leading(argc, argv, call) : -1, r;

	if (at < 0 || at >= argc) {
		free(call);
		return false;
	}
	if (!strcmp(argv[at], "lg"))
		argv[at] = (char *)"logs";
	group = find_group(argv[at]);
	if (group && (at + 1 == argc || !strcmp(argv[at + 1], "-h") ||
		      !strcmp(argv[at + 1], "--help") || !strcmp(argv[at + 1], "help"))) {
		*ret_status = help_group(group, at + 1 == argc ? stderr : stdout);
		free(call);
		return true;
	}
	/* Files are checked without a gateway. */
	if (group && !strcmp(group->name, "policy") &&
	    (!strcmp(argv[at + 1], "check") || !strcmp(argv[at + 1], "compile"))) {
		*ret_status = verb_policy(argc - at, argv + at);
		free(call);
		return true;
	}
	if (group && at + 2 < argc) {
		/* "sandbox provider attach", "workspace member add", "provider profile import" */
		char two[128];

		snprintf(two, sizeof(two), "%s %s", argv[at + 1], argv[at + 2]);
		call->command = find(group->name, two);
		if (call->command)
			at++;
	}
	if (!call->command)
		call->command = group ? find(group->name, argv[at + 1]) : find(NULL, argv[at]);
	if (!call->command && group) {
		fprintf(stderr, "openshell %s: unknown command '%s'; see openshell %s --help\n",
			group->name, argv[at + 1], group->name);
		*ret_status = EXIT_USAGE;
		free(call);
		return true;
	}
	if (!call->command) {
		free(call);
		return false;
	}
	call->words = calloc(WORDS_MAX + 1, sizeof(*call->words));
	r = call->words ? parse(call, argc, argv, at + (group ? 2 : 1)) : EXIT_FAILED;
	if (r < 0)
		*ret_status = help_command(call->command);
	else
		*ret_status = r ? r : call->command->call(call);
	free(call->words);
	free(call);
	return true;
}
