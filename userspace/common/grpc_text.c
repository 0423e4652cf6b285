/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_text.h"

#include "common/grpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_DIGITS_MAX 8
#define TIMEOUT_MS_MAX	   (INT64_C(365) * 24 * 3600 * 1000)

static const char *const code_names[] = {
	[GRPC_OK] = "OK",
	[GRPC_CANCELLED] = "CANCELLED",
	[GRPC_UNKNOWN] = "UNKNOWN",
	[GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[GRPC_NOT_FOUND] = "NOT_FOUND",
	[GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_ABORTED] = "ABORTED",
	[GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[GRPC_INTERNAL] = "INTERNAL",
	[GRPC_UNAVAILABLE] = "UNAVAILABLE",
	[GRPC_DATA_LOSS] = "DATA_LOSS",
	[GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *grpc_code_name(int code)
{
	if (code < 0 || code > GRPC_UNAUTHENTICATED)
		code = GRPC_UNKNOWN;
	return code_names[code];
}

enum grpc_code grpc_code_of_errno(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return GRPC_OK;
	case EINVAL:
	case E2BIG:
	case EBADMSG:
		return GRPC_INVALID_ARGUMENT;
	case ENOENT:
		return GRPC_NOT_FOUND;
	case EEXIST:
		return GRPC_ALREADY_EXISTS;
	case ESTALE:
		return GRPC_ABORTED;
	case EBUSY:
		return GRPC_FAILED_PRECONDITION;
	case EPERM:
		return GRPC_UNAUTHENTICATED;
	case EACCES:
		return GRPC_PERMISSION_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EAGAIN:
	case EMSGSIZE:
		return GRPC_RESOURCE_EXHAUSTED;
	case ENOTCONN:
	case EPIPE:
	case ECONNREFUSED:
	case ECONNRESET:
		return GRPC_UNAVAILABLE;
	case ETIMEDOUT:
		return GRPC_DEADLINE_EXCEEDED;
	case ENOSYS:
	case EOPNOTSUPP:
		return GRPC_UNIMPLEMENTED;
	case ECANCELED:
		return GRPC_CANCELLED;
	default:
		return GRPC_INTERNAL;
	}
}

/* Nanoseconds of a unit; 0 = it is none. */
static uint64_t unit_of(char unit)
{
	switch (unit) {
	case 'H':
		return UINT64_C(3600000000000);
	case 'M':
		return UINT64_C(60000000000);
	case 'S':
		return UINT64_C(1000000000);
	case 'm':
		return UINT64_C(1000000);
	case 'u':
		return UINT64_C(1000);
	case 'n':
		return 1;
	default:
		return 0;
	}
}

int64_t grpc_timeout_parse(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0, unit;

	if (!digits || digits > TIMEOUT_DIGITS_MAX || strlen(text) != digits + 1)
		return -1;
	unit = unit_of(text[digits]);
	if (!unit)
		return -1;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	/* Below 2^64: eight digits of hours are 3.6e20 ns, so hours are taken in milliseconds. */
	if (unit >= 1000000)
		value *= unit / 1000000;
	else
		value = (value * unit + 999999) / 1000000;
	return value > TIMEOUT_MS_MAX ? TIMEOUT_MS_MAX : (int64_t)value;
}

void grpc_timeout_format(uint64_t ms, char ret_text[GRPC_TIMEOUT_TEXT])
{
	if (ms <= 99999999)
		snprintf(ret_text, GRPC_TIMEOUT_TEXT, "%llum", (unsigned long long)ms);
	else if (ms / 1000 < 99999999)
		snprintf(ret_text, GRPC_TIMEOUT_TEXT, "%lluS", (unsigned long long)(ms / 1000 + 1));
	else
		snprintf(ret_text, GRPC_TIMEOUT_TEXT, "99999999S");
}

size_t grpc_message_encode(const char *message, char *ret_text, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (const char *p = message; *p; p++) {
		uint8_t c = (uint8_t)*p;

		if (c >= 0x20 && c <= 0x7e && c != '%') {
			if (n + 1 >= size)
				break;
			ret_text[n++] = (char)c;
		} else {
			if (n + 3 >= size)
				break;
			ret_text[n++] = '%';
			ret_text[n++] = hex[c >> 4];
			ret_text[n++] = hex[c & 15];
		}
	}
	ret_text[n] = 0;
	return n;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void grpc_message_decode(char *text)
{
	char *out = text;

	while (*text) {
		int high = *text == '%' ? nibble(text[1]) : -1;
		int low = high >= 0 ? nibble(text[2]) : -1;

		if (low >= 0 && (high || low)) {
			*out++ = (char)(high << 4 | low);
			text += 3;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
}
