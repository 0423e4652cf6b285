/* SPDX-License-Identifier: Apache-2.0 */
/* A stored provider in the place of the caller's environment. Pure. */
#pragma once

#include "common/provider_profile.h"
#include "datamodel.pb-c.h"

#include <stddef.h>

#define PROVIDER_VARIABLES_PLACE "among its credentials that have not expired"

/* For struct caller_variables; @arg is the provider: its credentials that have not expired, then
 * its configuration. */
const char *provider_variable(void *arg, const char *name);

/* How `--provider` would ask for it. -E2BIG. */
int provider_request_text(const Openshell__Datamodel__V1__Provider *provider,
			  const struct provider_profile *profile, char *ret_text, size_t size,
			  struct error *err);
