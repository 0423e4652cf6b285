/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_file.h"

#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_wire.h"

#include <stdio.h>

int policy_file_load(const struct command_call *call, const char *file,
		     Openshell__Sandbox__V1__SandboxPolicy **ret_policy)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	_cleanup_policy_ struct policy *policy = NULL;
	struct error err = {};
	int r = policy_load_file(file, &policy, &diag, &err);

	for (size_t i = 0; i < diag.count; i++)
		fprintf(stderr, "%s:%d:%d: %s: %s\n", file, diag.items[i].at.line,
			diag.items[i].at.col, diag.items[i].is_error ? "error" : "warning",
			diag.items[i].message);
	if (!r)
		r = policy_to_wire(policy, ret_policy, &err);
	return r ? command_fail(call, "%s: %s", file, err.message) : EXIT_DONE;
}
