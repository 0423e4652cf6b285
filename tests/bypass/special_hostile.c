/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that is its agent's: hostile.c in place of openshell-proxy, which obeys what the agent
 * asks it for. Whatever it does, the agent reaches what its policy says and nothing else, other
 * sandboxes hear nothing of it, and the run goes on or ends with a sentence.
 */
#include "rows.h"
#include "world.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define ORDER "admitted dns 10.77.0.53 udp "

static const char policy[] = "version: 1\n"
			     "filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
			     "process: {run_as_user: '1500', run_as_group: '1500'}\n"
			     "network_policies:\n"
			     "  literal:\n"
			     "    endpoints: [{host: 10.77.0.2, port: 8000}]\n"
			     "    binaries: [{path: '@/agents/admitted'}]\n"
			     "  names:\n"
			     "    endpoints:\n"
			     "      - {host: allowed.test, port: 8000}\n"
			     "      - {host: '*.wild.test', port: 8000}\n"
			     "    binaries: [{path: '@/agents/admitted'}]\n"
			     "  parents:\n"
			     "    endpoints: [{host: parent-only.test, port: 8000}]\n"
			     "    binaries: [{path: '@/agents/parent'}]\n";

/* Orders that are answered, and what they may get. */
static const struct {
	const char *name, *order, *says;
} answered[] = {
	{"an address of the worker's own making", "a.11.22.33.9.cmd", " a=11.22.33.9"},
	{"a name that the policy does not have", "ask.denied.test.cmd", " a=0.0.0.1"},
	{"a name below an admitted one", "ask.x.allowed.test.cmd", " a=0.0.0.1"},
	{"the host, where no rule names it", "ask.host.openshell.internal.cmd", " a=0.0.0.1"},
	{"a flow that is not there", "flow.1.cmd", " a=0.0.0.1"},
	{"a flow of port 53", "flow.53.cmd", " a=0.0.0.1"},
	{"a datagram to an address outside", "send.11.22.33.9.8000.cmd", " a=0.0.0."},
};

/* Orders that end the worker, and whose doing that is. */
static const struct {
	const char *name, *order;
} fatal[] = {
	{"a message of the supervisor's", "kind.12.cmd"},
	{"a message of the zygote's", "kind.2.cmd"},
	{"a message to the zygote", "kind.1.cmd"},
	{"a message of the resolver's", "kind.21.cmd"},
	{"a message of no kind", "kind.9999.cmd"},
	{"a second READY", "kind.3.cmd"},
	{"a message that is too short", "short.cmd"},
	{"a message that is too long", "long.cmd"},
	{"a message with a descriptor", "descriptor.cmd"},
	{"one id twice", "twice.cmd"},
	{"a connection that did not come to it", "elsewhere.8100.cmd"},
	{"socket()", "socket.cmd"},
	{"open()", "open.cmd"},
	{"fork()", "fork.cmd"},
	{"kill()", "kill.cmd"},
	{"its own end", "exit.cmd"},
};

static struct answer order(struct actor *sandbox, const char *words)
{
	char act[200];

	snprintf(act, sizeof(act), ORDER "%s A 300", words);
	return stage_ask(sandbox, act);
}

/* A new worker answers, within as long as a series of deaths may delay it. */
static bool alive(struct actor *sandbox)
{
	for (int i = 0; i < 20; i++)
		if (strstr(order(sandbox, "a.1.2.3.4.cmd").text, "a=1.2.3.4"))
			return true;
	return false;
}

static bool holds(struct actor *sandbox)
{
	return stage_ask(sandbox, "admitted tcp 10.77.0.2 8000").error == 0 &&
	       stage_ask(sandbox, "admitted tcp 11.22.33.9 8000").error == EPERM &&
	       stage_ask(sandbox, "other tcp 10.77.0.2 8000").error == EPERM;
}

static void obey(struct actor *sandbox)
{
	unsigned int asked = atomic_load(&world_seen()->queries);
	struct answer answer, reached;
	char act[200], address[80] = "0.0.0.0";

	for (size_t i = 0; i < ARRAY_LEN(answered); i++) {
		world_left();
		answer = order(sandbox, answered[i].order);
		point(strstr(answer.text, answered[i].says) && !world_left(), "worker says: %s",
		      answered[i].name);
		if (!strstr(answer.text, answered[i].says))
			printf("#   %d '%s', wanted '%s'\n", answer.error, answer.text,
			       answered[i].says);
	}
	point(atomic_load(&world_seen()->queries) == asked, "nothing of it was asked of anybody");
	reached = stage_ask(sandbox, "admitted tcp 11.22.33.9 8000");
	point(reached.error == EPERM, "an address of its own making is denied: %s",
	      strerrorname_np(reached.error));
	answer = order(sandbox, "ask.allowed.test.cmd");
	if (!answer_word(&answer, " a=", address, sizeof(address)))
		printf("#   %d '%s'\n", answer.error, answer.text);
	snprintf(act, sizeof(act), "admitted tcp %s 8000", address);
	reached = stage_ask(sandbox, act);
	point(reached.error == 0 && strstr(reached.text, "at=11.22.33.1:8000"),
	      "an admitted name leads where it is, and nowhere else (%s)", reached.text);
	answer = order(sandbox, "ask.parent-only.test.cmd");
	answer_word(&answer, " a=", address, sizeof(address));
	snprintf(act, sizeof(act), "admitted tcp %s 8000", address);
	reached = stage_ask(sandbox, act);
	snprintf(act, sizeof(act), "parent tcp %s 8000", address);
	point(reached.error == EPERM && stage_ask(sandbox, act).error == 0,
	      "another binary's name is that binary's");
	/* The DNS server of the host's own loopback would ask for anything. */
	world_left();
	answer = order(sandbox, "send.127.0.0.1.8100.cmd");
	usleep(50000);
	point(!strstr(answer.text, "a=0.0.1.0"), "no datagram to the host's own services (%s)",
	      answer.text);
}

static void misbehave(struct actor *sandbox)
{
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		struct answer answer = order(sandbox, fatal[i].order);
		bool ended = answer.error == EAGAIN, again = alive(sandbox);

		point(ended && again, "worker tries: %s", fatal[i].name);
		if (!ended || !again)
			printf("#   %d '%s', a new one: %d\n", answer.error, answer.text, again);
	}
}

/* Both ends of a program beside `openshell` that is not what it should be. */
static void refuse(const char *name, const char *bin, const char *sentence)
{
	struct actor sandbox;
	bool started = stage_try(name, bin, policy, &sandbox);
	int status = stage_stop(&sandbox);

	point(!started && WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
		      stage_said(name, sentence),
	      "%s: not started, and said why", name);
}

/* One that ends as soon as it is ready, each time: the rest of the policy needs it for nothing. */
static void die_always(void)
{
	struct actor sandbox;
	struct answer answer;
	bool started = stage_try("dies", "bin-dies", policy, &sandbox);
	int status;

	if (started) {
		answer = order(&sandbox, "a.1.2.3.4.cmd");
		point(answer.error == EAGAIN, "nobody answers where the worker always ends: %s",
		      strerrorname_np(answer.error));
		point(holds(&sandbox), "and what needs no names goes on");
	}
	status = stage_stop(&sandbox);
	point(started ? WIFEXITED(status) && WEXITSTATUS(status) == 0
		      : WIFEXITED(status) && WEXITSTATUS(status) == 1,
	      "such a run %s", started ? "ends as its command does" : "is refused");
	point(stage_said("dies", "DNS responder") ||
		      stage_count_logged(&sandbox, "DNS responder has ended"),
	      "with a sentence");
}

void special_hostile(void)
{
	struct answer answer;
	struct actor sandbox;
	int status;

	if (!names_known())
		return;
	stage_replace("bin-hostile", "hostile");
	stage_replace("bin-mute", "hostile");
	stage_replace("bin-dies", "hostile");
	stage_replace("bin-none", NULL);
	point(stage_try("hostile", "bin-hostile", policy, &sandbox),
	      "a sandbox with a hostile worker starts");
	point(alive(&sandbox), "and its worker obeys the agent");
	obey(&sandbox);
	misbehave(&sandbox);
	order(&sandbox, "flood.cmd");
	point(alive(&sandbox), "a flood of questions ends itself");
	point(holds(&sandbox), "after all of it the policy is what it was");
	point(stage_logged(&sandbox, "said what it must not") ||
		      stage_said("hostile", "said what it must not"),
	      "somebody was told");
	answer = stage_ask(&actors[WHO_AGENT], "admitted name allowed.test 8000");
	point(answer.error == 0, "another sandbox's names are as before (%s)", answer.text);
	status = stage_stop(&sandbox);
	point(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the run ends as its command does");
	die_always();
	refuse("mute", "bin-mute", "not ready");
	refuse("none", "bin-none", "openshell-proxy");
}
