/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literal addresses of policies in maps of the kernel's that no program reads: what is taken out
 * again, and that nothing else is.
 */
#include "common/cleanup.h"
#include "supervisor/egress.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PB(name) Openshell__Compiled__V1__##name
#define MANY	 3000 /* several batches of what is read at once */

static struct kernel kernel;
static int root_fd;
static PB(CompiledPolicy) policy;
static PB(Endpoint) endpoint[MANY + 2], *endpoints[MANY + 2];
static PB(BinarySet) set, *sets[1] = {&set};
static char text[MANY][16];
static uint32_t port = 443;
static char *range = (char *)"10.0.0.0/8", *range6 = (char *)"2001:db8::/32";

static PB(Endpoint) * add(const char *host)
{
	size_t i = policy.n_endpoints++;

	openshell__compiled__v1__endpoint__init(&endpoint[i]);
	endpoints[i] = &endpoint[i];
	endpoint[i].host = (char *)host;
	endpoint[i].host_is_address = host[0];
	endpoint[i].ports = &port;
	endpoint[i].n_ports = 1;
	return &endpoint[i];
}

static void make_policy(void)
{
	PB(Endpoint) * ranges;

	openshell__compiled__v1__compiled_policy__init(&policy);
	openshell__compiled__v1__binary_set__init(&set);
	set.any = true;
	policy.endpoints = endpoints;
	policy.binary_sets = sets;
	policy.n_binary_sets = 1;
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(text[i], sizeof(text[i]), "203.0.%u.%u", i >> 8, i & 0xff);
		add(text[i]);
	}
	ranges = add("");
	ranges->allowed_ips = &range;
	ranges->n_allowed_ips = 1;
	ranges = add("");
	ranges->allowed_ips = &range6;
	ranges->n_allowed_ips = 1;
}

static int make_map(enum bpf_map_type type, size_t key, size_t value, uint32_t max)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(type, "map", (__u32)key, (__u32)value, max, &options);

	if (fd < 0) {
		perror("map");
		exit(1);
	}
	return fd;
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

static bool holds(size_t endpoint_entries, size_t cidrs, size_t binaries, size_t names)
{
	size_t e = count(kernel.maps.endpoint, sizeof(struct os_endpoint_key)),
	       c = count(kernel.maps.cidr, sizeof(struct os_cidr_key)),
	       b = count(kernel.maps.binary, sizeof(struct os_binary_key)),
	       n = count(kernel.maps.name, sizeof(struct os_name_key));

	if (e != endpoint_entries || c != cidrs || b != binaries || n != names)
		printf("# %zu endpoints, %zu ranges, %zu binaries, %zu names\n", e, c, b, n);
	return e == endpoint_entries && c == cidrs && b == binaries && n == names;
}

static int put(uint32_t slot, uint32_t generation)
{
	const struct os_name_key key = {.slot = slot, .generation = generation};
	const struct os_name value = {};
	struct error err = {};
	int r = egress_write(&kernel, slot, generation, &policy, root_fd, NULL, &err);

	if (r)
		printf("# %s\n", err.message);
	if (!r)
		r = bpf_map_update_elem(kernel.maps.name, &key, &value, BPF_ANY);
	return r;
}

int main(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	if (geteuid() != 0) {
		skip("addresses in maps", "making maps needs root");
		return tap_end();
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	kernel.maps.endpoint = make_map(BPF_MAP_TYPE_HASH, sizeof(struct os_endpoint_key),
					sizeof(struct os_endpoint), 4 * MANY);
	kernel.maps.name =
		make_map(BPF_MAP_TYPE_HASH, sizeof(struct os_name_key), sizeof(struct os_name), 64);
	kernel.maps.binary = make_map(BPF_MAP_TYPE_HASH, sizeof(struct os_binary_key),
				      sizeof(struct os_binary), 64);
	kernel.maps.cidr = make_map(BPF_MAP_TYPE_LPM_TRIE, sizeof(struct os_cidr_key),
				    sizeof(struct os_endpoint), 64);
	make_policy();
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ok(!put(1, 5) && !put(1, 6) && !put(2, 5) && holds(3 * MANY, 6, 3, 3),
	   "two sandboxes, one of them with two generations");
	egress_remove(&kernel, 1, 5, &policy);
	ok(holds(2 * MANY, 4, 2, 3),
	   "a generation is removed by its policy, and nothing else with it");
	egress_remove(&kernel, 1, 5, &policy);
	ok(holds(2 * MANY, 4, 2, 3), "twice is not more");
	egress_erase(&kernel, 2, 6);
	ok(holds(2 * MANY, 4, 2, 3), "what is not there is not found by looking either");
	egress_erase(&kernel, 2, 5);
	ok(holds(MANY, 2, 1, 2), "a generation is found by looking, names included");
	ok(!put(1, 7) && !put(2, 7), "more of them");
	egress_erase(&kernel, 1, 0);
	ok(holds(MANY, 2, 1, 1), "all that a slot has is found by looking");
	ok(!put(3, 1) && !put(3, 2) && !put(3, 3) && put(3, 4) == -ENOSPC,
	   "a policy that does not fit is refused");
	ok(holds(4 * MANY, 8, 4, 4), "and leaves nothing");
	egress_erase(&kernel, 3, 0);
	root_fd = safe_close(root_fd);
	ok(!put(3, 1) && holds(2 * MANY, 4, 1, 2), "binaries can be left to others");
	return tap_end();
}
