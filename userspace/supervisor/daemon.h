/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor as a daemon: one gateway, over a stream that it opens, and a keeper for each
 * sandbox of this host. It holds no decision: when it is gone, keepers and kernel go on, and the
 * next one finds them. One thread, one uv loop.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>

struct daemon_options {
	const char *gateway;	     /* as grpc_endpoint_parse() */
	const char *node;	     /* this host's name at its gateway */
	const char *ca, *cert, *key; /* files; NULL */
	const char *token_file;	     /* NULL */
	const char *state_dir, *run_dir;
};

/* Runs until SIGTERM or SIGINT; sandboxes run on. */
int daemon_run(const struct daemon_options *options, struct error *err);
