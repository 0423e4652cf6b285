/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constraints of a policy, one file per concern. Each check reads the decoded model, adds its
 * findings and goes on, so that one run names everything that is wrong. A value that could not be
 * decoded has been reported already and is passed over. Pure functions; any thread.
 */
#pragma once

#include "common/policy.h"

/* All of them, in order. 0 or -ENOMEM; the findings say whether the policy is valid. */
int policy_check(const struct policy *policy, struct diagnostics *diag);

void policy_check_filesystem(const struct policy *policy, struct diagnostics *diag);
void policy_check_exec(const struct policy *policy, struct diagnostics *diag);
void policy_check_process(const struct policy *policy, struct diagnostics *diag);
void policy_check_rules(const struct policy *policy, struct diagnostics *diag);
void policy_check_endpoint(const struct policy_endpoint *endpoint, struct diagnostics *diag);
void policy_check_destination(const struct policy_endpoint *endpoint, struct diagnostics *diag);
void policy_check_credentials(const struct policy_endpoint *endpoint, struct diagnostics *diag);
void policy_check_l7(const struct policy_endpoint *endpoint, struct diagnostics *diag);
int policy_check_overlap(const struct policy *policy, struct diagnostics *diag);
int policy_check_middlewares(const struct policy *policy, struct diagnostics *diag);

/* True for a protocol whose requests are looked at by the proxy; tcp and absent are not. */
bool policy_is_inspected(const struct policy_endpoint *endpoint);

/* The protocol's word, or "an endpoint without protocol". */
const char *policy_protocol_name(const struct policy_endpoint *endpoint);

/* A glob that is well-formed and not too long, else a finding. */
bool policy_check_glob(const struct policy_string *glob, const char *name,
		       struct diagnostics *diag);
