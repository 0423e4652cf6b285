/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdio.h>
#include <string.h>

static int error_vset(struct error *err, int code, const char *file, int line, int col,
		      const char *fmt, va_list args)
{
	if (!err)
		return code;
	err->code = code;
	err->line = line;
	err->col = col;
	snprintf(err->file, sizeof(err->file), "%s", file ? file : "");
	vsnprintf(err->message, sizeof(err->message), fmt, args);
	return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error_vset(err, code, NULL, 0, 0, fmt, args);
	va_end(args);
	return code;
}

int error_set_at(struct error *err, int code, const char *file, int line, int col, const char *fmt,
		 ...)
{
	va_list args;

	va_start(args, fmt);
	error_vset(err, code, file, line, col, fmt, args);
	va_end(args);
	return code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char context[ERROR_MESSAGE_MAX / 2], inner[ERROR_MESSAGE_MAX];
	va_list args;

	if (!err)
		return 0;
	va_start(args, fmt);
	vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	memcpy(inner, err->message, sizeof(inner));
	snprintf(err->message, sizeof(err->message), "%s: %.*s", context,
		 (int)(sizeof(err->message) - strlen(context) - 3), inner);
	return err->code;
}

const char *error_format(const struct error *err, char *buf, size_t size)
{
	if (err->file[0] && err->line > 0)
		snprintf(buf, size, "%s:%d:%d: %s", err->file, err->line, err->col, err->message);
	else if (err->file[0])
		snprintf(buf, size, "%s: %s", err->file, err->message);
	else
		snprintf(buf, size, "%s", err->message);
	return buf;
}
