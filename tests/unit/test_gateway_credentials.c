/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/rpc.h"
#include "gateway/config.h"
#include "gateway/credentials.h"
#include "gateway/policy_revision.h"
#include "gateway/provider_change.h"
#include "gateway/store.h"
#include "inference.pb-c.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PROVIDER   Openshell__Datamodel__V1__Provider
#define CREDENTIAL Openshell__Datamodel__V1__Provider__CredentialsEntry
#define EXPIRY	   Openshell__Datamodel__V1__Provider__CredentialExpiresAtMsEntry
#define ID	   "00000000-0000-4000-8000-000000000001"

static char directory[64], path[96], key[96];
static const struct config config = {.profiles = "policy/providers"};
static struct gateway gateway;

static int set_up(void **state)
{
	struct store_options options = {path, key};

	snprintf(directory, sizeof(directory), "/tmp/test-credentials-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/db", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	gateway = (struct gateway){.config = &config};
	return store_open(&options, &gateway.store, NULL);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"db", "db-wal", "db-shm", "key"};
	char file[128];

	store_close(gateway.store);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, names[i]);
		unlink(file);
	}
	return rmdir(directory);
}

static void insert(enum store_kind kind, const char *id, const char *name,
		   const ProtobufCMessage *message)
{
	uint8_t packed[4096];
	char made[37];
	struct store_object object = {
		.kind = kind,
		.workspace = (char *)"default",
		.name = (char *)name,
		.payload = packed,
		.payload_size = protobuf_c_message_pack(message, packed),
	};
	struct error err = {};

	store_make_id(made);
	object.id = id ? (char *)id : made;
	if (store_insert(gateway.store, &object, &err))
		fail_msg("%s", err.message);
}

/* With one credential; @expires 0 = never. */
static void add_provider(const char *name, const char *type, const char *variable,
			 const char *value, int64_t expires)
{
	PROVIDER provider = OPENSHELL__DATAMODEL__V1__PROVIDER__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	CREDENTIAL credential = OPENSHELL__DATAMODEL__V1__PROVIDER__CREDENTIALS_ENTRY__INIT,
		   *credentials = &credential;
	EXPIRY expiry = OPENSHELL__DATAMODEL__V1__PROVIDER__CREDENTIAL_EXPIRES_AT_MS_ENTRY__INIT,
	       *expiries = &expiry;

	meta.name = (char *)name;
	provider.metadata = &meta;
	provider.type = (char *)type;
	credential.key = expiry.key = (char *)variable;
	credential.value = (char *)value;
	expiry.value = expires;
	provider.credentials = &credentials;
	provider.n_credentials = 1;
	provider.credential_expires_at_ms = &expiries;
	provider.n_credential_expires_at_ms = expires ? 1 : 0;
	insert(STORE_PROVIDER, NULL, name, &provider.base);
}

static void add_sandbox(char **providers, size_t count)
{
	Openshell__Stored__V1__Sandbox stored = OPENSHELL__STORED__V1__SANDBOX__INIT;
	Openshell__V1__Sandbox sandbox = OPENSHELL__V1__SANDBOX__INIT;
	Openshell__V1__SandboxSpec spec = OPENSHELL__V1__SANDBOX_SPEC__INIT;
	Openshell__V1__SandboxStatus status = OPENSHELL__V1__SANDBOX_STATUS__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	struct sandbox_record record = {.object.id = (char *)ID, .stored = &stored};
	struct error err = {};

	spec.providers = providers;
	spec.n_providers = count;
	sandbox.metadata = &meta;
	sandbox.spec = &spec;
	sandbox.status = &status;
	stored.sandbox = &sandbox;
	if (policy_revision_first(&gateway, &record, NULL, &err))
		fail_msg("%s", err.message);
	insert(STORE_SANDBOX, ID, "box", &stored.base);
}

static void add_route(const char *name, const char *provider, const char *model)
{
	Openshell__Inference__V1__InferenceRoute route =
		OPENSHELL__INFERENCE__V1__INFERENCE_ROUTE__INIT;
	Openshell__Inference__V1__InferenceRouteConfig wish =
		OPENSHELL__INFERENCE__V1__INFERENCE_ROUTE_CONFIG__INIT;

	wish.provider_name = (char *)provider;
	wish.model_id = (char *)model;
	route.config = &wish;
	insert(STORE_INFERENCE_ROUTE, NULL, name, &route.base);
}

static struct sandbox_record get_sandbox(void)
{
	struct sandbox_record record;

	assert_int_equal(sandbox_record_get_id(&gateway, ID, &record, NULL), 0);
	return record;
}

static void credentials_free(Openshell__Node__V1__Credentials *credentials)
{
	rpc_scrub(&credentials->base);
	openshell__node__v1__credentials__free_unpacked(credentials, NULL);
}

static void takes_what_is_attached(void **state)
{
	char *names[] = {"work", "gh"};
	Openshell__Node__V1__Credentials *got;
	struct sandbox_record record;
	struct error err = {};

	add_provider("gh", "github", "GH_TOKEN", "first", 0);
	add_provider("work", "github", "GITHUB_TOKEN", "second", 0);
	add_provider("other", "gitlab", "GITLAB_TOKEN", "third", 0);
	add_sandbox(names, 2);
	record = get_sandbox();
	if (credentials_for_sandbox(&gateway, &record, &got, &err))
		fail_msg("%s", err.message);
	assert_string_equal(got->sandbox_id, ID);
	assert_int_equal(got->revision, 1);
	/* By their names; the variable is the profile's, wherever the value was. */
	assert_int_equal(got->n_credentials, 2);
	assert_string_equal(got->credentials[0]->provider, "gh");
	assert_string_equal(got->credentials[0]->key, "GITHUB_TOKEN");
	assert_string_equal(got->credentials[0]->value, "first");
	assert_string_equal(got->credentials[1]->provider, "work");
	assert_string_equal(got->credentials[1]->value, "second");
	assert_true(got->credentials[0]->n_bindings > 0);
	/* Two know the same variable: the agent has it once. */
	assert_int_equal(got->n_environment, 1);
	assert_string_equal(got->environment[0]->key, "GITHUB_TOKEN");
	assert_string_equal(got->environment[0]->value, "openshell:resolve:env:GITHUB_TOKEN");
	credentials_free(got);
	sandbox_record_clear(&record);
}

static void is_the_gateways_alone(void **state)
{
	char *names[] = {"gh"};
	Openshell__Node__V1__Credentials *got = NULL;
	struct sandbox_record record;
	struct error err = {};

	/* The gateway's own environment is nobody's credential. */
	setenv("GITHUB_TOKEN", "the gateway's", 1);
	setenv("SUDO_UID", "1000", 1);
	add_provider("gh", "github", "UNRELATED", "x", 0);
	add_sandbox(names, 1);
	record = get_sandbox();
	assert_int_equal(credentials_for_sandbox(&gateway, &record, &got, &err), -ENOENT);
	assert_null(got);
	assert_non_null(
		strstr(err.message, "needs GITHUB_TOKEN or GH_TOKEN among its credentials"));
	assert_null(strstr(err.message, "sudo"));
	unsetenv("GITHUB_TOKEN");
	unsetenv("SUDO_UID");
	sandbox_record_clear(&record);
}

static void leaves_out_what_has_expired(void **state)
{
	int64_t now = (int64_t)time(NULL) * 1000;
	char *names[] = {"old", "new"};
	Openshell__Node__V1__Credentials *got = NULL;
	struct sandbox_record record;
	struct error err = {};

	add_provider("new", "github", "GITHUB_TOKEN", "x", now + 3600000);
	add_provider("old", "github", "GITHUB_TOKEN", "x", now - 1000);
	add_sandbox(names, 2);
	record = get_sandbox();
	assert_int_equal(credentials_try(&gateway, &record, "new", &err), 0);
	assert_int_equal(credentials_try(&gateway, &record, "old", &err), -ENOENT);
	assert_non_null(strstr(err.message, "have not expired"));
	/* One that is incomplete yields nothing of the others. */
	assert_int_equal(credentials_for_sandbox(&gateway, &record, &got, &err), -ENOENT);
	assert_null(got);
	sandbox_record_clear(&record);
}

static void wants_them_to_exist(void **state)
{
	char *names[] = {"gh", "nobody"};
	struct error err = {};

	add_provider("gh", "github", "GITHUB_TOKEN", "x", 0);
	assert_int_equal(credentials_check(&gateway, "default", names, 1, &err), 0);
	assert_int_equal(credentials_check(&gateway, "default", names, 2, &err), -ENOENT);
	assert_non_null(strstr(err.message, "'nobody'"));
	assert_int_equal(credentials_check(&gateway, "team", names, 1, &err), -ENOENT);
}

static void touches_who_has_it(void **state)
{
	char *names[] = {"gh"};
	struct sandbox_record record;
	struct error err = {};

	add_provider("gh", "github", "GITHUB_TOKEN", "x", 0);
	add_provider("ai", "openai", "OPENAI_API_KEY", "sk", 0);
	add_provider("none", "openai", "OTHER", "x", 0);
	add_sandbox(names, 1);
	assert_int_equal(provider_is_attached(&gateway, "default", "gh", &err), -EBUSY);
	assert_non_null(strstr(err.message, "'box'"));
	assert_int_equal(provider_is_attached(&gateway, "default", "ai", &err), 0);
	assert_int_equal(provider_touch(&gateway, "default", "gh", &err), 0);
	record = get_sandbox();
	assert_int_equal(record.stored->credentials_revision, 1);
	sandbox_record_clear(&record);
	assert_int_equal(provider_touch(&gateway, "default", "ai", &err), 0);
	record = get_sandbox();
	assert_int_equal(record.stored->credentials_revision, 1);
	sandbox_record_clear(&record);
	add_route("inference.local", "none", "gpt-4o");
	assert_int_equal(provider_touch(&gateway, "default", "none", &err), -EBUSY);
	assert_non_null(strstr(err.message, "inference.local"));
}

static void has_routes(void **state)
{
	Openshell__Node__V1__Inference *got;
	struct sandbox_record record;
	struct error err = {};

	add_sandbox(NULL, 0);
	record = get_sandbox();
	assert_int_equal(inference_for_sandbox(&gateway, &record, &got, &err), 0);
	assert_null(got->inference);
	openshell__node__v1__inference__free_unpacked(got, NULL);

	add_provider("ai", "openai", "OPENAI_API_KEY", "sk-a-longer-key-0123456789", 0);
	add_route("another", "ai", "small");
	add_route("inference.local", "ai", "gpt-4o");
	add_route("sandbox-system", "ai", "system");
	if (inference_for_sandbox(&gateway, &record, &got, &err))
		fail_msg("%s", err.message);
	assert_int_equal(got->inference->n_routes, 2);
	assert_string_equal(got->inference->routes[0]->name, "default");
	assert_string_equal(got->inference->routes[0]->model, "gpt-4o");
	assert_string_equal(got->inference->routes[0]->provider, "ai");
	assert_int_equal(got->inference->routes[0]->n_secrets, 1);
	assert_string_equal(got->inference->routes[0]->secrets[0], "sk-a-longer-key-0123456789");
	assert_string_equal(got->inference->routes[1]->name, "another");
	/* Nothing of it is left in what is logged. */
	rpc_scrub(&got->base);
	assert_string_equal(got->inference->routes[0]->secrets[0], "");
	for (size_t i = 0; i < got->inference->routes[0]->n_headers; i++)
		assert_string_equal(got->inference->routes[0]->headers[i]->value, "");
	openshell__node__v1__inference__free_unpacked(got, NULL);
	assert_int_equal(inference_uses(&gateway, "default", "ai", &err), -EBUSY);
	assert_int_equal(inference_uses(&gateway, "default", "gh", &err), 0);
	assert_int_equal(inference_try(&gateway, "default", "ai", &err), 0);
	sandbox_record_clear(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_what_is_attached, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_the_gateways_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_out_what_has_expired, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wants_them_to_exist, set_up, tear_down),
		cmocka_unit_test_setup_teardown(touches_who_has_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(has_routes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
