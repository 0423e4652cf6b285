/* SPDX-License-Identifier: Apache-2.0 */
/* A policy whose endpoints have one port each: for the tests of names. */
#pragma once

#include "common/policy_address.h"
#include "supervisor/names_admit.h"

#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name
#define MANY	 16

/* Binary sets 0..3 have a binary, 4 a glob, 5 nobody. */
struct fixture {
	PB(CompiledPolicy) policy;
	PB(Endpoint) endpoint[MANY], *endpoints[MANY];
	PB(BinarySet) set[6], *sets[6];
	uint32_t port[MANY];
	char *allowed[MANY];
	struct names_index index;
	struct names_ports ports;
};

static inline void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	openshell__compiled__v1__compiled_policy__init(&f->policy);
	for (size_t i = 0; i < 6; i++) {
		openshell__compiled__v1__binary_set__init(&f->set[i]);
		f->sets[i] = &f->set[i];
		f->set[i].n_exact = i < 4;
		f->set[i].n_globs = i == 4;
	}
	f->policy.binary_sets = f->sets;
	f->policy.n_binary_sets = 6;
	f->policy.endpoints = f->endpoints;
}

static inline PB(Endpoint) * fixture_add(struct fixture *f, const char *host, uint32_t port,
					 uint32_t set, const char *allowed)
{
	size_t i = f->policy.n_endpoints++;
	PB(Endpoint) *e = &f->endpoint[i];

	openshell__compiled__v1__endpoint__init(e);
	f->endpoints[i] = e;
	e->host = (char *)host;
	e->binary_set = set;
	f->port[i] = port;
	e->ports = &f->port[i];
	e->n_ports = 1;
	f->allowed[i] = (char *)allowed;
	e->allowed_ips = &f->allowed[i];
	e->n_allowed_ips = allowed ? 1 : 0;
	return e;
}

static inline void fixture_free(struct fixture *f)
{
	names_index_free(&f->index);
	names_ports_free(&f->ports);
}

static inline struct names_addresses fixture_addresses(const char *const *texts)
{
	struct names_addresses addresses = {};

	for (; *texts; texts++) {
		struct policy_cidr cidr;

		if (policy_address_parse(*texts, &cidr))
			abort();
		memcpy(addresses.item[addresses.len++], cidr.address, 16);
	}
	return addresses;
}
