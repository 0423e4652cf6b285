/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, published in maps of the kernel's that no program reads: what is in them after questions,
 * answers, changes of mind of a resolver, changes of policy, and when there is no room.
 */
#include "address.h"
#include "common/policy_address.h"
#include "common/policy_host.h"
#include "supervisor/names.h"
#include "supervisor/slot.h"
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

#define PROTOCOL_REST OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_REST

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

static enum os_verdict verdict(uint32_t generation, uint32_t number, uint16_t port)
{
	struct os_endpoint_key key = {.slot = SLOT, .generation = generation, .port = port};
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));
	struct os_endpoint value = {};

	memcpy(key.address, &address, sizeof(address));
	bpf_map_lookup_elem(kernel.maps.endpoint, &key, &value);
	return value.verdict;
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
	add(p, "inspected.example.org", 443, 0, NULL)->protocol = PROTOCOL_REST;
	add(p, "nobody.example.org", 443, 4, NULL);
	names = make(false, 3, p);
	ok(rules(3, 1, 443) == 1 && rules(3, 1, 80) == 4 && rules(3, 2, 443) == 2 &&
		   !rules(3, 2, 80) && rules(3, 3, 443) == 1 && entries() == 4,
	   "names that are spelt out have their endpoints, and no address, at once");
	ok(verdict(3, 1, 443) == OS_VERDICT_DIRECT && verdict(3, 3, 443) == OS_VERDICT_PROXY,
	   "and what is to become of a connection");
	ok(status(names, "inspected.example.org") == -1, "an inspected name is one like others");
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
	ok(found(names, "c.example.org", "192.0.2.1", 60) == -ENOENT && entries() == 4,
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

/* The families that a name is answered with. */
static unsigned int families(struct names *names, const char *name)
{
	struct worker_name answer = {};

	return ask(names, name, &answer) == NAMES_ANSWER ? answer.has : ~0u;
}

/* The proxy is at an IPv4 address, whatever the name has; and reads what one rule wants read. */
static void inspected_names(void)
{
	struct policy *p = begin(0);
	struct names *names;
	struct os_name value;

	add(p, "a.example.org", 443, 0, NULL)->protocol = PROTOCOL_REST;
	add(p, "b.example.org", 443, 0, NULL)->protocol = PROTOCOL_REST;
	add(p, "b.example.org", 22, 0, NULL);
	add(p, "*.example.org", 443, 1, NULL);
	names = make(false, 3, p);
	found(names, "a.example.org", "2001:db8::1", 60);
	ok(families(names, "a.example.org") == WORKER_NAME_HAS_IPV4 &&
		   is(where(3, 1, 443, true), "2001:db8::1") && !look(3, 1, 443, false, &value),
	   "an inspected name of IPv6 alone is asked for by IPv4");
	found(names, "a.example.org", "192.0.2.1 2001:db8::1", 60);
	ok(families(names, "a.example.org") == WORKER_NAME_HAS_IPV4 &&
		   is(where(3, 1, 443, false), "192.0.2.1"),
	   "and so is one of both");
	ok(verdict(3, 1, 443) == OS_VERDICT_PROXY && rules(3, 1, 443) == 3,
	   "what one rule wants read is read for all");
	found(names, "b.example.org", "192.0.2.1 2001:db8::1", 60);
	ok(families(names, "b.example.org") == WORKER_NAME_HAS_IPV4 &&
		   verdict(3, 2, 443) == OS_VERDICT_PROXY && verdict(3, 2, 22) == OS_VERDICT_DIRECT,
	   "another port of it goes directly");
	found(names, "b.example.org", "2001:db8::1", 60);
	ok(families(names, "b.example.org") == (WORKER_NAME_HAS_IPV4 | WORKER_NAME_HAS_IPV6),
	   "for which IPv6 is answered where there is nothing else");
	found(names, "a.example.org", "127.0.0.1", 60);
	ok(status(names, "a.example.org") == WORKER_NAME_FAILED &&
		   is(where(3, 1, 443, false), "") && verdict(3, 1, 443) == OS_VERDICT_PROXY,
	   "at forbidden addresses alone it is nowhere");
	ok(status(names, "c.example.org") == -1 &&
		   !found(names, "c.example.org", "2001:db8::1", 60) &&
		   families(names, "c.example.org") == WORKER_NAME_HAS_IPV6 &&
		   verdict(3, 3, 443) == OS_VERDICT_DIRECT,
	   "a name of the wildcard beside it is none of them");
	names_free(names);
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

/* What the maps had when names waited for programs to finish, in place of the supervisor's own. */
static struct {
	unsigned int count;
	uint64_t rules;
	char where[64];
} settled;

void slot_settle(void)
{
	settled.count++;
	settled.rules = rules(1, 1, 443);
	snprintf(settled.where, sizeof(settled.where), "%s", where(1, 1, 443, false));
}

static void globs(void)
{
	struct os_endpoint_key key = {.slot = SLOT, .generation = 1, .port = 443};
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + 1));
	struct os_endpoint value = {};
	struct policy *p = begin(0);
	struct names *names;

	add(p, NAMES_HOST, 443, 0, NULL);
	add(p, NAMES_HOST, 443, 3, NULL);
	names = make(false, 1, p);
	memcpy(key.address, &address, sizeof(address));
	ok(!bpf_map_lookup_elem(kernel.maps.endpoint, &key, &value) && value.rules.word[0] == 9 &&
		   value.ask.word[0] == 8 && value.verdict == OS_VERDICT_DIRECT,
	   "rules with globs are those to ask about");
	ok(!found(names, NAMES_HOST, "10.0.0.1", 60) && is(where(1, 1, 443, false), "10.0.0.1"),
	   "the host is a name like others");
	names_free(names);
}

static void rebinding(void)
{
	static const char *const forbidden[] = {"127.0.0.1",	  "169.254.169.254", "10.0.0.1",
						"198.18.0.2",	  "0.0.0.0",	     "::1",
						"64:ff9b::a00:1", "fd00::1",	     "192.168.0.1"};
	struct policy *p = begin(0);
	struct names *names;

	add(p, "*.example.org", 443, 0, NULL);
	add(p, "inside.example.com", 443, 1, "10.1.0.0/16");
	names = make(false, 1, p);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		bool held = status(names, "x.example.org") == -1 &&
			    !found(names, "x.example.org", "192.0.2.1", 1) &&
			    is(where(1, 2, 443, false), "192.0.2.1");

		now += SECOND;
		found(names, "x.example.org", forbidden[i], 1);
		ok(held && is(where(1, 2, 443, false), "") && is(where(1, 2, 443, true), "") &&
			   status(names, "x.example.org") == WORKER_NAME_FAILED,
		   "a name of a wildcard that turns to %s is gone at once", forbidden[i]);
		now += 5 * SECOND;
	}
	found(names, "x.example.org", "127.0.0.1 192.0.2.3 10.0.0.1", 60);
	ok(is(where(1, 2, 443, false), "192.0.2.3"),
	   "of several addresses the valid ones are left");
	found(names, "inside.example.com", "10.1.0.1 192.0.2.1", 60);
	ok(is(where(1, 1, 443, false), "10.1.0.1"), "a name with allowed_ips has only those");
	found(names, "inside.example.com", "10.2.0.1", 60);
	ok(is(where(1, 1, 443, false), "") &&
		   status(names, "inside.example.com") == WORKER_NAME_FAILED,
	   "and is gone when it leaves them");
	names_free(names);
}

static unsigned int sentences;
static char sentence[512];

static void listen_to(void *arg, const char *text)
{
	sentences++;
	snprintf(sentence, sizeof(sentence), "%s", text);
}

static void forbidden_addresses_are_told(void)
{
	static const struct {
		const char *name, *addresses, *word;
	} rows[] = {
		{"x.example.org", "192.0.2.1 10.0.0.1", "to 10.0.0.1, which is private"},
		{"y.example.org", "169.254.169.254", "a cloud metadata address"},
		{"z.example.org", "64:ff9b::7f00:1", "a loopback address"},
		{"s.example.org", "198.18.0.1", "stand for names"},
		{"inside.example.com", "10.1.0.1 10.2.0.1", "to 10.2.0.1, which is not among"},
		{"etcd.example.com", "10.1.0.1", "control port"},
	};
	struct policy *p = begin(0);
	struct names *names;
	char name[64];

	add(p, "*.example.org", 443, 0, NULL);
	add(p, "inside.example.com", 443, 1, "10.1.0.0/16");
	add(p, "etcd.example.com", 2379, 1, NULL);
	names = make(false, 1, p);
	names_listen(names, listen_to, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sentences = 0;
		status(names, rows[i].name);
		found(names, rows[i].name, rows[i].addresses, 1);
		found(names, rows[i].name, rows[i].addresses, 1);
		ok(sentences == 1 && strstr(sentence, rows[i].word) &&
			   strstr(sentence, rows[i].name),
		   "told once: %s", sentence);
	}
	sentences = 0;
	status(names, "a.example.org");
	found(names, "a.example.org", "192.0.2.1", 1);
	ok(sentences == 0, "of a name with good addresses nothing is told");
	names_write(names, 2, &p->compiled, NULL);
	found(names, "x.example.org", "10.0.0.1", 1);
	ok(sentences == 1, "under another policy it is told again");
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%u.example.org", i);
		status(names, name);
		found(names, name, "127.0.0.1", 1);
	}
	ok(sentences == NAMES_TOLD_MAX + 1 && strstr(sentence, "no more"),
	   "and not without end: %s", sentence);
	names_free(names);
}

static void binaries_of_wildcards(void)
{
	struct policy *p = begin(0);
	struct names *names;

	add(p, "db.example.org", 443, 0, NULL);
	add(p, "*.example.org", 443, 1, NULL);
	add(p, "db.example.org", 5432, 2, NULL);
	names = make(false, 1, p);
	found(names, "db.example.org", "192.0.2.1", 60);
	ok(rules(1, 1, 443) == 3 && settled.count == 0,
	   "a public address is for the binaries of the name and of the wildcard");
	found(names, "db.example.org", "10.0.0.1", 60);
	ok(rules(1, 1, 443) == 1 && is(where(1, 1, 443, false), "10.0.0.1") &&
		   rules(1, 1, 5432) == 4,
	   "a private one for those of the name that is spelt out");
	ok(settled.count == 1 && settled.rules == 1 && is(settled.where, "192.0.2.1"),
	   "and they lose their rule before there is anything new to find");
	found(names, "db.example.org", "192.0.2.1", 60);
	ok(rules(1, 1, 443) == 3 && settled.count == 1, "and have it again afterwards");
	names_free(names);
}

static void limits(void)
{
	struct policy *p = begin(0);
	struct worker_name answer = {};
	char name[64];
	struct names *names;
	unsigned int asked = 0, all = 0;
	size_t before;

	add(p, "*.example.org", 443, 0, NULL);
	add(p, "a.example.com", 443, 0, NULL);
	names = make(false, 1, p);
	before = entries();
	while (asked < 1000) {
		snprintf(name, sizeof(name), "n%u.example.org", asked);
		if (status(names, name) != -1)
			break;
		asked++;
	}
	ok(asked == NAMES_WILDCARD_BURST && entries() == before,
	   "%u new names of a wildcard at once, and nothing is published for them", asked);
	ok(status(names, name) == WORKER_NAME_LIMITED, "then they are limited");
	ok(status(names, "n0.example.org") == -1 && status(names, "a.example.com") == -1,
	   "but not those that are known, or spelt out");
	now += SECOND;
	for (all = asked; status(names, name) == -1; all++)
		snprintf(name, sizeof(name), "n%u.example.org", all);
	ok(all - asked == NAMES_WILDCARD_RATE + 1, "a second later there are %u more",
	   all - asked - 1);
	for (unsigned int i = 0; i < 2 * NAMES_WILDCARD_MAX; i++) {
		now += SECOND;
		snprintf(name, sizeof(name), "m%u.example.org", i);
		if (ask(names, name, &answer) == NAMES_ANSWER)
			break;
		all++;
	}
	ok(answer.status == WORKER_NAME_LIMITED && all == NAMES_WILDCARD_MAX + 1,
	   "and never more than %d", NAMES_WILDCARD_MAX);
	names_free(names);
}

static void switches(void)
{
	struct policy *p = begin(0), *q = begin(1);
	struct error err = {};
	struct names *names;
	struct os_name value;

	add(p, "a.example.org", 443, 0, NULL);
	add(p, "b.example.org", 443, 1, NULL);
	add(p, "*.example.com", 443, 2, NULL);
	names = make(false, 1, p);
	status(names, "x.example.com");
	status(names, "y.example.com");
	found(names, "a.example.org", "192.0.2.1", 60);
	found(names, "b.example.org", "10.0.0.2", 60);
	found(names, "x.example.com", "192.0.2.3", 60);
	found(names, "y.example.com", "192.0.2.4", 60);
	add(q, "new.example.org", 443, 0, NULL);
	add(q, "b.example.org", 8443, 1, NULL);
	add(q, "x.example.com", 443, 3, NULL);
	add(q, "a.example.net", 443, 2, NULL);
	ok(!names_write(names, 2, &q->compiled, &err), "another policy is written");
	ok(is(where(1, 1, 443, false), "192.0.2.1") && is(where(1, 2, 443, false), "10.0.0.2"),
	   "the one in force still has its entries");
	names_erase(names, 1);
	ok(is(where(1, 1, 443, false), "") && !rules(1, 1, 443) && !rules(1, 4, 443),
	   "until it is taken out");
	ok(is(where(2, 2, 8443, false), "10.0.0.2") && rules(2, 2, 8443) == 2 && !rules(2, 2, 443),
	   "a name of both has its number, and its address under its new port");
	ok(is(where(2, 3, 443, false), "192.0.2.3") && rules(2, 3, 443) == 8,
	   "so has one that only a wildcard knew before");
	ok(!rules(2, 1, 443) && !rules(2, 4, 443) &&
		   status(names, "a.example.org") == WORKER_NAME_REFUSED &&
		   status(names, "y.example.com") == WORKER_NAME_REFUSED &&
		   found(names, "y.example.com", "192.0.2.4", 60) == -ENOENT,
	   "the others are nobody's now");
	ok(look(2, 3, 443, false, &value) && value.id == 3 && rules(2, 5, 443) == 1,
	   "and a new one has a number that nobody had");
	ok(!names_write(names, 3, &p->compiled, &err) && is(where(3, 1, 443, false), "192.0.2.1") &&
		   is(where(3, 4, 443, false), "192.0.2.4"),
	   "the first policy again: each has what it had");
	ok(!names_write(names, 2, &q->compiled, &err) && is(where(2, 3, 443, false), "192.0.2.3"),
	   "going back to the generation before");
	names_erase(names, 3);
	ok(is(where(3, 1, 443, false), "") && is(where(2, 3, 443, false), "192.0.2.3") &&
		   status(names, "y.example.com") == WORKER_NAME_REFUSED,
	   "takes the other one out");
	names_free(names);
	ok(entries() == 0, "nothing is left");
}

static void private_after_a_switch(void)
{
	struct policy *p = begin(0), *q = begin(1);
	struct names *names;

	add(p, "db.example.org", 443, 0, NULL);
	names = make(false, 1, p);
	found(names, "db.example.org", "10.0.0.1 192.0.2.1", 60);
	add(q, "*.example.org", 443, 0, NULL);
	ok(!names_write(names, 2, &q->compiled, NULL) && is(where(2, 1, 443, false), "192.0.2.1"),
	   "known addresses are validated anew when the policy changes");
	names_free(names);
}

static void audit(void)
{
	struct policy *p = begin(0);
	struct worker_name answer = {};
	struct names *names;

	add(p, "a.example.org", 443, 0, NULL);
	names = make(true, 1, p);
	ok(status(names, "any.example.net") == -1, "in audit mode every name is admitted");
	found(names, "any.example.net", "10.0.0.1 127.0.0.1", 60);
	ok(is(where(1, 2, 0, false), "10.0.0.1") && !rules(1, 2, 443) && !rules(1, 2, 0) &&
		   ask(names, "any.example.net", &answer) == NAMES_ANSWER &&
		   answer.status == WORKER_NAME_FOUND,
	   "for every port, by no rule, but not at an address that nobody gets");
	found(names, "a.example.org", "192.0.2.1", 60);
	ok(is(where(1, 1, 0, false), "192.0.2.1") && is(where(1, 1, 443, false), "192.0.2.1") &&
		   rules(1, 1, 443) == 1,
	   "a name that a rule has is that rule's as well");
	found(names, "any.example.net", "127.0.0.1", 60);
	ok(is(where(1, 2, 0, false), "") && status(names, "any.example.net") == WORKER_NAME_FAILED,
	   "rebinding is seen here too");
	ok(status(names, "no such name") == WORKER_NAME_REFUSED, "nonsense is not admitted");
	names_free(names);
	ok(entries() == 0, "nothing is left");
}

static void set_used(uint32_t number, uint16_t port, uint64_t used)
{
	struct os_name_key key = {.slot = SLOT, .generation = 1, .port = port};
	struct address address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));
	struct os_name value;

	memcpy(key.address, &address, sizeof(address));
	if (bpf_map_lookup_elem(kernel.maps.name, &key, &value))
		return;
	value.used = used;
	value.next = 5;
	bpf_map_update_elem(kernel.maps.name, &key, &value, BPF_EXIST);
}

static bool due(struct names *names, const char *wanted)
{
	const char *name = names_due(names, now, 5 * SECOND);

	return wanted ? name && !strcmp(name, wanted) : !name;
}

static void names_in_use(void)
{
	struct policy *p = begin(0);
	struct names *names;
	struct os_name value;

	add(p, "a.example.org", 443, 0, NULL);
	add(p, "b.example.org", 443, 0, NULL);
	add(p, "c.example.org", 80, 0, NULL);
	names = make(false, 1, p);
	found(names, "a.example.org", "192.0.2.1", 60);
	found(names, "b.example.org", "192.0.2.2", 60);
	found(names, "c.example.org", "192.0.2.3", 60);
	now += 50 * SECOND;
	set_used(1, 443, now);
	set_used(3, 80, now - 20 * SECOND);
	ok(due(names, NULL), "no name is due that is not about to run out");
	now += 6 * SECOND;
	ok(due(names, "a.example.org") && due(names, "c.example.org") && due(names, NULL),
	   "those in use are, once each, and not the one that nobody connects to");
	ok(due(names, NULL), "and not twice");
	found(names, "a.example.org", "192.0.2.9", 60);
	ok(look(1, 1, 443, false, &value) && value.used && value.next == 5 &&
		   is(where(1, 1, 443, false), "192.0.2.9"),
	   "what the kernel wrote stays when the address changes");
	now += 6 * SECOND;
	ok(due(names, "c.example.org") && due(names, NULL),
	   "one that nobody looked up is due again, a refreshed one is not");
	set_used(2, 443, now);
	now += 30 * SECOND;
	ok(due(names, "b.example.org"), "one that is used at last is due then");
	now += 700 * SECOND;
	ok(due(names, NULL), "after a while nobody uses them");
	now += NAMES_STALE_SECONDS * SECOND;
	ok(due(names, NULL) && is(where(1, 1, 443, false), ""),
	   "and when they have run out they are taken out");
	names_free(names);
}

static void full_maps(void)
{
	struct policy *p = begin(0), *q = begin(1);
	struct error err = {};
	struct names *names;
	char text[40][16];

	make_maps(40, 4);
	for (unsigned int i = 0; i < 30; i++) {
		snprintf(text[i], sizeof(text[i]), "n%u.org", i);
		if (i < 20)
			add(p, text[i], 443, 0, NULL);
		add(q, text[i], 443, 0, NULL);
	}
	add(p, "*.example.org", 443, 0, NULL);
	names = make(false, 1, p);
	for (unsigned int i = 0; i < 4; i++)
		found(names, text[i], "192.0.2.1", 60);
	ok(entries() == 24, "a map is full of names");
	ok(found(names, text[4], "192.0.2.1 2001:db8::1", 60) == -ENOSPC &&
		   status(names, text[4]) == WORKER_NAME_FAILED && entries() == 24,
	   "a name that does not fit is not answered");
	ok(!found(names, text[0], "192.0.2.7", 60) && is(where(1, 1, 443, false), "192.0.2.7"),
	   "those that are there can still change");
	ok(names_write(names, 2, &q->compiled, &err) == -ENOSPC &&
		   strstr(err.message, "os_endpoint"),
	   "a policy that does not fit is refused: %s", err.message);
	ok(entries() == 24 && status(names, text[25]) == WORKER_NAME_REFUSED &&
		   status(names, text[0]) == WORKER_NAME_FOUND,
	   "whole, and the earlier one is still asked");
	not_found(names, text[0], WORKER_NAME_NONE);
	now += 5 * SECOND;
	ok(status(names, text[4]) == -1 && !found(names, text[4], "192.0.2.1", 60) &&
		   status(names, text[4]) == WORKER_NAME_FOUND,
	   "where one goes another fits");
	ok(status(names, "x.example.org") == -1 &&
		   found(names, "x.example.org", "192.0.2.1", 60) == -ENOSPC,
	   "a new name under a wildcard finds no room either");
	names_free(names);
	ok(entries() == 0, "nothing is left");
	make_maps(262144, 131072);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void many(void)
{
	static char text[MANY][32];
	static struct names *all[1000];
	struct policy *p = begin(0);
	struct error err = {};
	struct names *names;
	double start, spent;
	int r = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		snprintf(text[i], sizeof(text[i]), "%sn%u.example.org", i % 10 ? "" : "*.", i);
		add(p, text[i], 443, i % 3, NULL);
	}
	start = seconds();
	names = make(false, 1, p);
	for (unsigned int i = 0; i < 10000; i++)
		if (i % 10)
			r |= found(names, text[i], "192.0.2.1 2001:db8::1", 60);
	spent = seconds() - start;
	ok(!r && entries() == 9000 + 18000 && spent < 5,
	   "10,000 endpoints, and addresses for 9,000 of them (%.2f s)", spent);
	start = seconds();
	r = names_write(names, 2, &p->compiled, &err);
	spent = seconds() - start;
	ok(!r && spent < 5, "a switch of all of them (%.2f s)", spent);
	start = seconds();
	names_erase(names, 1);
	spent = seconds() - start;
	ok(entries() == 9000 + 18000 && spent < 5, "and the old ones are taken out (%.2f s)",
	   spent);
	names_free(names);

	p = begin(0);
	for (unsigned int i = 0; i < 100; i++)
		add(p, text[i], 443, i % 3, NULL);
	start = seconds();
	for (uint32_t slot = 0; slot < 1000 && !r; slot++) {
		r = names_new(&kernel, slot + 1, false, &all[slot], &err);
		if (!r)
			r = names_write(all[slot], 1, &p->compiled, &err);
	}
	spent = seconds() - start;
	ok(!r && entries() == 90000 && spent < 5, "1,000 sandboxes of 100 endpoints (%.2f s)",
	   spent);
	start = seconds();
	r = names_write(all[0], 2, &p->compiled, &err);
	names_erase(all[0], 1);
	spent = seconds() - start;
	ok(!r && spent < 0.05, "a switch of one of them costs what it has (%.4f s)", spent);
	for (uint32_t slot = 0; slot < 1000; slot++)
		names_free(all[slot]);
	ok(entries() == 0, "nothing is left");
}

static void too_many(void)
{
	static char text[MANY][32];
	struct error err = {};
	struct names *names;
	uint32_t generation = 1;
	int r = 0;

	begin(0);
	names = make(false, generation, &policies[0]);
	for (unsigned int round = 0; !r && round < 4; round++) {
		struct policy *p = begin(generation % 2);

		for (unsigned int i = 0; i < 10000; i++) {
			snprintf(text[i], sizeof(text[i]), "r%u.n%u.org", round, i);
			add(p, text[i], 443, 0, NULL);
		}
		r = names_write(names, ++generation, &p->compiled, &err);
		if (!r)
			names_erase(names, generation - 1);
	}
	ok(r == -E2BIG && generation == 5 && entries() == 10000,
	   "the names of a sandbox's life have an end: %s", err.message);
	names_free(names);
}

/* It is where the policy has its endpoint, with one port, and nowhere else in any mode. */
static void inference_local(bool audit)
{
	const char *how = audit ? "audited: " : "";
	struct policy *p = begin(0), *q = begin(1);
	struct worker_name answer = {};
	struct names_addresses addresses;
	uint8_t asked[16] = {};
	struct error err = {};
	struct names *names;

	add(p, "**.local", 443, 0, NULL);
	add(p, "inference.local", 443, 1, NULL)->protocol =
		OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_INFERENCE;
	add(q, "**.local", 80, 0, NULL);
	names = make(audit, 1, p);
	ok(ask(names, "inference.local", &answer) == NAMES_ANSWER &&
		   answer.status == WORKER_NAME_FOUND && answer.has == WORKER_NAME_HAS_IPV4,
	   "%sinference.local has an address without a look-up, of IPv4 alone", how);
	memset(asked + 10, 0xff, 2);
	memcpy(asked + 12, answer.ipv4, 4);
	ok(is(names_text(names, asked), "inference.local"), "%swhich is its own", how);
	ok(rules(1, 1, 443) == 2 && verdict(1, 1, 443) == OS_VERDICT_PROXY,
	   "%severybody of its set gets there by the proxy", how);
	ok(!rules(1, 1, 80) && !rules(1, 1, 8443), "%sat one port", how);
	ok(found(names, "inference.local", "192.0.2.1", 60) == -ENOENT &&
		   is(where(1, 1, 443, false), "") && is(where(1, 1, 0, false), ""),
	   "%sno resolver says where it is", how);
	ok(names_where(names, asked, 443, now, &addresses) == -EPERM,
	   "%sand nobody is connected to it", how);
	ok(status(names, "x.inference.local") == -1, "%sother names are looked up", how);
	ok(!names_write(names, 2, &q->compiled, &err) &&
		   status(names, "inference.local") == WORKER_NAME_REFUSED && !rules(2, 1, 443) &&
		   !rules(2, 1, 80),
	   "%sanother policy does not have it, whatever its wildcards are", how);
	names_free(names);
	names = make(audit, 1, q);
	ok(status(names, "inference.local") == WORKER_NAME_REFUSED,
	   "%snor is it numbered because somebody asks", how);
	names_free(names);
	ok(entries() == 0, "%sand nothing is left", how);
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
	inference_local(false);
	inference_local(true);
	exact_names();
	inspected_names();
	lookups_that_fail();
	globs();
	rebinding();
	forbidden_addresses_are_told();
	binaries_of_wildcards();
	limits();
	switches();
	private_after_a_switch();
	audit();
	names_in_use();
	full_maps();
	many();
	too_many();
	return tap_end();
}
