/* SPDX-License-Identifier: Apache-2.0 */
#include "l7_fixture.h"

#define REST "protocol: rest, enforcement: enforce, "

static void presets(void **state)
{
	ROWS(REST "access: read-only",
	     {"GET", "/x", .outcome = L7_ALLOWED, .rule = "access read-only"},
	     {"HEAD", "/x", .outcome = L7_ALLOWED}, {"OPTIONS", "*", .outcome = L7_ALLOWED},
	     {"POST", "/x", .outcome = L7_DENIED, .rule = "", .reason = "p does not allow POST /x"},
	     {"DELETE", "/x", .outcome = L7_DENIED}, {"get", "/x", .outcome = L7_DENIED});
	ROWS(REST "access: read-write", {"PATCH", "/x", .outcome = L7_ALLOWED},
	     {"PUT", "/x", .outcome = L7_ALLOWED}, {"POST", "/x", .outcome = L7_ALLOWED},
	     {"GET", "/x", .outcome = L7_ALLOWED}, {"DELETE", "/x", .outcome = L7_DENIED},
	     {"PROPFIND", "/x", .outcome = L7_DENIED});
	ROWS(REST "access: full", {"DELETE", "/x", .outcome = L7_ALLOWED, .rule = "access full"},
	     {"BREW", "/x", .outcome = L7_ALLOWED});
}

static void methods(void **state)
{
	ROWS(REST "rules: [{allow: {method: GET, path: /g}}, {allow: {method: HEAD, path: /h}}, "
		  "{allow: {method: '*', path: /a}}]",
	     {"GET", "/g", .outcome = L7_ALLOWED, .rule = "allow GET /g"},
	     {"HEAD", "/g", .outcome = L7_ALLOWED, .rule = "allow GET /g"},
	     {"OPTIONS", "/g", .outcome = L7_DENIED}, {"GET", "/h", .outcome = L7_DENIED},
	     {"HEAD", "/h", .outcome = L7_ALLOWED}, {"PURGE", "/a", .outcome = L7_ALLOWED},
	     {"WEBSOCKET_TEXT", "/g", .outcome = L7_DENIED});
	/* What denies is read in any letter case, and a denied GET is a denied HEAD. */
	ROWS(REST
	     "access: full, deny_rules: [{method: DELETE, path: '**'}, {method: GET, path: /g}]",
	     {"DELETE", "/x", .outcome = L7_DENIED, .rule = "deny DELETE **",
	      .reason = "p denies DELETE /x"},
	     {"delete", "/x", .outcome = L7_DENIED}, {"HEAD", "/g", .outcome = L7_DENIED},
	     {"head", "/g", .outcome = L7_DENIED}, {"HEAD", "/x", .outcome = L7_ALLOWED},
	     {"POST", "/g", .outcome = L7_ALLOWED});
}

static void refused_whatever_the_rules_say(void **state)
{
	ROWS("protocol: rest, enforcement: audit, access: full",
	     {"TRACE", "/", .outcome = L7_DENIED, .reason = "whatever the rules say"},
	     {"track", "/", .outcome = L7_DENIED}, {"CONNECT", "/", .outcome = L7_DENIED},
	     {"GET", "/", "x-http-method-override: trace", .outcome = L7_DENIED},
	     {"GET", "/",
	      "x-http-method: A\nx-http-method: B\nx-http-method: C\nx-http-method: D\n"
	      "x-method-override: E",
	      .outcome = L7_DENIED, .reason = "too many headers"});
}

static void overridden_methods(void **state)
{
	ROWS(REST "rules: [{allow: {method: POST, path: /x}}, {allow: {method: PUT, path: /x}}]",
	     {"POST", "/x", "x-http-method-override: PUT", .outcome = L7_ALLOWED},
	     {"POST", "/x", "x-http-method-override: DELETE", .outcome = L7_DENIED,
	      .reason = "DELETE"},
	     {"POST", "/x", "x-method-override: PUT\nx-http-method: DELETE", .outcome = L7_DENIED},
	     {"POST", "/x", "x-http-method-overrides: DELETE", .outcome = L7_ALLOWED});
}

static void two_readings_of_a_star(void **state)
{
	ROWS(REST "rules: [{allow: {method: GET, path: '/repos/*/*'}}, "
		  "{allow: {method: GET, path: '/a/**'}}, "
		  "{allow: {method: GET, path: '/**secret**/x'}}], "
		  "deny_rules: [{method: GET, path: '/a/b/*'}, {method: GET, path: '/repos/x?/*'}]",
	     {"GET", "/repos/o/r", .outcome = L7_ALLOWED, .rule = "allow GET /repos/*/*"},
	     {"GET", "/repos/o", .outcome = L7_DENIED},
	     {"GET", "/repos/o/r/s", .outcome = L7_DENIED},
	     {"GET", "/a/x/y/z", .outcome = L7_ALLOWED}, {"GET", "/a", .outcome = L7_DENIED},
	     {"GET", "/a/b/c", .outcome = L7_DENIED, .rule = "deny GET /a/b/*"},
	     {"GET", "/a/b/c/d/e", .outcome = L7_DENIED}, {"GET", "/a/b", .outcome = L7_ALLOWED},
	     {"GET", "/repos/xy/r", .outcome = L7_DENIED},
	     {"GET", "/my-secret-s/x", .outcome = L7_ALLOWED},
	     {"GET", "/my/secret/x", .outcome = L7_DENIED});
	ROWS(REST "rules: [{allow: {method: GET, path: '/repos/*/*/pulls/*/reviews'}}, "
		  "{allow: {method: GET, path: '/**/info/refs*'}}, "
		  "{allow: {method: '*', path: '/bot*/**'}}]",
	     {"GET", "/repos/o/r/pulls/7/reviews", .outcome = L7_ALLOWED},
	     {"GET", "/repos/o/r/x/pulls/7/reviews", .outcome = L7_DENIED},
	     {"GET", "/o/r.git/info/refs?service=git-upload-pack", .outcome = L7_ALLOWED},
	     {"GET", "/o/r.git/info/refs/heads", .outcome = L7_DENIED},
	     {"POST", "/bot123:abc/a/b", .outcome = L7_ALLOWED});
}

static void spellings_of_a_path(void **state)
{
	/* What servers decode is no way around a rule, on either side of it. */
	ROWS(REST "access: full, deny_rules: [{method: '*', path: '/users/@me'}, "
		  "{method: '*', path: '/b%40d/%2A/x'}, {method: '*', path: '/gr\u00fcn/**'}, "
		  "{method: '*', path: '/admin/**'}]",
	     {"GET", "/users/@me", .outcome = L7_DENIED},
	     {"GET", "/users/%40me", .outcome = L7_DENIED},
	     {"GET", "/users/%40%6de", .outcome = L7_DENIED},
	     {"GET", "/users/me", .outcome = L7_ALLOWED}, {"GET", "/b@d/*/x", .outcome = L7_DENIED},
	     {"GET", "/b%40d/%2a/x", .outcome = L7_DENIED},
	     {"GET", "/b@d/y/x", .outcome = L7_ALLOWED},
	     {"GET", "/gr%C3%BCn/x", .outcome = L7_DENIED},
	     {"GET", "/gr%c3%bcn/x", .outcome = L7_DENIED},
	     {"GET", "/x/../admin/y", .outcome = L7_DENIED},
	     {"GET", "/admin;a=b/y", .outcome = L7_DENIED},
	     {"GET", "/x;a/y", .outcome = L7_ALLOWED});
	ROWS(REST "rules: [{allow: {method: GET, path: '/users/@me'}}, "
		  "{allow: {method: GET, path: '/p/*/q'}}]",
	     {"GET", "/users/%40me", .outcome = L7_ALLOWED},
	     /* another reading only ever denies */
	     {"GET", "/users;x/@me", .outcome = L7_DENIED},
	     {"GET", "/p/a%3Fb/q", .outcome = L7_ALLOWED},
	     {"GET", "/p/a%25b/q", .outcome = L7_ALLOWED});
}

static void encoded_slashes(void **state)
{
	ROWS(REST "allow_encoded_slash: true, rules: [{allow: {method: GET, path: '/@*'}}, "
		  "{allow: {method: GET, path: '/p/*/q'}}], "
		  "deny_rules: [{method: GET, path: '/p/a/secret/q'}]",
	     {"GET", "/@types%2fnode", .outcome = L7_ALLOWED, .rule = "allow GET /@*"},
	     {"GET", "/p/a%2Fb/q", .outcome = L7_ALLOWED},
	     {"GET", "/p/a%2Fsecret/q", .outcome = L7_DENIED, .rule = "deny GET /p/a/secret/q"});
	/* One endpoint lets them stand, the other does not. */
	ROWS(REST "path: '/r/**', allow_encoded_slash: true, access: full\n" REST "access: full",
	     {"GET", "/r/x", .outcome = L7_ALLOWED},
	     {"GET", "/r/a%2Fb", .outcome = L7_DENIED, .reason = "encoded slash"});
}

#define QUERY                                                                                      \
	REST "rules: [{allow: {method: GET, path: /d, query: {platform: {any: ['linux-*', "        \
	     "'darwin-*']}, version: '1.*'}}}, {allow: {method: GET, path: /e}}, "                 \
	     "{allow: {method: GET, path: /f, query: {'page[size]': '?[0-9]', p: '**'}}}], "       \
	     "deny_rules: [{method: GET, path: /e, query: {channel: 'night*'}}]"

static void queries(void **state)
{
	ROWS(QUERY,
	     {"GET", "/d?platform=linux-arm&version=1.2", .outcome = L7_ALLOWED,
	      .rule = "allow GET /d?version=1.*&platform=darwin-*|linux-*"},
	     {"GET", "/d?version=1.2&other=x&platform=darwin-x", .outcome = L7_ALLOWED},
	     {"GET", "/d?platform=linux-arm", .outcome = L7_DENIED},
	     {"GET", "/d", .outcome = L7_DENIED},
	     {"GET", "/d?platform=Linux-arm&version=1.2", .outcome = L7_DENIED},
	     {"GET", "/d?Platform=linux-arm&version=1.2", .outcome = L7_DENIED},
	     {"GET", "/d?platform=linux-arm&version=1.2&version=2.0", .outcome = L7_DENIED},
	     {"GET", "/d?platform=linux-arm&version=1.2&version=1.3", .outcome = L7_ALLOWED},
	     {"GET", "/d?pl%61tform=linux%2Darm&version=1%2e2", .outcome = L7_ALLOWED},
	     {"GET", "/d?platform=linux-a/b&version=1.2", .outcome = L7_DENIED},
	     {"GET", "/d?platform=linux-%zz&version=1.2", .outcome = L7_DENIED},
	     {"GET", "/f?page%5Bsize%5D=20&p=a/b", .outcome = L7_ALLOWED},
	     {"GET", "/f?page[size]=200&p=a", .outcome = L7_DENIED},
	     {"GET", "/e", .outcome = L7_ALLOWED},
	     {"GET", "/e?channel=stable", .outcome = L7_ALLOWED},
	     {"GET", "/e?channel=stable&channel=nightly", .outcome = L7_DENIED,
	      .rule = "deny GET /e?channel=night*"},
	     {"GET", "/e?ch%61nnel=%6eightly/x", .outcome = L7_DENIED},
	     /* a query that cannot be read may be what is denied */
	     {"GET", "/e?a=%f", .outcome = L7_DENIED}, {"GET", "/x?a=%f", .outcome = L7_DENIED});
	ROWS(REST "access: full", {"GET", "/e?a=%f", .outcome = L7_ALLOWED});
}

static void too_many_parameters(void **state)
{
	struct l7_row row = {"GET", NULL, .outcome = L7_DENIED};
	char target[8192] = "/e?";
	size_t size = 3;

	for (int i = 0; i < 300; i++)
		size += (size_t)snprintf(target + size, sizeof(target) - size, "a=%d&", i);
	row.target = target;
	fixture_rows(QUERY, &row, 1);
}

static void long_paths(void **state)
{
	struct l7_row row = {"GET", NULL, .outcome = L7_ALLOWED};
	char target[12000];

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	target[sizeof(target) - 1] = '\0';
	row.target = target;
	fixture_rows(REST "rules: [{allow: {method: GET, path: '/**'}}]", &row, 1);
	fixture_rows(REST "access: full, deny_rules: [{method: GET, path: '/*a*a*a*a*b*'}]", &row,
		     1);
	row.outcome = L7_DENIED;
	fixture_rows(REST "rules: [{allow: {method: GET, path: '/*a*a*a*a*b*'}}]", &row, 1);
	fixture_rows(REST "access: full, deny_rules: [{method: GET, path: '/*a*a*a*a*a'}]", &row,
		     1);
}

/* What takes too many steps is tried in another way, and too long for that is not allowed. */
static void slow_values(void **state)
{
	struct l7_row row = {"GET", NULL, .outcome = L7_ALLOWED};
	char target[8000] = "/x?p=";

	row.target = target;
	memset(target + 5, 'a', 3000);
	memcpy(target + 3005, "/ac", 4);
	fixture_rows(REST "rules: [{allow: {method: GET, path: /x, query: {p: '**a*c'}}}]", &row,
		     1);
	memset(target + 5, 'a', 7000);
	memcpy(target + 7005, "/ac", 4);
	row.outcome = L7_DENIED;
	fixture_rows(REST "rules: [{allow: {method: GET, path: /x, query: {p: '**a*c'}}}]", &row,
		     1);
}

static void auditing(void **state)
{
	ROWS("protocol: rest, enforcement: audit, access: read-only, "
	     "deny_rules: [{method: GET, path: /no}]",
	     {"GET", "/x", .outcome = L7_ALLOWED},
	     {"POST", "/x", .outcome = L7_AUDIT, .rule = "", .reason = "does not allow POST /x"},
	     {"GET", "/no", .outcome = L7_AUDIT, .rule = "deny GET /no"});
	/* It softens what its own endpoint denies, and no other's. */
	ROWS("path: /a/b, protocol: rest, enforcement: audit, access: read-only\n"
	     "path: '/a/**', " REST "access: read-write",
	     {"POST", "/a/b", .outcome = L7_AUDIT}, {"POST", "/a/c", .outcome = L7_ALLOWED},
	     {"DELETE", "/a/b", .outcome = L7_DENIED}, {"DELETE", "/a/c", .outcome = L7_DENIED},
	     {"GET", "/c", .outcome = L7_DENIED, .reason = "no endpoint of p is for path /c"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets),
		cmocka_unit_test(methods),
		cmocka_unit_test(refused_whatever_the_rules_say),
		cmocka_unit_test(overridden_methods),
		cmocka_unit_test(two_readings_of_a_star),
		cmocka_unit_test(spellings_of_a_path),
		cmocka_unit_test(encoded_slashes),
		cmocka_unit_test(queries),
		cmocka_unit_test(too_many_parameters),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(slow_values),
		cmocka_unit_test(auditing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
