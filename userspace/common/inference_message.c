/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inference_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PB(name) Openshell__Worker__V1__##name

int inference_message_copy(const PB(Inference) * inference, PB(Inference) * *ret_inference)
{
	size_t size = openshell__worker__v1__inference__get_packed_size(inference);
	uint8_t *packed = malloc(size + 1);
	PB(Inference) *copy = NULL;

	if (packed) {
		openshell__worker__v1__inference__pack(inference, packed);
		copy = openshell__worker__v1__inference__unpack(NULL, size, packed);
		explicit_bzero(packed, size);
		free(packed);
	}
	if (!copy)
		return -ENOMEM;
	*ret_inference = copy;
	return 0;
}

/* Where a field is not given, protobuf-c has a constant, which is empty. */
static void wipe(char *text)
{
	if (text && *text)
		explicit_bzero(text, strlen(text));
}

static void wipe_route(PB(InferenceRoute) * route)
{
	for (size_t i = 0; i < route->n_headers; i++)
		wipe(route->headers[i]->value);
	for (size_t i = 0; i < route->n_defaults; i++)
		wipe(route->defaults[i]->value);
	for (size_t i = 0; i < route->n_secrets; i++)
		wipe(route->secrets[i]);
	if (!route->signing)
		return;
	wipe(route->signing->access_key);
	wipe(route->signing->secret_key);
	wipe(route->signing->session_token);
}

void inference_message_wipe(PB(Inference) * inference)
{
	for (size_t i = 0; i < inference->n_routes; i++)
		wipe_route(inference->routes[i]);
}

void inference_message_free(PB(Inference) * inference)
{
	if (!inference)
		return;
	inference_message_wipe(inference);
	openshell__worker__v1__inference__free_unpacked(inference, NULL);
}
