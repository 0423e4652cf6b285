/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names over time: tunnels through them, other addresses later, addresses that are no more; and
 * binaries that nobody has looked at yet.
 */
#include "rows.h"
#include "world.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

/* A name below an admitted wildcard carries what an agent wants to tell its server. */
void special_tunnel(void)
{
	struct answer answer;
	unsigned int answered = 0, refused = 0, other = 0, then = 0, heard, count = 700;
	char words[120];

	if (!names_known())
		return;
	heard = server_asked(world_seen(), ".tunnel.test");
	snprintf(words, sizeof(words),
		 "admitted dns-many " WORLD_DNS " %u tunnel.test allowed.test", count);
	answer = stage_ask(&actors[WHO_AGENT], words);
	sscanf(answer.text, "answered=%u refused=%u other=%u then=%u", &answered, &refused, &other,
	       &then);
	heard = server_asked(world_seen(), ".tunnel.test") - heard;
	/* The bucket, and what it gains in the seconds that this took. */
	point(answered >= 200 && answered <= 256 + 16 * (answer.ms / 1000 + 2),
	      "of %u new names under a wildcard %u are answered in %u ms", count, answered,
	      answer.ms);
	point(refused + answered == count && refused > 0, "and %u refused (%u otherwise)", refused,
	      other);
	/* One question for each family, and one more where the first was lost. */
	point(heard <= 3 * answered, "no more than these left the host (%u questions)", heard);
	point(then == 1, "a name that is spelt out is answered as before");
	answer = stage_ask(&actors[WHO_AGENT], "admitted name allowed.test 8000");
	point(answer.error == 0, "and can be connected to (%s)", answer.text);
	point(stage_logged(&actors[WHO_AGENT], "tunnel.test A [policy:- engine:dns] [reason:too "
					       "many new names"),
	      "the log has it as a finding");
}

/* What a name's owner answers later. */
void special_rebind(void)
{
	static const struct row first[] = {
		{.name = "a name before it is bound anew",
		 .act = "admitted name rebinds.test 8000",
		 .says = "at=11.22.33.7:8000",
		 .flags = ROW_NOT_OUTSIDE},
		{.name = "a name before it moves",
		 .act = "admitted name moves.test 8000",
		 .says = "at=11.22.33.7:8000",
		 .flags = ROW_NOT_OUTSIDE},
	};
	static const struct row then[] = {
		{.name = "a name that has moved is where it has moved to",
		 .act = "admitted name moves.test 8000",
		 .says = "at=11.22.33.8:8000",
		 .flags = ROW_NOT_OUTSIDE},
		{.name = "to the metadata address itself",
		 .act = "admitted tcp 169.254.169.254 8000",
		 .wanted = EPERM,
		 .hooks = HOOK(CONNECT4),
		 .flags = ROW_NOT_OUTSIDE},
	};
	struct answer answer;
	unsigned int seen;

	if (!names_known())
		return;
	rows_run(first, ARRAY_LEN(first));
	atomic_store(&world_seen()->phase, 1);
	/* Their TTL is one second. */
	usleep(1600000);
	rows_run(then, ARRAY_LEN(then));
	seen = atomic_load(&world_seen()->connections);
	answer = stage_ask(&actors[WHO_AGENT], "admitted name rebinds.test 8000");
	point(answer.error != 0 || strstr(answer.text, "at=11.22.33.7:8000"),
	      "a name bound to a forbidden address does not lead there (%s)",
	      answer.error ? strerrorname_np(answer.error) : answer.text);
	seen = atomic_load(&world_seen()->connections) - seen;
	point(answer.error == 0 || !seen, "nor anywhere else");
	atomic_store(&world_seen()->phase, 0);
}

/* What the kernel has of the names at @address: expired, or gone. Returns how many. */
static unsigned int age(const char *address, bool gone)
{
	int fd = bpf_obj_get("/sys/fs/bpf/openshell/os_name");
	struct os_name_key key, next, *at = NULL;
	uint8_t wanted[16] = {[10] = 0xff, [11] = 0xff};
	unsigned int found = 0;
	struct os_name name;

	if (fd < 0 || inet_pton(AF_INET, address, wanted + 12) != 1)
		world_die("os_name");
	while (!bpf_map_get_next_key(fd, at, &next)) {
		key = next;
		at = &key;
		if (memcmp(key.address, wanted, 16) || bpf_map_lookup_elem(fd, &key, &name))
			continue;
		name.expiry = 1;
		if (gone ? bpf_map_delete_elem(fd, &key)
			 : bpf_map_update_elem(fd, &key, &name, BPF_EXIST))
			world_die("os_name");
		found++;
		/* Deleted, it cannot be gone on from. */
		at = gone ? NULL : at;
	}
	close(fd);
	return found;
}

/* A synthetic address that was good, when it is not any more. */
void special_stale(void)
{
	struct answer answer;
	char address[80], act[200];
	struct row row = {
		.act = act,
		.wanted = EPERM,
		.hooks = HOOK(CONNECT4),
		.control = "admitted name allowed.test 8000",
		.flags = ROW_NOT_OUTSIDE | ROW_UNASKED,
	};

	if (!names_known())
		return;
	answer = stage_ask(&actors[WHO_AGENT], "admitted dns " WORLD_DNS " udp stale.test A");
	if (!answer_word(&answer, " a=", address, sizeof(address))) {
		point(false, "a name to become stale (%s)", answer.text);
		return;
	}
	snprintf(act, sizeof(act), "admitted tcp %s 8000", address);
	answer = stage_ask(&actors[WHO_AGENT], act);
	point(answer.error == 0 && strstr(answer.text, "at=11.22.33.40:8000"),
	      "an address before it is stale (%s)", answer.text);
	point(age(address, false) > 0, "what the kernel knows of it is let expire");
	row.name = "an expired address";
	row_run(&row);
	snprintf(act, sizeof(act), "admitted sendto %s 8000", address);
	row.hooks = HOOK(SENDMSG4);
	row.name = "a datagram to an expired address";
	row_run(&row);
	point(stage_logged(&actors[WHO_AGENT], "stale.test"), "the log has the name");
	point(age(address, true) > 0, "what the kernel knows of it is taken out");
	snprintf(act, sizeof(act), "admitted tcp %s 8000", address);
	row.hooks = HOOK(CONNECT4);
	row.name = "an address that is published no more";
	row_run(&row);
}

/* A rule with a glob: programs that nobody has looked at are asked about, never allowed first. */
void special_glob(void)
{
	static const char policy[] =
		"version: 1\n"
		"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
		"process: {run_as_user: '1500', run_as_group: '1500'}\n"
		"network_policies:\n"
		"  one:\n"
		"    endpoints: [{host: 11.22.33.60, port: 8000}, {host: allowed.test, port: "
		"8000}]\n"
		"    binaries: [{path: '@/agents/adm*'}]\n";
	static const char *const acts[] = {"tcp 11.22.33.60 8000", "fastopen 11.22.33.60 8000",
					   "sendto 11.22.33.60 8000", "name allowed.test 8000"};
	unsigned int seen, reached = 0;
	struct actor sandbox;
	struct answer answer;
	char act[200];

	if (!names_known())
		return;
	stage_run("glob", policy, NULL, &sandbox);
	world_left();
	seen = atomic_load(&world_seen()->connections);
	for (size_t i = 0; i < 24; i++) {
		/* A new file each time. */
		snprintf(act, sizeof(act), "other exec-copy {work} admitted %s",
			 acts[i % ARRAY_LEN(acts)]);
		answer = stage_ask(&sandbox, act);
		reached += answer.error == 0;
		if (answer.error == 0)
			printf("#   %s: %s\n", act, answer.text);
	}
	point(!reached && world_left() == 0 && atomic_load(&world_seen()->connections) == seen,
	      "24 programs of no path that the glob has: none is let through first");
	answer = stage_ask(&sandbox, "admitted tcp 11.22.33.60 8000");
	point(answer.error == 0 && strstr(answer.text, "at=11.22.33.60:8000"),
	      "one that it has is (%s)", answer.text);
	answer = stage_ask(&sandbox, "admitted name allowed.test 8000");
	point(answer.error == 0, "by name too (%s)", answer.text);
	stage_stop(&sandbox);
}

/* Connections to the responder that say nothing, a thousand of them. */
static void hold(void)
{
	struct answer held, udp, tcp;

	stage_begin(&actors[WHO_AGENT], "admitted dns-hold " WORLD_DNS " 1000 {work}/ready");
	stage_wait_file("ready");
	udp = stage_ask(&actors[WHO_BARE], "admitted dns " WORLD_DNS " udp allowed.test A");
	tcp = stage_ask(&actors[WHO_BARE], "admitted dns " WORLD_DNS " tcp allowed.test A");
	held = stage_end(&actors[WHO_AGENT]);
	point(held.error == 0 && strstr(udp.text, " a=") && strstr(tcp.text, " a="),
	      "connections that say nothing (%s) cost no answers", held.text);
}

/* What one sandbox asks must not keep the answers from another. */
void special_flood(void)
{

	struct answer flood, answer;
	unsigned int answered = 0;
	const unsigned int count = 6;
	char act[160];

	if (!names_known())
		return;
	hold();
	stage_begin(&actors[WHO_AGENT],
		    "admitted dns-flood " WORLD_DNS " allowed.test 2000 {work}/ready");
	stage_wait_file("ready");
	usleep(200000);
	for (unsigned int i = 0; i < count; i++) {
		snprintf(act, sizeof(act), "admitted dns " WORLD_DNS " udp n%u.slow.test A 4000",
			 i);
		answer = stage_ask(&actors[WHO_SECOND], act);
		answered += strstr(answer.text, " a=") != NULL;
	}
	flood = stage_end(&actors[WHO_AGENT]);
	point(flood.error == 0 && answered == count,
	      "another sandbox's flood of questions (%s) costs no answers: %u of %u", flood.text,
	      answered, count);
}
