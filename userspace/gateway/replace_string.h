/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of unpacked messages: an empty one is a constant of protobuf-c's, which is not freed. */
#pragma once

#include <errno.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <string.h>

/* -ENOMEM; *field stays then. */
static inline int replace_string(char **field, const char *text)
{
	char *copy = text && *text ? strdup(text) : (char *)protobuf_c_empty_string;

	if (!copy)
		return -ENOMEM;
	if (*field && *field != protobuf_c_empty_string)
		free(*field);
	*field = copy;
	return 0;
}
