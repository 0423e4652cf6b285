/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints as a policy has them, and requests to them, for the tests of l7: a row is a request and
 * what has to become of it.
 */
#pragma once

#include "common/cleanup.h"
#include "common/policy.h"
#include "proxy/l7.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Rows leave out what does not matter to them. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct l7_fixture {
	struct policy *policy;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	struct l7 *l7;
};

struct l7_row {
	const char *method, *target;
	const char *fields; /* "name: value" lines */
	const char *body;   /* or a message */
	enum l7_outcome outcome;
	const char *rule;   /* NULL: any */
	const char *reason; /* a part of it; NULL: any */
};

#define JSON "content-type: application/json"

/* A whole policy, which has no errors. */
static inline void fixture_load(struct l7_fixture *fixture, const char *yaml)
{
	struct error err = {0};

	if (policy_load_buffer("test", yaml, strlen(yaml), &fixture->policy, NULL, &err) < 0)
		fail_msg("%d: %s", err.line, err.message);
	assert_int_equal(policy_compile(fixture->policy, &fixture->compiled, &err), 0);
	if (l7_new(fixture->compiled, &fixture->l7, &err) < 0)
		fail_msg("%s", err.message);
}

/* Endpoints of a rule `p` for host a.example.org; each line is one, without host and port. */
static inline void fixture_endpoints(struct l7_fixture *fixture, const char *lines)
{
	char yaml[16384], *out = yaml, *end = yaml + sizeof(yaml);

	out += snprintf(out, sizeof(yaml), "version: 1\nnetwork_policies:\n  p:\n    endpoints:\n");
	for (const char *line = lines; *line;) {
		size_t size = strcspn(line, "\n");

		out += snprintf(out, (size_t)(end - out),
				"      - {host: a.example.org, port: 443, %.*s}\n", (int)size,
				line);
		line += size + (line[size] == '\n');
	}
	out += snprintf(out, (size_t)(end - out), "    binaries: [{path: /usr/bin/x}]\n");
	assert_true(out < end);
	fixture_load(fixture, yaml);
}

static inline void fixture_free(struct l7_fixture *fixture)
{
	l7_free(fixture->l7);
	policy_compiled_free(fixture->compiled);
	policy_free(fixture->policy);
	*fixture = (struct l7_fixture){0};
}

static inline void fixture_select(const struct l7_fixture *fixture, struct l7_set *ret_set)
{
	static const struct os_rule_mask all = {{~0ull, ~0ull, ~0ull, ~0ull}};

	assert_int_equal(l7_select(fixture->l7, "a.example.org", 443, &all, ret_set), 0);
}

static inline struct text fixture_text(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

static inline void fixture_head(const struct l7_row *row, struct http_head *ret_head)
{
	*ret_head = (struct http_head){.version = 11, .method = fixture_text(row->method)};
	for (const char *line = row->fields ? row->fields : ""; *line;) {
		size_t size = strcspn(line, "\n");
		const char *colon = strstr(line, ": ");

		assert_non_null(colon);
		ret_head->field[ret_head->fields++] = (struct http_field){
			{line, (uint32_t)(colon - line)},
			{colon + 2, (uint32_t)(line + size - colon - 2)},
		};
		line += size + (line[size] == '\n');
	}
	if (row->body) {
		ret_head->body = HTTP_BODY_LENGTH;
		ret_head->length = strlen(row->body);
	}
}

struct fixture_target {
	char buffer[HTTP_TARGET_MAX];
	struct target target;
};

static inline void fixture_target(const struct l7_set *set, const char *raw,
				  struct fixture_target *ret_target)
{
	assert_int_equal(target_parse(fixture_text(raw), l7_allows_encoded_slash(set),
				      ret_target->buffer, sizeof(ret_target->buffer),
				      &ret_target->target),
			 TARGET_OK);
}

static inline void fixture_expect(const struct l7_row *row, const struct l7_verdict *verdict)
{
	static const char *const names[] = {"DENIED", "ALLOWED", "AUDIT", "NEED_BODY"};
	bool told = verdict->outcome == L7_DENIED || verdict->outcome == L7_AUDIT;

	if (verdict->outcome != row->outcome || !told == !!*verdict->reason ||
	    (row->rule && strcmp(verdict->rule, row->rule)) ||
	    (row->reason && !strstr(verdict->reason, row->reason)))
		fail_msg("%s %s %s: %s, rule '%s', reason '%s'", row->method, row->target,
			 row->body ? row->body : "", names[verdict->outcome], verdict->rule,
			 verdict->reason);
}

/* A request, with its body if that is asked for; parsing gets exactly the memory of the contract.
 */
static inline void fixture_ask(const struct l7_set *set, const struct l7_row *row, bool websocket,
			       struct l7_verdict *ret_verdict)
{
	size_t size = row->body ? strlen(row->body) : 0;
	_cleanup_free_ uint8_t *scratch = malloc(2 * size + 65536), *body = malloc(size + 1);
	static struct fixture_target target;
	struct http_head head;

	assert_non_null(scratch);
	assert_non_null(body);
	memcpy(body, row->body ? row->body : "", size);
	fixture_head(row, &head);
	fixture_target(set, row->target, &target);
	l7_request(set, &head, &target.target, websocket, ret_verdict);
	if (ret_verdict->outcome == L7_NEED_BODY && size > ret_verdict->body_max)
		l7_body_too_long(set, &head, &target.target, ret_verdict);
	else if (ret_verdict->outcome == L7_NEED_BODY)
		l7_body(set, &head, &target.target, body, size, scratch, 2 * size + 65536,
			ret_verdict);
}

static inline void fixture_rows(const char *endpoints, const struct l7_row *rows, size_t count)
{
	struct l7_fixture fixture = {0};
	struct l7_verdict verdict;
	struct l7_set set;

	fixture_endpoints(&fixture, endpoints);
	fixture_select(&fixture, &set);
	for (size_t i = 0; i < count; i++) {
		fixture_ask(&set, &rows[i], false, &verdict);
		fixture_expect(&rows[i], &verdict);
	}
	fixture_free(&fixture);
}

#define ROWS(endpoints, ...)                                                                       \
	do {                                                                                       \
		const struct l7_row _rows[] = {__VA_ARGS__};                                       \
		fixture_rows(endpoints, _rows, ARRAY_LEN(_rows));                                  \
	} while (0)
