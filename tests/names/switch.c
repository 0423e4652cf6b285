/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `openshell run` as far as the names suite needs it, with a policy that changes while the agent
 * runs: at SIGUSR1 the policy in FILE.next is put in force, and FILE.result says `ok`, or why not.
 * The agent's standard streams are our own.
 * usage: switch --policy FILE --workdir DIR [--env K=V] [other options of run] -- COMMAND..
 */
#include "common/cleanup.h"
#include "common/policy.h"
#include "supervisor/kernel.h"
#include "supervisor/network.h"
#include "supervisor/sandbox.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PB(name) Openshell__Compiled__V1__##name

struct state {
	const char *file;
	struct sandbox *sandbox;
	PB(CompiledPolicy) * policy; /* in force */
	uint8_t digest[32];
};

static int load(const char *file, PB(CompiledPolicy) * *ret_policy, uint8_t digest[static 32],
		struct error *err)
{
	_cleanup_policy_ struct policy *policy = NULL;
	int r = policy_load_file(file, &policy, NULL, err);

	if (!r)
		r = policy_compile(policy, ret_policy, err);
	return r ? r : policy_digest(*ret_policy, digest, err);
}

/* Whoever reads the result sees all of it. */
static void tell(const struct state *state, const char *text)
{
	char path[4096], new[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s.result", state->file);
	snprintf(new, sizeof(new), "%s.result.new", state->file);
	out = fopen(new, "we");
	if (!out || fprintf(out, "%s\n", text) < 0 || fclose(out) || rename(new, path))
		perror(path);
}

static void change(struct state *state)
{
	PB(CompiledPolicy) *policy = NULL;
	struct error err = {};
	uint8_t digest[32];
	char next[4096], text[ERROR_MESSAGE_MAX + 320];
	int r;

	snprintf(next, sizeof(next), "%s.next", state->file);
	r = load(next, &policy, digest, &err);
	if (!r)
		r = sandbox_update(state->sandbox, policy, digest, &err);
	if (r) {
		policy_compiled_free(policy);
		tell(state, error_format(&err, text, sizeof(text)));
		return;
	}
	policy_compiled_free(state->policy);
	state->policy = policy;
	memcpy(state->digest, digest, sizeof(digest));
	tell(state, "ok");
}

static void loop(struct state *state, int signals)
{
	struct pollfd fds[] = {
		{.fd = state->sandbox->launch.init_pidfd, .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = network_fd(state->sandbox->network), .events = POLLIN},
	};
	struct signalfd_siginfo info;

	while (!fds[0].revents) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			change(state);
		if (fds[2].revents)
			network_poll(state->sandbox->network);
	}
}

static void on_problem(void *arg, const char *sentence)
{
	fprintf(stderr, "problem: %s\n", sentence);
}

static int run(struct state *state, struct sandbox_spec *spec, int signals, struct error *err)
{
	struct kernel *kernel = NULL;
	int status = 1;
	int r = kernel_open(&kernel, err);

	if (r)
		return r;
	r = load(state->file, &state->policy, state->digest, err);
	spec->policy = state->policy;
	spec->digest = state->digest;
	if (!r)
		r = sandbox_start(kernel, spec, &state->sandbox, err);
	if (!r) {
		loop(state, signals);
		r = launch_wait(&state->sandbox->launch, true, &status);
	}
	sandbox_free(state->sandbox);
	policy_compiled_free(state->policy);
	kernel_close(kernel);
	return r ? r : status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"workdir", required_argument, NULL, 'w'},
		{"env", required_argument, NULL, 'e'},
		{"name", required_argument, NULL, 'n'},
		{"log", required_argument, NULL, 'l'},
		{"no-tty", no_argument, NULL, 't'},
		{},
	};
	static const struct network_sink sink = {.problem = on_problem};
	char id[64], *envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL, NULL};
	struct sandbox_spec spec = {
		.id = id,
		.envp = envp,
		.uid = 60606,
		.gid = 60606,
		.stdio = {0, 1, 2},
		.sink = &sink,
	};
	struct state state = {};
	struct error err = {};
	char text[ERROR_MESSAGE_MAX + 320];
	sigset_t mask;
	int c, r;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			state.file = optarg;
			break;
		case 'w':
			spec.workdir = optarg;
			break;
		case 'e':
			envp[2] = optarg;
			break;
		case '?':
			return 2;
		default:
			break;
		}
	}
	spec.argv = argv + optind;
	if (!state.file || !spec.workdir || !spec.argv[0])
		return 2;
	snprintf(id, sizeof(id), "switch-%d", getpid());
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	r = run(&state, &spec, signalfd(-1, &mask, SFD_CLOEXEC), &err);
	if (r < 0)
		fprintf(stderr, "switch: %s\n", error_format(&err, text, sizeof(text)));
	return r < 0 ? 1 : r;
}
