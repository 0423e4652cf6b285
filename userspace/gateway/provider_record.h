/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider as the store has it, with its secrets: wiped when it is cleared. The gateway's thread.
 */
#pragma once

#include "datamodel.pb-c.h"
#include "gateway/gateway.h"
#include "gateway/store.h"

struct provider_record {
	struct store_object object; /* its payload is not kept */
	Openshell__Datamodel__V1__Provider *provider;
};

void provider_record_clear(struct provider_record *record);

/* -ENOENT with a sentence that names it. */
int provider_record_get(struct gateway *gateway, const char *workspace, const char *name,
			struct provider_record *ret_record, struct error *err);

/* From an object of a list, which is taken. */
int provider_record_unpack(struct store_object *object, struct provider_record *ret_record,
			   struct error *err);
