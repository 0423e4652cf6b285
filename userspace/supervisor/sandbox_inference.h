/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a sandbox that are about inference.local: whether it has it, and what it does there.
 * sandbox_set_inference() is in sandbox.h. The sandbox's thread.
 */
#pragma once

#include "supervisor/sandbox.h"

/* Take a copy of what is given at start; NULL: nothing. -ENOMEM. */
int sandbox_inference_init(struct sandbox *sandbox,
			   const Openshell__Worker__V1__Inference *inference, struct error *err);
void sandbox_inference_free(struct sandbox *sandbox);

/* Try its routes, once its policy is in force and before the agent runs: see inference_probe(). */
int sandbox_inference_verify(struct sandbox *sandbox, struct error *err);

/*
 * What is enforced of @policy: with the endpoint of inference.local where the sandbox has that,
 * which it does from the first policy with routes, or with endpoints that the proxy reads, on.
 * *ret_policy: a copy to be freed, or NULL where @policy is it.
 */
int sandbox_inference_policy(struct sandbox *sandbox,
			     const Openshell__Compiled__V1__CompiledPolicy *policy,
			     Openshell__Compiled__V1__CompiledPolicy **ret_policy,
			     struct error *err);
