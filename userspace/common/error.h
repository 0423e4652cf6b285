/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator will read when something fails: a negative errno, one sentence that says what
 * to do, and, for input files, where. Filled at the place of failure, wrapped with context while
 * unwinding, printed once by the program. Owned by the caller, usually on its stack; no allocation,
 * so that reporting an error cannot fail. Not shared between threads.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define ERROR_MESSAGE_MAX 1024

struct error {
	int code;			 /* negative errno, 0 = no error */
	int line, col;			 /* 1-based; 0 = not about a place in a file */
	char file[256];			 /* "" = not about a file */
	char message[ERROR_MESSAGE_MAX]; /* no newline at the end */
};

/*
 * Record a failure and return @code, so that callers write `return error_set(err, -EINVAL, ...)`.
 * @err may be NULL. A longer message is cut at ERROR_MESSAGE_MAX. The last call wins.
 */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set(), with the place in the input. */
int error_set_at(struct error *err, int code, const char *file, int line, int col, const char *fmt,
		 ...) __attribute__((format(printf, 6, 7)));

/* Put "context: " in front of the message; keeps code and place. Returns err->code. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "file:line:col: message", or the parts there are, into @buf; returns @buf. */
const char *error_format(const struct error *err, char *buf, size_t size);
