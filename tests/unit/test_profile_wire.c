/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider_profile_wire.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PROFILE	   Openshell__V1__ProviderProfile
#define CREDENTIAL Openshell__V1__ProviderProfileCredential
#define ENDPOINT   Openshell__Sandbox__V1__NetworkEndpoint

static void check_file(const char *file)
{
	struct provider_profile *profile, *back;
	struct error err = {};
	PROFILE *message;

	if (provider_profile_load(file, &profile, NULL, &err))
		fail_msg("%s: %s", file, err.message);
	assert_int_equal(profile_to_wire(profile, "builtin", &message), 0);
	assert_string_equal(message->id, profile->type.value);
	assert_string_equal(message->source, "builtin");
	assert_string_equal(message->scope, "global");
	assert_int_equal(message->n_credentials, profile->credentials.count);
	assert_int_equal(message->n_endpoints, profile->bindings.count);
	/* What names no variables of its own is for `openshell run` alone, and no profile to
	 * import. */
	if (message->n_credentials) {
		if (profile_from_wire(message, &back, NULL, &err))
			fail_msg("%s: %s", file, err.message);
		assert_string_equal(back->type.value, profile->type.value);
		assert_int_equal(back->credentials.count, profile->credentials.count);
		assert_int_equal(back->bindings.count, profile->bindings.count);
		provider_profile_free(back);
	}
	openshell__v1__provider_profile__free_unpacked(message, NULL);
	provider_profile_free(profile);
}

static void takes_every_shipped_one(void **state)
{
	DIR *dir = opendir("policy/providers");
	struct dirent *entry;
	char file[512];
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".yaml"))
			continue;
		snprintf(file, sizeof(file), "policy/providers/%s", entry->d_name);
		check_file(file);
		count++;
	}
	closedir(dir);
	assert_true(count > 5);
}

/* A profile of one credential and one place, to be changed. */
struct one {
	PROFILE profile;
	CREDENTIAL credential, *credentials;
	ENDPOINT endpoint, *endpoints;
	char *variables[2];
	uint32_t ports[2];
};

static void make(struct one *one)
{
	*one = (struct one){
		.profile = OPENSHELL__V1__PROVIDER_PROFILE__INIT,
		.credential = OPENSHELL__V1__PROVIDER_PROFILE_CREDENTIAL__INIT,
		.endpoint = OPENSHELL__SANDBOX__V1__NETWORK_ENDPOINT__INIT,
		.variables = {"SVC_TOKEN", "SVC_KEY"},
		.ports = {443, 8443},
	};
	one->credentials = &one->credential;
	one->endpoints = &one->endpoint;
	one->profile.id = "svc";
	one->profile.display_name = "A \"service\": with #odd, [text]";
	one->profile.credentials = &one->credentials;
	one->profile.n_credentials = 1;
	one->profile.endpoints = &one->endpoints;
	one->profile.n_endpoints = 1;
	one->credential.name = "token";
	one->credential.env_vars = one->variables;
	one->credential.n_env_vars = 2;
	one->credential.required = true;
	one->endpoint.host = "*.example.com";
	one->endpoint.path = "/v1/**";
	one->endpoint.ports = one->ports;
	one->endpoint.n_ports = 2;
}

static void keeps_what_is_said(void **state)
{
	const struct profile_credential *credential;
	const struct profile_binding *binding;
	struct provider_profile *profile;
	struct error err = {};
	struct one one;

	make(&one);
	if (profile_from_wire(&one.profile, &profile, NULL, &err))
		fail_msg("%s", err.message);
	credential = profile->credentials.items;
	binding = profile->bindings.items;
	assert_string_equal(profile->type.value, "svc");
	assert_string_equal(credential->key.value, "SVC_TOKEN");
	assert_int_equal(credential->env.count, 2);
	assert_true(credential->required.value);
	assert_string_equal(binding->host.value, "*.example.com");
	assert_string_equal(binding->path.value, "/v1/**");
	assert_int_equal(binding->ports.count, 2);
	provider_profile_free(profile);
	/* Without variables the name is one. */
	one.credential.n_env_vars = 0;
	one.credential.name = "NAME";
	assert_int_equal(profile_from_wire(&one.profile, &profile, NULL, &err), 0);
	credential = profile->credentials.items;
	assert_string_equal(credential->key.value, "NAME");
	provider_profile_free(profile);
}

static void refuse(const struct one *one, size_t errors, const char *words)
{
	struct provider_profile *profile = NULL;
	_cleanup_diagnostics_ struct diagnostics diag = {};
	struct error err = {};
	bool found = false;

	assert_int_equal(profile_from_wire(&one->profile, &profile, &diag, &err), -EBADMSG);
	assert_null(profile);
	assert_true(diag.errors >= errors);
	for (size_t i = 0; i < diag.count; i++)
		found = found || strstr(diag.items[i].message, words);
	if (!found)
		fail_msg("'%s' is not among them: %s", words, err.message);
	/* Without anybody to tell all of it, it is refused as well. */
	assert_int_equal(profile_from_wire(&one->profile, &profile, NULL, &err), -EBADMSG);
	assert_null(profile);
}

static void refuses_what_is_not_done(void **state)
{
	Openshell__V1__ProviderCredentialRefresh refresh =
		OPENSHELL__V1__PROVIDER_CREDENTIAL_REFRESH__INIT;
	struct provider_profile *profile;
	struct error err = {};
	struct one one;

	make(&one);
	one.credential.path_template = "/bot{token}";
	refuse(&one, 1, "path_template");
	one.endpoint.host = "not a host";
	refuse(&one, 2, "path_template");
	refuse(&one, 2, "not a host");
	make(&one);
	one.profile.id = "Not An Id";
	refuse(&one, 1, "Not An Id");
	make(&one);
	one.variables[0] = "not a variable";
	refuse(&one, 1, "not a variable");
	make(&one);
	one.ports[1] = 70000;
	refuse(&one, 1, "70000");
	make(&one);
	one.credential.refresh = &refresh;
	assert_int_equal(profile_from_wire(&one.profile, &profile, NULL, &err), 0);
	provider_profile_free(profile);
	refresh.strategy =
		OPENSHELL__V1__PROVIDER_CREDENTIAL_REFRESH_STRATEGY__PROVIDER_CREDENTIAL_REFRESH_STRATEGY_OAUTH2_REFRESH_TOKEN;
	refuse(&one, 1, "refresh");
	/* A strategy that nobody has named yet. */
	refresh.strategy = (Openshell__V1__ProviderCredentialRefreshStrategy)77;
	refuse(&one, 1, "refresh");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_shipped_one),
		cmocka_unit_test(keeps_what_is_said),
		cmocka_unit_test(refuses_what_is_not_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
