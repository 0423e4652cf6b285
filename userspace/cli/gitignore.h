/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of .gitignore files (gitignore(5)): which paths below a directory are left out. Read as
 * the tree is walked. Owned by whoever made it; one thread. Bounded.
 */
#pragma once

#include <stdbool.h>

struct gitignore;

struct gitignore *gitignore_new(void);
void gitignore_free(struct gitignore *ignore);

/* Take the patterns of a file's text; they are about paths below @directory ("" = the root).
 * -E2BIG, -ENOMEM. */
int gitignore_add(struct gitignore *ignore, const char *directory, const char *text);

/* Whether a path (relative to the root, without a leading slash) is left out. */
bool gitignore_matches(const struct gitignore *ignore, const char *path, bool is_directory);
