/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What https://inference.local is asked, and where it is sent: paths of the agent's APIs, the
 * routes of one generation, and the choice among them (docs/inference.md). Pure; a struct inference
 * is never changed after inference_new(), and lives as long as its bundle. Fails closed: an unknown
 * path has no API, and an API that no route serves has no route.
 */
#pragma once

#include "common/error.h"
#include "common/inference.h"
#include "proxy/http.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

typedef Openshell__Worker__V1__InferenceApi inference_api;

struct inference_call {
	inference_api api;
	struct text id; /* of a model, in the path; BEDROCK_INVOKE and MODELS; size 0 = none */
};

/*
 * The API of a request, by its method and canonical path (target.h). -ENOENT: no such path; -EPERM:
 * the path is known, and takes another method.
 */
int inference_call_parse(struct text method, struct text path, struct inference_call *ret_call);

/* "chat_completions", as the log has it. */
const char *inference_api_name(inference_api api);

struct inference;

struct inference_route {
	const Openshell__Worker__V1__InferenceRoute *told;
	uint64_t revision; /* of all routes */
	uint32_t index;	   /* < INFERENCE_ROUTES_MAX */
	uint32_t apis;	   /* bits: 1 << api */
};

/*
 * @told NULL: nothing is configured. -EINVAL for what the supervisor would not have written;
 * -ENOMEM.
 */
int inference_new(const Openshell__Worker__V1__Inference *told, struct inference **ret_inference,
		  struct error *err);
void inference_free(struct inference *inference);

bool inference_is_configured(const struct inference *inference);
const Openshell__Worker__V1__InferenceLimits *inference_limits(const struct inference *inference);

/* Of that index, or NULL. */
const struct inference_route *inference_route_at(const struct inference *inference, uint32_t index);

/*
 * The route to try next for @api: among those whose bit is not in @tried, the first that is called
 * @asked or has that model, else the first. NULL: there is none (left). @asked is a body's model,
 * or struct inference_call's id with its escapes.
 */
const struct inference_route *inference_choose(const struct inference *inference, inference_api api,
					       struct text asked, uint32_t tried);
