/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_response.h"

#include "common/cleanup.h"
#include "proxy/inference_internal.h"
#include "proxy/inference_scan.h"

#include <strings.h>

/* The head */

static bool is_dropped(struct text name)
{
	static const char *const names[] = {
		"set-cookie",
		"set-cookie2",
		"www-authenticate",
		"proxy-authenticate",
		"authentication-info",
		"proxy-authentication-info",
		"authorization",
		"x-api-key",
		"api-key",
		"alt-svc",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text_is(name, names[i]))
			return true;
	return false;
}

static bool holds(struct text value, const char *secret)
{
	size_t size = strlen(secret);

	return size >= INFERENCE_SECRET_MIN && memmem(value.data, value.size, secret, size);
}

static bool holds_secret(const struct inference_route *route, struct text value)
{
	const Openshell__Worker__V1__InferenceRoute *told = route->told;

	for (size_t i = 0; i < told->n_secrets; i++)
		if (holds(value, told->secrets[i]))
			return true;
	return told->signing && (holds(value, told->signing->secret_key) ||
				 holds(value, told->signing->session_token));
}

void inference_response_head(const struct inference_route *route, struct http_head *head)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < head->fields; i++) {
		const struct http_field *field = &head->field[i];

		if (!is_dropped(field->name) && !holds_secret(route, field->value) &&
		    !holds_secret(route, field->name))
			head->field[kept++] = *field;
	}
	head->fields = kept;
}

bool inference_type_is(const struct http_head *head, const char *type)
{
	const struct http_field *field = http_field_find(head, "content-type");
	size_t size = strlen(type);

	if (!field || field->value.size < size || strncasecmp(field->value.data, type, size))
		return false;
	return field->value.size == size || strchr("; \t", field->value.data[size]);
}

bool inference_response_is_stream(const struct http_head *head)
{
	return inference_type_is(head, "text/event-stream") ||
	       inference_type_is(head, "application/vnd.amazon.eventstream");
}
