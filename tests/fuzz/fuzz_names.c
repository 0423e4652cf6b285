/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resolver that says anything, questions for anything, policies that come and go, maps that are
 * full at any time: nobody gets to an address that his rule does not admit for that name and port.
 * That holds at each moment for a program that reads who may connect, and later where to, with
 * whatever was written in between, unless it was waited for.
 */
#include "address.h"
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "common/policy_host.h"
#include "endpoint.h"
#include "supervisor/names.h"
#include "supervisor/slot.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define PB(name)      Openshell__Compiled__V1__##name
#define ENDPOINTS     8
#define POLICIES      3
#define ENTRIES	      192
#define SLOT	      3
#define MAP_ENDPOINT  1
#define MAP_NAME      2
#define SECOND	      UINT64_C(1000000000)
#define ALLOWED_NONE  0
#define ALLOWED_TEN   1
#define ALLOWED_BASIC 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const hosts[] = {"a.x.org",
				    "b.x.org",
				    "*.x.org",
				    "**.x.org",
				    "a.*.x.org",
				    "a*.x.org",
				    "host.openshell.internal"};
static const char *const asked[] = {"a.x.org",
				    "b.x.org",
				    "ab.x.org",
				    "a.b.x.org",
				    "x.org",
				    "other.net",
				    "host.openshell.internal"};
static char *const allowed[] = {NULL, (char *)"10.1.0.0/16", (char *)"192.0.2.0/24"};
static const uint32_t ports[] = {443, 6443};

/* What each is, by hand. */
static const struct {
	const char *text;
	bool never, private, ten, basic;
} addresses[] = {
	{"192.0.2.1", false, false, false, true},
	{"198.51.100.1", false, false, false, false},
	{"10.1.0.1", false, true, true, false},
	{"10.2.0.1", false, true, false, false},
	{"127.0.0.1", true, false, false, false},
	{"169.254.169.254", true, false, false, false},
	{"198.18.0.1", true, false, false, false},
	{"2001:db8::1", false, false, false, false},
	{"64:ff9b::a01:1", false, true, false, false},
	{"::ffff:0:a01:1", false, true, false, false},
	{"fd6f:7065:6e73:6865::1", true, true, false, false},
	{"::1", true, false, false, false},
};

struct world {
	PB(CompiledPolicy) policy;
	PB(Endpoint) endpoint[ENDPOINTS], *endpoints[ENDPOINTS];
	PB(BinarySet) set[4], *sets[4];
	uint32_t port[ENDPOINTS];
	uint8_t admits[ENDPOINTS]; /* of `allowed` */
	char *range[ENDPOINTS];
};

struct entry {
	int map; /* 0 = free */
	union {
		struct os_endpoint_key endpoint;
		struct os_name_key name;
		uint8_t bytes[40];
	} key;
	union {
		struct os_endpoint endpoint;
		struct os_name name;
	} value;
	struct os_rule_mask seen; /* rules that a program may have read and not yet used */
};

static struct entry entry[ENTRIES];
static size_t used, room;
static struct world worlds[POLICIES];
static const struct world *of_generation[256];
static struct names *names;

static size_t key_size(int map)
{
	return map == MAP_NAME ? sizeof(struct os_name_key) : sizeof(struct os_endpoint_key);
}

static struct entry *find(int map, const void *key)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (entry[i].map == map && !memcmp(&entry[i].key, key, key_size(map)))
			return &entry[i];
	return NULL;
}

static const uint8_t *bytes_of(size_t at)
{
	static struct policy_cidr parsed[ARRAY_LEN(addresses)];

	if (!parsed[at].prefix && policy_address_parse(addresses[at].text, &parsed[at]))
		__builtin_trap();
	return parsed[at].address;
}

static size_t which(const uint8_t *real)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		if (!memcmp(bytes_of(i), real, 16))
			return i;
	__builtin_trap();
}

static bool admits(const struct world *world, size_t i, const char *name, uint16_t port, size_t at)
{
	const PB(Endpoint) *e = &world->endpoint[i];
	bool control = port == 6443, plain = world->admits[i] == ALLOWED_NONE;

	if (world->port[i] != port || !policy_host_match(e->host, name) || addresses[at].never)
		return false;
	if (control && (addresses[at].private || !plain))
		return false;
	if (plain)
		return !addresses[at].private || !strchr(e->host, '*');
	return world->admits[i] == ALLOWED_TEN ? addresses[at].ten : addresses[at].basic;
}

/* Every rule that may have been read for this name and port admits every address of it. */
static void check(const struct entry *name)
{
	const struct os_name_key *key = &name->key.name;
	const struct world *world = of_generation[key->generation];
	struct os_endpoint_key rules = {
		.slot = key->slot, .generation = key->generation, .port = key->port};
	struct address address =
		address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + name->value.name.id));
	const struct entry *endpoint;

	memcpy(rules.address, &address, sizeof(address));
	endpoint = find(MAP_ENDPOINT, &rules);
	if (!world || key->slot != SLOT)
		__builtin_trap();
	for (uint32_t i = 0; i < name->value.name.count; i++) {
		size_t at = which(name->value.name.real[i]);

		if (addresses[at].never)
			__builtin_trap();
		for (uint32_t set = 0; endpoint && set < 4; set++) {
			bool admitted = false;

			if (!(endpoint->seen.word[0] >> set & 1))
				continue;
			for (size_t e = 0; e < world->policy.n_endpoints; e++)
				admitted |= world->endpoint[e].binary_set == set &&
					    admits(world, e, name->value.name.text, key->port, at);
			if (!admitted)
				__builtin_trap();
		}
	}
}

/* What the entry that was just written has to do with. */
static void check_beside(const struct entry *written)
{
	if (written->map == MAP_NAME)
		check(written);
	for (size_t i = 0; written->map == MAP_ENDPOINT && i < ENTRIES; i++)
		if (entry[i].map == MAP_NAME &&
		    entry[i].key.name.port == written->key.endpoint.port)
			check(&entry[i]);
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	struct entry *e = find(fd, key);

	if (!e) {
		if (used >= room)
			return -E2BIG;
		for (e = entry; e->map; e++)
			;
		*e = (struct entry){.map = fd};
		memcpy(&e->key, key, key_size(fd));
		used++;
	}
	if (fd == MAP_ENDPOINT) {
		e->value.endpoint = *(const struct os_endpoint *)value;
		endpoint_mask_add(&e->seen, &e->value.endpoint.rules);
	} else {
		e->value.name = *(const struct os_name *)value;
	}
	check_beside(e);
	return 0;
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	const struct entry *e = find(fd, key);

	if (!e)
		return -ENOENT;
	memcpy(value, &e->value,
	       fd == MAP_NAME ? sizeof(struct os_name) : sizeof(struct os_endpoint));
	return 0;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	struct entry *e = find(fd, key);

	if (!e)
		return -ENOENT;
	e->map = 0;
	used--;
	return 0;
}

void slot_settle(void)
{
	for (size_t i = 0; i < ENTRIES; i++)
		entry[i].seen = entry[i].value.endpoint.rules;
}

/* Four bytes an endpoint: host, port, binaries, allowed_ips. */
static void make(struct world *world, const uint8_t *data, size_t size)
{
	memset(world, 0, sizeof(*world));
	openshell__compiled__v1__compiled_policy__init(&world->policy);
	for (size_t i = 0; i < 4; i++) {
		openshell__compiled__v1__binary_set__init(&world->set[i]);
		world->sets[i] = &world->set[i];
		world->set[i].n_exact = i < 2;
		world->set[i].n_globs = i == 2; /* and nobody is in the last */
	}
	world->policy.binary_sets = world->sets;
	world->policy.n_binary_sets = 4;
	world->policy.endpoints = world->endpoints;
	for (size_t i = 0; i < ENDPOINTS && i * 4 + 4 <= size; i++) {
		const uint8_t *d = data + i * 4;
		PB(Endpoint) *e = &world->endpoint[i];

		openshell__compiled__v1__endpoint__init(e);
		world->endpoints[i] = e;
		world->policy.n_endpoints++;
		e->host = (char *)hosts[d[0] % ARRAY_LEN(hosts)];
		world->port[i] = ports[d[1] % ARRAY_LEN(ports)];
		e->ports = &world->port[i];
		e->n_ports = 1;
		e->binary_set = d[2] % 4;
		world->admits[i] = d[3] % 3;
		world->range[i] = allowed[world->admits[i]];
		e->allowed_ips = &world->range[i];
		e->n_allowed_ips = world->range[i] != NULL;
	}
}

static void say(const uint8_t *d, uint64_t now)
{
	const char *name = asked[d[0] % ARRAY_LEN(asked)];
	struct worker_found found = {.status = d[1] % 8 < 6    ? WORKER_NAME_FOUND
					       : d[1] % 8 == 6 ? WORKER_NAME_NONE
							       : WORKER_NAME_FAILED,
				     .ttl = d[1]};
	uint32_t bits = (uint32_t)d[2] << 8 | d[3];

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		if (!found.status && bits >> i & 1)
			memcpy(found.address[found.count++], bytes_of(i), 16);
	names_found(names, name, strlen(name), &found, now);
}

static void question(const uint8_t *d, uint64_t now)
{
	const char *name = asked[d[0] % ARRAY_LEN(asked)];
	struct worker_name answer = {};
	uint8_t address[16] = {[10] = 0xff, 0xff};

	if (names_ask(names, name, strlen(name), now, &answer) != NAMES_ANSWER ||
	    answer.status != WORKER_NAME_FOUND)
		return;
	if (!answer.has || !answer.ttl)
		__builtin_trap();
	memcpy(address + 12, answer.ipv4, 4);
	if (answer.has & WORKER_NAME_HAS_IPV4 &&
	    (!names_text(names, address) || strcmp(names_text(names, address), name)))
		__builtin_trap();
	if (answer.has & WORKER_NAME_HAS_IPV6 &&
	    (!names_text(names, answer.ipv6) || strcmp(names_text(names, answer.ipv6), name)))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel kernel = {.maps.endpoint = MAP_ENDPOINT, .maps.name = MAP_NAME};
	uint64_t now = 1000 * SECOND;
	uint32_t generation = 0;
	size_t world = 0;

	memset(entry, 0, sizeof(entry));
	memset(of_generation, 0, sizeof(of_generation));
	used = 0;
	room = size && data[0] & 1 ? 12 : ENTRIES;
	if (names_new(&kernel, SLOT, size && data[0] & 2, &names, NULL))
		return 0;
	for (size_t at = 1; at + 4 <= size && generation + 1 < ARRAY_LEN(of_generation); at += 4) {
		const uint8_t *d = data + at;
		size_t left = size - at - 4, more;

		switch (d[0] >> 5) {
		case 0:
			more = left < (d[1] % (ENDPOINTS + 1)) * 4 ? left
								   : (d[1] % (ENDPOINTS + 1)) * 4;
			make(&worlds[(world + 1) % POLICIES], d + 4, more);
			of_generation[generation + 1] = &worlds[(world + 1) % POLICIES];
			if (!names_write(names, generation + 1,
					 &worlds[(world + 1) % POLICIES].policy, NULL)) {
				world = (world + 1) % POLICIES;
				generation++;
				slot_settle();
				names_erase(names, generation - 1);
			}
			at += more & ~(size_t)3;
			break;
		case 1:
		case 2:
			question(d + 1, now);
			break;
		case 3:
		case 4:
		case 5:
			question(d, now);
			say(d, now);
			break;
		case 6:
			now += (uint64_t)d[1] * d[2] * SECOND;
			while (names_due(names, now, d[3] * SECOND))
				;
			break;
		default:
			room = d[1] & 1 ? used + d[2] % 8 : ENTRIES;
		}
	}
	names_free(names);
	if (used)
		__builtin_trap();
	return 0;
}
