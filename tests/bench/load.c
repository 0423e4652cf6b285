// SPDX-License-Identifier: Apache-2.0
/*
 * usage: load SANDBOXES ENDPOINTS
 *
 * Milliseconds to write the network section of one policy, with ENDPOINTS names, for that many
 * sandboxes into the kernel's maps, and to take it out again: `load MS`, `erase MS`. No agent runs:
 * slots from the top are used, which nobody else has here (see isolate).
 */
#include "agent.h"
#include "figures.h"

#include "supervisor/egress.h"
#include "supervisor/names.h"

int main(int argc, char **argv)
{
	uint32_t sandboxes = argc == 3 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	size_t endpoints = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, size = 0;
	struct names **names = calloc(sandboxes + 1, sizeof(*names));
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct agent_policy policy = {};
	struct kernel *kernel = NULL;
	struct error err = {};
	char *text = NULL;
	double start;
	FILE *f;

	if (!sandboxes || sandboxes >= OS_SLOTS_MAX || !endpoints || !names) {
		fprintf(stderr, "usage: load SANDBOXES ENDPOINTS\n");
		return 2;
	}
	f = open_memstream(&text, &size);
	fprintf(f, "version: 1\nnetwork_policies:\n  one:\n    endpoints:\n");
	for (size_t i = 0; i < endpoints; i++)
		fprintf(f, "      - {host: host-%zu.bench.test, port: 443}\n", i);
	fprintf(f, "    binaries: [{path: /usr/bin/env}]\n");
	fclose(f);
	agent_policy_load(text, &policy);
	if (kernel_open(&kernel, &err))
		agent_fail(&err);
	start = figures_now_ms();
	for (uint32_t i = 0; i < sandboxes; i++) {
		uint32_t slot = OS_SLOTS_MAX - 1 - i;

		if (egress_write(kernel, slot, 1, policy.compiled, root, NULL, &err) ||
		    names_new(kernel, slot, false, &names[i], &err) ||
		    names_write(names[i], 1, policy.compiled, &err))
			agent_fail(&err);
	}
	printf("load %.0f\n", figures_now_ms() - start);
	start = figures_now_ms();
	for (uint32_t i = 0; i < sandboxes; i++) {
		names_free(names[i]);
		egress_remove(kernel, OS_SLOTS_MAX - 1 - i, 1, policy.compiled);
	}
	printf("erase %.0f\n", figures_now_ms() - start);
	kernel_close(kernel);
	return 0;
}
