/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inference.local beside a policy: it needs no rule, so what is written to the kernel and given to
 * the worker has one endpoint more than what was compiled and digested. The host's name is
 * reserved; no policy may speak of it. Pure; any thread.
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"

#include <stdbool.h>

/*
 * A copy of @policy with an endpoint of PROTOCOL_INFERENCE for INFERENCE_HOST:INFERENCE_PORT and
 * every binary: rule "inference.local", no L7. -E2BIG: the policy has the most binary sets there
 * may be, and none for every binary; -ENOMEM. Freed with policy_compiled_free().
 */
int policy_with_inference(const Openshell__Compiled__V1__CompiledPolicy *policy,
			  Openshell__Compiled__V1__CompiledPolicy **ret_policy, struct error *err);

/* True for the endpoint that it adds. */
bool policy_is_inference(const Openshell__Compiled__V1__Endpoint *endpoint);
