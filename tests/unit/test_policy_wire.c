/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_wire.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void digest_of(const struct policy *policy, uint8_t digest[POLICY_DIGEST_SIZE])
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	struct error err = {};

	if (policy_compile(policy, &compiled, &err) || policy_digest(compiled, digest, &err))
		fail_msg("%s", err.message);
}

/* A file, its message, and the file that the message becomes mean the same. */
static void try_file(const char *path)
{
	_cleanup_policy_ struct policy *policy = NULL, *back = NULL, *again = NULL;
	Openshell__Sandbox__V1__SandboxPolicy *message = NULL, *received;
	uint8_t want[POLICY_DIGEST_SIZE], got[POLICY_DIGEST_SIZE];
	_cleanup_free_ uint8_t *packed = NULL;
	_cleanup_free_ char *yaml = NULL;
	struct error err = {};
	size_t size;

	if (policy_load_file(path, &policy, NULL, &err))
		fail_msg("%s: %s", path, err.message);
	digest_of(policy, want);
	if (policy_to_wire(policy, &message, &err))
		fail_msg("%s: %s", path, err.message);
	size = protobuf_c_message_get_packed_size(&message->base);
	packed = malloc(size + 1);
	protobuf_c_message_pack(&message->base, packed);
	received = openshell__sandbox__v1__sandbox_policy__unpack(NULL, size, packed);
	assert_non_null(received);
	if (policy_from_wire(received, &back, &err))
		fail_msg("%s: %s", path, err.message);
	digest_of(back, got);
	if (memcmp(want, got, sizeof(want)) != 0)
		fail_msg("%s means something else as a message", path);
	if (policy_wire_to_yaml(received, &yaml, &err))
		fail_msg("%s: %s", path, err.message);
	if (policy_load_buffer("again", yaml, strlen(yaml), &again, NULL, &err))
		fail_msg("%s: %s\n%s", path, err.message, yaml);
	digest_of(again, got);
	if (memcmp(want, got, sizeof(want)) != 0)
		fail_msg("%s means something else as YAML:\n%s", path, yaml);
	openshell__sandbox__v1__sandbox_policy__free_unpacked(message, NULL);
	openshell__sandbox__v1__sandbox_policy__free_unpacked(received, NULL);
}

static int try_directory(const char *directory)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char path[512];
		size_t n = strlen(entry->d_name);

		if (n < 6 || strcmp(entry->d_name + n - 5, ".yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		try_file(path);
		count++;
	}
	return count;
}

static void loses_nothing(void **state)
{
	assert_true(try_directory("policy/testdata/valid") > 40);
	assert_true(try_directory("policy") > 3);
}

static void refuses_what_a_file_may_not_say(void **state)
{
	Openshell__Sandbox__V1__SandboxPolicy message =
		OPENSHELL__SANDBOX__V1__SANDBOX_POLICY__INIT;
	Openshell__Sandbox__V1__FilesystemPolicy fs =
		OPENSHELL__SANDBOX__V1__FILESYSTEM_POLICY__INIT;
	Openshell__Sandbox__V1__NetworkPolicyRule rule =
		OPENSHELL__SANDBOX__V1__NETWORK_POLICY_RULE__INIT;
	Openshell__Sandbox__V1__SandboxPolicy__NetworkPoliciesEntry entry =
		OPENSHELL__SANDBOX__V1__SANDBOX_POLICY__NETWORK_POLICIES_ENTRY__INIT;
	Openshell__Sandbox__V1__SandboxPolicy__NetworkPoliciesEntry *entries[] = {&entry, &entry};
	Openshell__Sandbox__V1__NetworkEndpoint endpoint =
		OPENSHELL__SANDBOX__V1__NETWORK_ENDPOINT__INIT;
	Openshell__Sandbox__V1__NetworkEndpoint *endpoints[] = {&endpoint};
	char *relative[] = {(char *)"etc"}, *broken[] = {(char *)"/\xff"};
	struct policy *policy = NULL;
	struct error err = {};

	message.filesystem = &fs;
	fs.read_only = relative;
	fs.n_read_only = 1;
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "etc"));
	fs.read_only = broken;
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EINVAL);
	fs.n_read_only = 0;
	assert_int_equal(policy_from_wire(&message, &policy, &err), 0);
	policy_free(policy);
	message.version = 2;
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EBADMSG);
	message.version = 0;
	entry.key = (char *)"web";
	entry.value = &rule;
	rule.endpoints = endpoints;
	rule.n_endpoints = 1;
	endpoint.host = (char *)"example.com";
	endpoint.port = 443;
	message.network_policies = entries;
	message.n_network_policies = 1;
	assert_int_equal(policy_from_wire(&message, &policy, &err), 0);
	policy_free(policy);
	endpoint.provider_credentialed = true;
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EBADMSG);
	endpoint.provider_credentialed = false;
	endpoint.protocol = (char *)"telnet";
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EBADMSG);
	endpoint.protocol = (char *)"";
	message.n_network_policies = 2;
	assert_int_equal(policy_from_wire(&message, &policy, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loses_nothing),
		cmocka_unit_test(refuses_what_a_file_may_not_say),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("policy_wire", tests, NULL, NULL);
}
