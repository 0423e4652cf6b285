/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How commands print: tables for people, JSON and YAML for programs. Colours only on a terminal,
 * and not with NO_COLOR; control characters of what a server says are escaped. One thread.
 */
#pragma once

#include "cli/command.h"

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

/* Whether JSON or YAML was asked for; then it is printed. *ret_status is the exit status. */
bool output_message(const struct command_call *call, const ProtobufCMessage *message,
		    int *ret_status);

#define OUTPUT_COLUMNS_MAX 8

struct output_table {
	const char *const *heads;
	size_t columns;
	char ***rows;
	size_t count;
};

/* A row of as many strings as there are heads; copied, escaped. */
void output_add(struct output_table *table, ...);
void output_print(struct output_table *table);
void output_clear(struct output_table *table);

/* Text from elsewhere, as one that may go to a terminal; free() it. */
char *output_escape(const char *text);

/* "3m", "2h", "5d" since then. */
const char *output_age(int64_t created_ms, char buf[16]);

/* An enum's name without its prefix: "READY". */
const char *output_enum(const ProtobufCEnumDescriptor *type, int value, const char *prefix);

/* What goes wrong, and what is well: for marks on a terminal. */
bool output_is_terminal(void);

/* Ask on the terminal; without one, or with --yes, it is as @yes says. */
bool output_confirm(const char *question, bool yes);
