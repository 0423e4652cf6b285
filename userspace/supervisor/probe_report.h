/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every probe as a row that a person can act on: what was found, what follows from it, what to do.
 * `openshell doctor` prints it; `id` and the enum's names are stable for tools. Owned by the
 * caller; one thread. A row that could not be probed says so and never counts as found.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

#define PROBE_ROWS_MAX 256

enum probe_status {
	PROBE_FOUND,
	PROBE_PARTIAL, /* missing or weaker, and something covers part of it */
	PROBE_MISSING,
	PROBE_UNKNOWN, /* could not be probed */
};

struct probe_row {
	char id[64];
	const char *group;
	enum probe_status status;
	char found[320];
	char consequence[320]; /* "" for what was found */
	char action[320];
};

enum probe_answer { PROBE_NO, PROBE_YES, PROBE_CANNOT_TELL };

struct probe_report {
	struct probe_row *row;
	size_t len, cap;
	const char *backend; /* "bpf-lsm", "landlock", "none", "unknown" */
	enum probe_answer can_enforce;
};

/* Runs every probe; well below a second. -ENOMEM. */
int probe_report_make(struct probe_report *ret_report, struct error *err);
void probe_report_free(struct probe_report *report);

const char *probe_status_name(enum probe_status status);
