/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider profiles as the client API carries them, to those of common/provider_profile.h and back.
 * A message becomes the text of a profile file and is read as one, so one validator decides. Pure.
 * What this gateway does not do with a credential (refreshing it, another place than a header) is
 * an error of the profile. Fails closed.
 */
#pragma once

#include "common/policy_diagnostic.h"
#include "common/provider_profile.h"
#include "openshell.pb-c.h"

/* -EBADMSG: not valid, findings in @diag (may be NULL) and the first in @err. */
int profile_from_wire(const Openshell__V1__ProviderProfile *message,
		      struct provider_profile **ret_profile, struct diagnostics *diag,
		      struct error *err);

/* Free with ..._free_unpacked(). -ENOMEM. */
int profile_to_wire(const struct provider_profile *profile, const char *source,
		    Openshell__V1__ProviderProfile **ret_message);
