/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct option_row *find(const struct option_row *row, size_t rows, const char *word,
				     size_t len)
{
	for (size_t i = 0; i < rows; i++) {
		if (word[0] == '-' && word[1] == '-' && strlen(row[i].name) == len - 2 &&
		    !strncmp(row[i].name, word + 2, len - 2))
			return &row[i];
		if (len == 2 && word[0] == '-' && row[i].letter && word[1] == row[i].letter)
			return &row[i];
	}
	return NULL;
}

static int store(const struct option_row *row, const char *value, void *into, struct error *err)
{
	void *field = (char *)into + row->offset;
	struct option_strings *list = field;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_STRING:
		*(const char **)field = value;
		return 0;
	case OPTION_STRINGS:
		if (list->len == OPTION_STRINGS_MAX)
			return error_set(err, -EINVAL, "--%s is given more than %d times",
					 row->name, OPTION_STRINGS_MAX);
		list->item[list->len++] = value;
		return 0;
	}
	return -EINVAL;
}

int options_parse(const struct option_row *row, size_t rows, int argc, char **argv, void *into,
		  int *ret_rest, struct error *err)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		const char *word = argv[i++], *value = strchr(word, '=');
		size_t len = value ? (size_t)(value++ - word) : strlen(word);
		const struct option_row *option;
		int r;

		if (!strcmp(word, "--"))
			break;
		if (!strcmp(word, "-h") || !strcmp(word, "--help"))
			return 1;
		option = find(row, rows, word, len);
		if (!option)
			return error_set(err, -EINVAL, "unknown option %.*s", (int)len, word);
		if (option->kind == OPTION_FLAG && value)
			return error_set(err, -EINVAL, "--%s takes no value", option->name);
		if (option->kind != OPTION_FLAG && !value) {
			if (i == argc)
				return error_set(err, -EINVAL, "--%s needs a value: %s",
						 option->name, option->metavar);
			value = argv[i++];
		}
		r = store(option, value, into, err);
		if (r)
			return r;
	}
	*ret_rest = i;
	return 0;
}

void options_help(const struct option_row *row, size_t rows, FILE *out)
{
	for (size_t i = 0; i < rows; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", row[i].name, row[i].metavar ? " " : "",
			 row[i].metavar ? row[i].metavar : "");
		fprintf(out, "  %-28s %s\n", left, row[i].help);
	}
}
