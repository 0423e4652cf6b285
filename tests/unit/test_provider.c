/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/provider.h"
#include "common/provider_profile.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define DIRECTORY "policy/providers"

typedef Openshell__Compiled__V1__CompiledPolicy compiled_policy;
typedef Openshell__Worker__V1__Credential credential;

static const char *const variables[] = {
	"ANTHROPIC_API_KEY", "CLAUDE_API_KEY", "GITHUB_TOKEN",		"GH_TOKEN",
	"AWS_ACCESS_KEY_ID", "SUDO_UID",       "AWS_SECRET_ACCESS_KEY", "MAIL_TOKEN",
	"OPENAI_API_KEY"};

static int forget_variables(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

/* Endpoints in YAML's flow form; "" for a policy without network. */
static compiled_policy *compile(const char *endpoints)
{
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_free_ char *text = NULL;
	compiled_policy *compiled = NULL;
	struct error err = {};

	assert_true(asprintf(&text,
			     "version: 1\nnetwork_policies:\n  r:\n    endpoints: [%s]\n"
			     "    binaries: [{path: /bin/a}]\n",
			     endpoints) > 0);
	if (policy_load_buffer("test", text, strlen(text), &policy, NULL, &err))
		fail_msg("%s", err.message);
	assert_int_equal(policy_compile(policy, &compiled, &err), 0);
	return compiled;
}

static struct provider_set *give(const char *request, const char *endpoints)
{
	_cleanup_policy_compiled_ compiled_policy *compiled = compile(endpoints);
	struct provider_set *set = NULL;
	struct error err = {};

	if (provider_set_new(DIRECTORY, &request, 1, compiled, &set, &err))
		fail_msg("%s: %s", request, err.message);
	return set;
}

static void refuse(const char *request, const char *endpoints, int code, const char *why)
{
	_cleanup_policy_compiled_ compiled_policy *compiled = compile(endpoints);
	struct provider_set *set = NULL;
	struct error err = {};
	int r = provider_set_new(DIRECTORY, &request, 1, compiled, &set, &err);

	if (r != code || !strstr(err.message, why))
		fail_msg("%s: %d %s", request, r, err.message);
	assert_null(set);
}

static void a_profile_reads_the_environment_in_order(void **state)
{
	_cleanup_provider_set_ struct provider_set *set = NULL;

	setenv("CLAUDE_API_KEY", "second", 1);
	set = give("claude-code", "");
	assert_int_equal(set->n_credentials, 1);
	assert_string_equal(set->credentials[0]->provider, "claude-code");
	assert_string_equal(set->credentials[0]->key, "ANTHROPIC_API_KEY");
	assert_string_equal(set->credentials[0]->value, "second");
	assert_int_equal(set->credentials[0]->n_bindings, 1);
	assert_string_equal(set->credentials[0]->bindings[0]->host, "api.anthropic.com");
	assert_int_equal(set->envs, 1);
	assert_string_equal(set->env[0],
			    "ANTHROPIC_API_KEY=openshell:resolve:env:ANTHROPIC_API_KEY");
	provider_set_free(TAKE_PTR(set));

	setenv("ANTHROPIC_API_KEY", "first", 1);
	set = give("mine=anthropic", "");
	assert_string_equal(set->credentials[0]->provider, "mine");
	assert_string_equal(set->credentials[0]->value, "first");
	provider_set_hide(set);
	assert_null(getenv("ANTHROPIC_API_KEY"));
	assert_string_equal(getenv("CLAUDE_API_KEY"), "second");
	assert_string_equal(set->credentials[0]->value, "first");
}

static void what_is_missing_is_said(void **state)
{
	refuse("github", "", -ENOENT, "needs GITHUB_TOKEN or GH_TOKEN in the environment");
	setenv("GITHUB_TOKEN", "", 1);
	refuse("github", "", -ENOENT, "needs GITHUB_TOKEN or GH_TOKEN");
	setenv("SUDO_UID", "1000", 1);
	refuse("github", "", -ENOENT, "--preserve-env=GITHUB_TOKEN");
	refuse("claude-code", "", -ENOENT, "one of ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN");
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	refuse("aws", "", -ENOENT, "needs AWS_SECRET_ACCESS_KEY");
	refuse("githup", "", -ENOENT, "did you mean 'github'?");
	refuse("nothing-like-it", "", -ENOENT, "aws, aws-bedrock, claude-code, codex");
}

static void values_that_cannot_be_sent_are_refused(void **state)
{
	_cleanup_free_ char *text = NULL;

	setenv("GITHUB_TOKEN", "a\r\nHost: b", 1);
	refuse("github", "", -EINVAL, "the value of GITHUB_TOKEN is refused: it has a line break");
	setenv("GITHUB_TOKEN", "a\nb", 1);
	refuse("github", "", -EINVAL, "line break");
	setenv("GITHUB_TOKEN", "a\x1b", 1);
	refuse("github", "", -EINVAL, "control character");
	text = malloc(PROVIDER_VALUE_MAX + 2);
	memset(text, 'a', PROVIDER_VALUE_MAX + 1);
	text[PROVIDER_VALUE_MAX + 1] = '\0';
	setenv("GITHUB_TOKEN", text, 1);
	refuse("github", "", -EINVAL, "longer than");
}

static void requests_are_checked(void **state)
{
	static const char *const good[] = {"github", "a=github", "a=generic:B,C", "generic:B",
					   "A-b_c.d=github"};
	static const char *const bad[] = {"",	       "=github", "a=",		 "a b=github",
					  "a=gi thub", "a=:B",	  "/etc=github", "a=../x"};
	struct error err = {};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(provider_request_check(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (provider_request_check(bad[i], &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

static void generic_goes_where_the_policy_says(void **state)
{
	static const char bound[] =
		"{host: MAIL.example, ports: [8443, 443], protocol: rest, path: /v1/**,"
		" access: full, enforcement: enforce, credential_binding: {provider: mail}}";
	_cleanup_provider_set_ struct provider_set *set = NULL;

	refuse("generic", bound, -EINVAL, "needs the variables' names");
	refuse("mail=generic:MAIL_TOKEN", bound, -ENOENT, "needs MAIL_TOKEN");
	setenv("MAIL_TOKEN", "m", 1);
	refuse("other=generic:MAIL_TOKEN", bound, -EINVAL,
	       "add 'credential_binding: {provider: other}'");
	refuse("mail=generic:MAIL-TOKEN", bound, -EINVAL, "cannot name a credential's variable");
	refuse("mail=generic:v1_TOKEN", bound, -EINVAL, "cannot name a credential's variable");
	refuse("mail=generic:OPENSHELL_X", bound, -EINVAL, "cannot name a credential's variable");
	setenv("GITHUB_TOKEN", "g", 1);
	refuse("mail=github:MAIL_TOKEN", bound, -EINVAL, "knows its own variables");

	set = give("mail=generic:MAIL_TOKEN", bound);
	assert_int_equal(set->n_credentials, 1);
	assert_int_equal(set->credentials[0]->n_bindings, 1);
	assert_string_equal(set->credentials[0]->bindings[0]->host, "mail.example");
	assert_string_equal(set->credentials[0]->bindings[0]->path, "/v1/**");
	assert_int_equal(set->credentials[0]->bindings[0]->n_ports, 2);
	assert_int_equal(set->credentials[0]->bindings[0]->ports[0], 443);
}

static void forgotten_providers_are_named(void **state)
{
	_cleanup_policy_compiled_ compiled_policy *compiled =
		compile("{host: a.example, port: 443, protocol: rest, access: full,"
			" enforcement: enforce, credential_binding: {provider: mail}}");
	static const char *const others[] = {"mails=github", "github"}, *const same[] = {"mail:A"};
	const char *rule = NULL;

	assert_string_equal(provider_forgotten(others, 2, compiled, &rule), "mail");
	assert_string_equal(rule, "r");
	assert_null(provider_forgotten(same, 1, compiled, &rule));
}

static void what_is_not_inspected_is_refused(void **state)
{
	_cleanup_provider_set_ struct provider_set *set = NULL;

	setenv("GITHUB_TOKEN", "g", 1);
	refuse("github", "{host: api.github.com, port: 443}", -EACCES,
	       "rule 'r' lets api.github.com:443 through without inspection");
	refuse("github", "{host: \"*.github.com\", port: 443, protocol: tcp}", -EACCES,
	       "without inspection");
	refuse("github",
	       "{host: github.com, port: 443, protocol: rest, access: full, tls: skip,"
	       " enforcement: enforce}",
	       -EACCES, "without inspection");
	/* another port, another host, or accepted */
	set = give("github", "{host: github.com, port: 22}, {host: example.org, port: 443},"
			     " {host: \"*.github.com\", port: 443,"
			     " allow_uninspected_credentials: true},"
			     " {host: github.com, port: 443, protocol: rest, access: full,"
			     " enforcement: enforce}");
	assert_int_equal(set->n_credentials, 1);
}

static void signing_keys_are_marked(void **state)
{
	_cleanup_provider_set_ struct provider_set *set = NULL;

	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	set = give("aws", "");
	assert_int_equal(set->n_credentials, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(set->credentials[i]->signing_only);
}

static void two_providers_may_know_one_variable(void **state)
{
	static const char *const requests[] = {"z=opencode", "a=codex"};
	static const char *const same[] = {"a=opencode", "a=codex"};
	_cleanup_policy_compiled_ compiled_policy *compiled = compile("");
	_cleanup_provider_set_ struct provider_set *set = NULL;
	struct error err = {};

	setenv("OPENAI_API_KEY", "o", 1);
	assert_int_equal(provider_set_new(DIRECTORY, requests, 2, compiled, &set, &err), 0);
	assert_int_equal(set->n_credentials, 2);
	assert_string_equal(set->credentials[0]->provider, "a");
	assert_string_equal(set->credentials[1]->provider, "z");
	assert_int_equal(set->envs, 1);
	provider_set_free(TAKE_PTR(set));
	assert_int_equal(provider_set_new(DIRECTORY, same, 2, compiled, &set, &err), -EINVAL);
	assert_null(set);
}

/* Each file says in a comment what it deserves: "# expect: LINE:COL: TEXT". */
static void check_sample(const char *path)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[512], expected[512] = "";
	struct error err = {};
	_cleanup_diagnostics_ struct diagnostics diag = {};
	int at_line = 0, at_col = 0, offset = 0, r;
	bool found = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "# expect: %d:%d: %n", &at_line, &at_col, &offset) == 2 &&
		    offset) {
			line[strcspn(line, "\n")] = '\0';
			memcpy(expected, line + offset, strlen(line + offset) + 1);
			break;
		}
	r = provider_profile_load(path, &profile, &diag, &err);
	if (!*expected) {
		if (r)
			fail_msg("%s: %s", path, err.message);
		return;
	}
	assert_int_equal(r, -EBADMSG);
	for (size_t i = 0; i < diag.count; i++)
		found |= strstr(diag.items[i].message, expected) &&
			 diag.items[i].at.line == at_line && diag.items[i].at.col == at_col;
	if (!found)
		fail_msg("%s: %d:%d: %s", path, err.line, err.col, err.message);
}

static void samples_deserve_what_they_say(void **state)
{
	static const char *const patterns[] = {"policy/testdata/providers/invalid/*.yaml",
					       "policy/testdata/providers/valid/*.yaml",
					       "policy/providers/*.yaml"};
	static const size_t least[] = {10, 2, 13};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		glob_t found = {};

		assert_int_equal(glob(patterns[i], 0, NULL, &found), 0);
		assert_true(found.gl_pathc >= least[i]);
		for (size_t j = 0; j < found.gl_pathc; j++)
			check_sample(found.gl_pathv[j]);
		globfree(&found);
	}
}

/* The presets and the profiles of the agents that they are for fit together. */
static void presets_take_their_providers(void **state)
{
	static const struct {
		const char *policy, *provider, *variable;
	} pairs[] = {
		{"policy/claude-code.yaml", "claude-code", "ANTHROPIC_API_KEY"},
		{"policy/claude-code.yaml", "github", "GITHUB_TOKEN"},
		{"policy/codex.yaml", "codex", "OPENAI_API_KEY"},
		{"policy/opencode.yaml", "opencode", "OPENCODE_API_KEY"},
		{"policy/opencode.yaml", "claude-code", "ANTHROPIC_API_KEY"},
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_policy_compiled_ compiled_policy *compiled = NULL;
		_cleanup_provider_set_ struct provider_set *set = NULL;
		_cleanup_policy_ struct policy *policy = NULL;
		struct error err = {};

		setenv(pairs[i].variable, "x", 1);
		assert_int_equal(policy_load_file(pairs[i].policy, &policy, NULL, &err), 0);
		assert_int_equal(policy_compile(policy, &compiled, &err), 0);
		if (provider_set_new(DIRECTORY, &pairs[i].provider, 1, compiled, &set, &err))
			fail_msg("%s with %s: %s", pairs[i].policy, pairs[i].provider, err.message);
		unsetenv(pairs[i].variable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_profile_reads_the_environment_in_order, forget_variables),
		cmocka_unit_test_setup(what_is_missing_is_said, forget_variables),
		cmocka_unit_test_setup(values_that_cannot_be_sent_are_refused, forget_variables),
		cmocka_unit_test_setup(requests_are_checked, forget_variables),
		cmocka_unit_test_setup(generic_goes_where_the_policy_says, forget_variables),
		cmocka_unit_test(forgotten_providers_are_named),
		cmocka_unit_test_setup(what_is_not_inspected_is_refused, forget_variables),
		cmocka_unit_test_setup(signing_keys_are_marked, forget_variables),
		cmocka_unit_test_setup(two_providers_may_know_one_variable, forget_variables),
		cmocka_unit_test_setup(samples_deserve_what_they_say, forget_variables),
		cmocka_unit_test_setup(presets_take_their_providers, forget_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
