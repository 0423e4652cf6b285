/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of an attacker's head, or a body: where the credential may not go the secret never comes
 * out, and what came out once is left alone the second time. The first byte says which.
 */
#include "common/cleanup.h"
#include "proxy/placeholder.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "zQ/9$secret of many words";

static struct credentials *make(void)
{
	static Openshell__Worker__V1__Binding binding;
	static Openshell__Worker__V1__Binding *bindings[] = {&binding};
	Openshell__Worker__V1__Credential one = OPENSHELL__WORKER__V1__CREDENTIAL__INIT;
	Openshell__Worker__V1__Credential two = OPENSHELL__WORKER__V1__CREDENTIAL__INIT;
	Openshell__Worker__V1__Credential *list[] = {&one, &two};
	struct credentials *credentials = NULL;
	struct error err;

	binding = (Openshell__Worker__V1__Binding)OPENSHELL__WORKER__V1__BINDING__INIT;
	binding.host = (char *)"a.example";
	one.provider = two.provider = (char *)"p";
	one.key = (char *)"K";
	two.key = (char *)"L";
	one.value = two.value = (char *)secret;
	two.revision = 1;
	one.n_bindings = two.n_bindings = 1;
	one.bindings = two.bindings = bindings;
	if (credentials_new(list, 2, &credentials, &err))
		__builtin_trap();
	return credentials;
}

static size_t secrets(struct text text)
{
	size_t count = 0;

	for (size_t i = 0; i + sizeof(secret) - 1 <= text.size; i++)
		count += !memcmp(text.data + i, secret, sizeof(secret) - 1);
	return count;
}

static void head(const struct credentials *credentials, const struct credential_scope *scope,
		 const char *data, size_t size, struct arena *arena)
{
	struct http_head first = {.version = 11, .method = TEXT("GET"), .target = TEXT("/")};
	struct http_head second;
	bool changed = false;
	int r;

	for (size_t i = 0; size && i < 8; i++) {
		const char *end = memchr(data, '\n', size);
		struct text line = {data, (uint32_t)(end ? (size_t)(end - data) : size)};

		if (i == 0 && line.size <= HTTP_TARGET_MAX)
			first.target = line;
		if (i == 1)
			first.authority = line;
		if (i > 1)
			first.field[first.fields++] = (struct http_field){
				i & 1 ? TEXT("authorization") : TEXT("x"), line};
		data += line.size + (end ? 1 : 0);
		size -= line.size + (end ? 1 : 0);
	}
	second = first;
	r = credentials_rewrite_head(credentials, scope, &second, arena, &changed);
	if (r) {
		if (memcmp(&first, &second, sizeof(first)))
			__builtin_trap();
		return;
	}
	if (scope->port != 443) {
		if (changed || !text_equal(first.target, second.target))
			__builtin_trap();
		for (uint16_t i = 0; i < first.fields; i++)
			if (secrets(second.field[i].value) > secrets(first.field[i].value))
				__builtin_trap();
	}
	first = second;
	r = credentials_rewrite_head(credentials, scope, &second, arena, &changed);
	if (r || changed || memcmp(&first, &second, sizeof(first)))
		__builtin_trap();
}

static void body(const struct credentials *credentials, const struct credential_scope *scope,
		 const uint8_t *data, size_t size, struct arena *arena)
{
	struct text first, second, sent = {(const char *)data, (uint32_t)size};
	struct credential_scan scan = {};
	bool changed, again, whole, pieces;
	size_t half = size / 2;
	int r = credentials_rewrite_body(credentials, scope, data, size, arena, &first, &changed);

	whole = credential_scan(&scan, data, size);
	scan = (struct credential_scan){};
	pieces = credential_scan(&scan, data, half);
	pieces |= credential_scan(&scan, data + half, size - half);
	if (whole != pieces || (whole && !credentials_suspect(data, size)))
		__builtin_trap();
	if (r)
		return;
	if (scope->port != 443 && (changed || secrets(first) != secrets(sent)))
		__builtin_trap();
	if (!changed && (first.data != sent.data || first.size != sent.size))
		__builtin_trap();
	r = credentials_rewrite_body(credentials, scope, (const uint8_t *)first.data, first.size,
				     arena, &second, &again);
	if (r || again)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct text types[] = {TEXT(""), TEXT("application/json"), TEXT("text/xml"),
					    TEXT("application/x-www-form-urlencoded")};
	static struct credentials *credentials;
	struct credential_scope scope = {
		.host = "a.example", .secure = true, .path = TEXT("/"), .provider = ""};
	_cleanup_arena_ struct arena *arena = arena_new(4u << 20);

	if (!credentials)
		credentials = make();
	if (!size || !arena)
		return 0;
	scope.port = data[0] & 1 ? 443 : 444;
	scope.content_type = types[data[0] >> 2 & 3];
	if (data[0] & 2)
		head(credentials, &scope, (const char *)data + 1, size - 1, arena);
	else
		body(credentials, &scope, data + 1, size - 1, arena);
	return 0;
}
