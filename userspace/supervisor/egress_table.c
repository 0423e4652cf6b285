/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress_table.h"

#include "common/cleanup.h"
#include "common/policy_address.h"
#include "common/policy_proxied.h"
#include "endpoint.h"

#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

static void table_cleanup(struct egress_table *table)
{
	egress_table_free(table);
}

static int compare(const void *a, const void *b)
{
	const struct egress_entry *x = a, *y = b;
	int order;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	order = memcmp(x->address, y->address, sizeof(x->address));
	if (order)
		return order;
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return x->endpoint.endpoint < y->endpoint.endpoint
		       ? -1
		       : x->endpoint.endpoint > y->endpoint.endpoint;
}

/* True if @outer's range holds @inner's. */
static bool covers(const struct egress_entry *outer, const struct egress_entry *inner)
{
	unsigned int whole = outer->prefix / 8, rest = outer->prefix % 8;

	if (outer->port != inner->port || outer->prefix > inner->prefix ||
	    memcmp(outer->address, inner->address, whole))
		return false;
	return !rest ||
	       !((outer->address[whole] ^ inner->address[whole]) & (0xff00 >> rest) & 0xff);
}

static int add(struct egress_table *table, const struct policy_cidr *cidr, uint32_t port,
	       struct os_endpoint endpoint, struct error *err)
{
	struct egress_entry *entry;

	if (port == 0 || port > UINT16_MAX)
		return error_set(err, -EINVAL, "compiled policy: %u is not a port", port);
	if (table->len == EGRESS_TABLE_MAX)
		return error_set(err, -E2BIG, "more than %d addresses and ports in one policy",
				 EGRESS_TABLE_MAX);
	if (table->len == table->cap) {
		size_t cap = table->cap ? table->cap * 2 : 32;

		entry = realloc(table->entry, cap * sizeof(*entry));
		if (!entry)
			return error_set(err, -ENOMEM, "out of memory");
		table->entry = entry;
		table->cap = cap;
	}
	entry = &table->entry[table->len++];
	*entry = (struct egress_entry){
		.prefix = (uint8_t)cidr->prefix,
		.port = (uint16_t)port,
		.endpoint = endpoint,
	};
	memcpy(entry->address, cidr->address, sizeof(entry->address));
	return 0;
}

/* The ranges of one endpoint: its literal address if allowed_ips has it, else allowed_ips. */
static int add_endpoint(struct egress_table *table, const PB(Endpoint) * endpoint,
			struct os_endpoint value, struct error *err)
{
	struct policy_cidr host, range;
	bool literal = endpoint->host_is_address, listed = endpoint->n_allowed_ips == 0;

	if (literal && policy_address_parse(endpoint->host, &host))
		return error_set(err, -EINVAL, "compiled policy: %s is not an address",
				 endpoint->host);
	for (size_t i = 0; i < endpoint->n_allowed_ips; i++) {
		if (policy_cidr_parse(endpoint->allowed_ips[i], &range))
			return error_set(err, -EINVAL, "compiled policy: %s is not a network",
					 endpoint->allowed_ips[i]);
		if (literal) {
			listed |= policy_cidr_overlaps(&host, &range);
			continue;
		}
		for (size_t p = 0; p < endpoint->n_ports; p++) {
			int r = add(table, &range, endpoint->ports[p], value, err);

			if (r)
				return r;
		}
	}
	for (size_t p = 0; literal && listed && p < endpoint->n_ports; p++) {
		int r = add(table, &host, endpoint->ports[p], value, err);

		if (r)
			return r;
	}
	return 0;
}

/* Both name what @to does. What is to be read for one of them is read for both. */
static void join(struct os_endpoint *to, const struct os_endpoint *other)
{
	endpoint_mask_add(&to->rules, &other->rules);
	if (other->verdict == OS_VERDICT_PROXY)
		to->verdict = OS_VERDICT_PROXY;
}

static void merge_equal(struct egress_table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->len; i++) {
		struct egress_entry *last = kept ? &table->entry[kept - 1] : NULL;
		struct egress_entry *entry = &table->entry[i];

		if (last && last->prefix == entry->prefix && covers(last, entry))
			join(&last->endpoint, &entry->endpoint);
		else
			table->entry[kept++] = *entry;
	}
	table->len = kept;
}

/* Sorted order puts a range before what it holds: a stack of the ranges still open is enough. */
static void inherit(struct egress_table *table)
{
	size_t open[129], depth = 0; /* prefixes grow strictly along the stack */

	for (size_t i = 0; i < table->len; i++) {
		struct egress_entry *entry = &table->entry[i];

		while (depth && !covers(&table->entry[open[depth - 1]], entry))
			depth--;
		if (depth)
			join(&entry->endpoint, &table->entry[open[depth - 1]].endpoint);
		open[depth++] = i;
	}
}

/*
 * What the rules of an entry that have globs among their binaries are: after inherit(), so that a
 * range's globs are asked for its addresses too.
 */
static void set_ask(struct egress_table *table, const PB(CompiledPolicy) * policy)
{
	struct os_rule_mask globs = {};

	for (size_t i = 0; i < policy->n_binary_sets && i < OS_RULE_SETS; i++)
		if (policy->binary_sets[i]->n_globs && !policy->binary_sets[i]->any)
			globs.word[i / 64] |= UINT64_C(1) << i % 64;
	for (size_t i = 0; i < table->len; i++)
		for (size_t w = 0; w < OS_RULE_WORDS; w++)
			table->entry[i].endpoint.ask.word[w] =
				table->entry[i].endpoint.rules.word[w] & globs.word[w];
}

int egress_table_build(const PB(CompiledPolicy) * policy, struct egress_table *ret_table,
		       struct error *err)
{
	_cleanup_(table_cleanup) struct egress_table table = {};

	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];
		uint32_t set = endpoint->binary_set;
		struct os_endpoint value = {.endpoint = (uint32_t)i};
		int r;

		if (endpoint->binary_set >= policy->n_binary_sets ||
		    endpoint->binary_set >= OS_RULE_SETS)
			return error_set(err, -EINVAL, "compiled policy: no binary set %u",
					 endpoint->binary_set);
		if ((endpoint->host[0] && !endpoint->host_is_address) ||
		    policy_is_hidden(policy, endpoint))
			continue;
		value.verdict =
			policy_is_proxied(policy, endpoint) ? OS_VERDICT_PROXY : OS_VERDICT_DIRECT;
		value.rules.word[set / 64] = UINT64_C(1) << set % 64;
		r = add_endpoint(&table, endpoint, value, err);
		if (r)
			return r;
	}
	if (table.len)
		qsort(table.entry, table.len, sizeof(*table.entry), compare);
	merge_equal(&table);
	inherit(&table);
	set_ask(&table, policy);
	*ret_table = table;
	table = (struct egress_table){};
	return 0;
}

const struct egress_entry *egress_table_find(const struct egress_table *table,
					     const uint8_t *address, uint16_t port)
{
	struct egress_entry wanted = {.prefix = 128, .port = port};
	const struct egress_entry *best = NULL;

	memcpy(wanted.address, address, sizeof(wanted.address));
	for (size_t i = 0; i < table->len; i++) {
		const struct egress_entry *entry = &table->entry[i];

		if (covers(entry, &wanted) && (!best || entry->prefix > best->prefix))
			best = entry;
	}
	return best;
}

void egress_table_free(struct egress_table *table)
{
	free(table->entry);
	*table = (struct egress_table){};
}
