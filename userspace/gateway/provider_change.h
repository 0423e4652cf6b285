/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the sandboxes that have to do with a provider or a route. The gateway's thread. */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"

#include <stdbool.h>

/* -EBUSY with the name of a sandbox that has it; 0: none has. */
int provider_is_attached(struct gateway *gateway, const char *workspace, const char *provider,
			 struct error *err);

/*
 * In the transaction that changes a provider or its profile: every sandbox that has it and every
 * route that leads to it can use what it is now, and the revisions rise. -EBUSY with the name of
 * one that could not.
 */
int provider_touch(struct gateway *gateway, const char *workspace, const char *provider,
		   struct error *err);

/* After it: nodes and watchers are told. */
void provider_changed(struct gateway *gateway, const char *workspace, const char *provider);

/* Call @visit with the name of each provider of a type; ends when it returns non-zero, which is
 * returned. */
int provider_each_of_type(struct gateway *gateway, const char *workspace, const char *type,
			  int (*visit)(void *arg, const char *provider), void *arg,
			  struct error *err);

/* Routes of a workspace changed. */
void inference_changed(struct gateway *gateway, const char *workspace);
