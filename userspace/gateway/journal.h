/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway tells its operator, on standard error: one line each, what came from outside
 * escaped, never a secret. One thread.
 */
#pragma once

enum journal_level { JOURNAL_DEBUG, JOURNAL_INFO, JOURNAL_WARN, JOURNAL_ERROR };

/* "debug", "info", "warn", "error"; others are "info". */
void journal_set_level(const char *name);

void journal(enum journal_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
