/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/route_table.h"

#include "address.h"
#include "common/policy_address.h"

#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

_Static_assert(NAMES_ADDRESSES_MAX == WORKER_ADDRESSES_MAX, "what is found fits");

bool route_address_never(const uint8_t *bytes)
{
	struct address address;
	uint32_t v4;

	memcpy(&address, bytes, sizeof(address));
	if (!address_is_loopback(&address))
		return names_address_never(bytes);
	/* Of loopback, that part is ours: what connects there is taken for a sandbox's agent. */
	return address_carries_ipv4(&address, &v4) &&
	       (v4 ^ OS_PROXY_IPV4) >> (32 - OS_PROXY_IPV4_PREFIX) == 0;
}

static struct route_host *find_host(struct route_table *table, const char *host, size_t length)
{
	for (size_t i = 0; i < table->len; i++)
		if (table->host[i].length == length && !memcmp(table->host[i].text, host, length))
			return &table->host[i];
	return NULL;
}

static bool has_port(const struct route_host *host, uint16_t port)
{
	for (size_t i = 0; i < host->ports; i++)
		if (host->port[i] == port)
			return true;
	return false;
}

/* What was known of it before, or nothing. False: it is no host. */
static bool init_host(struct route_host *host, const char *text, size_t length,
		      struct route_table *before)
{
	const struct route_host *known = find_host(before, text, length);
	struct policy_cidr cidr;

	if (known) {
		*host = *known;
		host->ports = 0;
		return true;
	}
	*host = (struct route_host){.length = (uint16_t)length};
	memcpy(host->text, text, length);
	if (!worker_name_check(text, length))
		return true;
	if (policy_address_parse(text, &cidr))
		return false;
	host->literal = true;
	host->status = ROUTE_FOUND;
	host->addresses.len = 1;
	memcpy(host->addresses.item[0], cidr.address, sizeof(host->addresses.item[0]));
	return true;
}

void route_table_set(struct route_table *table, const Openshell__Worker__V1__Inference *inference)
{
	struct route_table before = *table;

	table->len = 0;
	for (size_t i = 0; inference && i < inference->n_routes && i < INFERENCE_ROUTES_MAX; i++) {
		const Openshell__Worker__V1__InferenceRoute *route = inference->routes[i];
		size_t length = strlen(route->host);
		struct route_host *host;

		if (!length || length > WORKER_NAME_MAX || !route->port || route->port > UINT16_MAX)
			continue;
		host = find_host(table, route->host, length);
		if (!host) {
			host = &table->host[table->len];
			if (!init_host(host, route->host, length, &before))
				continue;
			table->len++;
		}
		if (!has_port(host, (uint16_t)route->port))
			host->port[host->ports++] = (uint16_t)route->port;
	}
}

struct route_host *route_table_find(struct route_table *table, const char *text, size_t length,
				    uint16_t port)
{
	struct route_host *host = find_host(table, text, length);

	return host && has_port(host, port) ? host : NULL;
}

int route_host_where(struct route_host *host, uint64_t now, struct names_addresses *ret_addresses)
{
	const struct names_addresses *all = &host->addresses;
	struct names_addresses valid = {};

	if (!host->literal && (host->status == ROUTE_UNKNOWN || now >= host->fresh))
		return -EINPROGRESS;
	if (host->status != ROUTE_FOUND)
		return host->status == ROUTE_NONE ? -ENOENT : -EAGAIN;
	for (size_t i = 0; i < all->len; i++) {
		const uint8_t *address = all->item[(i + host->turn) % all->len];

		if (!route_address_never(address))
			memcpy(valid.item[valid.len++], address, sizeof(valid.item[0]));
	}
	if (!valid.len) {
		*ret_addresses = *all;
		return -EACCES;
	}
	host->turn++;
	*ret_addresses = valid;
	return 0;
}

static void take_addresses(struct route_host *host, const struct worker_found *found)
{
	host->addresses.len = 0;
	for (size_t i = 0; i < found->count && i < NAMES_ADDRESSES_MAX; i++)
		memcpy(host->addresses.item[host->addresses.len++], found->address[i],
		       sizeof(host->addresses.item[0]));
}

void route_table_found(struct route_table *table, const char *name, size_t length,
		       const struct worker_found *found, uint64_t now)
{
	struct route_host *host = find_host(table, name, length);
	uint64_t ttl = found->ttl < ROUTE_TTL_MIN   ? ROUTE_TTL_MIN
		       : found->ttl > ROUTE_TTL_MAX ? ROUTE_TTL_MAX
						    : found->ttl;

	if (!host || host->literal)
		return;
	if (found->status == WORKER_NAME_FOUND) {
		take_addresses(host, found);
		host->status = ROUTE_FOUND;
		host->expiry = now + (ttl + ROUTE_STALE_SECONDS) * SECOND;
	} else if (found->status == WORKER_NAME_NONE) {
		host->status = ROUTE_NONE;
	} else {
		ttl = ROUTE_RETRY_SECONDS;
		if (host->status != ROUTE_FOUND || now >= host->expiry)
			host->status = ROUTE_FAILED;
	}
	host->fresh = now + ttl * SECOND;
}
