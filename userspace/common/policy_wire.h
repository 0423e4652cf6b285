/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies as the client API carries them (proto/sandbox.proto), to the model and back, without
 * loss. A message becomes the text of a policy file and is loaded as one, so one validator decides
 * about both. Driven by the tables of policy_fields.h. Pure; any thread. Fails closed: what a file
 * may not say, a message may not either.
 */
#pragma once

#include "common/policy.h"
#include "sandbox.pb-c.h"

#include <jansson.h>

/* 0; -EBADMSG with the validator's first error; -EINVAL: no UTF-8; -ENOMEM. */
int policy_from_wire(const Openshell__Sandbox__V1__SandboxPolicy *message,
		     struct policy **ret_policy, struct error *err);

/* Free with openshell__sandbox__v1__sandbox_policy__free_unpacked(). -ENOMEM. */
int policy_to_wire(const struct policy *policy, Openshell__Sandbox__V1__SandboxPolicy **ret_message,
		   struct error *err);

/* The text of a policy file, to be read by people; free() it. */
int policy_wire_to_yaml(const Openshell__Sandbox__V1__SandboxPolicy *message, char **ret_text,
			struct error *err);

/* The tree that both are made of: keys of a policy file. NULL: no UTF-8, or no memory. */
json_t *policy_wire_tree(const Openshell__Sandbox__V1__SandboxPolicy *message);
