/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running acts of agents and judging what came of them, as TAP.
 */
#pragma once

#include "abi.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

extern char runner_dir[]; /* where the programs are; a template of mkdtemp() at first */

void result(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print the plan and a summary; 1 if something failed. */
int runner_finish(void);

/*
 * Run an act: `{name}` in a word of it is a program of ours, `%` the interface @scope. start()
 * leaves it running, for next_report(): its errno, or -1 after eight seconds of silence.
 */
pid_t start(uint32_t slot, const char *act, int scope, int *ret_report, int *ret_go);
int next_report(int fd);
void end(pid_t pid, int report, int go);

/* Until its first report. */
int run(uint32_t slot, const char *act, int scope);

#define WORKER EREMCHG /* what an act reports if the worker answered it, not a peer */

struct row {
	const char *what;
	const char *act;
	int error;   /* inside */
	int outside; /* -1: not the same act outside */
	uint16_t hook;
	uint16_t reason;
	uint32_t endpoint; /* of the event of an admitted act; NO_ENDPOINT where none is emitted */
	const char *real;  /* a name's: where the event says that it went, v4-mapped */
	const char *real2; /* or there */
};

#define NO	       OS_EVENT_NO_ENDPOINT
#define ADMIT(e)       0, e, NULL, NULL
#define WENT(e, r)     0, e, r, NULL
#define WENT2(e, r, s) 0, e, r, s
#define DENY(reason)   OS_REASON_##reason, NO, NULL, NULL

void check(const struct row *row, int scope);

/* True if @event says that the connection went to @real (NULL: where it was told). */
bool went_to(const struct os_event *event, const char *real);

/* @act holds two connections; a new policy admits the first only, which meets @wanted. */
void check_switch(const char *act, const char *what, int wanted, int scope);
