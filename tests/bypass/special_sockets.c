/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that change hands, listeners that are found from elsewhere, and sandboxes that come after
 * others: what takes two processes, or a sandbox of its own.
 */
#include "rows.h"
#include "world.h"

#include "common/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ADMITTED "10.77.0.2 8000"
#define DENIED	 "11.22.33.9 8000"

/* Two acts of two actors at a time, the first of which has to be ready for the second. */
struct pair {
	const char *name;
	enum who first, second;
	const char *first_act, *second_act;
	const char *ready; /* a file of the first one's */
	int second_wanted;
	int second_lsm; /* where BPF-LSM sees it first; 0: the same */
	const char *second_says;
	int first_wanted; /* -1: whatever it is */
};

static bool both(const struct pair *p, struct answer *first, struct answer *second)
{
	int wanted = p->second_lsm && stage_has_lsm() ? p->second_lsm : p->second_wanted;
	char says[600] = "";

	stage_begin(&actors[p->first], p->first_act);
	if (p->ready && !stage_wait_file(p->ready))
		printf("#   the first one is not ready\n");
	*second = stage_ask(&actors[p->second], p->second_act);
	*first = stage_end(&actors[p->first]);
	if (p->second_says)
		stage_expand(p->second_says, says, sizeof(says));
	return second->error == wanted && (wanted || strstr(second->text, says)) &&
	       (p->first_wanted < 0 || first->error == p->first_wanted);
}

static void pairs_run(const struct pair *pairs, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct answer first, second;
		unsigned int left;
		bool ok;

		world_left();
		ok = both(&pairs[i], &first, &second);
		left = world_left();
		point(ok, "%s: %s", pairs[i].name,
		      second.error ? strerrorname_np(second.error) : "ok");
		if (!ok)
			printf("#   first: %s: %d '%s'\n#   second: %s: %d '%s', %u left\n",
			       pairs[i].first_act, first.error, first.text, pairs[i].second_act,
			       second.error, second.text, left);
	}
}

/* A pair of acts: a socket is given through a unix socket, and used by the other. */
#define GIVE(title, from, to, what, use, wanted, lsm, says)                                        \
	{                                                                                          \
		.name = title, .first = from, .second = to,                                        \
		.first_act = "admitted give {work}/give.sock " what,                               \
		.second_act = "admitted " use, .second_wanted = wanted, .second_lsm = lsm,         \
		.second_says = says, .first_wanted = -1                                            \
	}

void special_sockets(void)
{
	static const struct pair pairs[] = {
		GIVE("passed inside, admitted", WHO_AGENT, WHO_BARE, "tcp",
		     "take {work}/give.sock " ADMITTED, 0, 0, "at=10.77.0.2:8000"),
		/*
		 * A socket belongs to the cgroup that made it, so cgroup programs do not see one
		 * that comes from outside; only BPF-LSM does (docs/backends.md, file_receive).
		 * Whoever can pass one in could as well relay.
		 */
		GIVE("unconnected from outside, to an admitted address", WHO_USER, WHO_AGENT, "tcp",
		     "take {work}/give.sock " ADMITTED, 0, ENODATA, "at=10.77.0.2:8000"),
		GIVE("unconnected from outside, to another address", WHO_USER, WHO_AGENT, "tcp",
		     "take {work}/give.sock " DENIED, 0, ENODATA, "at=11.22.33.9:8000"),
		GIVE("connected outside", WHO_USER, WHO_AGENT, "connected " DENIED,
		     "take {work}/give.sock", 0, ENODATA, "at=11.22.33.9:8000"),
		GIVE("unconnected UDP from outside", WHO_USER, WHO_AGENT, "udp",
		     "take-sendto {work}/give.sock " DENIED, 0, ENODATA, "at=11.22.33.9:8000"),
		GIVE("unconnected from the network outside", WHO_STRANGER, WHO_AGENT, "tcp",
		     "take {work}/give.sock " DENIED, 0, ENODATA, "at=11.22.33.9:8000"),
		GIVE("unconnected from another sandbox", WHO_SECOND, WHO_AGENT, "tcp",
		     "take {work}/give.sock " ADMITTED, EPERM, ENODATA, NULL),
		GIVE("a connected one from another sandbox", WHO_SECOND, WHO_AGENT,
		     "connected 10.77.0.3 8001", "take {work}/give.sock", 0, ENODATA,
		     "at=10.77.0.3:8001"),
		GIVE("a connected one of a sandbox, outside", WHO_SECOND, WHO_USER,
		     "connected 10.77.0.3 8001", "take {work}/give.sock", 0, 0,
		     "at=10.77.0.3:8001"),
		GIVE("an unconnected one of a sandbox, outside", WHO_AGENT, WHO_USER, "tcp",
		     "take {work}/give.sock " ADMITTED, EPERM, 0, NULL),
		GIVE("an unconnected UDP one of a sandbox, outside", WHO_AGENT, WHO_USER, "udp",
		     "take-sendto {work}/give.sock " ADMITTED, EPERM, 0, NULL),
		GIVE("between two outside", WHO_STRANGER, WHO_USER, "tcp",
		     "take {work}/give.sock 10.77.0.2 8000", 0, 0, "at=10.77.0.2:8000"),
	};

	pairs_run(pairs, ARRAY_LEN(pairs));
}

/* Listeners, and who can reach them. */
void special_ingress(void)
{
	static const struct pair pairs[] = {
		{"own listener on every address, from the network outside", WHO_AGENT, WHO_STRANGER,
		 "other listen 0.0.0.0 9100 {work}/ready", "agent tcp 10.77.0.1 9100", "ready",
		 EINPROGRESS, 0, NULL, EAGAIN},
		{"the same outside a sandbox", WHO_USER, WHO_STRANGER,
		 "other listen 0.0.0.0 9101 {work}/ready", "agent tcp 10.77.0.1 9101", "ready", 0,
		 0, "at=here", 0},
		{"own IPv6 listener, from the network outside", WHO_AGENT, WHO_STRANGER,
		 "other listen :: 9102 {work}/ready", "agent tcp fd77::1 9102", "ready",
		 EINPROGRESS, 0, NULL, EAGAIN},
		{"own listener on the host's outer address", WHO_AGENT, WHO_STRANGER,
		 "other listen 10.77.0.1 9103 {work}/ready", "agent tcp 10.77.0.1 9103", "ready",
		 EINPROGRESS, 0, NULL, EAGAIN},
		{"own datagram socket, from the network outside", WHO_AGENT, WHO_STRANGER,
		 "other listen-udp 0.0.0.0 9104 {work}/ready", "agent sendto 10.77.0.1 9104",
		 "ready", EAGAIN, 0, NULL, EAGAIN},
		{"the same outside a sandbox", WHO_USER, WHO_STRANGER,
		 "other listen-udp 0.0.0.0 9105 {work}/ready", "agent sendto 10.77.0.1 9105",
		 "ready", 0, 0, "at=here", 0},
		{"own listener, from the host's loopback", WHO_AGENT, WHO_USER,
		 "other listen 127.0.0.1 9106 {work}/ready", "agent tcp 127.0.0.1 9106", "ready",
		 EINPROGRESS, 0, NULL, EAGAIN},
		{"own listener, from another sandbox", WHO_AGENT, WHO_SECOND,
		 "other listen 127.0.0.1 9107 {work}/ready", "admitted tcp 127.0.0.1 9107", "ready",
		 EPERM, 0, NULL, EAGAIN},
		{"own datagram socket, from another sandbox", WHO_AGENT, WHO_SECOND,
		 "other listen-udp 127.0.0.1 9108 {work}/ready", "admitted sendto 127.0.0.1 9108",
		 "ready", EPERM, 0, NULL, EAGAIN},
		{"own listener, from its own cgroup", WHO_AGENT, WHO_BARE,
		 "other listen 127.0.0.1 9109 {work}/ready", "other tcp 127.0.0.1 9109", "ready", 0,
		 0, "at=here", 0},
		{"a datagram to own socket, from its own cgroup", WHO_AGENT, WHO_BARE,
		 "other listen-udp 127.0.0.1 9110 {work}/ready", "other sendto 127.0.0.1 9110",
		 "ready", 0, 0, "at=here", 0},
	};

	pairs_run(pairs, ARRAY_LEN(pairs));
}

/* A later sandbox of the same name, which takes over the slot. */
void special_recycled(void)
{
	static const char first[] =
		"version: 1\n"
		"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
		"process: {run_as_user: '1500', run_as_group: '1500'}\n"
		"network_policies:\n"
		"  one:\n"
		"    endpoints: [{host: 11.22.33.50, port: 8000}]\n"
		"    binaries: [{path: '@/agents/admitted'}]\n";
	static const char then[] =
		"version: 1\n"
		"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
		"process: {run_as_user: '1500', run_as_group: '1500'}\n"
		"network_policies:\n"
		"  one:\n"
		"    endpoints: [{host: 11.22.33.51, port: 8000}]\n"
		"    binaries: [{path: '@/agents/admitted'}]\n";
	struct answer given, answer;
	struct actor sandbox;
	bool open;

	stage_run("recycled", first, NULL, &sandbox);
	answer = stage_ask(&sandbox, "admitted tcp 11.22.33.50 8000");
	point(answer.error == 0, "the first sandbox of a name reaches what its policy says");
	/* A connected socket of it, kept outside. */
	stage_begin(&sandbox, "admitted give {work}/kept.sock connected 11.22.33.50 8000");
	given = stage_ask(&actors[WHO_USER], "agent relay {work}/kept.sock {work}/again.sock");
	point(given.error == 0, "a connected socket of it is kept outside");
	stage_end(&sandbox);
	stage_stop(&sandbox);

	stage_run("recycled", then, NULL, &sandbox);
	answer = stage_ask(&sandbox, "admitted tcp 11.22.33.50 8000");
	point(answer.error == EPERM, "the second one has nothing of the first one's policy");
	answer = stage_ask(&sandbox, "admitted tcp 11.22.33.51 8000");
	point(answer.error == 0, "and reaches what its own says");
	answer = stage_ask(&sandbox, "admitted take {work}/again.sock");
	open = answer.error == 0;
	point(!open, "the first one's connected socket is of no use to it: %s",
	      open ? answer.text : strerrorname_np(answer.error));
	stage_stop(&sandbox);
}

/* `openshell run` itself is started with connected sockets. */
void special_inherited(void)
{
	static const char policy[] =
		"version: 1\n"
		"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
		"process: {run_as_user: '1500', run_as_group: '1500'}\n";
	struct answer answer;
	struct actor sandbox;

	answer = stage_ask(&actors[WHO_USER], "agent inherited");
	point(answer.error == 0, "a process outside inherits a socket");
	stage_keep_socket(true);
	stage_run("inherits", policy, NULL, &sandbox);
	stage_keep_socket(false);
	answer = stage_ask(&sandbox, "agent inherited");
	point(answer.error == ENOENT, "an agent inherits none (%s)", answer.text);
	answer = stage_ask(&sandbox, "agent foreign");
	point(answer.error == EBADF, "nor can it use one: %s", strerrorname_np(answer.error));
	stage_stop(&sandbox);
}
