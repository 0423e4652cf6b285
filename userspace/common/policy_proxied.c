/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_proxied.h"
#include "common/policy_address.h"
#include "common/policy_compile_internal.h"
#include "common/policy_host.h"

#include <string.h>

/* For one endpoint against every pattern there can be; running out means "they meet". */
#define STEPS_MAX (1u << 22)

/* An endpoint without a host admits by address, which a pattern names only as an address. */
static bool address_meets(const char *pattern, const PB(Endpoint) * endpoint)
{
	struct policy_cidr address, allowed;

	if (policy_address_parse(pattern, &address))
		return false;
	for (size_t i = 0; i < endpoint->n_allowed_ips; i++)
		if (policy_cidr_parse(endpoint->allowed_ips[i], &allowed) ||
		    policy_cidr_overlaps(&address, &allowed))
			return true;
	return false;
}

static bool pattern_meets(const char *pattern, const PB(Endpoint) * endpoint, size_t *steps)
{
	if (!*endpoint->host)
		return address_meets(pattern, endpoint);
	return policy_host_overlap(pattern, endpoint->host, steps) != 0;
}

/*
 * Whether @pattern names every host that @host does. A star of @host is taken as a character that
 * only a star matches, which is exact but for `**`: that is several labels, so only `**` covers it.
 */
static bool pattern_covers(const char *pattern, const char *host)
{
	if (!strncmp(host, "**.", 3) && strncmp(pattern, "**.", 3))
		return false;
	return policy_host_match(pattern, host);
}

static bool meets(const PB(Middleware) * middleware, const PB(Endpoint) * endpoint)
{
	size_t steps = STEPS_MAX;
	bool met = false;

	for (size_t i = 0; i < middleware->n_include && !met; i++)
		met = pattern_meets(middleware->include[i], endpoint, &steps);
	if (!met || !*endpoint->host)
		return met;
	for (size_t i = 0; i < middleware->n_exclude; i++)
		if (pattern_covers(middleware->exclude[i], endpoint->host))
			return false;
	return true;
}

static bool is_skipped(const PB(Endpoint) * endpoint)
{
	return endpoint->tls == PB_ENUM(TLS_MODE__TLS_MODE_SKIP);
}

bool policy_is_proxied(const PB(CompiledPolicy) * policy, const PB(Endpoint) * endpoint)
{
	switch (endpoint->protocol) {
	case PB_ENUM(PROTOCOL__PROTOCOL_REST):
	case PB_ENUM(PROTOCOL__PROTOCOL_WEBSOCKET):
	case PB_ENUM(PROTOCOL__PROTOCOL_GRAPHQL):
	case PB_ENUM(PROTOCOL__PROTOCOL_MCP):
	case PB_ENUM(PROTOCOL__PROTOCOL_JSON_RPC):
	case PB_ENUM(PROTOCOL__PROTOCOL_INFERENCE):
		return true;
	default:
		break;
	}
	if (is_skipped(endpoint))
		return false;
	for (size_t i = 0; i < policy->n_middlewares; i++)
		if (meets(policy->middlewares[i], endpoint))
			return true;
	return false;
}

bool policy_is_hidden(const PB(CompiledPolicy) * policy, const PB(Endpoint) * endpoint)
{
	if (!is_skipped(endpoint))
		return false;
	for (size_t i = 0; i < policy->n_middlewares; i++)
		if (!policy->middlewares[i]->fail_open && meets(policy->middlewares[i], endpoint))
			return true;
	return false;
}
