/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that speak to a gateway: one table drives parsing, help and completion. Options may
 * stand before and behind the words; what follows `--` is left alone. Strings point into argv.
 */
#pragma once

#include "cli/options.h"
#include "cli/verb.h"

#include <stdbool.h>
#include <stddef.h>

/* Every option of every command: a command's rows say which it has. */
struct command_options {
	/* of all commands */
	const char *gateway, *endpoint, *workspace, *output;
	bool insecure;
	struct option_strings verbose;
	/* of some */
	const char *name, *from, *policy, *cpu, *memory, *gpu, *workdir, *timeout, *selector,
		*limit, *offset, *rev, *level, *since, *lines, *key, *value, *type, *model,
		*provider_name, *rule_name, *local, *oidc_token_file, *role, *port, *approval_mode,
		*editor, *driver_config;
	bool detach, no_keep, tty, no_tty, all, names, ids, all_workspaces, policy_only, global,
		yes, wait, dry_run, full, base, tail, no_verify, system, from_existing, remote,
		domain, is_local;
	struct option_strings env, label, provider, upload, forward, credential, config, binary,
		add_endpoint, remove_endpoint, add_allow, add_deny, remove_rule, source, member;
};

struct command_call {
	const struct command *command;
	struct command_options o;
	char **words; /* what is no option */
	int count;
	char **rest; /* behind `--` */
	int rest_count;
};

struct command {
	const char *group; /* NULL: a command of its own */
	const char *name;
	const char *arguments; /* for help: "NAME.." */
	int least, most;       /* words */
	int (*call)(struct command_call *call);
	const char *help;
	const struct option_row *rows;
	size_t rows_len;
	bool takes_rest; /* behind `--` */
};

struct command_group {
	const char *name, *alias, *help;
};

extern const struct command_group command_groups[]; /* ended by NULL */

/* Tables of the files; each ended by a row without a call. */
extern const struct command sandbox_commands[], sandbox_run_commands[], sandbox_file_commands[],
	policy_commands[], provider_commands[], profile_commands[], inference_commands[],
	log_commands[], setting_commands[], forward_commands[], service_commands[],
	workspace_commands[], gateway_commands[], status_commands[];

/* True: it is one of these; *ret_status is the exit status. @argv[0] is the program. */
bool command_dispatch(int argc, char **argv, int *ret_status);

/* Lines for `openshell --help`. */
void command_list(FILE *out);

/* Visit every command. */
void command_each(void (*visit)(void *arg, const struct command *command), void *arg);

/* "openshell sandbox get: ...", on standard error; returns EXIT_FAILED, or EXIT_USAGE. */
int command_fail(const struct command_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int command_usage(const struct command_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A number from 0 to @max. 0 or a status that was explained. */
int command_number(const struct command_call *call, const char *option, const char *text,
		   unsigned long max, unsigned long *ret_number);

/* "KEY=VALUE" in two; NULL: it has no '='. free() it. */
char *command_split(const char *text, const char **ret_value);

#define ROW_FLAG(n, l, f, h)                                                                       \
	{                                                                                          \
		n, l, OPTION_FLAG, offsetof(struct command_options, f), NULL, h                    \
	}
#define ROW_STRING(n, l, f, m, h)                                                                  \
	{                                                                                          \
		n, l, OPTION_STRING, offsetof(struct command_options, f), m, h                     \
	}
#define ROW_STRINGS(n, l, f, m, h)                                                                 \
	{                                                                                          \
		n, l, OPTION_STRINGS, offsetof(struct command_options, f), m, h                    \
	}
#define ROWS(table) .rows = (table), .rows_len = sizeof(table) / sizeof(*(table))
#define NO_ROWS	    .rows = NULL
