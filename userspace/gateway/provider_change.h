/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the sandboxes that have to do with a provider or a route. The gateway's thread. */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"

#include <stdbool.h>

/* -EBUSY with the name of a sandbox that has it; 0: none has. */
int provider_is_attached(struct gateway *gateway, const char *workspace, const char *provider,
			 struct error *err);

/* Its credentials changed: revisions rise, nodes are told. */
void provider_changed(struct gateway *gateway, const char *workspace, const char *provider);

/* Routes of a workspace changed. */
void inference_changed(struct gateway *gateway, const char *workspace);
