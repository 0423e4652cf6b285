/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite's bookkeeping: points of TAP, and the legs of one row. One stage, one thread.
 */
#pragma once

#include "rows.h"

extern struct stage stage;

/* A line of TAP. */
void point(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The plan, after the last point; the program's exit status. */
int suite_end(void);

/* `ok`, or the name of a negative errno. */
const char *name_of(int r);

/* A line that names @hooks, after a point that failed. */
void print_hooks(const char *what, hook_set hooks);

/* Prepare and have done, without looking at the kernel side. */
int ask(enum who who, const char *words);

/* What the kernel side did during one act. */
struct observed {
	int result;
	hook_set denied, told; /* hooks whose denials rose; hooks that told @error */
	hook_set audited;      /* events said that they would have denied */
};

/* Have @who do an act, and watch. @error: the negative errno that events are looked through for. */
struct observed observe(enum who who, const char *words, int error);

/* What @row gets from the backend at hand. */
int row_wanted(const struct row *row);
int matrix_wanted(const struct matrix_row *row, const struct zone *zone);

/* What is not in a table: special.c */
void special_run(void);
void special_audit(void);
void special_seccomp(void);
