/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the known word nearest to a misspelt one. Pure functions; any thread.
 */
#pragma once

#include <stddef.h>

/*
 * How many insertions, deletions, substitutions and swaps of neighbours turn @a into @b; letter
 * case and `-` against `_` do not count. More than @limit, or a word longer than 64 bytes, gives
 * @limit + 1.
 */
unsigned int policy_word_distance(const char *a, const char *b, unsigned int limit);

/*
 * How far @word may be from a known one and still be taken for it. A single letter or two are no
 * misspelling of anything.
 */
unsigned int policy_word_limit(const char *word);

/* The nearest of @words (ended by NULL), or NULL when none is near. */
const char *policy_word_nearest(const char *word, const char *const *words);
