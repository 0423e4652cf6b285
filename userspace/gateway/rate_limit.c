/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/rate_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS	       1024
#define WAYS	       4
#define NAME_MAX_BYTES 96

struct bucket {
	char who[NAME_MAX_BYTES];
	uint64_t at;	/* when `milli` was right */
	uint64_t milli; /* thousandths of tokens */
};

struct rate_limit {
	uint32_t rate, burst;
	struct bucket bucket[SETS][WAYS];
};

struct rate_limit *rate_limit_new(uint32_t rate, uint32_t burst)
{
	struct rate_limit *limit = calloc(1, sizeof(*limit));

	if (limit) {
		limit->rate = rate;
		limit->burst = burst ? burst : 1;
	}
	return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
	free(limit);
}

/* FNV-1a: who wants to collide with somebody shares a set of four with him, no bucket. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

static struct bucket *find(struct rate_limit *limit, const char *who, uint64_t now)
{
	struct bucket *set = limit->bucket[hash(who) % SETS], *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		if (!strcmp(set[i].who, who))
			return &set[i];
		if (set[i].at < oldest->at)
			oldest = &set[i];
	}
	snprintf(oldest->who, sizeof(oldest->who), "%s", who);
	oldest->at = now;
	oldest->milli = (uint64_t)limit->burst * 1000;
	return oldest;
}

bool rate_limit_take(struct rate_limit *limit, const char *who, uint64_t now_ms)
{
	char name[NAME_MAX_BYTES];
	struct bucket *b;
	uint64_t most = (uint64_t)limit->burst * 1000;

	snprintf(name, sizeof(name), "%s", who);
	b = find(limit, name, now_ms);
	b->milli += (now_ms - b->at) * limit->rate;
	if (b->milli > most)
		b->milli = most;
	b->at = now_ms;
	if (b->milli < 1000)
		return false;
	b->milli -= 1000;
	return true;
}
