/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_admit.h"

#include "address.h"
#include "common/cleanup.h"
#include "endpoint.h"

#include <string.h>

static struct address load(const uint8_t *bytes)
{
	struct address address;

	memcpy(&address, bytes, sizeof(address));
	return address;
}

bool names_address_never(const uint8_t *bytes)
{
	struct address address = load(bytes);
	uint32_t v4;

	if (address_is_never(&address))
		return true;
	if (address_carries_ipv4(&address, &v4) &&
	    v4 >> (32 - OS_SYNTHETIC_IPV4_PREFIX) ==
		    OS_SYNTHETIC_IPV4 >> (32 - OS_SYNTHETIC_IPV4_PREFIX))
		return true;
	return ADDRESS_BE32(address.word[0]) == OS_SYNTHETIC_IPV6_0 &&
	       ADDRESS_BE32(address.word[1]) == OS_SYNTHETIC_IPV6_1;
}

bool names_address_private(const uint8_t *bytes)
{
	struct address address = load(bytes);

	return address_is_private(&address);
}

static bool is_allowed(const struct names_endpoint *endpoint, const uint8_t *address)
{
	struct policy_cidr host = {.prefix = 128};

	memcpy(host.address, address, sizeof(host.address));
	for (size_t i = 0; i < endpoint->allowed_len; i++)
		if (policy_cidr_overlaps(&endpoint->allowed[i], &host))
			return true;
	return false;
}

static bool is_valid(const struct names_endpoint *endpoint, uint16_t port, const uint8_t *address)
{
	bool private = names_address_private(address);

	if (policy_port_is_control(port) && (private || endpoint->allowed_len))
		return false;
	if (endpoint->allowed_len)
		return is_allowed(endpoint, address);
	return !private || !endpoint->wildcard;
}

uint32_t names_admit_any(const struct names_addresses *addresses)
{
	uint32_t valid = 0;

	for (size_t i = 0; i < addresses->len; i++)
		if (!names_address_never(addresses->item[i]))
			valid |= UINT32_C(1) << i;
	return valid;
}

static uint16_t limits_of(const struct names_port *port)
{
	if (port->endpoint->allowed_len)
		return OS_ENDPOINT_LISTED;
	return port->endpoint->wildcard || policy_port_is_control(port->port) ? OS_ENDPOINT_PUBLIC
									      : 0;
}

static uint32_t valid_for(const struct names_port *port, uint32_t possible,
			  const struct names_addresses *addresses)
{
	uint32_t valid = 0;

	for (size_t i = 0; i < addresses->len; i++)
		if (possible >> i & 1 && is_valid(port->endpoint, port->port, addresses->item[i]))
			valid |= UINT32_C(1) << i;
	return valid;
}

struct names_verdict names_admit(const struct names_index *index, const struct names_port *group,
				 size_t len, const struct names_addresses *addresses)
{
	uint32_t possible = names_admit_any(addresses);
	struct names_verdict verdict = {.endpoint = group[0].endpoint->index};
	bool told = false;

	for (size_t i = 0; i < len; i++) {
		verdict.valid |= valid_for(&group[i], possible, addresses);
		verdict.proxied |= group[i].endpoint->proxied;
	}
	for (size_t i = 0; i < len; i++) {
		uint32_t set = group[i].endpoint->set;

		if (valid_for(&group[i], possible, addresses) != verdict.valid)
			continue;
		verdict.rules.word[set / 64] |= UINT64_C(1) << set % 64;
		verdict.limits |= limits_of(&group[i]);
		if (!told)
			verdict.endpoint = group[i].endpoint->index;
		told = true;
	}
	for (size_t i = 0; i < OS_RULE_WORDS; i++)
		verdict.ask.word[i] = verdict.rules.word[i] & index->globs.word[i];
	return verdict;
}

const char *names_admit_why(const struct names_ports *ports, const uint8_t *address)
{
	struct policy_cidr cidr = {.prefix = 128};
	bool wildcard = true, allowed = false;
	enum policy_never never;

	memcpy(cidr.address, address, sizeof(cidr.address));
	never = policy_cidr_never(&cidr);
	if (never)
		return policy_never_name(never);
	if (names_address_never(address))
		return "one of the addresses that stand for names";
	for (size_t i = 0; i < ports->len; i++) {
		if (is_valid(ports->item[i].endpoint, ports->item[i].port, address))
			return NULL;
		wildcard &= ports->item[i].endpoint->wildcard;
		allowed |= ports->item[i].endpoint->allowed_len != 0;
	}
	if (allowed)
		return "not among the allowed_ips of its rules";
	return wildcard ? "private, and only a host that is spelt out may be, or allowed_ips say so"
			: "private, and so no place for a cluster's control port";
}
