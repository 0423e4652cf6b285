/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_limiter.h"

#include <stdbool.h>

#define UNIT 1000 /* thousandths of a request or token */

/*
 * In one such step a bucket of N a minute gets N thousandths: no fraction is ever lost, however
 * often it is looked at.
 */
#define STEP_NS	  60000000ull
#define STEPS_MAX INT32_MAX
#define SECOND_NS 1000000000ull

#define DEBT_MAX (INT64_MAX / 4)

static void fill(int64_t *left, uint32_t per_minute, uint64_t steps)
{
	int64_t full = (int64_t)per_minute * UNIT;

	if (__builtin_add_overflow(*left, (int64_t)(per_minute * steps), left) || *left > full)
		*left = full;
}

/* What was used stays used; a limit that was not there before begins with a full bucket. */
static void change(int64_t *left, uint32_t *per_minute, uint32_t wanted)
{
	if (*per_minute)
		*left += ((int64_t)wanted - *per_minute) * UNIT;
	else
		*left = (int64_t)wanted * UNIT;
	*per_minute = wanted;
}

static void refill(struct inference_limiter *limiter, uint64_t now)
{
	uint64_t steps;

	if (!limiter->filled)
		limiter->filled = now;
	if (now < limiter->filled)
		return;
	steps = (now - limiter->filled) / STEP_NS;
	limiter->filled += steps * STEP_NS;
	if (steps > STEPS_MAX)
		steps = STEPS_MAX;
	fill(&limiter->requests, limiter->requests_per_minute, steps);
	fill(&limiter->tokens, limiter->tokens_per_minute, steps);
}

/* Whole seconds until one is in a bucket; 0: there is one. */
static uint64_t seconds_until_one(const struct inference_limiter *limiter, int64_t left,
				  uint32_t per_minute, uint64_t now)
{
	uint64_t missing, steps, at;

	if (!per_minute || left >= UNIT)
		return 0;
	missing = (uint64_t)(UNIT - left);
	steps = missing / per_minute + (missing % per_minute != 0);
	if (steps > STEPS_MAX)
		steps = STEPS_MAX;
	at = limiter->filled + steps * STEP_NS;
	return at > now ? (at - now + SECOND_NS - 1) / SECOND_NS : 1;
}

enum inference_limit inference_limiter_begin(struct inference_limiter *limiter,
					     const Openshell__Worker__V1__InferenceLimits *limits,
					     uint64_t now, uint32_t *ret_seconds)
{
	uint64_t for_requests, for_tokens;

	refill(limiter, now);
	change(&limiter->requests, &limiter->requests_per_minute,
	       limits ? limits->requests_per_minute : 0);
	change(&limiter->tokens, &limiter->tokens_per_minute,
	       limits ? limits->tokens_per_minute : 0);
	for_requests =
		seconds_until_one(limiter, limiter->requests, limiter->requests_per_minute, now);
	for_tokens = seconds_until_one(limiter, limiter->tokens, limiter->tokens_per_minute, now);
	if (for_requests || for_tokens) {
		bool requests = for_requests >= for_tokens;

		*ret_seconds = (uint32_t)(requests ? for_requests : for_tokens);
		return requests ? INFERENCE_LIMIT_REQUESTS : INFERENCE_LIMIT_TOKENS;
	}
	if (limits && limits->concurrent && limiter->under_way >= limits->concurrent) {
		*ret_seconds = 1; /* nobody knows */
		return INFERENCE_LIMIT_CONCURRENT;
	}
	limiter->under_way++;
	if (limiter->requests_per_minute)
		limiter->requests -= UNIT;
	return INFERENCE_LIMIT_NONE;
}

void inference_limiter_end(struct inference_limiter *limiter, uint64_t tokens)
{
	if (limiter->under_way)
		limiter->under_way--;
	if (!limiter->tokens_per_minute)
		return;
	if (tokens > DEBT_MAX / UNIT)
		tokens = DEBT_MAX / UNIT;
	limiter->tokens -= (int64_t)tokens * UNIT;
	if (limiter->tokens < -DEBT_MAX)
		limiter->tokens = -DEBT_MAX;
}
