/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/log_level.h"

#include "common/cleanup.h"

#include <strings.h>

int log_level_rank(const char *level)
{
	static const struct {
		const char *word;
		int rank;
	} words[] = {
		{"trace", 0}, {"debug", 1},  {"info", 2},  {"low", 2},	{"warn", 3}, {"warning", 3},
		{"med", 3},   {"medium", 3}, {"error", 4}, {"high", 4}, {"crit", 4}, {"fatal", 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(words[i].word, level))
			return words[i].rank;
	return 2;
}
