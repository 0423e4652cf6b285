/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider profiles: those that came with the program, which nobody changes, and those that a
 * workspace has imported. The gateway's thread.
 */
#pragma once

#include "common/provider_profile.h"
#include "gateway/gateway.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#define PROFILE_BUILTIN	 "builtin"
#define PROFILE_IMPORTED "imported"

/* By type or alias. -ENOENT with a sentence. */
int profile_store_find(struct gateway *gateway, const char *workspace, const char *type,
		       struct provider_profile **ret_profile, struct error *err);

/* As the client API has it. */
int profile_store_get(struct gateway *gateway, const char *workspace, const char *id,
		      Openshell__V1__ProviderProfile **ret_message, struct error *err);

/* All that a workspace may use, by their ids; free each and the list. */
int profile_store_list(struct gateway *gateway, const char *workspace,
		       Openshell__V1__ProviderProfile ***ret_messages, size_t *ret_count,
		       struct error *err);

bool profile_store_is_builtin(struct gateway *gateway, const char *id);

/* Insert, or with @update replace what is there if it has @expected (0 = whatever). */
int profile_store_write(struct gateway *gateway, const char *workspace,
			const Openshell__V1__ProviderProfile *message, bool update,
			uint64_t expected, struct error *err);
int profile_store_delete(struct gateway *gateway, const char *workspace, const char *id,
			 struct error *err);
