/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check of a policy file has to say: every error and warning with its place and the name of
 * the rule that was broken. Bounded: past the caps findings are counted, not kept. Owned by the
 * caller; one thread at a time. Fails closed: when a finding cannot be stored it is still counted,
 * so a policy with errors never looks valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POLICY_ERRORS_MAX   50
#define POLICY_WARNINGS_MAX 50
#define POLICY_MESSAGE_MAX  512

/* 1-based; line 0 = nowhere, the thing is not in the file. Columns count characters. */
struct policy_place {
	int line, col;
};

struct policy_diagnostic {
	bool is_error;
	struct policy_place at;
	const char *rule; /* static string such as "endpoint.port": stable, for tools */
	char message[POLICY_MESSAGE_MAX];
};

struct diagnostics {
	struct policy_diagnostic *items; /* in the order of the file once loading ended */
	size_t count;
	size_t errors, warnings; /* found, which may be more than are kept */
};

void diagnostics_clear(struct diagnostics *diag);

/* Record a finding. @rule must outlive @diag. Control characters in the message are escaped. */
void policy_error(struct diagnostics *diag, struct policy_place at, const char *rule,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void policy_warning(struct diagnostics *diag, struct policy_place at, const char *rule,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Put the findings in the order of the file; equal places keep their order. */
void diagnostics_sort(struct diagnostics *diag);

/* The first error in the order kept, or NULL. */
const struct policy_diagnostic *diagnostics_first_error(const struct diagnostics *diag);
