/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revisions of policies in the store: of a sandbox, by its id, or for all, by POLICY_OWNER_GLOBAL.
 * Validated and compiled once, when they are added. The gateway's thread. Fails closed.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/store.h"
#include "stored.pb-c.h"

#include <stdbool.h>

#define POLICY_OWNER_GLOBAL  "global"
#define POLICY_GLOBAL_BIT    (1u << 31) /* of a version that nodes are told */
#define POLICY_REVISIONS_MAX 100	/* of one owner; older ones go */

struct policy_stored {
	struct store_object object; /* its payload is not kept */
	Openshell__Stored__V1__PolicyRevision *stored;
};

void policy_stored_clear(struct policy_stored *revision);

/* Provenance is a request's annotations. */
struct policy_note {
	const char *key, *value;
};

/*
 * Validate, compile and insert, PENDING; older ones that were PENDING are SUPERSEDED. @policy NULL:
 * what holds where none is given. Inside the caller's transaction. -EBADMSG: not valid.
 */
int policy_store_add(struct gateway *gateway, const char *owner, uint32_t version,
		     const Openshell__Sandbox__V1__SandboxPolicy *policy,
		     const struct policy_note *notes, size_t notes_len,
		     struct policy_stored *ret_revision, struct error *err);

/* @version 0 = the newest. -ENOENT. */
int policy_store_get(struct gateway *gateway, const char *owner, uint32_t version,
		     struct policy_stored *ret_revision, struct error *err);

/* The policy that is in force for all; -ENOENT: there is none. */
int policy_store_global(struct gateway *gateway, struct policy_stored *ret_revision,
			struct error *err);

/* Newest first. */
int policy_store_list(struct gateway *gateway, const char *owner, uint32_t limit, uint32_t offset,
		      struct policy_stored **ret_revisions, size_t *ret_count, struct error *err);

/* Write a changed status, error, time. */
int policy_store_save(struct gateway *gateway, struct policy_stored *revision, struct error *err);

/* All of @owner that are PENDING or LOADED, but @version, become SUPERSEDED. */
int policy_store_supersede(struct gateway *gateway, const char *owner, uint32_t version,
			   bool loaded_too, struct error *err);
