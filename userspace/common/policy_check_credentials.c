/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_check.h"

#include <string.h>

/* A name that goes into a signature or a header: letters, digits and `-`. */
static void check_token(const struct policy_string *token, const char *name,
			struct diagnostics *diag)
{
	const char *value = token->value;

	if (value && (!*value || strlen(value) > 64 ||
		      value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789-")]))
		policy_error(diag, token->at, "endpoint.signing",
			     "'%s' cannot be '%s': letters, digits and '-', at most 64", name,
			     value);
}

static void check_signing(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct policy_enum *signing = &endpoint->credential_signing;

	check_token(&endpoint->signing_service, "signing_service", diag);
	check_token(&endpoint->signing_region, "signing_region", diag);
	if (!policy_given(*signing)) {
		if (policy_given(endpoint->signing_service))
			policy_error(diag, endpoint->signing_service.at, "endpoint.signing",
				     "'signing_service' needs 'credential_signing'");
		if (policy_given(endpoint->signing_region))
			policy_error(diag, endpoint->signing_region.at, "endpoint.signing",
				     "'signing_region' needs 'credential_signing'");
		return;
	}
	if (endpoint->protocol.value != POLICY_PROTOCOL_REST)
		policy_error(diag, signing->at, "endpoint.signing",
			     "'credential_signing' needs protocol rest: the request has to be read "
			     "to be signed");
	if (!policy_given(endpoint->signing_service))
		policy_error(diag, signing->at, "endpoint.signing",
			     "'credential_signing' needs 'signing_service', such as bedrock or s3");
	if (endpoint->request_body_credential_rewrite.value)
		policy_error(diag, signing->at, "endpoint.signing",
			     "'credential_signing' and 'request_body_credential_rewrite' cannot be "
			     "combined: the signature covers the body");
}

static void check_rewriting(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	int protocol = endpoint->protocol.value;
	const struct policy_bool *body = &endpoint->request_body_credential_rewrite;
	const struct policy_bool *websocket = &endpoint->websocket_credential_rewrite;

	if (policy_given(endpoint->protocol) && !protocol)
		return;
	if (body->value && (protocol <= POLICY_PROTOCOL_TCP || protocol == POLICY_PROTOCOL_SQL ||
			    protocol == POLICY_PROTOCOL_WEBSOCKET))
		policy_error(diag, body->at, "endpoint.rewrite",
			     "'request_body_credential_rewrite' needs an inspected protocol with "
			     "request bodies, such as rest");
	if (websocket->value && protocol != POLICY_PROTOCOL_REST &&
	    protocol != POLICY_PROTOCOL_WEBSOCKET)
		policy_error(diag, websocket->at, "endpoint.rewrite",
			     "'websocket_credential_rewrite' needs protocol rest or websocket");
}

static void check_binding(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct policy_credential_binding *binding = &endpoint->credential_binding;
	bool inspected = policy_is_inspected(endpoint) && endpoint->tls.value != POLICY_TLS_SKIP &&
			 endpoint->protocol.value != POLICY_PROTOCOL_SQL;

	if (!policy_given(binding->head))
		return;
	if (binding->provider.value &&
	    (!*binding->provider.value || strlen(binding->provider.value) > 253))
		policy_error(diag, binding->provider.at, "endpoint.binding",
			     "'provider' must name a provider");
	if (!inspected && !endpoint->allow_uninspected_credentials.value &&
	    !(policy_given(endpoint->protocol) && !endpoint->protocol.value))
		policy_error(diag, binding->head.at, "endpoint.uninspected-credentials",
			     "an endpoint with credentials must be inspected: add 'protocol' and "
			     "leave out 'tls: skip', or write 'allow_uninspected_credentials: "
			     "true'");
}

void policy_check_credentials(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	check_signing(endpoint, diag);
	check_rewriting(endpoint, diag);
	check_binding(endpoint, diag);
}
