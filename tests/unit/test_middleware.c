/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/middleware.h"
#include "common/cleanup.h"
#include "common/middleware_config.h"
#include "common/policy.h"
#include "proxy/middleware_regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define HOST "api.example.com"

struct world {
	struct middleware *middleware;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	struct arena *arena;
};

/* Middlewares as YAML below network_middlewares. */
static void world_open(struct world *world, const char *middlewares)
{
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_free_ char *text = NULL;
	struct error err = {};

	assert_true(asprintf(&text, "version: 1\nnetwork_middlewares:\n%s", middlewares) > 0);
	if (policy_load_buffer("test", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s", err.message);
	assert_int_equal(policy_compile(policy, &world->compiled, &err), 0);
	if (middleware_new(world->compiled, &world->middleware, &err))
		fail_msg("%s", err.message);
	world->arena = arena_new(64u << 20);
	assert_non_null(world->arena);
}

static void world_close(struct world *world)
{
	middleware_free(world->middleware);
	policy_compiled_free(world->compiled);
	arena_free(world->arena);
}

#define ONE(config)                                                                                \
	"  guard: {middleware: openshell/regex, config: " config ",\n"                             \
	"          endpoints: {include: [\"*.example.com\"], exclude: [b.example.com]}}\n"

static struct text text(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

static void body(struct world *world, const char *sent, int code, const char *wanted)
{
	const char *why = NULL;
	struct text out = {};
	int r = middleware_body(world->middleware, HOST, (const uint8_t *)sent, strlen(sent),
				world->arena, &out, &why);

	if (r != code)
		fail_msg("%s: %d, not %d", sent, r, code);
	if (r) {
		assert_non_null(why);
		if (!strstr(why, wanted))
			fail_msg("%s: %s", sent, why);
		return;
	}
	if (!text_is(out, wanted))
		fail_msg("%s became %.*s, not %s", sent, (int)out.size, out.data, wanted);
	if (!strcmp(sent, wanted))
		assert_true(out.data == sent);
}

static void hosts_are_selected(void **state)
{
	struct world world;

	world_open(&world, ONE("{patterns: [x]}"));
	assert_true(middleware_selects(world.middleware, "a.example.com"));
	assert_false(middleware_selects(world.middleware, "b.example.com"));
	assert_false(middleware_selects(world.middleware, "example.com"));
	assert_int_equal(middleware_body_max(world.middleware, "a.example.com"), 256 << 10);
	assert_int_equal(middleware_body_max(world.middleware, "b.example.com"), 0);
	world_close(&world);
	world_open(&world, ONE("{patterns: [x], where: [headers]}"));
	assert_int_equal(middleware_body_max(world.middleware, "a.example.com"), 0);
	world_close(&world);
}

static void bodies_are_redacted(void **state)
{
	struct world world;

	world_open(&world, ONE("{patterns: ['\\bn-[0-9]+', {pattern: OÙ, ignore_case: true,"
			       " replacement: \"\"}]}"));
	body(&world, "a n-12, n-3 n-4.", 0, "a [REDACTED], [REDACTED] [REDACTED].");
	body(&world, "n-1", 0, "[REDACTED]");
	body(&world, "nothing", 0, "nothing");
	body(&world, "", 0, "");
	body(&world, "x où y", 0, "x  y");
	/* bytes that are no UTF-8 match nothing, and hide nothing */
	body(&world, "\xff n-1 \xc3 n-2", 0, "\xff [REDACTED] \xc3 [REDACTED]");
	world_close(&world);
}

static void well_known_secrets(void **state)
{
	struct world world;

	world_open(&world, ONE("{mode: redact}"));
	body(&world, "{\"k\":\"sk-ant-api03-abcdefghijklmnopqrstuvwxyz\"}", 0,
	     "{\"k\":\"[REDACTED]\"}");
	body(&world, "ghp_abcdefghijklmnopqrstuvwxyz0123456789 AKIAIOSFODNN7EXAMPLE", 0,
	     "[REDACTED] [REDACTED]");
	body(&world,
	     "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA\\n-----END RSA PRIVATE "
	     "KEY----- x",
	     0, "[REDACTED] x");
	body(&world, "glpat-abcdefghijklmnopqrst xoxb-123456789012-abc", 0,
	     "[REDACTED] [REDACTED]");
	body(&world, "task-list, risk-averse-and-more-words-than-that, sk-short", 0,
	     "task-list, risk-averse-and-more-words-than-that, sk-short");
	/* placeholders are no secrets */
	body(&world,
	     "sk-OPENSHELL-RESOLVE-ENV-OPENAI_API_KEY xoxb-OPENSHELL-RESOLVE-ENV-SLACK_TOKEN", 0,
	     "sk-OPENSHELL-RESOLVE-ENV-OPENAI_API_KEY xoxb-OPENSHELL-RESOLVE-ENV-SLACK_TOKEN");
	body(&world, "sk-ant-api03-OPENSHELL-RESOLVE-ENV-ANTHROPIC_API_KEY", 0,
	     "sk-ant-api03-OPENSHELL-RESOLVE-ENV-ANTHROPIC_API_KEY");
	world_close(&world);
}

static void bodies_are_denied(void **state)
{
	struct world world;

	world_open(&world, ONE("{mode: deny, patterns: [{name: a number, pattern: n-1}]}"));
	body(&world, "n-2", 0, "n-2");
	body(&world, "an-1", -EACCES, "a number of middleware 'guard' was found");
	world_close(&world);
}

static void they_run_in_order(void **state)
{
	struct world world;

	world_open(&world, "  second: {middleware: openshell/regex, order: 2,\n"
			   "    config: {mode: deny, patterns: [secret]},\n"
			   "    endpoints: {include: [" HOST "]}}\n"
			   "  first: {middleware: openshell/regex, order: 1,\n"
			   "    config: {patterns: [{pattern: top.secret, replacement: t}]},\n"
			   "    endpoints: {include: [" HOST "]}}\n");
	body(&world, "a top secret", 0, "a t");
	body(&world, "a secret", -EACCES, "pattern 1 of middleware 'second'");
	world_close(&world);
}

#define EVIL "{patterns: ['(?:a+)+$'], max_body_bytes: 100000}"

static void no_pattern_takes_forever(void **state)
{
	struct timespec before, after;
	struct world world;
	char evil[4096];

	memset(evil, 'a', sizeof(evil));
	evil[sizeof(evil) - 2] = '!';
	evil[sizeof(evil) - 1] = '\0';
	clock_gettime(CLOCK_MONOTONIC, &before);
	world_open(&world, ONE(EVIL));
	body(&world, evil, -EIO, "middleware 'guard' has failed: too much to match");
	body(&world, "aaa", 0, "[REDACTED]");
	world_close(&world);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 20); /* the sanitizers' share is large */
	world_open(&world, "  guard: {middleware: openshell/regex, on_error: fail_open,\n"
			   "    config: " EVIL ", endpoints: {include: [" HOST "]}}\n");
	body(&world, evil, 0, evil);
	world_close(&world);
}

static void failures_are_closed_or_open(void **state)
{
	struct http_head head = {.method = TEXT("GET"), .target = TEXT("/")};
	_cleanup_free_ char *large = malloc(200);
	const char *why = NULL;
	struct world world;
	struct text out;
	bool changed;

	memset(large, 'x', 200);
	world_open(&world, ONE("{patterns: [y], max_body_bytes: 100}"));
	assert_int_equal(middleware_oversize(world.middleware, HOST, &why), -EIO);
	assert_int_equal(middleware_oversize(world.middleware, "b.example.com", &why), 0);
	assert_int_equal(middleware_body(world.middleware, HOST, (uint8_t *)large, 101, world.arena,
					 &out, &why),
			 -EIO);
	assert_int_equal(middleware_body(world.middleware, HOST, (uint8_t *)large, 100, world.arena,
					 &out, &why),
			 0);
	/* a compressed body cannot be looked at */
	head.body = HTTP_BODY_LENGTH;
	head.field[head.fields++] = (struct http_field){TEXT("content-encoding"), TEXT("gzip")};
	assert_int_equal(
		middleware_head(world.middleware, HOST, &head, world.arena, &changed, &why), -EIO);
	head.field[0].value = TEXT("identity");
	assert_int_equal(
		middleware_head(world.middleware, HOST, &head, world.arena, &changed, &why), 0);
	world_close(&world);

	/* a service is not there */
	world_open(&world, "  guard: {middleware: guard, endpoints: {include: [" HOST "]}}\n");
	assert_int_equal(
		middleware_head(world.middleware, HOST, &head, world.arena, &changed, &why), -EIO);
	assert_non_null(strstr(why, "no service is registered"));
	assert_int_equal(middleware_head(world.middleware, "x", &head, world.arena, &changed, &why),
			 0);
	world_close(&world);
	world_open(&world, "  guard: {middleware: guard, on_error: fail_open,\n"
			   "          endpoints: {include: [" HOST "]}}\n");
	assert_int_equal(
		middleware_head(world.middleware, HOST, &head, world.arena, &changed, &why), 0);
	world_close(&world);
}

static void head(struct world *world, const char *target, const char *value, int code,
		 const char *target_wanted, const char *value_wanted)
{
	struct http_head sent = {.method = TEXT("GET"),
				 .target = text(target),
				 .fields = 2,
				 .field = {{TEXT("a"), TEXT("")}, {TEXT("x-note"), text(value)}}};
	bool changed = false;
	const char *why = NULL;
	int r = middleware_head(world->middleware, HOST, &sent, world->arena, &changed, &why);

	if (r != code)
		fail_msg("%s %s: %d, not %d", target, value, r, code);
	if (!text_is(sent.target, target_wanted) || !text_is(sent.field[1].value, value_wanted))
		fail_msg("%.*s %.*s", (int)sent.target.size, sent.target.data,
			 (int)sent.field[1].value.size, sent.field[1].value.data);
	if (!r)
		assert_int_equal(changed,
				 strcmp(target, target_wanted) || strcmp(value, value_wanted));
	else
		assert_non_null(why);
}

static void heads_are_looked_at(void **state)
{
	struct world world;

	world_open(&world, ONE("{where: [headers, query], replacement: \"(no)\","
			       " patterns: ['n [0-9]+', {pattern: stop, mode: deny,"
			       " where: [headers, path]}]}"));
	head(&world, "/n%2012?a=n%201&b", "n 1", 0, "/n%2012?a=%28no%29&b", "(no)");
	head(&world, "/?a=n+1x&n%203=c==d&&%zz", "fine", 0, "/?a=%28no%29x&%28no%29=c==d&&%zz",
	     "fine");
	head(&world, "/?", "fine", 0, "/?", "fine");
	head(&world, "/?a=stop", "fine", 0, "/?a=stop", "fine");
	head(&world, "/st%6fp?a=n+1", "n 1", -EACCES, "/st%6fp?a=n+1", "n 1");
	head(&world, "/?a=n+1", "n 1 stop", -EACCES, "/?a=n+1", "n 1 stop");
	world_close(&world);
}

static void configurations_that_the_compiler_would_not_write(void **state)
{
	static const char *const bad[] = {"[",
					  "[]",
					  "{\"a\":1}",
					  "{\"patterns\":[\"(\"]}",
					  "{\"patterns\":[\"a\\u0000b\"]}",
					  "{\"mode\":1}",
					  "{\"where\":[]}",
					  "{\"patterns\":[\"\\\\Ka*\"]}",
					  "{\"mode\":\"deny\","
					  "\"mode\":\"deny\"}"};
	struct error err = {};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct middleware_config *config = NULL;

		if (middleware_config_parse(bad[i], &config, &err) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_null(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_selected),
		cmocka_unit_test(bodies_are_redacted),
		cmocka_unit_test(well_known_secrets),
		cmocka_unit_test(bodies_are_denied),
		cmocka_unit_test(they_run_in_order),
		cmocka_unit_test(no_pattern_takes_forever),
		cmocka_unit_test(failures_are_closed_or_open),
		cmocka_unit_test(heads_are_looked_at),
		cmocka_unit_test(configurations_that_the_compiler_would_not_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
