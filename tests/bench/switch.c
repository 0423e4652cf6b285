// SPDX-License-Identifier: Apache-2.0
/*
 * usage: switch COUNT PROGRAM
 *
 * How long sandbox_update() takes, from the call until the old generation is gone, with PROGRAM
 * asleep in the sandbox: `p50 MS`, `p99 MS`. Two policies in turn: with BPF-LSM their paths differ,
 * with Landlock, which cannot change them, only their endpoints.
 */
#include "agent.h"

#include "figures.h"

#define ENDPOINT(address)                                                                          \
	"network_policies:\n"                                                                      \
	"  one:\n"                                                                                 \
	"    endpoints: [{host: " address ", port: 443}]\n"                                        \
	"    binaries: [{path: /usr/bin/env}]\n"
#define FILES(more)                                                                                \
	"version: 1\n"                                                                             \
	"filesystem_policy:\n"                                                                     \
	"  include_workdir: true\n"                                                                \
	"  read_only: [/usr, /lib, /lib64, /bin, /etc, /proc" more "]\n"                           \
	"  read_write: [/tmp, /dev/null]\n"

int main(int argc, char **argv)
{
	static const char *const text[2][2] = {
		{FILES("") ENDPOINT("192.0.2.1"), FILES("") ENDPOINT("192.0.2.2")},
		{FILES("") ENDPOINT("192.0.2.1"), FILES(", /var") ENDPOINT("192.0.2.2")},
	};
	size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	struct agent_policy policy[2] = {};
	static double ms[FIGURES_MAX];
	struct kernel *kernel = NULL;
	struct sandbox *sandbox;
	struct error err = {};
	char id[32];

	if (!count || count > FIGURES_MAX) {
		fprintf(stderr, "usage: switch COUNT PROGRAM\n");
		return 2;
	}
	agent_raise_limits();
	if (kernel_open(&kernel, &err))
		agent_fail(&err);
	for (int i = 0; i < 2; i++)
		agent_policy_load(text[kernel->lsm][i], &policy[i]);
	snprintf(id, sizeof(id), "bench-%d", getpid());
	sandbox = agent_start(kernel, id, &policy[0], argv[2]);
	for (size_t i = 0; i < count; i++) {
		const struct agent_policy *next = &policy[(i + 1) % 2];
		double start = figures_now_ms();

		if (sandbox_update(sandbox, next->compiled, next->digest, &err))
			agent_fail(&err);
		ms[i] = figures_now_ms() - start;
	}
	figures_sort(ms, count);
	printf("backend %s\np50 %.2f\np99 %.2f\n", kernel->lsm ? "bpf-lsm" : "landlock",
	       figures_at(ms, count, 0.5), figures_at(ms, count, 0.99));
	sandbox_free(sandbox);
	kernel_close(kernel);
	return 0;
}
