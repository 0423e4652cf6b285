/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox as the store has it, unpacked, with what identifies it; and the changes that several
 * parts make. The gateway's thread. A record that was read and is saved when another version is in
 * the store is -ESTALE: whoever changes one begins a transaction, or tries again.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/store.h"
#include "stored.pb-c.h"

struct sandbox_record {
	struct store_object object; /* its payload is not kept */
	Openshell__Stored__V1__Sandbox *stored;
};

void sandbox_record_clear(struct sandbox_record *record);

/* -ENOENT with a sentence that names it. */
int sandbox_record_get(struct gateway *gateway, const char *workspace, const char *name,
		       struct sandbox_record *ret_record, struct error *err);
int sandbox_record_get_id(struct gateway *gateway, const char *id,
			  struct sandbox_record *ret_record, struct error *err);

/* Write it back if it is still the version that was read (@expected 0) or @expected. */
int sandbox_record_save(struct gateway *gateway, struct sandbox_record *record, uint64_t expected,
			struct error *err);

/*
 * As the client API has it: the metadata is the store's, nothing secret is in it. Belongs to
 * @record, which it points into.
 */
const Openshell__V1__Sandbox *sandbox_record_message(struct sandbox_record *record);

/* Call @visit for each sandbox of a workspace (NULL: all); ends when it returns non-zero, which is
 * returned. */
int sandbox_record_each(struct gateway *gateway, const char *workspace,
			int (*visit)(void *arg, struct sandbox_record *record), void *arg,
			struct error *err);
