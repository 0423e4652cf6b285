/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies of a sandbox, one after another: PENDING until its supervisor says LOADED or FAILED,
 * SUPERSEDED when a newer one came first. A global policy, where there is one, is in force in the
 * place of every sandbox's own. The gateway's thread. Fails closed: what does not validate or
 * compile is no revision.
 */
#pragma once

#include "gateway/sandbox_record.h"
#include "node.pb-c.h"

/*
 * The first policy of a new sandbox, inside the transaction that inserts it; NULL: the default one.
 * Sets the record's policy_version. -EINVAL with the validator's sentence.
 */
int policy_revision_first(struct gateway *gateway, struct sandbox_record *record,
			  const Openshell__Sandbox__V1__SandboxPolicy *policy, struct error *err);

/* What shall be in force there, as its node is told; free with
 * openshell__node__v1__policy__free_unpacked(). */
int policy_revision_current(struct gateway *gateway, const struct sandbox_record *record,
			    Openshell__Node__V1__Policy **ret_policy, struct error *err);

/* A supervisor says what became of one. */
void policy_revision_reported(struct gateway *gateway,
			      const Openshell__Node__V1__PolicyReport *report);

/* The sandbox is gone: inside the transaction that deletes it. */
int policy_revision_forget(struct gateway *gateway, const char *sandbox_id, struct error *err);
