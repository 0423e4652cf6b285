/* SPDX-License-Identifier: Apache-2.0 */
/* TAP for native tests in C: numbered checks, the plan at the end, 0 only if all held. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int tap_number, tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool held, const char *fmt, ...)
{
	va_list args;

	printf("%sok %u - ", held ? "" : "not ", ++tap_number);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	tap_failed += !held;
	return held;
}

__attribute__((format(printf, 2, 3))) static inline void skip(const char *name, const char *fmt,
							      ...)
{
	va_list args;

	printf("ok %u - %s # SKIP ", ++tap_number, name);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static inline int tap_end(void)
{
	printf("1..%u\n", tap_number);
	return tap_failed ? 1 : 0;
}
