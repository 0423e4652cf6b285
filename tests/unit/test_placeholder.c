/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/placeholder.h"
#include "common/cleanup.h"
#include "common/policy_glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

typedef Openshell__Worker__V1__Credential credential;
typedef Openshell__Worker__V1__Binding binding;

#define PH    "openshell:resolve:env:"
#define ALIAS "OPENSHELL-RESOLVE-ENV-"
#define HEX   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static uint32_t alt_ports[] = {8443, 9443};

static binding to_api = {.base = {&openshell__worker__v1__binding__descriptor},
			 .host = (char *)"api.example.com",
			 .path = (char *)""};
static binding to_paths = {.base = {&openshell__worker__v1__binding__descriptor},
			   .host = (char *)"*.corp.example",
			   .n_ports = 2,
			   .ports = alt_ports,
			   .path = (char *)"/v1/**"};
static binding *bindings[] = {&to_api, &to_paths};

static credential make(const char *provider, const char *key, const char *value)
{
	credential c = OPENSHELL__WORKER__V1__CREDENTIAL__INIT;

	c.provider = (char *)provider;
	c.key = (char *)key;
	c.value = (char *)value;
	c.n_bindings = 2;
	c.bindings = bindings;
	return c;
}

struct world {
	struct credentials *credentials;
	struct arena *arena;
};

static int world_new(void **state)
{
	static struct world world;
	credential c[] = {
		make("work", "TOKEN", "s3cret"),
		make("work", "ODD", "a/b+c d\"e\\f&<'%"),
		make("work", "NESTED", "x" PH "TOKEN"),
		make("work", "REVISED", "new"),
		make("work", "SCOPED", "mine"),
		make("work", "DOTS", ".."),
		make("aws", "SIGNING", "key"),
		make("a", "SAME", "one"),
		make("b", "SAME", "one"),
		make("a", "DIFFERENT", "one"),
		make("b", "DIFFERENT", "two"),
		make("work", "NOWHERE", "x"),
	};
	credential *list[ARRAY_LEN(c)];
	struct error err = {};

	c[3].revision = 7;
	c[4].token = (char *)HEX;
	c[6].signing_only = true;
	c[11].n_bindings = 0;
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		list[i] = &c[i];
	world.arena = arena_new(4u << 20);
	assert_non_null(world.arena);
	assert_int_equal(credentials_new(list, ARRAY_LEN(c), &world.credentials, &err), 0);
	*state = &world;
	return 0;
}

static int world_free(void **state)
{
	struct world *world = *state;

	credentials_free(world->credentials);
	arena_free(world->arena);
	return 0;
}

static struct text text(const char *string)
{
	return (struct text){string, (uint32_t)strlen(string)};
}

static const struct credential_scope api = {
	.host = "api.example.com", .port = 443, .secure = true, .path = {"/", 1}, .provider = ""};

/* One header value; NULL wanted = the errno given. */
static void value(struct world *world, const struct credential_scope *scope, const char *name,
		  const char *sent, int code, const char *wanted)
{
	struct http_head head = {
		.version = 11,
		.method = TEXT("GET"),
		.target = TEXT("/"),
		.authority = TEXT("api.example.com"),
		.fields = 2,
		.field = {{TEXT("accept"), TEXT("*/*")}, {text(name), text(sent)}}};
	bool changed = false;
	int r = credentials_rewrite_head(world->credentials, scope, &head, world->arena, &changed);

	if (r != code)
		fail_msg("%s: %d, not %d", sent, r, code);
	if (r) {
		assert_true(head.field[1].value.data == sent);
		return;
	}
	if (!text_is(head.field[1].value, wanted))
		fail_msg("%s became %.*s, not %s", sent, (int)head.field[1].value.size,
			 head.field[1].value.data, wanted);
	assert_int_equal(changed, strcmp(sent, wanted) != 0);
}

static void in_header_values(void **state)
{
	struct world *world = *state;

	value(world, &api, "x", PH "TOKEN", 0, "s3cret");
	value(world, &api, "authorization", "Bearer " PH "TOKEN", 0, "Bearer s3cret");
	value(world, &api, "x", "a" PH "TOKEN, " PH "TOKEN;", 0, "as3cret, s3cret;");
	value(world, &api, "x", PH "v7_REVISED", 0, "new");
	value(world, &api, "x", PH "REVISED", 0, "new");
	value(world, &api, "x", PH "s" HEX "_SCOPED", 0, "mine");
	value(world, &api, "x", "Bearer xoxb-" ALIAS "TOKEN", 0, "Bearer s3cret");
	value(world, &api, "x", ALIAS "v7_REVISED", 0, "new");
	value(world, &api, "x", "(sk-a_b-" ALIAS "TOKEN)", 0, "(s3cret)");
	value(world, &api, "x", "nothing here", 0, "nothing here");
	value(world, &api, "x", "openshell:resolve", 0, "openshell:resolve");
	value(world, &api, "x", "OpenShell:Resolve:Env:TOKEN", 0, "OpenShell:Resolve:Env:TOKEN");
	/* what was put in is not looked at again */
	value(world, &api, "x", PH "NESTED", 0, "x" PH "TOKEN");
	value(world, &api, "x", PH "SAME", 0, "one");
}

static void what_means_nothing_is_refused(void **state)
{
	static const char *const unknown[] = {PH "OTHER",
					      PH "TOKENX",
					      PH "TOKE",
					      PH,
					      PH "-TOKEN",
					      PH "v6_REVISED",
					      PH "v0_TOKEN",
					      PH "v7_TOKEN",
					      PH "v_TOKEN",
					      PH "vTOKEN",
					      PH "v7_",
					      PH "s" HEX "_TOKEN",
					      PH "s1_TOKEN",
					      ALIAS,
					      ALIAS "OTHER",
					      PH PH "TOKEN",
					      PH "token",
					      ALIAS PH "TOKEN",
					      PH ALIAS "TOKEN",
					      "ok " PH "TOKEN " PH "OTHER",
					      PH "v99999999999999999999_TOKEN"};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		value(world, &api, "x", unknown[i], -ENOENT, NULL);
}

static void only_where_it_may_go(void **state)
{
	struct credential_scope scope = api;
	struct world *world = *state;

	value(world, &api, "x", PH "SIGNING", -EACCES, NULL);
	value(world, &api, "x", PH "NOWHERE", -EACCES, NULL);
	value(world, &api, "x", PH "DIFFERENT", -EACCES, NULL);
	scope.provider = "a";
	value(world, &scope, "x", PH "DIFFERENT", 0, "one");
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope = api;
	scope.secure = false;
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope = api;
	scope.port = 80;
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope = api;
	scope.host = "api.example.com.evil.example";
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope.host = "xapi.example.com";
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope = (struct credential_scope){
		.host = "git.corp.example", .port = 9443, .path = TEXT("/v1/a/b"), .provider = ""};
	value(world, &scope, "x", PH "TOKEN", 0, "s3cret");
	scope.path = TEXT("/v2/a");
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope.path = (struct text){"/v1/a\0b", 7};
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
	scope.path = TEXT("/v1/a");
	scope.port = 443;
	value(world, &scope, "x", PH "TOKEN", -EACCES, NULL);
}

static void in_basic_authentication(void **state)
{
	struct world *world = *state;

	/* user:openshell:resolve:env:TOKEN -> user:s3cret */
	value(world, &api, "authorization", "Basic dXNlcjpvcGVuc2hlbGw6cmVzb2x2ZTplbnY6VE9LRU4=", 0,
	      "Basic dXNlcjpzM2NyZXQ=");
	value(world, &api, "authorization", "BASIC  dXNlcjpvcGVuc2hlbGw6cmVzb2x2ZTplbnY6VE9LRU4", 0,
	      "Basic dXNlcjpzM2NyZXQ=");
	/* openshell:resolve:env:OTHER: */
	value(world, &api, "authorization",
	      "Basic b3BlbnNoZWxsOnJlc29sdmU6ZW52Ok9USEVSOg==", -ENOENT, NULL);
	value(world, &api, "authorization", "Basic dXNlcjpwYXNz", 0, "Basic dXNlcjpwYXNz");
	value(world, &api, "authorization", "Basic !!!", 0, "Basic !!!");
	value(world, &api, "authorization", "Basic dXNlcjpvcGVuc2hlbGw6cmVzb2x2ZTplbnY6VE9LRU4=, x",
	      -EACCES, NULL);
	/* elsewhere it is not Basic authentication */
	value(world, &api, "x", "Basic dXNlcjpvcGVuc2hlbGw6cmVzb2x2ZTplbnY6VE9LRU4=", 0,
	      "Basic dXNlcjpvcGVuc2hlbGw6cmVzb2x2ZTplbnY6VE9LRU4=");
	value(world, &api, "authorization", "Basic " PH "TOKEN", 0, "Basic s3cret");
}

static void target(struct world *world, const char *sent, int code, const char *wanted)
{
	struct http_head head = {.version = 11,
				 .method = TEXT("GET"),
				 .target = text(sent),
				 .authority = TEXT("api.example.com")};
	bool changed = false;
	int r = credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed);

	if (r != code)
		fail_msg("%s: %d, not %d", sent, r, code);
	if (r)
		return;
	if (!text_is(head.target, wanted))
		fail_msg("%s became %.*s, not %s", sent, (int)head.target.size, head.target.data,
			 wanted);
	assert_int_equal(changed, strcmp(sent, wanted) != 0);
}

static void in_path_and_query(void **state)
{
	struct world *world = *state;

	target(world, "/bot" PH "TOKEN/getMe", 0, "/bots3cret/getMe");
	target(world, "/?key=" PH "TOKEN&x=1", 0, "/?key=s3cret&x=1");
	target(world, "/?key=openshell%3Aresolve%3aenv%3ATOKEN&x=a%20b", 0, "/?key=s3cret&x=a%20b");
	target(world, "/?key=%6fpenshell:resolve:env:TOK%45N", 0, "/?key=s3cret");
	target(world, "/a%20" PH "ODD?k=" PH "ODD", 0,
	       "/a%20a%2Fb%2Bc%20d%22e%5Cf%26%3C%27%25?k=a%2Fb%2Bc%20d%22e%5Cf%26%3C%27%25");
	target(world, "/?a=%2541&key=" PH "TOKEN", 0, "/?a=%2541&key=s3cret");
	target(world, "/?k=%", 0, "/?k=%");
	target(world, "/?k=%zz%4", 0, "/?k=%zz%4");
	target(world, "/x?k=" PH "NESTED", 0, "/x?k=xopenshell%3Aresolve%3Aenv%3ATOKEN");
	target(world, "*", 0, "*");
	/* twice escaped, a segment that leads elsewhere, unknown */
	target(world, "/?key=openshell%253Aresolve%253Aenv%253ATOKEN", -EACCES, NULL);
	target(world, "/?a=" PH "TOKEN&b=openshell%253Aresolve%253Aenv%253ATOKEN", -EACCES, NULL);
	target(world, "/?key=openshell%25253Aresolve%25253Aenv%25253ATOKEN", -EACCES, NULL);
	target(world, "/a/" PH "DOTS/b", -EACCES, NULL);
	target(world, "/a/?b=" PH "DOTS", 0, "/a/?b=..");
	target(world, "/?key=openshell%3Aresolve%3Aenv%3AOTHER", -ENOENT, NULL);
}

static void nowhere_else_in_a_head(void **state)
{
	struct world *world = *state;
	struct http_head good = {.version = 11,
				 .method = TEXT("GET"),
				 .target = TEXT("/"),
				 .authority = TEXT("api.example.com"),
				 .fields = 1,
				 .field = {{TEXT("accept"), TEXT("*/*")}}};
	struct http_head head = good;
	bool changed = true;

	assert_int_equal(
		credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed),
		0);
	assert_false(changed);
	head.method = TEXT(ALIAS "TOKEN");
	assert_int_equal(
		credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed),
		-EACCES);
	head = good;
	head.authority = TEXT("openshell-resolve-env-token.example.com");
	assert_int_equal(
		credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed),
		-EACCES);
	head = good;
	head.field[0].name = TEXT("openshell-resolve-env-token");
	assert_int_equal(
		credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed),
		-EACCES);
	head = good;
	head.upgrade_to = TEXT(PH "TOKEN");
	assert_int_equal(
		credentials_rewrite_head(world->credentials, &api, &head, world->arena, &changed),
		-EACCES);
}

static void a_head_stays_within_its_size(void **state)
{
	struct world *world = *state;
	char *large = malloc(CREDENTIAL_VALUE_MAX + 1);
	struct credentials *credentials = NULL;
	credential c = make("work", "LARGE", large), *list[] = {&c};
	struct http_head head = {.version = 11,
				 .method = TEXT("GET"),
				 .target = TEXT("/"),
				 .authority = TEXT("api.example.com"),
				 .fields = 1,
				 .field = {{TEXT("a"), TEXT(PH "LARGE")}}};
	struct error err = {};
	bool changed = false;

	memset(large, 'a', CREDENTIAL_VALUE_MAX);
	large[CREDENTIAL_VALUE_MAX] = '\0';
	assert_int_equal(credentials_new(list, 1, &credentials, &err), 0);
	assert_int_equal(credentials_rewrite_head(credentials, &api, &head, world->arena, &changed),
			 0);
	head.field[0].value = TEXT(PH "LARGE " PH "LARGE");
	assert_int_equal(credentials_rewrite_head(credentials, &api, &head, world->arena, &changed),
			 -E2BIG);
	head.fields = 2;
	head.field[0].value = head.field[1].value = TEXT(PH "LARGE");
	head.field[1].name = TEXT("b");
	assert_int_equal(credentials_rewrite_head(credentials, &api, &head, world->arena, &changed),
			 -E2BIG);
	assert_true(text_is(head.field[0].value, PH "LARGE"));
	credentials_free(credentials);
	free(large);
}

static void body(struct world *world, const char *type, const char *sent, int code,
		 const char *wanted)
{
	struct credential_scope scope = api;
	bool changed = false;
	struct text out;
	int r;

	scope.content_type = text(type);
	r = credentials_rewrite_body(world->credentials, &scope, (const uint8_t *)sent,
				     strlen(sent), world->arena, &out, &changed);
	if (r != code)
		fail_msg("%s: %d, not %d", sent, r, code);
	if (r)
		return;
	if (!text_is(out, wanted))
		fail_msg("%s became %.*s, not %s", sent, (int)out.size, out.data, wanted);
	assert_int_equal(changed, strcmp(sent, wanted) != 0);
}

static void in_bodies(void **state)
{
	struct world *world = *state;
	_cleanup_free_ uint8_t *large = calloc(1, CREDENTIAL_BODY_MAX + 1);
	struct text out;
	bool changed;

	body(world, "application/json; charset=utf-8", "{\"a\":\"" PH "ODD\"}", 0,
	     "{\"a\":\"a/b+c d\\\"e\\\\f&<'%\"}");
	body(world, "application/vnd.api+json", "[\"" PH "TOKEN\"]", 0, "[\"s3cret\"]");
	body(world, "", " {\"a\":\"" PH "ODD\"}", 0, " {\"a\":\"a/b+c d\\\"e\\\\f&<'%\"}");
	body(world, "", "auth " PH "ODD", 0, "auth a/b+c d\"e\\f&<'%");
	body(world, "application/x-www-form-urlencoded",
	     "grant=x&secret=openshell%3Aresolve%3Aenv%3AODD", 0,
	     "grant=x&secret=a%2Fb%2Bc%20d%22e%5Cf%26%3C%27%25");
	body(world, "application/x-www-form-urlencoded", "secret=" PH "TOKEN", 0, "secret=s3cret");
	body(world, "text/xml", "<a>" PH "ODD</a>", 0, "<a>a/b+c d&quot;e\\f&amp;&lt;&apos;%</a>");
	body(world, "text/plain", PH "ODD", 0, "a/b+c d\"e\\f&<'%");
	body(world, "text/plain", "", 0, "");
	body(world, "text/plain", PH "OTHER", -ENOENT, NULL);
	body(world, "text/plain", PH "SIGNING", -EACCES, NULL);
	assert_non_null(large);
	assert_int_equal(credentials_rewrite_body(world->credentials, &api, large,
						  CREDENTIAL_BODY_MAX + 1, world->arena, &out,
						  &changed),
			 -E2BIG);
	assert_int_equal(credentials_rewrite_body(world->credentials, &api, large,
						  CREDENTIAL_BODY_MAX, world->arena, &out,
						  &changed),
			 0);
}

static void ten_thousand_questions_are_one(void **state)
{
	static const char sign[] = PH "TOKEN ";
	size_t count = CREDENTIAL_BODY_MAX / (sizeof(sign) - 1);
	_cleanup_free_ char *large = malloc(CREDENTIAL_BODY_MAX), *path = malloc(POLICY_GLOB_MAX);
	struct credential_scope scope = {
		.host = "git.corp.example", .port = 9443, .secure = true, .provider = ""};
	struct world *world = *state;
	struct timespec before, after;
	struct text out;
	bool changed;

	memset(path, 'a', POLICY_GLOB_MAX);
	memcpy(path, "/v1/", 4);
	scope.path = (struct text){path, POLICY_GLOB_MAX};
	scope.content_type = TEXT("text/plain");
	for (size_t i = 0; i < count; i++)
		memcpy(large + i * (sizeof(sign) - 1), sign, sizeof(sign) - 1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(credentials_rewrite_body(world->credentials, &scope, (uint8_t *)large,
						  count * (sizeof(sign) - 1), world->arena, &out,
						  &changed),
			 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(out.size, count * (sizeof("s3cret ") - 1));
	assert_true(after.tv_sec - before.tv_sec < 3);
}

static void keys_for_signing(void **state)
{
	struct credential_scope scope = api;
	struct world *world = *state;
	struct text found;

	assert_int_equal(credentials_find(world->credentials, &api, "SIGNING", &found), 0);
	assert_true(text_is(found, "key"));
	assert_int_equal(credentials_find(world->credentials, &api, "OTHER", &found), -ENOENT);
	scope.host = "b.example.com";
	assert_int_equal(credentials_find(world->credentials, &scope, "SIGNING", &found), -EACCES);
}

static void tables_are_checked(void **state)
{
	const struct {
		const char *key, *value, *token;
	} bad[] = {{"A", "", ""},	   {"A", "a\rb", ""}, {"A", "a\nb", ""},
		   {"A", "a\x7f", ""},	   {"A-B", "a", ""},  {"1A", "a", ""},
		   {"", "a", ""},	   {"v1_A", "a", ""}, {"A", "a", "0123"},
		   {"s" HEX "_A", "a", ""}};
	struct credentials *credentials = NULL;
	struct error err = {};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		credential c = make("p", bad[i].key, bad[i].value), *list[] = {&c};

		c.token = (char *)bad[i].token;
		assert_int_equal(credentials_new(list, 1, &credentials, &err), -EINVAL);
		assert_null(strstr(err.message, "a\n"));
	}
	assert_int_equal(credentials_new(NULL, 0, &credentials, &err), 0);
	credentials_free(credentials);
	assert_int_equal(credentials_new(NULL, CREDENTIALS_MAX + 1, &credentials, &err), -E2BIG);
}

static void suspicion_sees_every_place(void **state)
{
	static const char sign[] = "oPenshelL-reSolve";
	char room[128];

	for (size_t size = sizeof(sign) - 1; size <= sizeof(room); size++)
		for (size_t at = 0; at + sizeof(sign) - 1 <= size; at++) {
			char *exact = malloc(size); /* so that the sanitizer sees a byte too far */

			memset(exact, 'o', size);
			assert_false(credentials_suspect((uint8_t *)exact, size));
			memcpy(exact + at, sign, sizeof(sign) - 1);
			assert_true(credentials_suspect((uint8_t *)exact, size));
			exact[at + 9] = '_';
			assert_false(credentials_suspect((uint8_t *)exact, size));
			free(exact);
		}
}

static void a_scan_crosses_pieces(void **state)
{
	static const char *const found[] = {"xx" PH "T", "OPENSHELL-OPENSHELL-RESOLVE-ENV-",
					    "openopenshell:resolve:env:"};
	static const char *const clean[] = {"openshell:resolve:env",
					    "openshell:resolve;env:", "OpenShell:resolve:env:"};

	for (size_t i = 0; i < ARRAY_LEN(found) + ARRAY_LEN(clean); i++) {
		bool wanted = i < ARRAY_LEN(found);
		const char *data = wanted ? found[i] : clean[i - ARRAY_LEN(found)];
		size_t size = strlen(data);

		for (size_t first = 0; first <= size; first++)
			for (size_t second = first; second <= size; second++) {
				struct credential_scan scan = {};
				bool seen = credential_scan(&scan, (const uint8_t *)data, first);

				seen |= credential_scan(&scan, (const uint8_t *)data + first,
							second - first);
				seen |= credential_scan(&scan, (const uint8_t *)data + second,
							size - second);
				assert_int_equal(seen, wanted);
			}
		struct credential_scan scan = {};
		bool seen = false;

		for (size_t j = 0; j < size; j++)
			seen |= credential_scan(&scan, (const uint8_t *)data + j, 1);
		assert_int_equal(seen, wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_header_values),
		cmocka_unit_test(what_means_nothing_is_refused),
		cmocka_unit_test(only_where_it_may_go),
		cmocka_unit_test(in_basic_authentication),
		cmocka_unit_test(in_path_and_query),
		cmocka_unit_test(nowhere_else_in_a_head),
		cmocka_unit_test(a_head_stays_within_its_size),
		cmocka_unit_test(in_bodies),
		cmocka_unit_test(ten_thousand_questions_are_one),
		cmocka_unit_test(keys_for_signing),
		cmocka_unit_test(tables_are_checked),
		cmocka_unit_test(suspicion_sees_every_place),
		cmocka_unit_test(a_scan_crosses_pieces),
	};

	return cmocka_run_group_tests(tests, world_new, world_free);
}
