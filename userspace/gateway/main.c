/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/certs.h"
#include "gateway/config.h"
#include "gateway/gateway_run.h"
#include "gateway/issue_token.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { DONE = 0, FAILED = 1, USAGE = 2 };

static int complain(const struct error *err, int status)
{
	char text[2048];

	fprintf(stderr, "openshell-gateway: %s\n", error_format(err, text, sizeof(text)));
	return status;
}

int main(int argc, char **argv)
{
	struct config *config;
	struct error err = {};
	int r;

	/* Connections that end are told by write(). */
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && !strcmp(argv[1], "generate-certs"))
		return certs_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "issue-token"))
		return issue_token_main(argc - 1, argv + 1);
	r = config_load(argc, argv, &config, &err);
	if (r > 0)
		return DONE;
	if (r < 0)
		return complain(&err, USAGE);
	r = gateway_run(config, &err);
	config_free(config);
	return r ? complain(&err, FAILED) : DONE;
}
