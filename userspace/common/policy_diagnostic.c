/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_diagnostic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void diagnostics_clear(struct diagnostics *diag)
{
	free(diag->items);
	*diag = (struct diagnostics){};
}

/* What came from the file may hold terminal escapes; the message is for terminals. */
static void escape(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/* A message cut in the middle of a character would not be UTF-8, nor JSON. */
static void cut_at_character(char *text)
{
	size_t len = strlen(text), back = 0;

	if (len + 1 < POLICY_MESSAGE_MAX)
		return;
	while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < len && ((unsigned char)text[len - 1 - back] & 0x80))
		text[len - 1 - back] = '\0';
}

static void __attribute__((format(printf, 5, 0)))
add(struct diagnostics *diag, bool is_error, struct policy_place at, const char *rule,
    const char *fmt, va_list args)
{
	size_t *found = is_error ? &diag->errors : &diag->warnings;
	size_t cap = is_error ? POLICY_ERRORS_MAX : POLICY_WARNINGS_MAX;
	struct policy_diagnostic *item;

	if ((*found)++ >= cap)
		return;
	if (!diag->items)
		diag->items = calloc(POLICY_ERRORS_MAX + POLICY_WARNINGS_MAX, sizeof(*item));
	if (!diag->items)
		return;
	item = &diag->items[diag->count++];
	item->is_error = is_error;
	item->at = at;
	item->rule = rule;
	vsnprintf(item->message, sizeof(item->message), fmt, args);
	cut_at_character(item->message);
	escape(item->message);
}

void policy_error(struct diagnostics *diag, struct policy_place at, const char *rule,
		  const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(diag, true, at, rule, fmt, args);
	va_end(args);
}

void policy_warning(struct diagnostics *diag, struct policy_place at, const char *rule,
		    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(diag, false, at, rule, fmt, args);
	va_end(args);
}

static bool is_before(const struct policy_diagnostic *a, const struct policy_diagnostic *b)
{
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line;
	return a->at.col < b->at.col;
}

/* Insertion sort: at most a hundred items, nearly sorted, and it keeps the order of equals. */
void diagnostics_sort(struct diagnostics *diag)
{
	for (size_t i = 1; i < diag->count; i++) {
		struct policy_diagnostic item = diag->items[i];
		size_t j = i;

		for (; j > 0 && is_before(&item, &diag->items[j - 1]); j--)
			diag->items[j] = diag->items[j - 1];
		diag->items[j] = item;
	}
}

const struct policy_diagnostic *diagnostics_first_error(const struct diagnostics *diag)
{
	for (size_t i = 0; i < diag->count; i++)
		if (diag->items[i].is_error)
			return &diag->items[i];
	return NULL;
}
