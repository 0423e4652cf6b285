/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_yaml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static int load(const char *text, struct policy **ret_policy, struct diagnostics *diag,
		struct error *err)
{
	return policy_load_buffer("test.yaml", text, strlen(text), ret_policy, diag, err);
}

/* A refusal's first error, and that nothing was handed out. */
static void refused(const void *data, size_t size, int line, const char *message)
{
	struct policy *policy = (void *)-1;
	struct error err = {};

	assert_int_equal(policy_load_buffer("x.yaml", data, size, &policy, NULL, &err), -EBADMSG);
	assert_ptr_equal(policy, (void *)-1);
	assert_int_equal(err.code, -EBADMSG);
	assert_string_equal(err.file, "x.yaml");
	assert_int_equal(err.line, line);
	if (!strstr(err.message, message))
		fail_msg("'%s' lacks '%s'", err.message, message);
}

static void model_holds_what_the_file_says(void **state)
{
	_cleanup_policy_ struct policy *policy = NULL;
	const struct policy_rule *rule;
	const struct policy_endpoint *endpoint;
	struct error err = {};

	assert_int_equal(load("version: 1\n"
			      "filesystem_policy: {read_only: [/usr], read_write: [/tmp, /x]}\n"
			      "network_policies:\n"
			      "  web:\n"
			      "    endpoints:\n"
			      "      - {host: A.example.org, ports: [443, 80], protocol: rest,\n"
			      "         enforcement: enforce, access: read-only}\n"
			      "    binaries: [{path: /usr/bin/curl}]\n",
			      &policy, NULL, &err),
			 0);
	assert_int_equal(policy->version.value, 1);
	assert_false(policy->filesystem.include_workdir.value);
	assert_int_equal(policy->filesystem.read_write.count, 2);
	assert_string_equal(policy->filesystem.read_write.items[1].value, "/x");
	assert_int_equal(policy->filesystem.read_write.items[1].at.line, 2);
	assert_int_equal(policy->filesystem.read_write.items[1].at.col, 59);
	assert_int_equal(policy->rules.count, 1);
	rule = policy->rules.items;
	assert_string_equal(rule->head.key, "web");
	endpoint = rule->endpoints.items;
	assert_int_equal(endpoint->head.at.line, 6);
	assert_int_equal(endpoint->protocol.value, POLICY_PROTOCOL_REST);
	assert_int_equal(endpoint->access.value, POLICY_ACCESS_READ_ONLY);
	assert_int_equal(endpoint->ports.items[0].value, 443);
	assert_false(policy_given(endpoint->tls));
}

static void files_that_are_no_policy(void **state)
{
	static const uint8_t utf16[] = {0xff, 0xfe, 'v', 0, 'e', 0};
	static const uint8_t elf[] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
	static const uint8_t overlong[] = {'a', ':', ' ', 0xc0, 0xaf};
	static const uint8_t surrogate[] = {'a', '\n', 0xed, 0xa0, 0x80};
	static const uint8_t cut[] = {'a', ':', ' ', 0xe2, 0x82};

	refused("", 0, 1, "the file is empty");
	refused(" \n\t\n", 4, 1, "the file is empty");
	refused("# nothing\n", 10, 1, "no content");
	refused("---\n...\n", 8, 1, "no content");
	refused(utf16, sizeof(utf16), 1, "not UTF-8 text: byte 0xff");
	refused(elf, sizeof(elf), 1, "control character 0x7f");
	refused(overlong, sizeof(overlong), 1, "not UTF-8 text");
	refused(surrogate, sizeof(surrogate), 2, "not UTF-8 text");
	refused(cut, sizeof(cut), 1, "not UTF-8 text");
	refused("a\0b", 3, 1, "control character 0x00");
}

static char *repeat(const char *head, const char *text, size_t count, size_t *ret_size)
{
	size_t len = strlen(text), used = strlen(head);
	char *data = malloc(used + len * count + 1);

	assert_non_null(data);
	memcpy(data, head, used);
	for (size_t i = 0; i < count; i++, used += len)
		memcpy(data + used, text, len);
	data[used] = '\0';
	*ret_size = used;
	return data;
}

static void sizes_are_bounded(void **state)
{
	_cleanup_free_ char *large = NULL, *deep = NULL, *deep_block = NULL, *many = NULL;
	size_t size;

	large = repeat("version: 1\n", "#", POLICY_SIZE_MAX, &size);
	refused(large, size, 1, "larger than 4 MiB");
	deep = repeat("version: ", "[", 1000000, &size);
	refused(deep, size, 1, "nested deeper than 32 levels");
	deep_block = repeat("a:\n", "- ", 1000000, &size);
	refused(deep_block, size, 2, "nested deeper than 32 levels");
	many = repeat("a: [", "1,", 300000, &size);
	refused(many, size, 1, "too large for a policy");
}

static void findings_are_bounded(void **state)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	_cleanup_free_ char *text = NULL;
	struct policy *policy;
	struct error err = {};
	size_t size;

	text = repeat("version: 1\nfilesystem_policy:\n  read_only:\n", "    - relative\n", 200,
		      &size);
	assert_int_equal(policy_load_buffer("x", text, size, &policy, &diag, &err), -EBADMSG);
	assert_int_equal(diag.errors, 200);
	assert_int_equal(diag.warnings, 199); /* each but the first is a repetition, too */
	assert_int_equal(diag.count, POLICY_ERRORS_MAX + POLICY_WARNINGS_MAX);
	assert_int_equal(diag.items[0].at.line, 4);
	assert_true(diag.items[0].is_error);
}

static void findings_come_in_the_order_of_the_file(void **state)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	struct policy *policy;
	struct error err = {};

	assert_int_equal(load("network_policies: {a: {binary: []}}\n"
			      "filesystem_policy: {read_only: [x]}\n"
			      "versoin: 1\n",
			      &policy, &diag, &err),
			 -EBADMSG);
	for (size_t i = 1; i < diag.count; i++)
		assert_true(diag.items[i - 1].at.line <= diag.items[i].at.line);
	assert_int_equal(err.line, 1);
}

static void long_values_do_not_break_messages(void **state)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	_cleanup_free_ char *text = NULL;
	struct policy *policy;
	size_t size;

	text = repeat("version: 1\nlandlock: {compatibility: ", "\xc3\xbc", 2000, &size);
	text[size - 1] = '}'; /* cuts the last character in half */
	text[size - 2] = 'u';
	assert_int_equal(policy_load_buffer("x", text, size, &policy, &diag, NULL), -EBADMSG);
	assert_true(strlen(diag.items[0].message) < POLICY_MESSAGE_MAX);
	/* still UTF-8: no lead byte without its second */
	for (const char *c = diag.items[0].message; *c; c++)
		if ((*c & 0xe0) == 0xc0)
			assert_int_equal(c[1] & 0xc0, 0x80);
}

static void files_that_cannot_be_read(void **state)
{
	static const char directory[] = "/tmp", missing[] = "/nonexistent/policy.yaml";
	char fifo[] = "/tmp/policy-fifo-XXXXXX";
	struct policy *policy;
	struct error err = {};

	assert_int_equal(policy_load_file(missing, &policy, NULL, &err), -ENOENT);
	assert_string_equal(err.file, missing);
	assert_int_equal(policy_load_file(directory, &policy, NULL, &err), -EISDIR);
	assert_int_equal(policy_load_file("/dev/zero", &policy, NULL, &err), -EINVAL);
	assert_non_null(mkdtemp(fifo));
	rmdir(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(policy_load_file(fifo, &policy, NULL, &err), -EINVAL);
	unlink(fifo);
}

static void default_policy(void **state)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	struct error err = {};

	assert_int_equal(policy_default(&policy, &err), 0);
	assert_int_equal(policy_compile(policy, &compiled, &err), 0);
	assert_true(compiled->include_workdir);
	assert_int_equal(compiled->n_paths, 0);
	assert_int_equal(compiled->n_endpoints, 0);
	assert_null(compiled->exec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_holds_what_the_file_says),
		cmocka_unit_test(files_that_are_no_policy),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(findings_are_bounded),
		cmocka_unit_test(findings_come_in_the_order_of_the_file),
		cmocka_unit_test(long_values_do_not_break_messages),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(default_policy),
	};

	policy_free(NULL);
	policy_compiled_free(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
