/* SPDX-License-Identifier: Apache-2.0 */
/* Routes to models as the supervisor tells them, for the tests of inference*.c. */
#pragma once

#include "proxy/inference.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define OPENSHELL(name)	     Openshell__Worker__V1__##name
#define OPENSHELL_INIT(name) OPENSHELL__WORKER__V1__##name##__INIT
#define API(name)	     OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define DIALECT(name)	     OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name

struct fixture {
	OPENSHELL(Inference) told;
	OPENSHELL(InferenceRoute) routes[INFERENCE_ROUTES_MAX + 1];
	OPENSHELL(InferenceRoute) * pointers[INFERENCE_ROUTES_MAX + 1];
};

static inline struct text text_of(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

/* @count routes that are valid and alike; points into itself. */
static inline void fixture_init(struct fixture *f, size_t count)
{
	static inference_api all[] = {
		API(CHAT_COMPLETIONS), API(COMPLETIONS),    API(RESPONSES), API(EMBEDDINGS),
		API(MESSAGES),	       API(BEDROCK_INVOKE), API(MODELS),
	};

	f->told = (OPENSHELL(Inference))OPENSHELL_INIT(INFERENCE);
	f->told.revision = 7;
	f->told.routes = f->pointers;
	f->told.n_routes = count;
	for (size_t i = 0; i < INFERENCE_ROUTES_MAX + 1; i++) {
		OPENSHELL(InferenceRoute) *route = &f->routes[i];

		*route = (OPENSHELL(InferenceRoute))OPENSHELL_INIT(INFERENCE_ROUTE);
		route->name = "main";
		route->provider = "openai";
		route->type = "openai";
		route->host = "api.example.org";
		route->port = 443;
		route->tls = true;
		route->base_path = "/v1";
		route->model = "configured-model";
		route->apis = all;
		route->n_apis = sizeof(all) / sizeof(all[0]);
		f->pointers[i] = route;
	}
}
