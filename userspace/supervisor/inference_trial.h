/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request by which a route of inference.local is tried, and what its response says of the
 * route. Both go through the sandbox's worker, which is not trusted: a response is any bytes, read
 * here with bounds, and nothing of it is shown that was not escaped. Pure; any thread.
 */
#pragma once

#include "common/event_text.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFERENCE_TRIAL_REQUEST_MAX  1024
#define INFERENCE_TRIAL_RESPONSE_MAX 65536 /* bytes that are looked at */

/*
 * The smallest request that a model answers, of the first API of @route that has one, as HTTP/1.1.
 * Its size; -ENOENT: there is no such API.
 */
int inference_trial_request(const Openshell__Worker__V1__InferenceRoute *route,
			    char ret_request[INFERENCE_TRIAL_REQUEST_MAX]);

enum inference_trial {
	INFERENCE_TRIAL_MORE = 0, /* the status has not come yet, or the reason of a bad one */
	INFERENCE_TRIAL_FINE,	  /* the model answers */
	INFERENCE_TRIAL_UNSURE,	  /* the provider knows us, and did not like the request */
	INFERENCE_TRIAL_FAILED,
};

/*
 * What @size bytes of a response say. @ended: no more will come. @ret_status: the HTTP status, 0 if
 * there is none.
 */
enum inference_trial inference_trial_judge(const uint8_t *data, size_t size, bool ended,
					   int *ret_status);

/* Add what the response gives as its reason, escaped; false: nothing is there to be read. */
bool inference_trial_reason(const uint8_t *data, size_t size, struct text *to);

/* Add "route NAME (https://api.example.com/v1)". */
void inference_trial_name(const Openshell__Worker__V1__InferenceRoute *route, struct text *to);
