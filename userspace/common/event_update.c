/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_update.h"

#include "common/cleanup.h"
#include "common/event_text.h"

#include <stdbool.h>
#include <string.h>

/* True if a line with @s in it is what it looks like. */
static bool can_show(const char *s)
{
	size_t len = strlen(s);

	while (len) {
		uint32_t code;
		size_t n = utf8_next(s, len, &code);

		if (!n || utf8_is_deceptive(code))
			return false;
		s += n;
		len -= n;
	}
	return true;
}

/* @s as one word of a shell's line. */
static void print_quoted(const char *s, FILE *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._-+@%:,=";
	size_t len = strlen(s);

	if (len && strspn(s, plain) == len) {
		fputs(s, out);
		return;
	}
	fputc('\'', out);
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", out);
		else
			fputc(*s, out);
	}
	fputc('\'', out);
}

static int compare(const void *a, const void *b)
{
	const struct event_grant_endpoint *x = *(const struct event_grant_endpoint *const *)a;
	const struct event_grant_endpoint *y = *(const struct event_grant_endpoint *const *)b;
	int c = strcmp(x->host, y->host);

	if (!c)
		c = x->port - y->port;
	return c ? c : strcmp(x->exe, y->exe);
}

static void print_line(const struct event_grant_endpoint *const *group, size_t n,
		       const char *sandbox, FILE *out)
{
	const struct event_grant_endpoint *e = group[0];
	char endpoint[EVENT_HOST_SIZE + 16];
	bool v6 = strchr(e->host, ':');

	snprintf(endpoint, sizeof(endpoint), "%s%s%s:%u", v6 ? "[" : "", e->host, v6 ? "]" : "",
		 e->port ? e->port : EVENT_UPDATE_PORT_GUESS);
	fputs("  openshell policy update ", out);
	print_quoted(sandbox, out);
	fputs(" --add-endpoint ", out);
	print_quoted(endpoint, out);
	for (size_t i = 0; i < n; i++) {
		fputs(" --binary ", out);
		print_quoted(group[i]->exe, out);
	}
	if (!e->port)
		fprintf(out, "  # only the name was asked for: port %d is a guess",
			EVENT_UPDATE_PORT_GUESS);
	fputc('\n', out);
}

size_t event_update_print(const struct event_grants *grants, const char *sandbox, size_t lines,
			  FILE *out)
{
	_cleanup_free_ const struct event_grant_endpoint **list = NULL;
	size_t len = 0, printed = 0, left = 0;

	list = calloc(grants->endpoints + 1, sizeof(*list));
	if (!list)
		return 0;
	for (size_t i = 0; i < grants->endpoints; i++) {
		const struct event_grant_endpoint *e = &grants->endpoint[i];

		if (event_grants_is_answered(grants, i))
			continue;
		/* A pattern's signs would make the line mean more than this program. */
		if (!can_show(e->exe) || strpbrk(e->exe, "*?[{"))
			left++;
		else
			list[len++] = e;
	}
	qsort(list, len, sizeof(*list), compare);
	for (size_t i = 0, n; i < len; i += n) {
		for (n = 1; i + n < len && list[i]->port == list[i + n]->port &&
			    !strcmp(list[i]->host, list[i + n]->host);
		     n++)
			;
		if (printed == lines) {
			left += n;
			continue;
		}
		print_line(list + i, n, sandbox, out);
		printed++;
	}
	if (printed && left)
		fprintf(out, "  # and %zu more\n", left);
	return printed;
}
