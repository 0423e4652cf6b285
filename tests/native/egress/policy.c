/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include "loaded.h"
#include "names.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

/* Addresses that the compiler refuses stand here as well: the kernel must not depend on it. */
static const struct {
	const char *host;
	const char *range;
	uint32_t port, set;
} endpoints[] = {
	{"10.77.0.2", "", 8000, 0},		/* 0 */
	{"fd77::2", "", 8000, 0},		/* 1: POLICY_WITHOUT_SECOND lacks it */
	{"", "10.77.1.0/24", 8000, 0},		/* 2 */
	{"10.77.0.3", "", 8001, 1},		/* 3: inside 7 */
	{"64:ff9b::a4d:2", "", 8000, 0},	/* 4 */
	{"example.com", "", 8000, 0},		/* 5: a name, not in force yet */
	{"10.77.0.3", "", 8002, 3},		/* 6: any binary */
	{"", "10.77.0.0/16", 8001, 2},		/* 7: globs */
	{"", "fd77:1::/64", 8000, 0},		/* 8 */
	{"10.77.0.3", "10.77.0.0/24", 8000, 4}, /* 9: through a symbolic link */
	{"169.254.169.254", "", 8000, 3},
	{"100.100.100.200", "", 8000, 3},
	{"127.0.0.1", "", 8100, 3},
	{"::1", "", 8100, 3},
	{"0.0.0.0", "", 8100, 3},
	{"::", "", 8100, 3},
	{"fe80::77", "", 8000, 3},
	{"fd00:ec2::254", "", 8000, 3},
	{"64:ff9b::a9fe:a9fe", "", 8000, 3},
	{"2002:7f00:1::1", "", 8000, 3},
	{"224.0.0.251", "", 8000, 3},
	{"ff02::1", "", 8000, 3},
	{"255.255.255.255", "", 8000, 3},
	{"", "198.18.0.0/15", 8002, 3},
	{"10.77.1.2", "", 8002, 0}, /* 24: from here on what is said decides */
	{"fd77:1::2", "", 8002, 0},
};

#define INSPECTED 24
#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

static uint32_t generation = 1; /* 0 to egress_erase() means every one */
static enum policy_kind in_force;

void policy_switch(enum policy_kind kind, const char *dir)
{
	PB(CompiledPolicy) policy = OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	PB(BinarySet) set[5], *set_list[5];
	PB(Endpoint) endpoint[ENDPOINTS], *endpoint_list[ENDPOINTS];
	char admitted[300], parent[300], glob[300], link[300], missing[300];
	char *exact0[] = {admitted, missing}, *exact1[] = {parent}, *globs2[] = {glob},
	     *exact4[] = {link}, *range[ENDPOINTS];
	uint32_t port[ENDPOINTS];

	snprintf(admitted, sizeof(admitted), "%s/admitted", dir);
	snprintf(missing, sizeof(missing), "%s/not-there", dir);
	snprintf(parent, sizeof(parent), "%s/parent", dir);
	snprintf(glob, sizeof(glob), "%s/glob-*", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	for (size_t i = 0; i < 5; i++) {
		openshell__compiled__v1__binary_set__init(&set[i]);
		set_list[i] = &set[i];
	}
	set[0].exact = exact0;
	set[0].n_exact = 2;
	set[1].exact = exact1;
	set[1].n_exact = 1;
	set[2].globs = globs2;
	set[2].n_globs = 1;
	set[3].any = 1;
	set[4].exact = exact4;
	set[4].n_exact = 1;
	for (size_t i = 0; i < ENDPOINTS; i++) {
		const char *host = endpoints[i].host;

		if (kind == POLICY_WITHOUT_SECOND && i == 1)
			host = "example.org";
		openshell__compiled__v1__endpoint__init(&endpoint[i]);
		endpoint_list[i] = &endpoint[i];
		endpoint[i].host = (char *)host;
		endpoint[i].host_is_address = host[0] && strcspn(host, "xw") == strlen(host);
		endpoint[i].binary_set = endpoints[i].set;
		if (i >= INSPECTED)
			endpoint[i].protocol = OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST;
		port[i] = endpoints[i].port;
		endpoint[i].ports = &port[i];
		endpoint[i].n_ports = 1;
		range[i] = (char *)endpoints[i].range;
		endpoint[i].allowed_ips = &range[i];
		endpoint[i].n_allowed_ips = range[i][0] ? 1 : 0;
	}
	policy.binary_sets = set_list;
	policy.n_binary_sets = 5;
	policy.endpoints = endpoint_list;
	policy.n_endpoints = ENDPOINTS;
	names_fill(++generation, kind);
	if (loaded_policy(1, generation, OS_MODE_ENFORCE, &policy))
		die("policy");
	in_force = kind;
}

void policy_mode(uint32_t mode)
{
	loaded_switch(1, generation, mode);
}
