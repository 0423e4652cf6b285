/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, published in maps of the kernel's that no program reads: what is in them after questions,
 * answers, changes of mind of a resolver, changes of policy, and when there is no room.
 */
#include "address.h"
#include "common/policy_address.h"
#include "common/policy_host.h"
#include "supervisor/names.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PB(name) Openshell__Compiled__V1__##name
#define SECOND	 UINT64_C(1000000000)
#define MANY	 12000
#define SLOT	 7

/* A policy of one port and one allowed_ips an endpoint; binary set 3 is a glob, 4 has nobody. */
struct policy {
	PB(CompiledPolicy) compiled;
	PB(Endpoint) endpoint[MANY], *endpoints[MANY];
	PB(BinarySet) set[5], *sets[5];
	uint32_t port[MANY];
	char *allowed[MANY];
};

static struct kernel kernel;
static struct policy policies[2];
static uint64_t now = 1000 * SECOND;

static struct policy *begin(int which)
{
	static char *binary = (char *)"/usr/bin/x", *glob = (char *)"/opt/**";
	struct policy *p = &policies[which];

	memset(p, 0, sizeof(*p));
	openshell__compiled__v1__compiled_policy__init(&p->compiled);
	p->compiled.endpoints = p->endpoints;
	p->compiled.binary_sets = p->sets;
	p->compiled.n_binary_sets = 5;
	for (size_t i = 0; i < 5; i++) {
		openshell__compiled__v1__binary_set__init(&p->set[i]);
		p->sets[i] = &p->set[i];
		p->set[i].exact = &binary;
		p->set[i].n_exact = i < 3;
	}
	p->set[3].globs = &glob;
	p->set[3].n_globs = 1;
	return p;
}

static PB(Endpoint) *
	add(struct policy *p, const char *host, uint32_t port, uint32_t set, const char *allowed)
{
	size_t i = p->compiled.n_endpoints++;
	PB(Endpoint) *e = &p->endpoint[i];

	openshell__compiled__v1__endpoint__init(e);
	p->endpoints[i] = e;
	e->host = (char *)host;
	e->host_is_wildcard = strchr(host, '*') != NULL;
	p->port[i] = port;
	e->ports = &p->port[i];
	e->n_ports = 1;
	e->binary_set = set;
	p->allowed[i] = (char *)allowed;
	e->allowed_ips = &p->allowed[i];
	e->n_allowed_ips = allowed ? 1 : 0;
	return e;
}

static void make_maps(uint32_t endpoints, uint32_t names)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);

	if (kernel.maps.endpoint > 0)
		close(kernel.maps.endpoint);
	if (kernel.maps.name > 0)
		close(kernel.maps.name);
	kernel.maps.endpoint =
		bpf_map_create(BPF_MAP_TYPE_HASH, "endpoint", sizeof(struct os_endpoint_key),
			       sizeof(struct os_endpoint), endpoints, &options);
	kernel.maps.name = bpf_map_create(BPF_MAP_TYPE_HASH, "name", sizeof(struct os_name_key),
					  sizeof(struct os_name), names, &options);
	if (kernel.maps.endpoint < 0 || kernel.maps.name < 0) {
		perror("maps");
		exit(1);
	}
}

static size_t count(int map, size_t size)
{
	uint8_t key[64], next[64];
	size_t n = 0;

	for (int r = bpf_map_get_next_key(map, NULL, next); !r;
	     r = bpf_map_get_next_key(map, key, next)) {
		memcpy(key, next, size);
		n++;
	}
	return n;
}

static size_t entries(void)
{
	return count(kernel.maps.endpoint, sizeof(struct os_endpoint_key)) +
	       count(kernel.maps.name, sizeof(struct os_name_key));
}

/* The rules of the first 64 that may reach a port of the name with @number; 0 = no entry. */
static uint64_t rules(uint32_t generation, uint32_t number, uint16_t port)
{
	struct os_endpoint_key key = {.slot = SLOT, .generation = generation, .port = port};
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));
	struct os_endpoint value;

	memcpy(key.address, &address, sizeof(address));
	if (bpf_map_lookup_elem(kernel.maps.endpoint, &key, &value))
		return 0;
	return value.rules.word[0];
}

static bool look(uint32_t generation, uint32_t number, uint16_t port, bool ipv6,
		 struct os_name *ret_value)
{
	struct os_name_key key = {.slot = SLOT, .generation = generation, .port = port};
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));

	if (ipv6)
		address = (struct address){.word = {ADDRESS_BE32(OS_SYNTHETIC_IPV6_0),
						    ADDRESS_BE32(OS_SYNTHETIC_IPV6_1), 0,
						    ADDRESS_BE32(number)}};
	memcpy(key.address, &address, sizeof(address));
	return !bpf_map_lookup_elem(kernel.maps.name, &key, ret_value);
}

/* Where a port of the name is: texts joined by spaces, "" if there is no entry. */
static const char *where(uint32_t generation, uint32_t number, uint16_t port, bool ipv6)
{
	static char text[OS_NAME_REAL_MAX * 48];
	struct os_name value;
	size_t len = 0;

	text[0] = '\0';
	if (!look(generation, number, port, ipv6, &value))
		return text;
	for (size_t i = 0; i < value.count && i < OS_NAME_REAL_MAX; i++) {
		struct policy_cidr cidr = {.prefix = 128};
		char one[POLICY_CIDR_TEXT_MAX];

		memcpy(cidr.address, value.real[i], 16);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
					policy_cidr_format(&cidr, true, one));
	}
	return text;
}

static bool is(const char *a, const char *b)
{
	if (strcmp(a, b))
		printf("# '%s', not '%s'\n", a, b);
	return !strcmp(a, b);
}

static enum names_next ask(struct names *names, const char *name, struct worker_name *ret_answer)
{
	return names_ask(names, name, strlen(name), now, ret_answer);
}

/* The status of the answer, -1 if the name is to be looked up. */
static int status(struct names *names, const char *name)
{
	struct worker_name answer = {};

	return ask(names, name, &answer) == NAMES_ANSWER ? answer.status : -1;
}

/* The resolver says that @name has @addresses, separated by spaces. */
static int found(struct names *names, const char *name, const char *addresses, uint32_t ttl)
{
	struct worker_found found = {.status = WORKER_NAME_FOUND, .ttl = ttl};
	char text[512], *rest = text, *one;

	snprintf(text, sizeof(text), "%s", addresses);
	while ((one = strsep(&rest, " "))) {
		struct policy_cidr cidr;

		if (!*one || policy_address_parse(one, &cidr))
			continue;
		memcpy(found.address[found.count++], cidr.address, 16);
	}
	return names_found(names, name, strlen(name), &found, now);
}

static int not_found(struct names *names, const char *name, enum worker_name_status why)
{
	const struct worker_found found = {.status = (uint16_t)why, .ttl = 60};

	return names_found(names, name, strlen(name), &found, now);
}

static struct names *make(bool audit, uint32_t generation, struct policy *p)
{
	struct names *names = NULL;
	struct error err = {};

	if (names_new(&kernel, SLOT, audit, &names, &err) ||
	    names_write(names, generation, &p->compiled, &err)) {
		printf("Bail out! %s\n", err.message);
		exit(1);
	}
	return names;
}

static void exact_names(void)
{
	struct policy *p = begin(0);
	struct worker_name answer = {.header.id = 5};
	struct names *names;
	struct os_name value;
	uint8_t v6[16];

	add(p, "a.example.org", 443, 0, NULL);
	add(p, "b.example.org", 443, 1, NULL);
	add(p, "a.example.org", 80, 2, NULL);
	add(p, "inspected.example.org", 443, 0, NULL)->protocol =
		OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST;
	add(p, "nobody.example.org", 443, 4, NULL);
	names = make(false, 3, p);
	ok(rules(3, 1, 443) == 1 && rules(3, 1, 80) == 4 && rules(3, 2, 443) == 2 &&
		   !rules(3, 2, 80) && entries() == 3,
	   "names that are spelt out have their endpoints, and no address, at once");
	ok(status(names, "inspected.example.org") == WORKER_NAME_REFUSED,
	   "a name that only an inspected endpoint has is refused");
	ok(status(names, "nobody.example.org") == WORKER_NAME_REFUSED,
	   "a name that no binary may reach is refused");
	ok(status(names, "c.example.org") == WORKER_NAME_REFUSED &&
		   status(names, "a.example.org.evil.org") == WORKER_NAME_REFUSED,
	   "a name that no rule has is refused");
	ok(status(names, "A.example.org") == WORKER_NAME_REFUSED &&
		   status(names, "a.example.org.") == WORKER_NAME_REFUSED &&
		   names_ask(names, "a.example.org\0", 14, now, &answer) == NAMES_ANSWER &&
		   answer.status == WORKER_NAME_REFUSED,
	   "and one that is not canonical");
	ok(found(names, "c.example.org", "192.0.2.1", 60) == -ENOENT && entries() == 3,
	   "what the resolver says of a name that nobody may have is not taken");
	ok(status(names, "a.example.org") == -1, "an admitted name is to be looked up");
	ok(!found(names, "a.example.org", "192.0.2.1 192.0.2.2 2001:db8::1 192.0.2.1", 60),
	   "it is found");
	ok(is(where(3, 1, 443, false), "192.0.2.1 192.0.2.2") &&
		   is(where(3, 1, 80, false), "192.0.2.1 192.0.2.2") &&
		   is(where(3, 1, 443, true), "2001:db8::1"),
	   "each port has its addresses, once each, by family");
	ok(look(3, 1, 443, false, &value) && value.id == 1 &&
		   !strcmp(value.text, "a.example.org") &&
		   value.expiry == now + (60 + NAMES_STALE_SECONDS) * SECOND,
	   "the entry has the name, and lasts as long as the records and some");
	answer.header.id = 5;
	ok(ask(names, "a.example.org", &answer) == NAMES_ANSWER &&
		   answer.status == WORKER_NAME_FOUND && answer.header.id == 5 &&
		   answer.ttl == 60 && answer.has == 3 && answer.ipv4[0] == 198 &&
		   answer.ipv4[1] == 18 && answer.ipv4[2] == 0 && answer.ipv4[3] == 1 &&
		   answer.ipv6[0] == 0xfd && answer.ipv6[7] == 0x65 && answer.ipv6[15] == 1,
	   "it is answered with its synthetic addresses");
	memcpy(v6, answer.ipv6, 16);
	ok(names_text(names, v6) && !strcmp(names_text(names, v6), "a.example.org"),
	   "which lead back to it");
	v6[14] = 9;
	ok(!names_text(names, v6) && !names_text(names, (const uint8_t[16]){[10] = 0xff, 0xff, 10}),
	   "and others do not");
	now += 59 * SECOND;
	ok(ask(names, "a.example.org", &answer) == NAMES_ANSWER && answer.ttl == 1,
	   "what is left of its time is told");
	now += SECOND;
	ok(status(names, "a.example.org") == -1, "after that it is looked up again");
	ok(!found(names, "a.example.org", "2001:db8::2", 0) && is(where(3, 1, 443, false), "") &&
		   is(where(3, 1, 80, true), "2001:db8::2") &&
		   ask(names, "a.example.org", &answer) == NAMES_ANSWER &&
		   answer.has == WORKER_NAME_HAS_IPV6,
	   "a family that it has no more is taken out, and not answered");
	names_free(names);
	ok(entries() == 0, "when the sandbox ends nothing is left");
}

static void lookups_that_fail(void)
{
	struct policy *p = begin(0);
	struct names *names;
	struct os_name value;

	add(p, "a.example.org", 443, 0, NULL);
	names = make(false, 1, p);
	not_found(names, "a.example.org", WORKER_NAME_FAILED);
	ok(status(names, "a.example.org") == WORKER_NAME_FAILED,
	   "when no resolver answers, the agent is told so");
	now += 5 * SECOND;
	ok(status(names, "a.example.org") == -1, "and it is tried again soon");
	found(names, "a.example.org", "192.0.2.1", 60);
	now += 60 * SECOND;
	not_found(names, "a.example.org", WORKER_NAME_FAILED);
	ok(status(names, "a.example.org") == WORKER_NAME_FOUND && look(1, 1, 443, false, &value) &&
		   value.expiry == now + NAMES_STALE_SECONDS * SECOND,
	   "a name that was found keeps its addresses for a while");
	now += 10 * SECOND;
	not_found(names, "a.example.org", WORKER_NAME_NONE);
	ok(status(names, "a.example.org") == WORKER_NAME_NONE && is(where(1, 1, 443, false), ""),
	   "but not when it is said not to exist");
	now += 60 * SECOND;
	found(names, "a.example.org", "192.0.2.1", 60);
	now += (61 + NAMES_STALE_SECONDS) * SECOND;
	not_found(names, "a.example.org", WORKER_NAME_FAILED);
	ok(status(names, "a.example.org") == WORKER_NAME_FAILED && is(where(1, 1, 443, false), ""),
	   "and not for longer than that");
	names_free(names);
}

int main(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	if (geteuid() != 0) {
		skip("names in maps", "making maps needs root");
		return tap_end();
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	make_maps(65536, 65536);
	exact_names();
	lookups_that_fail();
	return tap_end();
}
