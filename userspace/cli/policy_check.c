/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy.h"
#include "cli/verb.h"
#include "common/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char usage_text[] = "check FILE.. [-o table|json]";

struct verdict {
	int status;
	bool valid;
	char digest[POLICY_DIGEST_TEXT];
	struct error err; /* why the file could not be read, or not compiled */
};

/* Compiling too: a policy that the kernel's tables cannot hold is not a valid one. */
static void check_file(const char *file, struct diagnostics *diag, struct verdict *ret_verdict)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	_cleanup_policy_ struct policy *policy = NULL;
	struct verdict verdict = {.status = EXIT_FAILED};
	uint8_t digest[POLICY_DIGEST_SIZE];
	int r;

	r = policy_load_file(file, &policy, diag, &verdict.err);
	if (r < 0 && r != -EBADMSG)
		verdict.status = EXIT_USAGE;
	if (!r)
		r = policy_compile(policy, &compiled, &verdict.err);
	if (!r)
		r = policy_digest(compiled, digest, &verdict.err);
	if (!r) {
		verdict.status = EXIT_DONE;
		verdict.valid = true;
		policy_format_digest(digest, verdict.digest);
	} else if (!diag->errors) {
		policy_error(diag, (struct policy_place){verdict.err.line, verdict.err.col},
			     verdict.status == EXIT_USAGE ? "file.read" : "policy.compile", "%s",
			     verdict.err.message);
		diagnostics_sort(diag);
	}
	*ret_verdict = verdict;
}

static void print_table(const char *file, const struct verdict *verdict,
			const struct diagnostics *diag)
{
	if (verdict->status == EXIT_USAGE) {
		fprintf(stderr, "openshell: %s: %s\n", file, verdict->err.message);
		return;
	}
	policy_print_diagnostics(stdout, file, diag);
	if (!verdict->valid)
		printf("%s: not valid: %zu error%s, %zu warning%s\n", file, diag->errors,
		       diag->errors == 1 ? "" : "s", diag->warnings,
		       diag->warnings == 1 ? "" : "s");
	else
		printf("%s: valid, %zu warning%s, %s\n", file, diag->warnings,
		       diag->warnings == 1 ? "" : "s", verdict->digest);
}

static json_t *to_json(const char *file, const struct verdict *verdict,
		       const struct diagnostics *diag)
{
	json_t *errors = json_array(), *warnings = json_array(), *result;

	for (size_t i = 0; i < diag->count; i++) {
		const struct policy_diagnostic *item = &diag->items[i];

		json_array_append_new(item->is_error ? errors : warnings,
				      json_pack("{s:i, s:i, s:s, s:s}", "line", item->at.line,
						"column", item->at.col, "message", item->message,
						"rule", item->rule));
	}
	/* A file's name need not be UTF-8, but JSON is. */
	result = json_pack("{s:s, s:b, s:o, s:o}", "file", "?", "valid", verdict->valid, "errors",
			   errors, "warnings", warnings);
	json_object_set_new(result, "file", json_string(file) ?: json_string("?"));
	json_object_set_new(
		result, "not_shown",
		json_integer((json_int_t)(diag->errors + diag->warnings - diag->count)));
	if (verdict->valid)
		json_object_set_new(result, "digest", json_string(verdict->digest));
	return result;
}

int policy_check_main(int argc, char **argv)
{
	enum policy_output output = POLICY_OUTPUT_TABLE;
	json_t *files = NULL;
	int first, status = EXIT_DONE, r;

	r = policy_parse_options(argc, argv, usage_text, &output, &first);
	if (r)
		return r < 0 ? EXIT_USAGE : EXIT_DONE;
	if (output == POLICY_OUTPUT_JSON)
		files = json_array();
	for (int i = first; i < argc; i++) {
		_cleanup_diagnostics_ struct diagnostics diag = {};
		struct verdict verdict;
		char name[PATH_MAX];

		check_file(argv[i], &diag, &verdict);
		if (verdict.status > status)
			status = verdict.status;
		if (files)
			json_array_append_new(files, to_json(argv[i], &verdict, &diag));
		else
			print_table(policy_printable_name(argv[i], name, sizeof(name)), &verdict,
				    &diag);
	}
	if (files) {
		json_dumpf(files, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(files);
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "openshell: cannot write the result: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}
