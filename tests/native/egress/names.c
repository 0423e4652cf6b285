/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "loaded.h"
#include "runner.h"
#include "world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOT	  1
#define LIVE	  3600 /* seconds */
#define SYNTHETIC "fd6f:7065:6e73:6865::"
#define V4(text)  "::ffff:" text

/* Sets of binaries, as policy.c numbers them. */
enum { SET_ADMITTED, SET_PARENT, SET_GLOB, SET_ANY };

#define ENTRY_SECOND	(1u << 0) /* POLICY_WITHOUT_SECOND lacks it */
#define ENTRY_INSPECTED (1u << 1) /* what is said there decides */
#define ENTRY_TURNS	(1u << 2) /* under POLICY_TURNED it is the other way round */

/* A name's port; the name N is endpoint 100 + N. @set -1: no rule has it. */
static const struct {
	uint32_t number;
	uint16_t port;
	int set;
	const char *real4[2], *real6;
	int seconds;
	unsigned int flags; /* ENTRY_* */
} entries[] = {
	{1, 8000, SET_ADMITTED, {V4("10.77.0.2")}, "fd77::2", LIVE, 0},
	{1, 8001, SET_PARENT, {V4("10.77.0.2")}, "fd77::2", LIVE, 0},
	{2, 8000, SET_PARENT, {V4("10.77.0.2")}, "fd77::2", LIVE, 0},
	{3, 8000, SET_ANY, {V4("10.77.0.2"), V4("10.77.0.3")}, NULL, LIVE, 0},
	{4, 8000, SET_ANY, {V4("10.77.0.2")}, NULL, -1, 0},
	{5, 8000, SET_ANY, {}, NULL, 0, 0},
	{6, 8000, SET_ANY, {V4("169.254.169.254")}, NULL, LIVE, 0},
	{6, 8100, SET_ANY, {V4("127.0.0.1")}, NULL, LIVE, 0},
	{7, 8000, SET_ADMITTED, {V4("10.77.1.2")}, "fd77:1::2", LIVE, ENTRY_SECOND},
	{8, 8000, SET_GLOB, {V4("10.77.0.2")}, "fd77::2", LIVE, ENTRY_SECOND},
	{9, 8002, SET_ADMITTED, {V4("10.77.0.2")}, NULL, LIVE, 0},
	{10, 8000, SET_ADMITTED, {V4("10.77.0.2")}, "fd77::2", LIVE, ENTRY_INSPECTED},
	{11, 8000, SET_GLOB, {V4("10.77.0.2")}, "fd77::2", LIVE, ENTRY_SECOND | ENTRY_INSPECTED},
	{12, 8000, SET_ANY, {}, NULL, 0, ENTRY_INSPECTED},
	{13, 8100, SET_ANY, {V4("10.77.0.2")}, NULL, LIVE, ENTRY_INSPECTED},
	{14, 8000, SET_ADMITTED, {V4("10.77.0.2")}, "fd77::2", LIVE, ENTRY_INSPECTED | ENTRY_TURNS},
	{15, 8000, SET_ADMITTED, {V4("10.77.0.2")}, "fd77::2", LIVE, ENTRY_TURNS},
	{16, 8000, SET_ADMITTED, {V4("10.77.0.2")}, NULL, LIVE, ENTRY_SECOND | ENTRY_INSPECTED},
	{20, 0, -1, {V4("10.77.0.2")}, NULL, LIVE, 0},
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

static uint32_t in_force;

static uint64_t boot_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void parse(const char *text, uint8_t ret_address[16])
{
	if (inet_pton(AF_INET6, text, ret_address) != 1)
		die(text);
}

static void synthetic(uint32_t number, bool ipv6, uint8_t ret_address[16])
{
	char text[INET6_ADDRSTRLEN];

	snprintf(text, sizeof(text), ipv6 ? SYNTHETIC "%x" : "::ffff:198.18.0.%u", number);
	parse(text, ret_address);
}

static struct os_name_key name_key(size_t i, bool ipv6, uint32_t generation)
{
	struct os_name_key key = {.slot = SLOT, .generation = generation, .port = entries[i].port};

	synthetic(entries[i].number, ipv6, key.address);
	return key;
}

static void enter_name(size_t i, bool ipv6, uint32_t generation)
{
	struct os_name_key key = name_key(i, ipv6, generation);
	struct os_name value = {.id = entries[i].number};
	const char *const real6[] = {entries[i].real6, NULL};
	const char *const *real = ipv6 ? real6 : entries[i].real4;

	value.expiry = boot_time() + (uint64_t)(int64_t)entries[i].seconds * 1000000000;
	for (; value.count < 2 && real[value.count]; value.count++)
		parse(real[value.count], value.real[value.count]);
	snprintf(value.text, sizeof(value.text), "name%u.test", entries[i].number);
	if (value.count && bpf_map_update_elem(loaded_map("os_name"), &key, &value, BPF_ANY))
		die("os_name");
}

static void enter_endpoint(size_t i, uint32_t generation, bool turned)
{
	struct os_endpoint_key key = {
		.slot = SLOT, .generation = generation, .port = entries[i].port};
	struct os_endpoint value = {.endpoint = 100 + entries[i].number,
				    .verdict = OS_VERDICT_DIRECT};

	if (!(entries[i].flags & ENTRY_INSPECTED) == (turned && entries[i].flags & ENTRY_TURNS))
		value.verdict = OS_VERDICT_PROXY;
	if (entries[i].set < 0)
		return;
	synthetic(entries[i].number, false, key.address);
	value.rules.word[0] = UINT64_C(1) << entries[i].set;
	if (entries[i].set == SET_GLOB)
		value.ask = value.rules;
	if (bpf_map_update_elem(loaded_map("os_endpoint"), &key, &value, BPF_ANY))
		die("os_endpoint");
}

/* Endpoints of earlier generations go with the policy's other ones. */
void names_fill(uint32_t generation, enum policy_kind kind)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		for (int ipv6 = 0; ipv6 < 2; ipv6++) {
			struct os_name_key key = name_key(i, ipv6, in_force);

			bpf_map_delete_elem(loaded_map("os_name"), &key);
			if (kind != POLICY_WITHOUT_SECOND || !(entries[i].flags & ENTRY_SECOND))
				enter_name(i, ipv6, generation);
		}
		if (kind != POLICY_WITHOUT_SECOND || !(entries[i].flags & ENTRY_SECOND))
			enter_endpoint(i, generation, kind == POLICY_TURNED);
	}
	in_force = generation;
}

uint32_t names_generation(void)
{
	return in_force;
}

void names_set_worker(bool there)
{
	const uint32_t slot = SLOT;
	const struct os_worker worker = {
		.dns_udp4 = WORKER_PORT,
		.dns_tcp4 = WORKER_PORT + 1,
		.dns_udp6 = WORKER_PORT + 2,
		.dns_tcp6 = WORKER_PORT + 3,
		.ask4 = WORKER_PORT + 4,
		.ask6 = WORKER_PORT + 5,
	};
	int map = loaded_map("os_worker");

	if (there ? bpf_map_update_elem(map, &slot, &worker, BPF_ANY)
		  : bpf_map_delete_elem(map, &slot))
		die("os_worker");
}

static const struct row rows[] = {
#include "names_rows.h"
};

static struct os_name look_at(uint32_t number)
{
	struct os_name value;

	for (size_t i = 0; i < ENTRIES; i++) {
		struct os_name_key key = name_key(i, false, in_force);

		if (entries[i].number == number &&
		    !bpf_map_lookup_elem(loaded_map("os_name"), &key, &value))
			return value;
	}
	die("os_name lacks a name");
}

static void check_turns(int scope)
{
	struct os_name before = look_at(3), after;
	int seen[2] = {}, failed = 0;
	struct os_event event;

	for (int i = 0; i < 4; i++) {
		failed |= run(SLOT, "{admitted} tcp 198.18.0.3 8000", scope);
		if (!loaded_event(SLOT, &event))
			continue;
		seen[0] += went_to(&event, V4("10.77.0.2"));
		seen[1] += went_to(&event, V4("10.77.0.3"));
	}
	after = look_at(3);
	result(!failed && seen[0] == 2 && seen[1] == 2 && after.next == before.next + 4,
	       "addresses take turns (%d, %d)", seen[0], seen[1]);
	result(after.used > before.used && after.used <= boot_time() &&
		       after.expiry == before.expiry,
	       "and the name is marked as used");
	before = after;
	failed = run(SLOT, "{admitted} udp-both 198.18.0.3 8000 198.18.0.7 8000", scope);
	after = look_at(3);
	result(!failed && after.next == before.next + 1,
	       "datagrams stay with the address they had first (%d, %u)", failed,
	       after.next - before.next);
}

/* getaddrinfo() connects to port 0 of each address, to see where it would come from. */
static void check_probe(int scope)
{
	static const char probe[] = "{admitted} udp-probe 198.18.0.1 0";
	uint64_t denied = loaded_count(OS_COUNT_HOOK_DENIED + OS_HOOK_CONNECT4);
	struct os_event event = {};
	int inside, told;

	loaded_event(SLOT, &event);
	inside = run(SLOT, probe, scope);
	denied = loaded_count(OS_COUNT_HOOK_DENIED + OS_HOOK_CONNECT4) - denied;
	told = loaded_event(SLOT, &event) && event.hook == OS_HOOK_CONNECT4;
	result(inside == EPERM && denied == 1 && !told && run(0, probe, scope) == 0,
	       "port 0 of a name is denied, and not told (%d)", inside);
}

/* The entry of os_flow for @pid that goes to the worker's @port. */
static bool find_flow(pid_t pid, uint16_t port, struct os_flow_key *ret_key,
		      struct os_flow *ret_flow)
{
	struct os_flow_key key, *previous = NULL;
	int map = loaded_map("os_flow");
	struct os_flow flow;

	for (; !bpf_map_get_next_key(map, previous, &key); previous = &key)
		if (key.remote_port == port && !bpf_map_lookup_elem(map, &key, &flow) &&
		    flow.tgid == (uint32_t)pid) {
			*ret_key = key;
			*ret_flow = flow;
			return true;
		}
	return false;
}

/* @local: the agent's end, which the kernel has chosen. */
static void check_flow(const char *act, const char *program, uint16_t port, const char *local,
		       const char *asked, uint16_t asked_port, uint32_t endpoint, bool removed,
		       const char *what, int scope)
{
	char path[300];
	struct os_flow_key key = {};
	struct os_flow flow = {};
	struct os_image image;
	uint8_t local_bytes[16], asked_bytes[16];
	int report, go, error;
	bool there, right;
	pid_t pid = start(SLOT, act, scope, &report, &go);

	snprintf(path, sizeof(path), "%s/%s", runner_dir, program);
	image = loaded_image(path);
	parse(local, local_bytes);
	parse(asked, asked_bytes);
	error = next_report(report);
	there = find_flow(pid, port, &key, &flow);
	right = !memcmp(key.local, local_bytes, 16) && !memcmp(key.remote, local_bytes, 16) &&
		key.local_port && flow.slot == SLOT && flow.generation == in_force &&
		flow.asked_port == asked_port && !memcmp(flow.asked, asked_bytes, 16) &&
		flow.endpoint == endpoint && flow.start_time &&
		!memcmp(&flow.exe, &image.file, sizeof(flow.exe));
	end(pid, report, go);
	result(!error && there && right, "who is behind it: %s (%d, %d)", what, error, there);
	if (!removed)
		return;
	for (int i = 0; i < 50 && !bpf_map_lookup_elem(loaded_map("os_flow"), &key, &flow); i++)
		usleep(20000);
	result(bpf_map_lookup_elem(loaded_map("os_flow"), &key, &flow) != 0,
	       "and forgotten when it closes: %s", what);
}

static void check_flows(int scope)
{
	check_flow("{other} hold 10.77.0.2 53", "other", WORKER_PORT + 1, V4("127.0.0.1"),
		   V4("10.77.0.2"), 53, NO, true, "DNS over TCP", scope);
	check_flow("{other} hold fd77::2 53", "other", WORKER_PORT + 3, "::1", "fd77::2", 53, NO,
		   true, "DNS over TCP and v6", scope);
	check_flow("{other} hold ::ffff:10.77.0.2 53", "other", WORKER_PORT + 1, V4("127.0.0.1"),
		   V4("10.77.0.2"), 53, NO, true, "DNS over TCP, v4-mapped", scope);
	check_flow("{other} hold-udp 10.77.0.2 53", "other", WORKER_PORT, V4("127.0.0.1"),
		   V4("10.77.0.2"), 53, NO, false, "DNS", scope);
	check_flow("{other} hold-udp fd77::2 53", "other", WORKER_PORT + 2, "::1", "fd77::2", 53,
		   NO, false, "DNS over v6", scope);
	check_flow("{another} hold 198.18.0.8 8000", "another", WORKER_PORT + 4, V4("127.0.0.1"),
		   V4("198.18.0.8"), 8000, 108, false, "a binary not known", scope);
	check_flow("{another} hold " SYNTHETIC "8 8000", "another", WORKER_PORT + 5, "::1",
		   SYNTHETIC "8", 8000, 108, false, "a binary not known, v6", scope);
}

/* What waits at the worker has no more rights than what does not. */
static void check_waiting(int scope)
{
	int report, go, first, second;
	pid_t pid = start(SLOT, "{another} hold 198.18.0.8 8000 10.77.0.2 53", scope, &report, &go);

	first = next_report(report);
	policy_switch(POLICY_WITHOUT_SECOND, runner_dir);
	if (write(go, "", 1) != 1)
		die("go");
	result(first == 0, "two connections to the worker");
	first = next_report(report);
	second = next_report(report);
	result(first == EAGAIN || first == EPERM, "what no rule can admit now stops (%d)", first);
	result(second == WORKER, "DNS goes on after a switch (%d)", second);
	end(pid, report, go);
	policy_switch(POLICY_FULL, runner_dir);

	pid = start(SLOT, "{another} hold 198.18.0.8 8000", scope, &report, &go);
	first = next_report(report);
	policy_switch(POLICY_FULL, runner_dir);
	if (write(go, "", 1) != 1)
		die("go");
	second = next_report(report);
	result(first == 0 && second == WORKER, "what may still be admitted waits on (%d, %d)",
	       first, second);
	end(pid, report, go);
}

/* Name 1's first entry, in the generation in force: its limits, and where it is. */
static void limit(uint16_t limits, const char *real)
{
	struct os_endpoint_key endpoint = {
		.slot = SLOT, .generation = in_force, .port = entries[0].port};
	struct os_name_key name = name_key(0, false, in_force);
	struct os_endpoint rules;
	struct os_name where;

	synthetic(entries[0].number, false, endpoint.address);
	if (bpf_map_lookup_elem(loaded_map("os_endpoint"), &endpoint, &rules) ||
	    bpf_map_lookup_elem(loaded_map("os_name"), &name, &where))
		die("name 1");
	rules.limits = limits;
	parse(real, where.real[0]);
	if (bpf_map_update_elem(loaded_map("os_endpoint"), &endpoint, &rules, BPF_ANY) ||
	    bpf_map_update_elem(loaded_map("os_name"), &name, &where, BPF_ANY))
		die("name 1");
}

/* A connection that the new policy's rules admit, at an address that they may not admit. */
static void check_limits(int scope)
{
	static const struct {
		uint16_t limits;
		const char *real;
		bool stays;
		const char *what;
	} ways[] = {
		{0, V4("10.77.0.3"), true, "a name that may be anywhere is elsewhere by now"},
		{OS_ENDPOINT_PUBLIC, V4("10.77.0.2"), true, "a private address that is admitted"},
		{OS_ENDPOINT_PUBLIC, V4("10.77.0.3"), false, "a private address that is not"},
		{OS_ENDPOINT_LISTED, V4("10.77.0.2"), true, "an address that is listed"},
		{OS_ENDPOINT_LISTED, V4("10.77.0.3"), false, "an address that is not listed"},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		static const char *const acts[] = {"{admitted} hold 198.18.0.1 8000",
						   "{admitted} hold-udp 198.18.0.1 8000"};
		for (size_t a = 0; a < 2; a++) {
			struct os_event event = {};
			int report, go, first, second;
			pid_t pid;

			policy_switch(POLICY_FULL, runner_dir);
			pid = start(SLOT, acts[a], scope, &report, &go);
			first = next_report(report);
			usleep(60000); /* an acknowledgement that is late is judged too */
			loaded_event(SLOT, &event);
			policy_switch(POLICY_FULL, runner_dir);
			limit(ways[i].limits, ways[i].real);
			if (write(go, "", 1) != 1)
				die("go");
			/* At once: what earlier acts left unsent is tried again, and denied. */
			for (int n = 0; n < 50 && !ways[i].stays; n++) {
				if (loaded_event(SLOT, &event) &&
				    event.reason == OS_REASON_STALE_NAME)
					break;
				usleep(10000);
			}
			second = next_report(report);
			if (ways[i].stays)
				result(!first && !second, "switch, %s: goes on (%d, %d)",
				       ways[i].what, first, second);
			else
				result(!first && (second == EAGAIN || second == EPERM) &&
					       event.reason == OS_REASON_STALE_NAME,
				       "switch, %s: stops (%d, %d, reason %u)", ways[i].what, first,
				       second, event.reason);
			end(pid, report, go);
		}
	}
	policy_switch(POLICY_FULL, runner_dir);
}

/* The binary is looked at: with an entry it is known, whatever that says. */
static void know(const char *program, uint64_t rules)
{
	char path[300];
	struct os_binary_key key = {.slot = SLOT, .generation = in_force};
	struct os_binary value = {.rules.word = {rules}};
	struct os_image image;

	snprintf(path, sizeof(path), "%s/%s", runner_dir, program);
	image = loaded_image(path);
	key.file = image.file;
	value.changed[0] = image.changed;
	if (bpf_map_update_elem(loaded_map("os_binary"), &key, &value, BPF_ANY))
		die("os_binary");
}

static void check_known(int scope)
{
	static const struct row denied = {"looked at, and no glob has it",
					  "{another} tcp 198.18.0.8 8000",
					  EPERM,
					  0,
					  OS_HOOK_CONNECT4,
					  DENY(BINARY)};
	static const struct row admitted = {"looked at, and a glob has it",
					    "{another} tcp 198.18.0.8 8000",
					    0,
					    0,
					    OS_HOOK_CONNECT4,
					    WENT(108, V4("10.77.0.2"))};

	know("another", 0);
	check(&denied, scope);
	know("another", UINT64_C(1) << SET_GLOB);
	check(&admitted, scope);
	policy_switch(POLICY_FULL, runner_dir);
}

static void check_audit(int scope)
{
	struct os_event event = {};
	int error, report, go, second;
	pid_t pid;

	policy_mode(OS_MODE_AUDIT);
	error = run(SLOT, "{other} tcp 198.18.0.20 8000", scope);
	result(error == 0 && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_NO_ENDPOINT && event.port == 8000 &&
		       went_to(&event, V4("10.77.0.2")),
	       "audit: a name that no rule has is reached on every port (%d)", error);
	error = run(SLOT, "{other} tcp 198.18.0.99 8000", scope);
	result(error == EPERM && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_DENIED &&
		       event.reason == OS_REASON_STALE_NAME,
	       "audit: what is no name is nowhere (%d)", error);
	error = run(SLOT, "{another} tcp 198.18.0.8 8000", scope);
	result(error == 0 && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_BINARY,
	       "audit: nobody waits for a verdict (%d)", error);
	error = run(SLOT, "{other} udp-probe 198.18.0.1 0", scope);
	result(error == 0, "audit: port 0 (%d)", error);
	check_flow("{other} hold-udp 10.77.0.2 53", "other", WORKER_PORT, V4("127.0.0.1"),
		   V4("10.77.0.2"), 53, NO, false, "DNS in audit mode", scope);
	pid = start(SLOT, "{other} hold 198.18.0.20 8000", scope, &report, &go);
	error = next_report(report);
	policy_mode(OS_MODE_ENFORCE);
	if (write(go, "", 1) != 1)
		die("go");
	second = next_report(report);
	result(error == 0 && (second == EAGAIN || second == EPERM),
	       "a name that audit mode let through stops when enforcement begins (%d, %d)", error,
	       second);
	end(pid, report, go);
}

/* The worker's ports are somebody else's from now on. */
static void check_worker_goes(int scope)
{
	static const struct row dns = {"DNS without a worker is what the rules say",
				       "{other} udp-sendto 10.77.0.2 53",
				       EPERM,
				       0,
				       OS_HOOK_SENDMSG4,
				       DENY(NO_ENDPOINT)};
	static const struct row ask = {"nobody to ask about a binary",
				       "{another} tcp 198.18.0.8 8000",
				       EPERM,
				       0,
				       OS_HOOK_CONNECT4,
				       DENY(BINARY)};
	static const char *const acts[] = {"{other} hold 10.77.0.2 53",
					   "{other} hold-udp 10.77.0.2 53",
					   "{another} hold 198.18.0.8 8000"};
	int report[3], go[3], first[3], second[3];
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = start(SLOT, acts[i], scope, &report[i], &go[i]);
		first[i] = next_report(report[i]);
	}
	names_set_worker(false);
	for (int i = 0; i < 3; i++)
		if (write(go[i], "", 1) != 1)
			die("go");
	for (int i = 0; i < 3; i++) {
		second[i] = next_report(report[i]);
		result(!first[i] && (second[i] == EAGAIN || second[i] == EPERM),
		       "no packet goes to a worker that is gone: %s (%d, %d)", acts[i], first[i],
		       second[i]);
		end(pid[i], report[i], go[i]);
	}
	check(&dns, scope);
	check(&ask, scope);
	result(run(SLOT, "{admitted} tcp 198.18.0.1 8000", scope) == 0,
	       "names that are known need no worker");
}

void names_check(int scope)
{
	names_set_worker(true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], scope);
	check_turns(scope);
	check_probe(scope);
	check_flows(scope);
	check_switch("{admitted} hold 198.18.0.1 8000 198.18.0.7 8000", "switch, names", 0, scope);
	check_switch("{admitted} hold " SYNTHETIC "1 8000 " SYNTHETIC "7 8000",
		     "switch, names over v6", 0, scope);
	check_switch("{admitted} hold-udp 198.18.0.1 8000 198.18.0.7 8000",
		     "switch, names and datagrams", 0, scope);
	check_waiting(scope);
	check_limits(scope);
	check_known(scope);
	check_audit(scope);
	check_worker_goes(scope);
}
