/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 64

static int fold(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int policy_word_distance(const char *a, const char *b, unsigned int limit)
{
	/* Optimal string alignment: three rows of the usual matrix, for the swaps. */
	unsigned int rows[3][WORD_MAX + 1];
	size_t len_a = strnlen(a, WORD_MAX + 1), len_b = strnlen(b, WORD_MAX + 1);
	unsigned int result;

	if (len_a > WORD_MAX || len_b > WORD_MAX)
		return limit + 1;
	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned int *before = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= len_b; j++) {
			bool same = fold(a[i - 1]) == fold(b[j - 1]);

			row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	result = rows[len_a % 3][len_b];
	return result > limit ? limit + 1 : result;
}

unsigned int policy_word_limit(const char *word)
{
	size_t len = strnlen(word, WORD_MAX);

	return len < 3 ? 0 : len < 6 ? 1 : len < 9 ? 2 : (unsigned int)(len / 3);
}

/* `readOnly` for `read_only`, `filesystem` for `filesystem_policy`. */
static bool is_variant(const char *word, const char *known)
{
	size_t len = strlen(word), matched = 0;

	if (len >= 4 && (!strncmp(known, word, len) || !strncmp(word, known, strlen(known))))
		return true;
	for (; *word && known[matched]; word++) {
		if (*word == '_' || *word == '-')
			continue;
		matched += known[matched] == '_';
		if (fold(*word) != fold(known[matched]))
			return false;
		matched++;
	}
	return !*word && !known[matched];
}

const char *policy_word_nearest(const char *word, const char *const *words)
{
	unsigned int limit = policy_word_limit(word), nearest = limit + 1;
	const char *result = NULL;

	for (; *words; words++) {
		unsigned int distance = is_variant(word, *words)
						? least(1, limit)
						: policy_word_distance(word, *words, limit);

		if (distance < nearest) {
			nearest = distance;
			result = *words;
		}
	}
	return result;
}
