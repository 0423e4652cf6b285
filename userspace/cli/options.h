/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a verb: one table drives parsing and help. Long options `--name value`,
 * `--name=value`, `--flag`; everything after `--` and the first word that is no option are left
 * alone. Fills a struct of the verb's by offset; strings point into argv.
 */
#pragma once

#include "common/error.h"

#include <stddef.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,	/* bool */
	OPTION_STRING,	/* const char * */
	OPTION_STRINGS, /* struct option_strings */
};

#define OPTION_STRINGS_MAX 256

struct option_strings {
	const char *item[OPTION_STRINGS_MAX];
	size_t len;
};

struct option_row {
	const char *name; /* without the dashes */
	char letter;	  /* 0 = none */
	enum option_kind kind;
	size_t offset;	     /* in the verb's struct */
	const char *metavar; /* NULL for flags */
	const char *help;
};

/*
 * Parse argv[1..]; *ret_rest is the index of the first word that is not an option (after `--`).
 * -EINVAL with a sentence for what is not in the table; 1 when -h or --help was given.
 */
int options_parse(const struct option_row *row, size_t rows, int argc, char **argv, void *into,
		  int *ret_rest, struct error *err);

void options_help(const struct option_row *row, size_t rows, FILE *out);
