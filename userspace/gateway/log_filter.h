/* SPDX-License-Identifier: Apache-2.0 */
/* Which log lines a client wants. Plain data; pure. */
#pragma once

#include "gateway/log_level.h"
#include "openshell.pb-c.h"

#include <stdbool.h>
#include <string.h>

struct log_filter {
	int64_t since_ms; /* 0 = any */
	char *const *source;
	size_t sources;	       /* 0 = any; "all" is any too */
	const char *min_level; /* "" = any */
};

static inline bool log_filter_takes(const struct log_filter *filter,
				    const Openshell__V1__SandboxLogLine *line)
{
	bool listed = !filter->sources;

	for (size_t i = 0; i < filter->sources; i++)
		listed |= !strcmp(filter->source[i], line->source) ||
			  !strcmp(filter->source[i], "all");
	return listed && line->timestamp_ms >= filter->since_ms &&
	       (!filter->min_level || !*filter->min_level ||
		log_level_rank(line->level) >= log_level_rank(filter->min_level));
}
