/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target in the first line, fields in the others. Nothing crashes; the order of a query's
 * parameters is no matter; and what was signed once and signed again is the same.
 */
#include "common/cleanup.h"
#include "proxy/sigv4.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sigv4 sign = {
	.keys = {.id = {"AKIDEXAMPLE", 11}, .secret = {"secret", 6}, .token = {"token", 5}},
	.mode = OPENSHELL__COMPILED__V1__SIGNING__SIGNING_SIGV4,
	.region = "",
	.host = "a.eu-west-1.amazonaws.com",
	.now = 1440938160,
};

static bool same_signature(const struct http_head *a, const struct http_head *b)
{
	return text_equal(http_field_find(a, "authorization")->value,
			  http_field_find(b, "authorization")->value);
}

/* @target with its query's first parameter moved to the end. */
static struct text rotate(struct text target, struct arena *arena)
{
	const char *query = target.size ? memchr(target.data, '?', target.size) : NULL, *second;
	char *turned = arena_copy(arena, target.data, target.size);
	size_t head, first, rest;

	second = query ? memchr(query, '&', (size_t)(target.data + target.size - query)) : NULL;
	if (!second || !turned)
		return target;
	head = (size_t)(query + 1 - target.data);
	first = (size_t)(second - query - 1);
	rest = target.size - head - first - 1;
	memcpy(turned + head, second + 1, rest);
	turned[head + rest] = '&';
	memcpy(turned + head + rest + 1, query + 1, first);
	return (struct text){turned, target.size};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena *arena = arena_new(4u << 20);
	struct http_head head = {.version = 11, .method = TEXT("GET"), .authority = TEXT("a")};
	struct http_head first, again, turned;
	const char *rest = (const char *)data;
	char host[64] = "";
	char region[SIGV4_REGION_MAX];

	if (!arena || size < 1)
		return 0;
	sign.service = data[0] & 1 ? "s3" : "sts";
	rest++;
	size--;
	memcpy(host, rest, size < sizeof(host) - 1 ? size : sizeof(host) - 1);
	sigv4_region(host, region);
	for (size_t i = 0; size && i < 16; i++) {
		const char *end = memchr(rest, '\n', size), *colon;
		struct text line = {rest, (uint32_t)(end ? (size_t)(end - rest) : size)};

		rest += line.size + (end ? 1 : 0);
		size -= line.size + (end ? 1 : 0);
		colon = memchr(line.data, ':', line.size);
		if (i == 0)
			head.target = line;
		else if (colon)
			head.field[head.fields++] = (struct http_field){
				{line.data, (uint32_t)(colon - line.data)},
				{colon + 1, (uint32_t)(line.data + line.size - colon - 1)}};
	}
	first = head;
	if (sigv4_sign(&sign, &first, arena))
		return 0;
	again = first;
	if (sigv4_sign(&sign, &again, arena) || !same_signature(&first, &again))
		__builtin_trap();
	turned = head;
	turned.target = rotate(head.target, arena);
	if (sigv4_sign(&sign, &turned, arena) || !same_signature(&first, &turned))
		__builtin_trap();
	return 0;
}
