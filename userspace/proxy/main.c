/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openshell-proxy: what parses the words of agents and of the internet, away from what decides. A
 * supervisor starts it and talks to it through an inherited descriptor; see zygote.h.
 */
#include "proxy/zygote.h"

#include "common/worker_protocol.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int usage(FILE *out)
{
	fprintf(out,
		"Usage: openshell-proxy [--version]\n\n"
		"Answers the DNS queries of sandboxes. `openshell run` starts it when a policy "
		"needs it;\nby hand it does nothing.\n");
	return out == stderr ? 2 : 0;
}

static bool is_channel(int fd)
{
	int type, domain;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return false;
	len = sizeof(domain);
	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		if (argc == 2 && !strcmp(argv[1], "--version"))
			return printf("openshell-proxy %s\n", OPENSHELL_VERSION) < 0;
		if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
			return usage(stdout);
		fprintf(stderr, "openshell-proxy: unknown option %s\n", argv[1]);
		return usage(stderr);
	}
	if (!is_channel(WORKER_ZYGOTE_CHANNEL)) {
		fprintf(stderr,
			"openshell-proxy: nobody is at descriptor %d to say what to do: it "
			"is started by `openshell run`, not by hand\n",
			WORKER_ZYGOTE_CHANNEL);
		return 2;
	}
	return zygote_main(WORKER_ZYGOTE_CHANNEL);
}
