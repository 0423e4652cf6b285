/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_address.h"
#include "common/policy_check.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/policy_host.h"

#include <errno.h>
#include <string.h>

static void check_host(const struct policy_string *host, bool *ret_private,
		       struct diagnostics *diag)
{
	char canonical[POLICY_HOST_MAX + 1];
	struct policy_cidr address;
	enum policy_host_kind kind;
	enum policy_never never;
	const char *why;

	if (policy_host_parse(host->value, &kind, canonical, &why) < 0) {
		policy_error(diag, host->at, "endpoint.host", "host '%s' is refused: %s",
			     host->value, why);
		return;
	}
	if (kind == POLICY_HOST_ADDRESS && !policy_address_parse(canonical, &address)) {
		never = policy_cidr_never(&address);
		if (never)
			policy_error(diag, host->at, "endpoint.never",
				     "host '%s' is %s: it is refused whatever a policy says",
				     host->value, policy_never_name(never));
		*ret_private = policy_cidr_is_private(&address);
		return;
	}
	/* A wildcard may be around it, and never means it: names_index.c, l7.c. */
	if (!strcmp(canonical, INFERENCE_HOST))
		policy_error(diag, host->at, "endpoint.reserved",
			     "host '" INFERENCE_HOST "' is reserved for models and needs no rule: "
			     "`openshell run --inference` says which");
	if (!strcmp(canonical, "localhost") ||
	    (strlen(canonical) > 10 && !strcmp(canonical + strlen(canonical) - 10, ".localhost")))
		policy_warning(diag, host->at, "endpoint.localhost",
			       "host '%s' is never reachable: the host's loopback is refused, and "
			       "the sandbox's own listeners need no rule",
			       host->value);
}

static void check_allowed_ip(const struct policy_string *entry, struct diagnostics *diag)
{
	char text[POLICY_CIDR_TEXT_MAX];
	struct policy_cidr cidr;
	enum policy_never never;
	int r = policy_cidr_parse(entry->value, &cidr);

	if (r == -ERANGE) {
		policy_error(diag, entry->at, "endpoint.allowed-ips",
			     "'%s' in allowed_ips: the prefix is longer than the address",
			     entry->value);
	} else if (r == -EDOM) {
		policy_error(diag, entry->at, "endpoint.allowed-ips",
			     "'%s' in allowed_ips has bits set after its prefix (did you mean "
			     "'%s'?)",
			     entry->value, policy_cidr_format(&cidr, false, text));
	} else if (r < 0) {
		policy_error(diag, entry->at, "endpoint.allowed-ips",
			     "'%s' in allowed_ips is not an address or a CIDR", entry->value);
	} else {
		never = policy_cidr_never(&cidr);
		if (never)
			policy_error(diag, entry->at, "endpoint.never",
				     "'%s' in allowed_ips contains %s: those are refused whatever "
				     "a policy says",
				     entry->value, policy_never_name(never));
	}
}

static void check_control_port(const struct policy_number *port, const char *why,
			       struct diagnostics *diag)
{
	if (policy_port_is_control(port->value))
		policy_error(diag, port->at, "endpoint.control-port",
			     "port %lld is a cluster's control plane: refused on %s",
			     (long long)port->value, why);
}

static void check_ports(const struct policy_endpoint *endpoint, bool is_private,
			struct diagnostics *diag)
{
	const struct policy_numbers *ports = &endpoint->ports;
	const char *why = endpoint->allowed_ips.count ? "hosts admitted through allowed_ips"
			  : is_private		      ? "private addresses"
						      : NULL;

	if (policy_given(endpoint->port) && policy_given(*ports))
		policy_error(diag, ports->at, "endpoint.port",
			     "an endpoint has either 'port' or 'ports', not both");
	else if (!policy_given(endpoint->port) && !policy_given(*ports))
		policy_error(diag, endpoint->head.at, "endpoint.port",
			     "an endpoint needs 'port' or 'ports'");
	for (size_t i = 0; i < ports->count; i++) {
		if (why)
			check_control_port(&ports->items[i], why, diag);
		for (size_t j = 0; j < i && i < 1024; j++) {
			if (!ports->items[i].value ||
			    ports->items[j].value != ports->items[i].value)
				continue;
			policy_warning(diag, ports->items[i].at, "endpoint.port",
				       "port %lld is listed twice",
				       (long long)ports->items[i].value);
			break;
		}
	}
	if (why && policy_given(endpoint->port))
		check_control_port(&endpoint->port, why, diag);
}

void policy_check_destination(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	bool hostless = !policy_given(endpoint->host);
	bool is_private = false;

	if (endpoint->host.value)
		check_host(&endpoint->host, &is_private, diag);
	if (hostless && !policy_given(endpoint->allowed_ips))
		policy_error(diag, endpoint->head.at, "endpoint.host",
			     "an endpoint needs 'host', or 'allowed_ips' to admit by address");
	if (hostless && endpoint->protocol.value == POLICY_PROTOCOL_TCP)
		policy_warning(diag, endpoint->head.at, "endpoint.hostless",
			       "without 'host' every name is refused: only connections to the "
			       "addresses themselves are admitted");
	for (size_t i = 0; i < endpoint->allowed_ips.count; i++)
		check_allowed_ip(&endpoint->allowed_ips.items[i], diag);
	check_ports(endpoint, is_private, diag);
}

/* A key that only some protocols understand, and would do nothing elsewhere. */
static void only_for(bool given, struct policy_place at, const char *key, bool fits,
		     const char *where, const struct policy_endpoint *endpoint,
		     struct diagnostics *diag)
{
	bool unknown = policy_given(endpoint->protocol) && !endpoint->protocol.value;

	if (given && !fits && !unknown)
		policy_error(diag, at, "endpoint.protocol-key", "'%s' is for %s, and this is %s",
			     key, where,
			     endpoint->protocol.value == POLICY_PROTOCOL_TCP
				     ? "protocol tcp, which is not inspected"
				     : policy_protocol_name(endpoint));
}

#define ONLY_FOR(key, fits, where)                                                                 \
	only_for(policy_given(endpoint->key), endpoint->key.at, #key, fits, where, endpoint, diag)

static void check_protocol_keys(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	int protocol = endpoint->protocol.value;
	bool inspected = policy_is_inspected(endpoint);
	bool graphql = protocol == POLICY_PROTOCOL_GRAPHQL || protocol == POLICY_PROTOCOL_WEBSOCKET;
	bool json_rpc = protocol == POLICY_PROTOCOL_JSON_RPC || protocol == POLICY_PROTOCOL_MCP;
	bool http = inspected && protocol != POLICY_PROTOCOL_SQL;

	ONLY_FOR(path, http, "inspected protocols");
	ONLY_FOR(rules, inspected, "inspected protocols: add 'protocol', such as rest");
	ONLY_FOR(deny_rules, inspected, "inspected protocols: add 'protocol', such as rest");
	ONLY_FOR(allow_encoded_slash, http, "inspected protocols");
	ONLY_FOR(persisted_queries, graphql, "protocol graphql or websocket");
	ONLY_FOR(graphql_persisted_queries, graphql, "protocol graphql or websocket");
	ONLY_FOR(graphql_max_body_bytes, graphql, "protocol graphql or websocket");
	ONLY_FOR(json_rpc_max_body_bytes, json_rpc, "protocol json-rpc or mcp");
	only_for(policy_given(endpoint->json_rpc.head), endpoint->json_rpc.head.at, "json_rpc",
		 protocol == POLICY_PROTOCOL_JSON_RPC, "protocol json-rpc", endpoint, diag);
	only_for(policy_given(endpoint->mcp.head), endpoint->mcp.head.at, "mcp",
		 protocol == POLICY_PROTOCOL_MCP, "protocol mcp", endpoint, diag);
	if (protocol == POLICY_PROTOCOL_TCP && policy_given(endpoint->enforcement))
		policy_error(diag, endpoint->enforcement.at, "endpoint.protocol-key",
			     "'enforcement' is for inspected protocols: a tcp connection is "
			     "admitted or denied as a whole");
}

/* NemoClaw and others write `access: full` on plain endpoints, which says what happens anyway. */
static void check_access(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct policy_enum *access = &endpoint->access;
	int protocol = endpoint->protocol.value;
	bool json_rpc = protocol == POLICY_PROTOCOL_JSON_RPC || protocol == POLICY_PROTOCOL_MCP;

	if (policy_given(*access) && policy_given(endpoint->rules))
		policy_error(diag, access->at, "endpoint.access",
			     "an endpoint has either 'access' or 'rules', not both");
	if (policy_given(*access) && json_rpc)
		policy_error(diag, access->at, "endpoint.access",
			     "protocol %s has no access presets: write 'rules'",
			     policy_protocol_name(endpoint));
	if (policy_given(*access) && protocol == POLICY_PROTOCOL_TCP)
		policy_error(diag, access->at, "endpoint.access",
			     "'access' is for inspected protocols, and this is protocol tcp");
	else if (access->value == POLICY_ACCESS_FULL && !policy_given(endpoint->protocol))
		policy_warning(diag, access->at, "endpoint.access",
			       "'access: full' without 'protocol' has no effect: nothing is "
			       "inspected");
	else if (access->value && !policy_given(endpoint->protocol))
		policy_error(diag, access->at, "endpoint.access",
			     "'access' without 'protocol' would not be enforced: add 'protocol', "
			     "such as rest");
}

static void check_needs_rules(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	int protocol = endpoint->protocol.value;
	const struct policy_place at = endpoint->protocol.at;

	if (!policy_is_inspected(endpoint) || policy_given(endpoint->rules) ||
	    policy_given(endpoint->access))
		return;
	if (protocol == POLICY_PROTOCOL_JSON_RPC)
		policy_error(diag, at, "endpoint.rules", "protocol json-rpc needs 'rules'");
	else if (protocol != POLICY_PROTOCOL_MCP)
		policy_error(diag, at, "endpoint.rules",
			     "protocol %s needs 'access' or 'rules' to say what it allows",
			     policy_protocol_name(endpoint));
	else if (!endpoint->mcp.allow_all_known_mcp_methods.value)
		policy_error(diag, at, "endpoint.rules",
			     "protocol mcp needs 'rules', or 'mcp: "
			     "{allow_all_known_mcp_methods: true}'");
}

static void check_modes(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct policy_enum *tls = &endpoint->tls;

	if (endpoint->protocol.value == POLICY_PROTOCOL_SQL &&
	    endpoint->enforcement.value == POLICY_ENFORCEMENT_ENFORCE)
		policy_error(diag, endpoint->enforcement.at, "endpoint.sql",
			     "protocol sql can only be audited: write 'enforcement: audit'");
	if (policy_is_inspected(endpoint) && !policy_given(endpoint->enforcement))
		policy_warning(diag, endpoint->protocol.at, "endpoint.audit-by-default",
			       "without 'enforcement' requests that break the rules are only "
			       "logged, not blocked: write 'enforcement: enforce' or 'audit'");
	if (policy_given(endpoint->enforcement) && !policy_given(endpoint->protocol))
		policy_warning(diag, endpoint->enforcement.at, "endpoint.enforcement",
			       "'enforcement' without 'protocol' has no effect: the connection is "
			       "admitted or denied as a whole");
	if (tls->value == POLICY_TLS_TERMINATE || tls->value == POLICY_TLS_PASSTHROUGH)
		policy_warning(diag, tls->at, "endpoint.tls-deprecated",
			       "'tls: %s' is deprecated and has no effect: TLS is detected by "
			       "itself",
			       tls->value == POLICY_TLS_TERMINATE ? "terminate" : "passthrough");
	if (tls->value == POLICY_TLS_SKIP && policy_is_inspected(endpoint))
		policy_warning(diag, tls->at, "endpoint.tls-skip",
			       "with 'tls: skip' what is inside TLS is not inspected: the rules "
			       "hold for plain requests only");
}

static void check_selector(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	const struct policy_string *path = &endpoint->path;

	if (!path->value)
		return;
	if (path->value[0] != '/' && strncmp(path->value, "**", 2))
		policy_error(diag, path->at, "endpoint.path",
			     "path '%s' must begin with '/' or '**'", path->value);
	else if (strlen(path->value) > 1024)
		policy_error(diag, path->at, "endpoint.path",
			     "an endpoint's path has at most 1024 bytes");
	else
		policy_check_glob(path, path->value, diag);
}

void policy_check_endpoint(const struct policy_endpoint *endpoint, struct diagnostics *diag)
{
	policy_check_destination(endpoint, diag);
	check_protocol_keys(endpoint, diag);
	check_access(endpoint, diag);
	check_needs_rules(endpoint, diag);
	check_modes(endpoint, diag);
	check_selector(endpoint, diag);
	policy_check_credentials(endpoint, diag);
	policy_check_l7(endpoint, diag);
}
