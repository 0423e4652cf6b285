/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoints' connections have to be looked at in userspace: what redirects them (kernel),
 * what answers for them (supervisor) and what reads them (proxy) ask here, so that they never
 * differ. Pure functions; any thread. When in doubt a connection is looked at, or refused.
 */
#pragma once

#include "compiled_policy.pb-c.h"

#include <stdbool.h>

/*
 * True for protocols that the proxy reads (rest, websocket, graphql, mcp, json-rpc) or answers
 * itself (inference), and for an endpoint some of whose hosts a middleware selects, unless `tls:
 * skip` forbids to look.
 */
bool policy_is_proxied(const Openshell__Compiled__V1__CompiledPolicy *policy,
		       const Openshell__Compiled__V1__Endpoint *endpoint);

/*
 * True for an endpoint that a middleware which fails closed would have to see and cannot: `tls:
 * skip`. Nothing may be admitted to it.
 */
bool policy_is_hidden(const Openshell__Compiled__V1__CompiledPolicy *policy,
		      const Openshell__Compiled__V1__Endpoint *endpoint);
