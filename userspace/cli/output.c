/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "cli/message_json.h"
#include "common/cleanup.h"
#include "common/yaml_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool output_message(const struct command_call *call, const ProtobufCMessage *message,
		    int *ret_status)
{
	const char *format = call->o.output;
	_cleanup_free_ char *text = NULL;
	json_t *json;

	if (!format || !strcmp(format, "table"))
		return false;
	json = message_to_json(message);
	if (json && !strcmp(format, "json"))
		text = json_dumps(json, JSON_INDENT(2));
	else if (json && yaml_text_of_json(json, &text))
		text = NULL;
	json_decref(json);
	if (!text) {
		*ret_status = command_fail(call, "the answer cannot be printed");
		return true;
	}
	printf("%s%s", text, !strcmp(format, "json") ? "\n" : "");
	*ret_status = fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	return true;
}

char *output_escape(const char *text)
{
	char *out = malloc(strlen(text) * 4 + 1), *at = out;

	if (!out)
		return NULL;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f)
			at += snprintf(at, 5, "\\x%02x", c);
		else
			*at++ = *text;
	}
	*at = 0;
	return out;
}

void output_add(struct output_table *table, ...)
{
	char **row = calloc(table->columns, sizeof(*row));
	char ***grown = reallocarray(table->rows, table->count + 1, sizeof(*grown));
	va_list args;

	if (grown)
		table->rows = grown;
	if (!row || !grown) {
		free(row);
		return;
	}
	va_start(args, table);
	for (size_t i = 0; i < table->columns; i++)
		row[i] = output_escape(va_arg(args, const char *));
	va_end(args);
	table->rows[table->count++] = row;
}

bool output_is_terminal(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

static void print_row(const char *const *cells, const size_t *widths, size_t columns)
{
	for (size_t i = 0; i < columns; i++) {
		const char *text = cells[i] ? cells[i] : "";

		if (i + 1 == columns)
			printf("%s\n", text);
		else
			printf("%-*s  ", (int)widths[i], text);
	}
}

void output_print(struct output_table *table)
{
	size_t widths[OUTPUT_COLUMNS_MAX] = {};
	bool bold = output_is_terminal();

	for (size_t i = 0; i < table->columns; i++) {
		widths[i] = strlen(table->heads[i]);
		for (size_t k = 0; k < table->count; k++)
			if (table->rows[k][i] && strlen(table->rows[k][i]) > widths[i])
				widths[i] = strlen(table->rows[k][i]);
	}
	if (bold)
		fputs("\033[1m", stdout);
	print_row(table->heads, widths, table->columns);
	if (bold)
		fputs("\033[0m", stdout);
	for (size_t k = 0; k < table->count; k++)
		print_row((const char *const *)table->rows[k], widths, table->columns);
}

void output_clear(struct output_table *table)
{
	for (size_t k = 0; k < table->count; k++) {
		for (size_t i = 0; i < table->columns; i++)
			free(table->rows[k][i]);
		free(table->rows[k]);
	}
	free(table->rows);
	table->rows = NULL;
	table->count = 0;
}

const char *output_age(int64_t created_ms, char buf[16])
{
	long s = (long)(time(NULL) - created_ms / 1000) % 100000000;

	if (s < 0)
		s = 0;
	if (s < 60)
		snprintf(buf, 16, "%lds", s);
	else if (s < 3600)
		snprintf(buf, 16, "%ldm", s / 60);
	else if (s < 48 * 3600)
		snprintf(buf, 16, "%ldh", s / 3600);
	else
		snprintf(buf, 16, "%ldd", s / 86400);
	return buf;
}

const char *output_enum(const ProtobufCEnumDescriptor *type, int value, const char *prefix)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
	size_t n = strlen(prefix);

	if (!v)
		return "?";
	return strncmp(v->name, prefix, n) ? v->name : v->name + n;
}

bool output_confirm(const char *question, bool yes)
{
	char answer[16] = "";

	if (yes || !isatty(STDIN_FILENO))
		return yes;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}
