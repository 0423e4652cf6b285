/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random ranges and ports: the entry that the kernel would find by the longest prefix carries
 * exactly the rules of every range around the address, and asks about those with globs. Eight bytes
 * an endpoint: rule, port, prefix, form, four of the address.
 */
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "supervisor/egress_table.h"

#include <stdint.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name
#define MANY	 48
#define GLOBS	 UINT64_C(0xaaaaaaaaaaaaaaaa) /* every other set has a glob */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy_cidr ranges[MANY];
static char texts[MANY][POLICY_CIDR_TEXT_MAX];

static void make_range(const uint8_t *d, struct policy_cidr *ret_range)
{
	struct policy_cidr range = {.prefix = 128};

	if (d[3] & 1) {
		memcpy(range.address, d + 4, 4);
		range.prefix = d[2] % 129;
	} else {
		range.address[10] = range.address[11] = 0xff;
		memcpy(range.address + 12, d + 4, 4);
		range.prefix = 96 + d[2] % 33;
	}
	for (unsigned int bit = range.prefix; bit < 128; bit++)
		range.address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	*ret_range = range;
}

static void look_up(const struct egress_table *table, const PB(CompiledPolicy) * policy,
		    const struct policy_cidr *at, uint16_t port)
{
	const struct egress_entry *entry = egress_table_find(table, at->address, port);
	struct policy_cidr address = *at;
	uint64_t wanted = 0;

	address.prefix = 128;
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (policy->endpoints[i]->ports[0] == port &&
		    policy_cidr_overlaps(&ranges[i], &address))
			wanted |= UINT64_C(1) << policy->endpoints[i]->binary_set;
	if ((entry ? entry->endpoint.rules.word[0] : 0) != wanted ||
	    (entry ? entry->endpoint.ask.word[0] : 0) != (wanted & GLOBS))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PB(CompiledPolicy) policy = OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	PB(Endpoint) endpoint[MANY], *endpoints[MANY];
	PB(BinarySet) set = OPENSHELL__COMPILED__V1__BINARY_SET__INIT, glob = set, *sets[64];
	struct egress_table table;
	uint32_t port[MANY];
	char *text[MANY];

	glob.n_globs = 1;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		sets[i] = i % 2 ? &glob : &set;
	policy.binary_sets = sets;
	policy.n_binary_sets = ARRAY_LEN(sets);
	policy.endpoints = endpoints;
	for (size_t i = 0; i < MANY && i * 8 + 8 <= size; i++) {
		const uint8_t *d = data + i * 8;

		make_range(d, &ranges[i]);
		openshell__compiled__v1__endpoint__init(&endpoint[i]);
		endpoints[i] = &endpoint[i];
		endpoint[i].binary_set = d[0] % 64;
		port[i] = 1 + d[1] % 3;
		endpoint[i].ports = &port[i];
		endpoint[i].n_ports = 1;
		text[i] = texts[i];
		policy_cidr_format(&ranges[i], false, texts[i]);
		endpoint[i].allowed_ips = &text[i];
		endpoint[i].n_allowed_ips = 1;
		policy.n_endpoints++;
	}
	if (egress_table_build(&policy, &table, NULL))
		__builtin_trap();
	for (size_t i = 0; i < policy.n_endpoints; i++) {
		struct policy_cidr beside = ranges[i];

		beside.address[15] ^= data[0];
		beside.address[3] ^= data[1];
		for (uint16_t p = 1; p <= 3; p++) {
			look_up(&table, &policy, &ranges[i], p);
			look_up(&table, &policy, &beside, p);
		}
	}
	egress_table_free(&table);
	return 0;
}
