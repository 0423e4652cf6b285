/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a policy that change a part of it, and the words of the command line that become
 * operations. Pure; any thread. Fails closed: what would join a program and an endpoint that nobody
 * named together is refused, and so is what changes nothing because its object is not there.
 */
#pragma once

#include "common/error.h"
#include "openshell.pb-c.h"

#include <stdbool.h>

/*
 * Apply all, in order, to @policy, which is changed in place; after an error it is to be thrown
 * away. Whether the result is valid is for the validator. -ENOENT: no such rule, endpoint, binary.
 * -EBUSY: it would join what was not named together, or say something else about an endpoint that
 * is there. -EINVAL, -ENOMEM.
 */
int policy_merge(Openshell__Sandbox__V1__SandboxPolicy *policy,
		 Openshell__V1__PolicyMergeOperation *const *operations, size_t count,
		 struct error *err);

/*
 * "HOST:PORT[:ACCESS[:PROTOCOL[:ENFORCEMENT[:OPTION,..]]]]" as an endpoint; parts may be empty.
 * HOST may be an IPv6 address in brackets. Options: path=GLOB, tls=MODE, allow_encoded_slash. Free
 * with
 * ..._free_unpacked(). -EINVAL.
 */
int policy_endpoint_words(const char *text, Openshell__Sandbox__V1__NetworkEndpoint **ret_endpoint,
			  struct error *err);

/* "HOST:PORT"; *ret_rest is what follows behind another colon, NULL = nothing. -EINVAL. free() the
 * host. */
int policy_host_port_words(const char *text, char **ret_host, uint32_t *ret_port,
			   const char **ret_rest, struct error *err);

/* "HOST:PORT:METHOD:GLOB" as an operation that adds an allow rule, or a deny rule. -EINVAL. */
int policy_rule_words(const char *text, bool deny,
		      Openshell__V1__PolicyMergeOperation **ret_operation, struct error *err);
