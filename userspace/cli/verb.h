/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command tree: one file per verb, one row per verb in main.c's table, which drives dispatch
 * and help. A verb gets its own argv (argv[0] is the verb) and returns the exit status of cli.md:
 * 0 done, 1 failed, 2 usage, 124 a wait timed out; `run` returns the command's own.
 */
#pragma once

enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_TIMEOUT = 124,
};

int verb_run(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_policy(int argc, char **argv);
