/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket of tokens for each principal. A table of fixed size: when it is full the one that was
 * used longest ago is forgotten, which only forgives it what it used. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate_limit;

/* @rate: tokens a second, @burst: that a bucket holds. NULL: out of memory. */
struct rate_limit *rate_limit_new(uint32_t rate, uint32_t burst);
void rate_limit_free(struct rate_limit *limit);

/* Take one. @now_ms: of any clock that goes forward. */
bool rate_limit_take(struct rate_limit *limit, const char *who, uint64_t now_ms);
