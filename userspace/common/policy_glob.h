/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Globs of a policy: `*` stays inside a segment, `**` crosses the separator, `?` is one character
 * and `[a-z]`, `[!a-z]` one of a set, neither of which is the separator; everything else is itself.
 * Bytes are compared, case included. Pure functions; any thread. Fails closed: a malformed glob
 * matches nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POLICY_GLOB_MAX 4096 /* bytes of a glob, and of what is matched */

/* `*` crosses the separator too: how a deny rule reads it. */
#define POLICY_GLOB_CROSS (1u << 0)

/* NULL for a well-formed glob, else what is wrong with it, for people. */
const char *policy_glob_check(const char *glob);

/* Whether @glob has a character with a meaning of its own. */
bool policy_glob_is_pattern(const char *text);

/* In time of the product of both lengths; longer than POLICY_GLOB_MAX never matches. */
bool policy_glob_match(const char *glob, const char *text, char separator, unsigned int flags);

/*
 * Whether some text matches both globs. @steps is a budget that the search draws on; when it runs
 * out the answer is -E2BIG. 0 no, 1 yes, -ENOMEM.
 */
int policy_glob_overlap(const char *a, const char *b, char separator, unsigned int flags,
			size_t *steps);
