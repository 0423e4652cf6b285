/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect.h"

#include "loaded.h"
#include "names.h"
#include "policy.h"
#include "proxies.h"
#include "runner.h"
#include "supervisor/revoke.h"
#include "world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOT	     1
#define SYNTHETIC    "fd6f:7065:6e73:6865::"
#define HELD	     "{admitted} hold 198.18.0.10 8000"
#define STOPPED(e)   ((e) == EAGAIN || (e) == EPERM)
#define DESTROYED(e) ((e) == ECONNABORTED || (e) == EPIPE)

static const struct row rows[] = {
#include "redirect_rows.h"
};

static void go_on(int go)
{
	if (write(go, "", 1) != 1)
		die("go");
}

static bool is_address(const uint8_t *bytes, const char *text)
{
	uint8_t address[16];

	if (inet_pton(AF_INET6, text, address) != 1)
		die(text);
	return !memcmp(bytes, address, sizeof(address));
}

/* What @slot has of os_proxied, by its own counter, after a moment for what is closing. */
static uint64_t open_connections(uint32_t slot)
{
	uint64_t open = 1;

	for (int i = 0; i < 100 && open; i++) {
		if (bpf_map_lookup_elem(loaded_map("os_proxied_open"), &slot, &open))
			die("os_proxied_open");
		if (open)
			usleep(10000);
	}
	return open;
}

static size_t entries(const char *name)
{
	struct os_flow_key key, *previous = NULL;
	size_t n = 0;

	for (; !bpf_map_get_next_key(loaded_map(name), previous, &key); previous = &key)
		n++;
	return n;
}

/* Who is behind a connection, while it lasts and after. */
static void check_flow(const char *act, const char *program, uint16_t flags, const char *asked,
		       uint16_t port, uint32_t endpoint, uint64_t rules, const char *what,
		       int scope)
{
	int report, go, error;
	struct os_image image;
	struct proxies_seen seen;
	struct os_flow flow;
	char path[300];
	pid_t pid;
	bool right;

	snprintf(path, sizeof(path), "%s/%s", runner_dir, program);
	image = loaded_image(path);
	proxies_seen(SLOT);
	pid = start(SLOT, act, scope, &report, &go);
	error = next_report(report);
	seen = proxies_seen(SLOT);
	flow = seen.flow;
	right = flow.slot == SLOT && flow.generation == names_generation() &&
		flow.tgid == (uint32_t)pid && flow.start_time && flow.flags == flags &&
		flow.endpoint == endpoint && flow.rules.word[0] == rules && !flow.rules.word[1] &&
		flow.asked_port == port && is_address(flow.asked, asked) &&
		!memcmp(&flow.exe, &image.file, sizeof(flow.exe));
	result(!error && seen.accepted == 1 && !seen.unknown && !seen.wrong && right &&
		       seen.ends.remote_port == port,
	       "who is behind it: %s (%d; %u accepted, %u unknown; flags %u, endpoint %u, rules "
	       "%llu, generation %u)",
	       what, error, seen.accepted, seen.unknown, flow.flags, flow.endpoint,
	       (unsigned long long)flow.rules.word[0], flow.generation);
	end(pid, report, go);
	result(open_connections(SLOT) == 0 &&
		       bpf_map_lookup_elem(loaded_map("os_proxied"), &seen.ends, &flow),
	       "and forgotten when it closes: %s", what);
}

static void check_flows(int scope)
{
	check_flow(HELD, "admitted", OS_SOCK_PROXY, "::ffff:198.18.0.10", 8000, 110, 1, "a name",
		   scope);
	check_flow("{admitted} hold " SYNTHETIC "a 8000", "admitted", OS_SOCK_PROXY, SYNTHETIC "a",
		   8000, 110, 1, "a name over v6", scope);
	check_flow("{admitted} hold ::ffff:198.18.0.10 8000", "admitted", OS_SOCK_PROXY,
		   "::ffff:198.18.0.10", 8000, 110, 1, "a name, v4-mapped", scope);
	check_flow("{admitted} hold 10.77.1.2 8002", "admitted", OS_SOCK_PROXY, "::ffff:10.77.1.2",
		   8002, 24, 1, "an address", scope);
	check_flow("{admitted} hold fd77:1::2 8002", "admitted", OS_SOCK_PROXY, "fd77:1::2", 8002,
		   25, 1, "an address of v6", scope);
	check_flow("{admitted} hold 198.18.0.12 8000", "admitted", OS_SOCK_PROXY,
		   "::ffff:198.18.0.12", 8000, 112, 8, "what everybody may", scope);
	check_flow("{another} hold 198.18.0.11 8000", "another", OS_SOCK_PROXY | OS_SOCK_ASK,
		   "::ffff:198.18.0.11", 8000, 111, 0, "a binary not known", scope);
}

/* An agent that says something and goes, before anybody has looked. */
static void check_left(int scope)
{
	struct proxies_seen seen;
	int error;

	proxies_seen(SLOT);
	proxies_pause(true);
	error = run(SLOT, "{admitted} leave 198.18.0.10 8000", scope);
	result(open_connections(SLOT) == 0, "what an agent has closed is not open any more");
	proxies_pause(false);
	for (int i = 0; i < 100; i++) {
		seen = proxies_seen(SLOT);
		if (seen.accepted)
			break;
		usleep(10000);
	}
	result(!error && seen.accepted == 1 && !seen.unknown && !seen.wrong &&
		       seen.flow.endpoint == 110 && seen.flow.flags == OS_SOCK_PROXY,
	       "what an agent said before it went is known to be its (%d, %u, %u)", error,
	       seen.accepted, seen.unknown);
}

static int dial(const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct timeval limit = {.tv_sec = 2};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;
	char c = 'x';

	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		die(address);
	r = connect(fd, (struct sockaddr *)&to, sizeof(to)) || send(fd, &c, 1, MSG_NOSIGNAL) != 1 ||
			    recv(fd, &c, 1, 0) != 1
		    ? errno
		    : 0;
	close(fd);
	return r ? r : c == 'x' ? 0 : EREMCHG;
}

/* Who is no agent, or was not sent there. */
static void check_strangers(int scope)
{
	char act[64];
	int error;

	proxies_seen(SLOT);
	error = dial("127.64.4.10", 8000);
	result(error == ECONNREFUSED, "who is no agent finds nobody there (%d)", error);
	error = dial("127.64.4.10", 8100);
	result(error == 0, "but what the host itself serves there (%d)", error);
	error = dial("127.64.0.1", proxies_port(SLOT));
	result(error == ECONNREFUSED, "a listener's own address is nobody's to dial (%d)", error);
	error = dial("127.0.0.1", proxies_port(SLOT));
	result(error == ECONNREFUSED, "nor its port elsewhere (%d)", error);
	snprintf(act, sizeof(act), "{admitted} tcp 127.64.0.1 %u", proxies_port(SLOT));
	error = run(SLOT, act, scope);
	result(error == EPERM, "nor an agent's (%d)", error);
	snprintf(act, sizeof(act), "{admitted} tcp 127.64.0.1 %u", proxies_port(2));
	error = run(SLOT, act, scope);
	result(error == EPERM, "nor another sandbox's (%d)", error);
	for (uint32_t slot = 1; slot <= LOADED_SLOTS; slot++)
		error += (int)proxies_seen(slot).accepted;
	result(error == EPERM, "and no proxy was bothered");
}

/* An agent that listens where connections to the proxy go does not get them. */
static void check_listener(uint32_t slot, const char *address, const char *what, int scope)
{
	int report, go, error, accepted;
	char act[64];
	pid_t pid;

	snprintf(act, sizeof(act), "{other} listen %s 8000", address);
	pid = start(slot, act, scope, &report, &go);
	error = next_report(report);
	proxies_seen(SLOT);
	if (error == 8000)
		error = run(SLOT, "{admitted} tcp 198.18.0.10 8000", scope);
	accepted = next_report(report);
	result(error == EREMCHG && accepted == EAGAIN && proxies_seen(SLOT).accepted == 1,
	       "%s gets nothing (%d, %d)", what, error, accepted);
	end(pid, report, go);
}

static void check_listeners(int scope)
{
	check_listener(SLOT, "127.64.4.10", "the agent's own listener", scope);
	check_listener(SLOT, "0.0.0.0", "the agent's own listener everywhere", scope);
	check_listener(SLOT, "::", "the agent's own v6 listener", scope);
	loaded_switch(2, 1, OS_MODE_ENFORCE);
	check_listener(2, "127.64.4.10", "another sandbox's listener", scope);
	check_listener(2, "0.0.0.0", "another sandbox's listener everywhere", scope);
	loaded_switch(2, 1, OS_MODE_DENY);
	check_listener(0, "127.64.4.10", "the host's listener", scope);
}

/* Without anybody to read it nothing is said. */
static void check_no_proxy(int scope)
{
	static const struct row gone = {
		"no proxy",	"{admitted} tcp 198.18.0.10 8000", EPERM, -1, OS_HOOK_CONNECT4,
		DENY(INSPECTED)};
	static const struct row gone6 = {
		"no proxy, over v6", "{admitted} tcp fd77:1::2 8002", EPERM, -1, OS_HOOK_CONNECT6,
		DENY(INSPECTED)};
	static const struct row unknown = {"no proxy, binary not known",
					   "{another} tcp 198.18.0.11 8000",
					   EPERM,
					   -1,
					   OS_HOOK_CONNECT4,
					   DENY(INSPECTED)};
	const uint32_t slot = SLOT;
	uint64_t full = OS_PROXIED_MAX, none = 0;
	int report, go, error;
	pid_t pid;

	proxies_know(SLOT, false);
	check(&gone, scope);
	check(&gone6, scope);
	check(&unknown, scope);
	proxies_know(SLOT, true);
	if (bpf_map_update_elem(loaded_map("os_proxied_open"), &slot, &full, BPF_ANY))
		die("os_proxied_open");
	error = run(SLOT, "{admitted} tcp 198.18.0.10 8000", scope);
	result(error == EPERM, "a sandbox that has its share of connections gets no more (%d)",
	       error);
	if (bpf_map_update_elem(loaded_map("os_proxied_open"), &slot, &none, BPF_ANY))
		die("os_proxied_open");
	pid = start(SLOT, HELD, scope, &report, &go);
	error = next_report(report);
	proxies_know(SLOT, false);
	go_on(go);
	result(!error && next_report(report) == EREMCHG,
	       "a connection goes on when the listener is gone");
	end(pid, report, go);
	proxies_know(SLOT, true);
}

/*
 * What os_proxied takes no more must not reach who listens there: the host serves that port on
 * every address.
 */
static void check_full(int scope)
{
	struct os_flow_key key = {.protocol = IPPROTO_TCP};
	const struct os_flow nobody = {};
	uint32_t n = 0;
	int error;

	for (; n < 1u << 20; n++) {
		key.local_port = (uint16_t)n;
		key.remote_port = (uint16_t)(n >> 16);
		if (bpf_map_update_elem(loaded_map("os_proxied"), &key, &nobody, BPF_ANY))
			break;
	}
	error = run(SLOT, "{other} tcp 198.18.0.13 8100", scope);
	result(n > 100000 && (error == EINPROGRESS || STOPPED(error)),
	       "a connection that finds no place goes nowhere (%u entries, %d)", n, error);
	while (n--) {
		key.local_port = (uint16_t)n;
		key.remote_port = (uint16_t)(n >> 16);
		bpf_map_delete_elem(loaded_map("os_proxied"), &key);
	}
	result(run(SLOT, "{other} tcp 198.18.0.13 8100", scope) == EREMCHG,
	       "and when there is place again, to the proxy");
}

static void done(void *arg, const struct revoke_result *result_of)
{
	*(struct revoke_result *)arg = *result_of;
}

static struct revoke_result revoke_all(void)
{
	struct revoke_result result_of = {.error = 1};
	const struct revoke_options options = {
		.kernel = loaded_kernel(), .slot = SLOT, .done = done, .arg = &result_of};
	struct revoke *revoke;
	struct error err = {};

	if (revoke_new(&options, &revoke, &err))
		die(err.message);
	revoke_start(revoke);
	while (result_of.error == 1) {
		struct pollfd p = {.fd = revoke_fd(revoke), .events = POLLIN};

		if (poll(&p, 1, 2000) != 1)
			break;
		revoke_poll(revoke);
	}
	revoke_free(revoke);
	return result_of;
}

/*
 * One connection, a switch, and one more word: what becomes of it. @destroyed: sockets that the
 * supervisor ends when it looks through them.
 */
static void check_turn(const char *act, enum policy_kind kind, int wanted, uint32_t destroyed,
		       const char *what, int scope)
{
	struct revoke_result revoked;
	struct os_event event = {};
	int report, go, first, second;
	unsigned int told;
	pid_t pid;

	/* As the kernel alone does it. */
	pid = start(SLOT, act, scope, &report, &go);
	first = next_report(report);
	usleep(60000); /* an acknowledgement that is late is judged too */
	proxies_seen(SLOT);
	loaded_watch(pid);
	policy_switch(kind, runner_dir);
	go_on(go);
	second = next_report(report);
	told = loaded_watched(SLOT, &event);
	if (wanted)
		result(!first && second == wanted && !told, "%s: goes on (%d, %d, %u)", what, first,
		       second, told);
	else
		result(!first && STOPPED(second) && told == 1 &&
			       event.reason == OS_REASON_INSPECTED &&
			       event.verdict == OS_EVENT_DENIED,
		       "%s: stops, and is told once (%d, %d, %u, reason %u)", what, first, second,
		       told, event.reason);
	end(pid, report, go);
	revoke_all(); /* what cannot say that it ends */
	policy_switch(POLICY_FULL, runner_dir);

	if (!wanted && !destroyed)
		return; /* what is no connection is told by the kernel alone */

	/* And with a supervisor. */
	pid = start(SLOT, act, scope, &report, &go);
	first = next_report(report);
	policy_switch(kind, runner_dir);
	revoked = revoke_all();
	go_on(go);
	second = next_report(report);
	result(!first && !revoked.error && revoked.destroyed == destroyed &&
		       (wanted ? second == wanted : DESTROYED(second)),
	       "%s: the supervisor %s it (%d, %d; %u of %u)", what, destroyed ? "ends" : "leaves",
	       first, second, revoked.destroyed, revoked.sockets);
	end(pid, report, go);
	policy_switch(POLICY_FULL, runner_dir);
}

/* What is told of a connection that goes on is true before its next word is there. */
static void check_renewed(const char *act, enum policy_kind kind, uint16_t flags, uint64_t rules,
			  const char *what, int scope)
{
	struct proxies_seen seen;
	uint32_t before;
	int report, go, first, second;
	pid_t pid = start(SLOT, act, scope, &report, &go);

	first = next_report(report);
	usleep(60000);
	before = proxies_seen(SLOT).flow.generation;
	policy_switch(kind, runner_dir);
	go_on(go);
	second = next_report(report);
	seen = proxies_seen(SLOT);
	result(!first && second == EREMCHG && !seen.unknown && before &&
		       seen.flow.generation == names_generation() && before < names_generation() &&
		       seen.flow.flags == flags && seen.flow.rules.word[0] == rules,
	       "%s: whose it is is told anew in time (%d, %d; generation %u of %u, flags %u, rules "
	       "%llu)",
	       what, first, second, seen.flow.generation, names_generation(), seen.flow.flags,
	       (unsigned long long)seen.flow.rules.word[0]);
	end(pid, report, go);
	policy_switch(POLICY_FULL, runner_dir);
}

static void check_switches(int scope)
{
	revoke_all();
	check_turn(HELD, POLICY_FULL, EREMCHG, 0, "inspected before and after", scope);
	check_turn("{admitted} hold 198.18.0.14 8000", POLICY_TURNED, 0, 1,
		   "inspected, and direct after", scope);
	check_turn("{admitted} hold " SYNTHETIC "e 8000", POLICY_TURNED, 0, 1,
		   "inspected over v6, and direct after", scope);
	check_turn("{admitted} hold 198.18.0.15 8000", POLICY_TURNED, 0, 1,
		   "direct, and inspected after", scope);
	check_turn("{admitted} hold " SYNTHETIC "f 8000", POLICY_TURNED, 0, 1,
		   "direct over v6, and inspected after", scope);
	check_turn("{admitted} hold-udp 198.18.0.15 8000", POLICY_TURNED, 0, 0,
		   "datagrams, and inspected after", scope);
	check_switch("{admitted} hold 198.18.0.10 8000 198.18.0.16 8000", "switch, inspected",
		     EREMCHG, scope);
	check_renewed(HELD, POLICY_FULL, OS_SOCK_PROXY, 1, "after a switch", scope);
	check_renewed("{admitted} hold " SYNTHETIC "a 8000", POLICY_FULL, OS_SOCK_PROXY, 1,
		      "after a switch, over v6", scope);
	check_renewed("{another} hold 198.18.0.11 8000", POLICY_FULL, OS_SOCK_PROXY | OS_SOCK_ASK,
		      0, "a binary not known", scope);
}

static void check_audit(int scope)
{
	struct os_event event = {};
	struct proxies_seen seen;
	int error, report, go, second;
	pid_t pid;

	policy_mode(OS_MODE_AUDIT);
	proxies_seen(SLOT);
	error = run(SLOT, "{other} tcp 198.18.0.10 8000", scope);
	seen = proxies_seen(SLOT);
	result(error == EREMCHG && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_BINARY && event.flags & OS_EVENT_PROXIED &&
		       !seen.unknown && seen.flow.flags == OS_SOCK_PROXY &&
		       !seen.flow.rules.word[0],
	       "audit: everybody's words are read, and it is told (%d)", error);
	error = run(SLOT, "{admitted} tcp 198.18.0.10 8000", scope);
	seen = proxies_seen(SLOT);
	result(error == EREMCHG && loaded_event(SLOT, &event) &&
		       event.verdict == OS_EVENT_ALLOWED && event.flags & OS_EVENT_PROXIED &&
		       seen.flow.rules.word[0] == 1,
	       "audit: who is admitted (%d)", error);
	error = run(SLOT, "{another} tcp 198.18.0.11 8000", scope);
	result(error == EREMCHG && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_BINARY,
	       "audit: nobody waits for a verdict (%d)", error);
	error = run(SLOT, "{admitted} udp-sendto 198.18.0.10 8000", scope);
	result(error == 0 && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_INSPECTED && !(event.flags & OS_EVENT_PROXIED),
	       "audit: datagrams go as ever, and are told (%d)", error);
	proxies_know(SLOT, false);
	error = run(SLOT, "{admitted} tcp 198.18.0.10 8000", scope);
	result(error == 0 && loaded_event(SLOT, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_INSPECTED && !(event.flags & OS_EVENT_PROXIED),
	       "audit: without a proxy too (%d)", error);
	proxies_know(SLOT, true);
	pid = start(SLOT, "{other} hold 198.18.0.10 8000", scope, &report, &go);
	error = next_report(report);
	policy_mode(OS_MODE_ENFORCE);
	go_on(go);
	second = next_report(report);
	result(!error && STOPPED(second),
	       "what audit mode let to the proxy stops when enforcement begins (%d, %d)", error,
	       second);
	end(pid, report, go);
	revoke_all();
}

/* A policy of its own for every slot: everybody may, and it is inspected. */
static void fill(uint32_t slot, uint32_t generation, bool there)
{
	const uint8_t name[16] = {[10] = 0xff, 0xff, 198, 18, 0, 1};
	struct os_binary_key anybody = {.slot = slot, .generation = generation};
	struct os_binary satisfies = {.rules.word = {1}};
	struct os_endpoint_key key = {.slot = slot, .generation = generation, .port = 8000};
	const struct os_endpoint endpoint = {
		.endpoint = 1, .verdict = OS_VERDICT_PROXY, .rules.word = {1}};

	memcpy(key.address, name, sizeof(name));
	if (!there) {
		bpf_map_delete_elem(loaded_map("os_endpoint"), &key);
		bpf_map_delete_elem(loaded_map("os_binary"), &anybody);
	} else if (bpf_map_update_elem(loaded_map("os_endpoint"), &key, &endpoint, BPF_ANY) ||
		   bpf_map_update_elem(loaded_map("os_binary"), &anybody, &satisfies, BPF_ANY)) {
		die("a policy for every slot");
	}
	loaded_switch(slot, generation, there ? OS_MODE_ENFORCE : OS_MODE_DENY);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

#define MANY_MS 3000

/* All sandboxes at once, through few local ports, so that each is used again and again. */
static void check_many(int scope)
{
	static const char range[] = "/proc/sys/net/ipv4/ip_local_port_range";
	int report[LOADED_SLOTS + 1], go[LOADED_SLOTS + 1], opened = 0, bad = 0;
	unsigned int accepted = 0, unknown = 0, wrong = 0;
	pid_t pid[LOADED_SLOTS + 1];
	uint64_t open = 0;

	write_text(range, "40000 40063");
	for (uint32_t slot = 1; slot <= LOADED_SLOTS; slot++) {
		char act[64];

		proxies_seen(slot);
		fill(slot, 1000, true);
		snprintf(act, sizeof(act), "{other} many 198.18.0.1 8000 %d %u", MANY_MS, slot);
		pid[slot] = start(slot, act, scope, &report[slot], &go[slot]);
	}
	for (uint32_t slot = 1; slot <= LOADED_SLOTS; slot++) {
		struct proxies_seen seen;

		opened += next_report(report[slot]);
		bad += next_report(report[slot]);
		end(pid[slot], report[slot], go[slot]);
		seen = proxies_seen(slot);
		accepted += seen.accepted;
		unknown += seen.unknown;
		wrong += seen.wrong;
		open += open_connections(slot);
		fill(slot, 1000, false);
	}
	write_text(range, "32768 60999");
	result(!bad && opened > 20 * LOADED_SLOTS && accepted == (unsigned int)opened && !unknown &&
		       !wrong,
	       "%d sandboxes, %u connections over 64 ports: %d failed, %u nobody's, %u another's",
	       LOADED_SLOTS, accepted, bad, unknown, wrong);
	result(!open && entries("os_proxied") == 0, "and nothing is left of them (%llu, %zu)",
	       (unsigned long long)open, entries("os_proxied"));
	policy_switch(POLICY_FULL, runner_dir);
}

void redirect_open(void)
{
	proxies_open();
}

void redirect_check(int scope)
{
	proxies_open();
	names_set_worker(true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], scope);
	check_flows(scope);
	check_left(scope);
	check_strangers(scope);
	check_listeners(scope);
	check_no_proxy(scope);
	check_full(scope);
	check_switches(scope);
	check_audit(scope);
	check_many(scope);
	result(entries("os_proxied") == 0 && open_connections(SLOT) == 0,
	       "no connection is remembered after its end");
	proxies_close();
}
