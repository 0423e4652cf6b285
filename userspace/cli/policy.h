/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the verb `policy`: one function per command, each with its own argv (argv[0] is the
 * command) and the exit status of cli.md. Needs no root and no daemon.
 */
#pragma once

#include "common/policy.h"

#include <jansson.h>

enum policy_output {
	POLICY_OUTPUT_TABLE,
	POLICY_OUTPUT_JSON,
};

int policy_check_main(int argc, char **argv);
int policy_compile_main(int argc, char **argv);

/*
 * Take `-o table|json` and `-h` out of @argv. 0 with the first file's index in @ret_first; a
 * negative number after a usage error, a positive one after help, both printed.
 */
int policy_parse_options(int argc, char **argv, const char *usage, enum policy_output *ret_output,
			 int *ret_first);

/* "file:12:5: error: message [rule]", one line per finding. */
void policy_print_diagnostics(FILE *out, const char *file, const struct diagnostics *diag);

/* A file's name as a terminal may see it, without control characters; cut to @size. */
const char *policy_printable_name(const char *file, char *buf, size_t size);

/* Any message as a JSON object with its field names; enums by name. NULL without memory. */
json_t *policy_message_to_json(const ProtobufCMessage *message);

/* "sha256:" and 64 hexadecimal digits. */
#define POLICY_DIGEST_TEXT (7 + 2 * POLICY_DIGEST_SIZE + 1)
void policy_format_digest(const uint8_t digest[POLICY_DIGEST_SIZE],
			  char ret_text[POLICY_DIGEST_TEXT]);
