/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 2048

static const char *const names[] = {"debug", "info", "warn", "error"};
static enum journal_level least = JOURNAL_INFO;

void journal_set_level(const char *name)
{
	for (int i = JOURNAL_DEBUG; i <= JOURNAL_ERROR; i++)
		if (!strcmp(names[i], name))
			least = (enum journal_level)i;
}

void journal(enum journal_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES], when[32];
	struct timespec now;
	struct tm tm;
	va_list args;

	if (level < least)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A name must not make a line of its own. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%FT%T", &tm);
	fprintf(stderr, "%s.%03ldZ %-5s %s\n", when, now.tv_nsec / 1000000, names[level], text);
}
