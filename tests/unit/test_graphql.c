/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/graphql.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static uint8_t scratch[65536];

/* "mutation Name: field field", or what is wrong. */
static const char *read_one(const char *document, const char *name)
{
	static const char *const types[] = {"?", "query", "mutation", "subscription"};
	static struct graphql_operation operation;
	static char text[8192];
	struct text given = {name, name ? (uint32_t)strlen(name) : 0};
	const char *why = "?";
	size_t size;

	if (graphql_read((struct text){document, (uint32_t)strlen(document)}, name ? &given : NULL,
			 scratch, sizeof(scratch), &operation, &why) < 0)
		return why;
	size = (size_t)snprintf(text, sizeof(text), "%s%s%.*s:", types[operation.type],
				operation.name.size ? " " : "", (int)operation.name.size,
				operation.name.data);
	for (uint16_t i = 0; i < operation.fields; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, " %.*s",
					 (int)operation.field[i].size, operation.field[i].data);
	return text;
}

static void expect(const char *document, const char *name, const char *wanted)
{
	assert_string_equal(read_one(document, name), wanted);
}

static void roots(void **state)
{
	expect("{a}", NULL, "query: a");
	expect("query{a b,c # d\n e}", NULL, "query: a b c e");
	expect("query Q { x: a { b } a y: c }", NULL, "query Q: a c");
	expect("mutation M($a: [Int!]! = [1, 2], $b: T = {x: \"}\", y: E} @d(x: 1)) @e { "
	       "m(a: $a, b: {c: [$b]}) @include(if: true) }",
	       NULL, "mutation M: m");
	expect("subscription { s }", NULL, "subscription: s");
	expect("{... on Query {a ... {b}} ...@include(if: true) {c}}", NULL, "query: a b c");
	expect("{x {... on T {deep}} ...F} fragment F on Query {a ...G b {...G}} "
	       "fragment G on Query {g}",
	       NULL, "query: x a g b");
	expect("fragment query on Query {mutation} query subscription {fragment: on ...query}",
	       NULL, "query subscription: on mutation");
	expect("{a(x: \"\"\" { evil \\\"\"\" } \"\"\", y: \"\\u007d \\\"\")}", NULL, "query: a");
	expect("{a(s: \"# no comment\") b}", NULL, "query: a b");
	expect("{a(x: -1.5E+3, y: 0, z: null)}", NULL, "query: a");
	expect("{__typename ...on Query{__schema{types{name}}}}", NULL,
	       "query: __typename __schema");
}

static void choosing(void **state)
{
	const char *two = "query A {a} mutation B {b ...F} fragment F on M {f}";

	expect(two, "A", "query A: a");
	expect(two, "B", "mutation B: b f");
	expect(two, NULL, "has several operations, and does not say which");
	expect(two, "C", "does not have the operation that is asked for");
	expect(two, "", "does not have the operation that is asked for");
	expect(two, "F", "does not have the operation that is asked for");
	expect("{a}", "A", "does not have the operation that is asked for");
	expect("{a}", "", "does not have the operation that is asked for");
	expect("query A {a} {b}", "A", "has an anonymous operation beside others");
	expect("query A {a} mutation A {b}", "A", "has two definitions of one name");
	expect("fragment F on Q {a}", NULL, "has no operation");
}

static void fragments(void **state)
{
	expect("{...F}", NULL, "spreads a fragment that it does not have");
	expect("{a {...F}}", NULL, "spreads a fragment that it does not have");
	expect("{...F} fragment F on Q {...F}", NULL, "has a fragment that leads to itself");
	expect("{a} fragment F on Q {x {...G}} fragment G on Q {y {z {...F}}}", NULL,
	       "has a fragment that leads to itself");
	expect("{...F} fragment F on Q {a} fragment F on Q {b}", NULL,
	       "has two definitions of one name");
	expect("{...on} fragment on on Q {a}", NULL, "is not a GraphQL request");
	expect("{...A ...B} fragment A on Q {...C} fragment B on Q {...C} fragment C on Q {c}",
	       NULL, "query: c");
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"#",
		"{}",
		"{a",
		"a",
		"{a}}",
		"query",
		"query Q",
		"query Q()",
		"query ($a) {a}",
		"query ($a: ) {a}",
		"query ($a: [T) {a}",
		"query ($a: T = $b) {a}",
		"{a()}",
		"{a(x)}",
		"{a(x: )}",
		"{a(x: $)}",
		"{a(x: [1)}",
		"{a(x: {y})}",
		"{a: }",
		"{a: b: c}",
		"{a {}}",
		"{...}",
		"{... on}",
		"{... on T}",
		"{..F}",
		"{a @}",
		"{@d a}",
		"type T {a: Int}",
		"extend type T {a: Int}",
		"schema {query: Q}",
		"\"description\" query {a}",
		"fragment F {a}",
		"fragment F on {a}",
		"{a(x: \"\n\")}",
		"{a(x: \"\\x\")}",
		"{a(x: \"\\u12g4\")}",
		"{a(x: \"\\u{41}\")}",
		"{a(x: \")}",
		"{a(x: \"\"\")}",
		"{a(x: \"\"\" \\\"\"\")}",
		"{a(x: 01)}",
		"{a(x: 1.)}",
		"{a(x: 1e)}",
		"{a(x: -)}",
		"{a(x: 1a)}",
		"{a(x: 1.5.)}",
		"{a(x: 0x1)}",
		"{a(x: .5)}",
		"{a & b}",
		"{a | b}",
		"{a;b}",
		"{a ? b}",
		"{\303\251}",
		"\357\273\277{a}",
		"{a\001}",
		"{a\177}",
		"{a(x: \"\001\")}",
		"query Q {a} query",
		"{a} b",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (strstr(read_one(bad[i], NULL), "query") == read_one(bad[i], NULL))
			fail_msg("'%s' was taken", bad[i]);
}

static char *repeat(char *out, const char *text, int times)
{
	size_t size = strlen(text);

	for (; times--; out += size)
		memcpy(out, text, size);
	*out = '\0';
	return out;
}

static void limits(void **state)
{
	static char document[1 << 20];
	char *out;

	out = repeat(document, "{a", GRAPHQL_DEPTH_MAX);
	repeat(out, "}", GRAPHQL_DEPTH_MAX);
	expect(document, NULL, "query: a");
	out = repeat(document, "{a", GRAPHQL_DEPTH_MAX + 1);
	repeat(out, "}", GRAPHQL_DEPTH_MAX + 1);
	expect(document, NULL, "is nested too deeply");
	out = repeat(document, "{a(x:", 1);
	repeat(out, "[", 100000);
	expect(document, NULL, "is nested too deeply");
	out = repeat(document, "query($a:", 1);
	repeat(out, "[", 100000);
	expect(document, NULL, "is nested too deeply");
	out = repeat(document, "{", 1);
	out = repeat(out, "a ", 8000);
	repeat(out, "}", 1);
	expect(document, NULL, "has too many selections");
	out = repeat(document, "{a(x:[", 1);
	out = repeat(out, "1 ", 70000);
	repeat(out, "])}", 1);
	expect(document, NULL, "has too many tokens");
	out = repeat(document, "{a ", 1);
	out = repeat(out, "a", GRAPHQL_NAME_MAX + 1);
	repeat(out, "}", 1);
	expect(document, NULL, "has a name that is too long");
	out = document;
	for (int i = 0; i < 300; i++)
		out += snprintf(out, 64, "query Q%d {a} ", i);
	expect(document, "Q7", "has too many definitions");
	/* a chain of fragments, each spread twice: no work is done twice */
	out = document + snprintf(document, 64, "{...F0}");
	for (int i = 0; i < 200; i++)
		out += snprintf(out, 64, "fragment F%d on Q {...F%d ...F%d}", i, i + 1, i + 1);
	snprintf(out, 64, "fragment F200 on Q {end}");
	expect(document, NULL, "query: end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots),   cmocka_unit_test(choosing), cmocka_unit_test(fragments),
		cmocka_unit_test(refused), cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
