/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command in a sandbox, or the terminal of its main process, with this process's own standard
 * input and output, or with functions in their place. Raw mode for a terminal, undone on each way
 * out; Ctrl-P Ctrl-Q leaves a terminal that was attached to. One at a time; the client's loop.
 */
#pragma once

#include "cli/client.h"

#define REMOTE_DETACHED 0x100 /* in the place of an exit status: the user left */

struct remote_command {
	const char *sandbox_id;
	char *const *argv;
	size_t argc;
	const char *workdir;		  /* NULL */
	const struct option_strings *env; /* NULL; "NAME=VALUE" */
	uint32_t timeout_s;
	bool tty;
	bool attach; /* to the main process */
	/* In the place of standard input: up to @size bytes; 0 at its end. NULL: standard input. */
	ssize_t (*read)(void *arg, uint8_t *data, size_t size);
	/* In the place of standard output. NULL: standard output. Not 0 ends it. */
	int (*write)(void *arg, const uint8_t *data, size_t size);
	void *arg;
	bool no_input; /* standard input is not read */
};

/* *ret_exit is the command's exit status. EXIT_DONE, or a status that was explained. */
int remote_command_run(struct client *client, const struct remote_command *command, int *ret_exit);
