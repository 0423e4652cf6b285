/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_index.h"

#include "common/cleanup.h"
#include "common/inference.h"
#include "common/policy_host.h"
#include "common/policy_inference.h"
#include "common/policy_proxied.h"
#include "common/worker_protocol.h"

#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

static void index_cleanup(struct names_index *index)
{
	names_index_free(index);
}

bool names_index_takes(const PB(CompiledPolicy) * policy, const PB(Endpoint) * endpoint)
{
	const PB(BinarySet) * set;

	if (!endpoint->host[0] || endpoint->host_is_address || policy_is_hidden(policy, endpoint))
		return false;
	if (endpoint->binary_set >= policy->n_binary_sets)
		return false;
	set = policy->binary_sets[endpoint->binary_set];
	return set->any || set->n_exact || set->n_globs;
}

/* What every name that it names ends with: what follows the last label that has a star. */
static const char *fixed_end(const char *host)
{
	const char *star = strrchr(host, '*');

	return star ? star + strcspn(star, ".") : host;
}

static int add(struct names_index *index, const PB(CompiledPolicy) * policy, uint32_t number,
	       struct policy_cidr *allowed, struct error *err)
{
	const PB(Endpoint) *endpoint = policy->endpoints[number];
	struct names_endpoint *to = &index->endpoint[index->len];

	*to = (struct names_endpoint){
		.host = endpoint->host,
		.key = fixed_end(endpoint->host),
		.index = number,
		.set = endpoint->binary_set,
		.proxied = policy_is_proxied(policy, endpoint),
		.inference = policy_is_inference(endpoint),
		.ports = endpoint->ports,
		.ports_len = endpoint->n_ports,
		.allowed = allowed,
		.allowed_len = endpoint->n_allowed_ips,
	};
	to->wildcard = to->key != to->host;
	if (to->wildcard ? !to->key[0]
			 : worker_name_check(endpoint->host, strlen(endpoint->host)) < 0)
		return error_set(err, -EINVAL, "compiled policy: '%s' is not a name",
				 endpoint->host);
	for (size_t i = 0; i < endpoint->n_ports; i++)
		if (!endpoint->ports[i] || endpoint->ports[i] > UINT16_MAX)
			return error_set(err, -EINVAL, "compiled policy: %u is not a port",
					 endpoint->ports[i]);
	for (size_t i = 0; i < endpoint->n_allowed_ips; i++)
		if (policy_cidr_parse(endpoint->allowed_ips[i], &allowed[i]))
			return error_set(err, -EINVAL, "compiled policy: %s is not a network",
					 endpoint->allowed_ips[i]);
	index->len++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct names_endpoint *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	if (order)
		return order;
	return x->index < y->index ? -1 : x->index > y->index;
}

int names_index_build(const PB(CompiledPolicy) * policy, struct names_index *ret_index,
		      struct error *err)
{
	_cleanup_(index_cleanup) struct names_index index = {};
	size_t endpoints = 0, cidrs = 0;

	for (size_t i = 0; i < policy->n_endpoints; i++) {
		if (!names_index_takes(policy, policy->endpoints[i]))
			continue;
		endpoints++;
		cidrs += policy->endpoints[i]->n_allowed_ips;
	}
	index.endpoint = calloc(endpoints + 1, sizeof(*index.endpoint));
	index.cidr = calloc(cidrs + 1, sizeof(*index.cidr));
	if (!index.endpoint || !index.cidr)
		return error_set(err, -ENOMEM, "out of memory");
	cidrs = 0;
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];
		int r;

		if (!names_index_takes(policy, endpoint))
			continue;
		if (endpoint->binary_set >= OS_RULE_SETS)
			return error_set(err, -EINVAL, "compiled policy: no binary set %u",
					 endpoint->binary_set);
		r = add(&index, policy, (uint32_t)i, index.cidr + cidrs, err);
		if (r)
			return r;
		cidrs += endpoint->n_allowed_ips;
	}
	for (size_t i = 0; i < policy->n_binary_sets && i < OS_RULE_SETS; i++)
		if (policy->binary_sets[i]->n_globs && !policy->binary_sets[i]->any)
			index.globs.word[i / 64] |= UINT64_C(1) << i % 64;
	qsort(index.endpoint, index.len, sizeof(*index.endpoint), compare);
	*ret_index = index;
	index = (struct names_index){};
	return 0;
}

static int add_port(struct names_ports *ports, uint16_t port, const struct names_endpoint *endpoint)
{
	if (ports->len == ports->cap) {
		size_t cap = ports->cap ? ports->cap * 2 : 16;
		struct names_port *item = realloc(ports->item, cap * sizeof(*item));

		if (!item)
			return -ENOMEM;
		ports->item = item;
		ports->cap = cap;
	}
	ports->item[ports->len++] = (struct names_port){.port = port, .endpoint = endpoint};
	return 0;
}

/* Those whose key is @key and whose host names @name. */
static int add_key(const struct names_index *index, const char *key, const char *name,
		   struct names_ports *ports)
{
	const bool inference = !strcmp(name, INFERENCE_HOST);
	size_t low = 0, high = index->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->endpoint[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < index->len && !strcmp(index->endpoint[low].key, key); low++) {
		const struct names_endpoint *endpoint = &index->endpoint[low];

		if (endpoint->inference != inference || !policy_host_match(endpoint->host, name))
			continue;
		for (size_t p = 0; p < endpoint->ports_len; p++)
			if (add_port(ports, (uint16_t)endpoint->ports[p], endpoint))
				return -ENOMEM;
	}
	return 0;
}

static int compare_ports(const void *a, const void *b)
{
	const struct names_port *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return x->endpoint->index < y->endpoint->index ? -1
						       : x->endpoint->index > y->endpoint->index;
}

int names_index_find(const struct names_index *index, const char *name, struct names_ports *ports)
{
	int r;

	ports->len = 0;
	r = add_key(index, name, name, ports);
	for (const char *dot = strchr(name, '.'); !r && dot; dot = strchr(dot + 1, '.'))
		r = add_key(index, dot, name, ports);
	if (r) {
		ports->len = 0;
		return r;
	}
	if (ports->len)
		qsort(ports->item, ports->len, sizeof(*ports->item), compare_ports);
	return 0;
}

size_t names_ports_group(const struct names_ports *ports, size_t at)
{
	size_t end = at;

	while (end < ports->len && ports->item[end].port == ports->item[at].port)
		end++;
	return end - at;
}

void names_index_free(struct names_index *index)
{
	free(index->endpoint);
	free(index->cidr);
	*index = (struct names_index){};
}

void names_ports_free(struct names_ports *ports)
{
	free(ports->item);
	*ports = (struct names_ports){};
}
