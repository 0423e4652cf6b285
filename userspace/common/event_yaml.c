/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_yaml.h"

#include "common/event_text.h"
#include "common/event_update.h"

#include <inttypes.h>
#include <string.h>

bool event_yaml_can_hold(const char *path)
{
	size_t len = strlen(path);

	while (len) {
		uint32_t code;
		size_t n = utf8_next(path, len, &code);

		if (!n || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffe ||
		    code == 0xffff)
			return false;
		path += n;
		len -= n;
	}
	return true;
}

/* A scalar: plain where nothing in it could mean something to YAML, else in double quotes. */
static void print_scalar(const char *s, FILE *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._-+@=~^";
	size_t len = strlen(s);

	if (len && strspn(s, plain) == len && (*s == '/' || (*s >= '0' && *s <= '9'))) {
		fputs(s, out);
		return;
	}
	fputc('"', out);
	while (len) {
		uint32_t code = 0;
		size_t n = utf8_next(s, len, &code);

		if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (utf8_is_deceptive(code) && code != ' ')
			fprintf(out, code > 0xffff ? "\\U%08" PRIx32 : "\\u%04" PRIx32, code);
		else
			fwrite(s, 1, n ? n : 1, out);
		s += n ? n : 1;
		len -= n ? n : 1;
	}
	fputc('"', out);
}

static bool wants_write(const struct event_grant_path *p)
{
	return p->rights & EVENT_GRANT_WRITES;
}

static void print_list(const struct event_grants *g, bool write, size_t lines, FILE *out)
{
	size_t printed = 0, left = 0;

	for (size_t i = 0; i < g->paths; i++) {
		if (wants_write(&g->path[i]) != write)
			continue;
		if (!event_yaml_can_hold(g->path[i].path) || printed == lines) {
			left++;
			continue;
		}
		if (!printed)
			fprintf(out, "    %s:\n", write ? "read_write" : "read_only");
		fprintf(out, "      - ");
		print_scalar(g->path[i].path, out);
		fputc('\n', out);
		printed++;
	}
	if (left)
		fprintf(out, "      # and %zu more\n", left);
}

static void print_programs(const struct event_grants *g, size_t lines, FILE *out)
{
	fprintf(out, "  exec_policy:\n    allow:\n");
	for (size_t i = 0; i < g->programs && i < lines; i++) {
		fprintf(out, "      - ");
		print_scalar(g->program[i], out);
		fputc('\n', out);
	}
	if (g->programs > lines)
		fprintf(out, "      # and %zu more\n", g->programs - lines);
}

/* "curl" of "/usr/bin/curl", with what is not a letter, digit, '-' or '_' made '_'. */
void event_yaml_rule_name(const char *exe, char *ret, size_t size)
{
	const char *slash = strrchr(exe, '/');
	const char *name = slash ? slash + 1 : exe;
	size_t n = 0;

	for (; name[n] && n + 1 < size && n < 64; n++) {
		char c = name[n];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_';

		ret[n] = plain ? c : '_';
	}
	ret[n] = '\0';
}

static void print_network(const struct event_grants *g, size_t lines, FILE *out)
{
	size_t printed = 0, i = 0;

	fprintf(out, "  network_policies:\n");
	while (i < g->endpoints && printed < lines) {
		const char *exe = g->endpoint[i].exe;
		char name[128];

		event_yaml_rule_name(exe, name, sizeof(name));
		fprintf(out, "    allow_%s:\n      binaries: [{path: ", name);
		print_scalar(exe, out);
		fprintf(out, "}]\n      endpoints:\n");
		for (; i < g->endpoints && !strcmp(g->endpoint[i].exe, exe) && printed < lines;
		     i++) {
			uint16_t port = g->endpoint[i].port;

			if (event_grants_is_answered(g, i))
				continue;
			fprintf(out, "        - {host: ");
			print_scalar(g->endpoint[i].host, out);
			fprintf(out, ", port: %u}%s\n", port ? port : EVENT_UPDATE_PORT_GUESS,
				port ? "" : "  # only the name was asked for: the port is a guess");
			printed++;
		}
	}
	if (i < g->endpoints)
		fprintf(out, "    # and %zu more endpoints\n", g->endpoints - i);
}

void event_yaml_print(const struct event_grants *grants, size_t lines, FILE *out)
{
	if (grants->paths) {
		fprintf(out, "  filesystem_policy:  # a new section: also include_workdir: true\n");
		print_list(grants, false, lines, out);
		print_list(grants, true, lines, out);
	}
	if (grants->programs)
		print_programs(grants, lines, out);
	if (grants->endpoints)
		print_network(grants, lines, out);
}
