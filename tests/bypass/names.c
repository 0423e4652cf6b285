/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: that whoever is asked for one is the responder, whichever resolver the agent means, and
 * what happens to names and addresses over time.
 */
#include "rows.h"
#include "world.h"

#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

/* Words of the policy and what `{..4}` and `{..6}` of them are called. */
static const struct {
	const char *name, *key;
} known[] = {
	{"allowed.test", "allowed"},
	{"second.test", "second"},
	{"parent-only.test", "parent"},
};

static bool served;

static bool learn(const char *name, const char *key, const char *type, const char *suffix)
{
	char words[200], full[40], value[80];
	struct answer answer;

	snprintf(words, sizeof(words), "admitted dns " WORLD_DNS " udp %s %s", name, type);
	answer = stage_ask(&actors[WHO_AGENT], words);
	snprintf(full, sizeof(full), "%s%s", key, suffix);
	if (!answer_word(&answer, suffix[0] == '4' ? " a=" : " aaaa=", value, sizeof(value)))
		return false;
	stage_set(full, value);
	return true;
}

void names_learn(void)
{
	if (access(stage_path("bin/openshell-proxy"), X_OK)) {
		point(true, "names # SKIP there is no openshell-proxy beside openshell");
		return;
	}
	served = learn("allowed.test", "allowed", "A", "4");
	point(served, "an admitted name has a synthetic address");
	if (!served)
		return;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		learn(known[i].name, known[i].key, "A", "4");
		learn(known[i].name, known[i].key, "AAAA", "6");
	}
}

bool names_known(void)
{
	return served;
}

/* Whoever is asked at port 53: public, private, forbidden, nobody at all. */
void resolvers_run(void)
{
	static const char *const resolvers[] = {
		"10.77.0.53",
		"8.8.8.8",
		"2001:4860:4860::8888",
		"169.254.169.254",
		"fd00:ec2::254",
		"127.0.0.1",
		"127.0.0.53",
		"::1",
		"198.18.0.1",
		"::ffff:8.8.8.8",
		"fd6f:7065:6e73:6865::1",
		"64:ff9b::808:808",
		"192.0.2.1",
	};
	static const char *const transports[] = {"udp", "tcp"};
	unsigned int heard;

	if (!served)
		return;
	heard = server_asked(world_seen(), "denied.test");
	for (size_t i = 0; i < ARRAY_LEN(resolvers); i++)
		for (size_t t = 0; t < ARRAY_LEN(transports); t++) {
			const bool ipv6 = strchr(resolvers[i], ':'), tcp = t;
			char name[160], act[160], control[160], says[160], shows[80];
			struct row row = {
				.name = name,
				.act = act,
				.says = says,
				.control = control,
				.control_says = "a={allowed4}",
				.flags = ROW_UNASKED | ROW_NOT_OUTSIDE,
			};

			/* A v6 socket sends to a mapped address as a v4 one does, and shows so. */
			snprintf(shows, sizeof(shows), ipv6 ? "[%s]:53" : "%s:53", resolvers[i]);
			snprintf(name, sizeof(name), "a denied name at %s over %s", resolvers[i],
				 transports[t]);
			snprintf(act, sizeof(act), "admitted dns %s %s denied.test A", resolvers[i],
				 transports[t]);
			snprintf(control, sizeof(control), "admitted dns %s %s allowed.test A",
				 resolvers[i], transports[t]);
			snprintf(says, sizeof(says), "rcode=REFUSED answers=0 question=same %s%s",
				 tcp ? "peer=" : "from=", shows);
			row_run(&row);
		}
	heard = server_asked(world_seen(), "denied.test") - heard;
	point(heard == 0, "no resolver heard of a denied name");
}

/* The ports of every sandbox's worker. */
static size_t worker_ports(struct os_worker *ret_workers, size_t max)
{
	int fd = bpf_obj_get("/sys/fs/bpf/openshell/os_worker");
	size_t n = 0;

	for (uint32_t slot = 0; fd >= 0 && slot < 64 && n < max; slot++)
		if (!bpf_map_lookup_elem(fd, &slot, &ret_workers[n]) && ret_workers[n].dns_udp4)
			n++;
	if (fd >= 0)
		close(fd);
	return n;
}

static void reach_port(const char *what, const char *act, const char *address, unsigned int port,
		       bool tcp)
{
	char name[160], words[160];
	struct row row = {
		.name = name,
		.act = words,
		.wanted = EPERM,
		.hooks = HOOKS_CONNECT | HOOKS_SENDMSG,
		.control = "admitted name allowed.test 8000",
		.flags = ROW_NOT_OUTSIDE,
	};

	if (!port)
		return;
	snprintf(name, sizeof(name), "%s at %s", what, address);
	snprintf(words, sizeof(words), "admitted %s %s %u", act, address, port);
	row_run(&row);
	snprintf(name, sizeof(name), "%s at %s, without a filter", what, address);
	row.who = WHO_BARE;
	row_run(&row);
	snprintf(words, sizeof(words), "agent %s %s %u", tcp ? "bind" : "bind-udp", address, port);
	snprintf(name, sizeof(name), "%s at %s, to listen there", what, address);
	row = (struct row){
		.name = name, .act = words, .wanted = EADDRINUSE, .outside_wanted = EADDRINUSE};
	row_run(&row);
}

/* A worker is reached by asking for a name, and no other way. */
void special_worker(void)
{
	struct os_worker workers[8];
	size_t n = served ? worker_ports(workers, ARRAY_LEN(workers)) : 0;

	if (!served)
		return;
	point(n >= 2, "each sandbox with names has a worker (%zu)", n);
	for (size_t i = 0; i < n; i++) {
		reach_port("a worker's DNS over UDP", "sendto", "127.0.0.1", workers[i].dns_udp4,
			   false);
		reach_port("a worker's DNS over TCP", "tcp", "127.0.0.1", workers[i].dns_tcp4,
			   true);
		reach_port("a worker's DNS over UDP", "sendto", "::1", workers[i].dns_udp6, false);
		reach_port("a worker's DNS over TCP", "tcp", "::1", workers[i].dns_tcp6, true);
		reach_port("a worker's relay", "tcp", "127.0.0.1", workers[i].ask4, true);
		reach_port("a worker's relay", "tcp", "::1", workers[i].ask6, true);
	}
}
