/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy.h"
#include "cli/verb.h"
#include "common/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char usage_text[] = "compile FILE [-o table|json]";

/* "PATH_ACCESS_READ_ONLY" without its prefix and in the policy's own spelling. */
static const char *enum_word(const ProtobufCEnumDescriptor *descriptor, int value,
			     const char *prefix, char separator, char buf[32])
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
	size_t i = 0;

	for (const char *c = known ? known->name + strlen(prefix) : "?"; *c && i < 31; c++)
		buf[i++] = *c == '_' ? separator : (char)tolower((unsigned char)*c);
	buf[i] = '\0';
	return buf;
}

static void print_list(const char *what, char *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("  %-12s %s\n", what, items[i]);
}

static void print_files(const Openshell__Compiled__V1__CompiledPolicy *compiled)
{
	char word[32];

	printf("filesystem (%s)\n",
	       compiled->hard_requirement ? "hard_requirement" : "best_effort");
	if (compiled->include_workdir)
		printf("  %-12s the working directory\n", "read_write");
	for (size_t i = 0; i < compiled->n_paths; i++)
		printf("  %-12s %s\n",
		       enum_word(&openshell__compiled__v1__path_access__descriptor,
				 compiled->paths[i]->access, "PATH_ACCESS_", '_', word),
		       compiled->paths[i]->path);
	if (!compiled->exec)
		return;
	printf("exec\n");
	print_list("allow", compiled->exec->allow, compiled->exec->n_allow);
	print_list("deny", compiled->exec->deny, compiled->exec->n_deny);
	if (!compiled->exec->allow_present)
		printf("  %-12s whatever may be read\n", "allow");
	if (!compiled->exec->allow_writable)
		printf("  %-12s everything below a read_write path\n", "deny");
}

static void print_rules(const char *what, Openshell__Compiled__V1__L7Rule *const *rules,
			size_t count)
{
	char word[32];

	for (size_t i = 0; i < count; i++) {
		const Openshell__Compiled__V1__L7Rule *rule = rules[i];

		printf("      %s", what);
		if (rule->method[0])
			printf(" %s", rule->method);
		if (rule->path[0])
			printf(" %s", rule->path);
		if (rule->command[0])
			printf(" %s", rule->command);
		if (rule->operation_type)
			printf(" %s",
			       enum_word(&openshell__compiled__v1__operation_type__descriptor,
					 rule->operation_type, "OPERATION_TYPE_", '_', word));
		if (rule->operation_name[0])
			printf(" %s", rule->operation_name);
		for (size_t j = 0; j < rule->n_query; j++)
			for (size_t k = 0; k < rule->query[j]->n_globs; k++)
				printf("%s%s=%s", k ? "|" : " ?", rule->query[j]->key,
				       rule->query[j]->globs[k]);
		for (size_t j = 0; j < rule->n_fields; j++)
			printf("%s%s", j ? ", " : " fields ", rule->fields[j]);
		for (size_t j = 0; j < rule->n_tools; j++)
			printf("%s%s", j ? ", " : " tool ", rule->tools[j]);
		printf("\n");
	}
}

static void print_endpoint(const Openshell__Compiled__V1__Endpoint *endpoint)
{
	const Openshell__Compiled__V1__L7 *l7 = endpoint->l7;
	char word[32];

	printf("  %s: %s port", endpoint->rule, endpoint->host[0] ? endpoint->host : "by address");
	for (size_t i = 0; i < endpoint->n_ports; i++)
		printf("%s%u", i ? "," : " ", endpoint->ports[i]);
	if (endpoint->path[0])
		printf(" path %s", endpoint->path);
	printf(" %s%s%s, binaries #%u\n",
	       enum_word(&openshell__compiled__v1__protocol__descriptor, endpoint->protocol,
			 "PROTOCOL_", '-', word),
	       !l7		 ? ""
	       : endpoint->audit ? " audit"
				 : " enforce",
	       endpoint->tls ? " tls skip" : "", endpoint->binary_set);
	for (size_t i = 0; i < endpoint->n_allowed_ips; i++)
		printf("      address %s\n", endpoint->allowed_ips[i]);
	if (!l7)
		return;
	if (l7->access)
		printf("      access %s\n", enum_word(&openshell__compiled__v1__access__descriptor,
						      l7->access, "ACCESS_", '-', word));
	if (l7->all_known_mcp_methods)
		printf("      allow every known MCP method\n");
	print_rules("allow", l7->allow, l7->n_allow);
	print_rules("deny", l7->deny, l7->n_deny);
}

static void print_network(const Openshell__Compiled__V1__CompiledPolicy *compiled)
{
	if (!compiled->n_endpoints)
		printf("network\n  nothing is admitted\n");
	else
		printf("network\n");
	for (size_t i = 0; i < compiled->n_endpoints; i++)
		print_endpoint(compiled->endpoints[i]);
	if (compiled->n_binary_sets)
		printf("binaries\n");
	for (size_t i = 0; i < compiled->n_binary_sets; i++) {
		const Openshell__Compiled__V1__BinarySet *set = compiled->binary_sets[i];

		printf("  #%zu%s", i, set->any ? " every executable" : "");
		if (!set->any && !set->n_exact && !set->n_globs)
			printf(" nobody");
		for (size_t j = 0; j < set->n_exact; j++)
			printf(" %s", set->exact[j]);
		for (size_t j = 0; j < set->n_globs; j++)
			printf(" %s", set->globs[j]);
		printf("\n");
	}
	for (size_t i = 0; i < compiled->n_middlewares; i++) {
		const Openshell__Compiled__V1__Middleware *middleware = compiled->middlewares[i];

		printf("%s  %d %s: %s%s\n", i ? "" : "middleware\n", middleware->order,
		       middleware->key, middleware->middleware,
		       middleware->fail_open ? " (fails open)" : "");
	}
}

static void print_table(const char *file, const Openshell__Compiled__V1__CompiledPolicy *compiled,
			const char *digest)
{
	printf("%s  %s\n", digest, file);
	if (compiled->run_as_user[0] || compiled->run_as_group[0])
		printf("process\n  run as user '%s', group '%s'\n", compiled->run_as_user,
		       compiled->run_as_group);
	print_files(compiled);
	print_network(compiled);
}

static void print_json(const char *file, const Openshell__Compiled__V1__CompiledPolicy *compiled,
		       const char *digest)
{
	json_t *result = json_object();

	json_object_set_new(result, "file", json_string(file) ?: json_string("?"));
	json_object_set_new(result, "digest", json_string(digest));
	json_object_set_new(result, "policy", policy_message_to_json(&compiled->base));
	json_dumpf(result, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(result);
}

static int compile_file(const char *file, enum policy_output output)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_diagnostics_ struct diagnostics diag = {};
	_cleanup_policy_ struct policy *policy = NULL;
	char text[POLICY_DIGEST_TEXT], name[PATH_MAX];
	uint8_t digest[POLICY_DIGEST_SIZE];
	struct error err = {};
	int r;

	r = policy_load_file(file, &policy, &diag, &err);
	policy_printable_name(file, name, sizeof(name));
	policy_print_diagnostics(stderr, name, &diag);
	if (!r)
		r = policy_compile(policy, &compiled, &err);
	if (!r)
		r = policy_digest(compiled, digest, &err);
	if (r < 0) {
		if (!diag.errors)
			fprintf(stderr, "openshell: %s: %s\n", name, err.message);
		return r == -EBADMSG || policy ? EXIT_FAILED : EXIT_USAGE;
	}
	policy_format_digest(digest, text);
	if (output == POLICY_OUTPUT_JSON)
		print_json(file, compiled, text);
	else
		print_table(name, compiled, text);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "openshell: cannot write the result: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

int policy_compile_main(int argc, char **argv)
{
	enum policy_output output = POLICY_OUTPUT_TABLE;
	int first, r;

	r = policy_parse_options(argc, argv, usage_text, &output, &first);
	if (r)
		return r < 0 ? EXIT_USAGE : EXIT_DONE;
	if (first + 1 != argc) {
		fprintf(stderr, "openshell policy compile: one file at a time\n");
		return EXIT_USAGE;
	}
	return compile_file(argv[first], output);
}
