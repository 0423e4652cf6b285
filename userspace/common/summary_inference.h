/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox's requests to inference.local came to, for the summary at the end of a run: one
 * line for each route. Part of struct summary; one thread. Bounded: INFERENCE_ROUTES_MAX routes,
 * those past it (of later configurations) in one line. Only tells.
 */
#pragma once

#include "common/event.h"
#include "common/inference.h"

#include <stdint.h>
#include <stdio.h>

struct summary_route {
	char name[INFERENCE_NAME_MAX + 1]; /* raw; "" of the first: no route was chosen */
	uint64_t requests, failed, denied;
	uint64_t tokens_in, tokens_out;
	/* Microseconds: their sum, of how many, and the longest. */
	uint64_t first_byte, first_bytes, slowest;
	bool estimated; /* some of the tokens */
};

struct summary_inference {
	/* Those of no route, then each route as it came up, then all others. */
	struct summary_route route[1 + INFERENCE_ROUTES_MAX + 1];
	size_t len; /* 0 = nothing was asked for */
};

/* Count an event of EVENT_CLASS_API. */
void summary_inference_add(struct summary_inference *summary, const struct event *event);

/* Nothing, if there was none. */
void summary_inference_print(const struct summary_inference *summary, FILE *out);
