/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests to inference.local a sandbox may make: a token bucket for requests and one for
 * tokens, each filled over a minute, and a count of those under way. Lives as long as the worker,
 * whatever routes come and go. Tokens are known only afterwards, so that bucket may go below empty,
 * and then the next request waits until it is filled again. Pure but for its own state.
 */
#pragma once

#include "worker_bundle.pb-c.h"

#include <stdint.h>

struct inference_limiter {
	uint64_t filled;	  /* CLOCK_BOOTTIME ns; 0 = never used: both are full */
	int64_t requests, tokens; /* thousandths left */
	uint32_t under_way;
	uint32_t requests_per_minute, tokens_per_minute; /* that the buckets were filled for */
};

enum inference_limit {
	INFERENCE_LIMIT_NONE = 0,
	INFERENCE_LIMIT_REQUESTS,
	INFERENCE_LIMIT_TOKENS,
	INFERENCE_LIMIT_CONCURRENT,
};

/*
 * A request begins, at @now; @limits may be NULL. NONE: it is under way, and
 * inference_limiter_end() follows. Else it may not, and might after *@ret_seconds (1 or more).
 */
enum inference_limit inference_limiter_begin(struct inference_limiter *limiter,
					     const Openshell__Worker__V1__InferenceLimits *limits,
					     uint64_t now, uint32_t *ret_seconds);
void inference_limiter_end(struct inference_limiter *limiter, uint64_t tokens);
