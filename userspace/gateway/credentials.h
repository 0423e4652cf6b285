/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox gets of the providers that are attached to it, and of inference routes: secrets
 * for its worker, placeholders for its environment. Made anew from the store each time. The
 * gateway's thread. Fails closed: a provider that is missing or incomplete yields an error, and its
 * node keeps what it had.
 */
#pragma once

#include "gateway/sandbox_record.h"
#include "node.pb-c.h"

/* Free with openshell__node__v1__credentials__free_unpacked(), after rpc_scrub(). */
int credentials_for_sandbox(struct gateway *gateway, const struct sandbox_record *record,
			    Openshell__Node__V1__Credentials **ret_credentials, struct error *err);

/* As it; without a route the message has no `inference`. */
int inference_for_sandbox(struct gateway *gateway, const struct sandbox_record *record,
			  Openshell__Node__V1__Inference **ret_inference, struct error *err);

/* -EBUSY with the name of a route that uses the provider. */
int inference_uses(struct gateway *gateway, const char *workspace, const char *provider,
		   struct error *err);

/* Whether routes that lead to the provider can be told. -EBUSY with the name of one. */
int inference_try(struct gateway *gateway, const char *workspace, const char *provider,
		  struct error *err);

/* Whether a sandbox can use one of its providers, as both are now. */
int credentials_try(struct gateway *gateway, const struct sandbox_record *record,
		    const char *provider, struct error *err);

struct request;

/* GetSandboxProviderEnvironment. */
void credentials_get_environment(struct request *request);

/* Whether providers that a sandbox wants exist: -ENOENT with a sentence. For CreateSandbox. */
int credentials_check(struct gateway *gateway, const char *workspace, char *const *providers,
		      size_t count, struct error *err);
