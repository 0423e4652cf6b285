/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_check.h"
#include "common/policy_fields.h"
#include "common/policy_glob.h"

#include <errno.h>
#include <string.h>

bool policy_is_inspected(const struct policy_endpoint *endpoint)
{
	return endpoint->protocol.value > POLICY_PROTOCOL_TCP;
}

const char *policy_protocol_name(const struct policy_endpoint *endpoint)
{
	return endpoint->protocol.value ? policy_words_protocol[endpoint->protocol.value - 1]
					: "an endpoint without protocol";
}

bool policy_check_glob(const struct policy_string *glob, const char *name, struct diagnostics *diag)
{
	const char *why = policy_glob_check(glob->value);

	if (why)
		policy_error(diag, glob->at, "glob", "'%s' is not a glob: %s", name, why);
	return !why;
}

static void check_version(const struct policy *policy, struct diagnostics *diag)
{
	if (!policy_given(policy->version))
		policy_error(diag, policy->head.at, "version",
			     "'version' is missing: a policy begins with 'version: 1'");
}

int policy_check(const struct policy *policy, struct diagnostics *diag)
{
	int r;

	check_version(policy, diag);
	policy_check_filesystem(policy, diag);
	policy_check_exec(policy, diag);
	policy_check_process(policy, diag);
	policy_check_rules(policy, diag);
	r = policy_check_middlewares(policy, diag);
	if (r < 0)
		return r;
	return policy_check_overlap(policy, diag);
}
