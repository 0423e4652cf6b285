/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway as a whole: what its parts share. One thread, one uv loop; nothing in it blocks but
 * SQLite's commit. Owned by main(); the parts borrow it.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct config;	    /* config.h: what was configured */
struct store;	    /* store.h: what is remembered */
struct authority;   /* authority.h: who is who */
struct nodes;	    /* nodes.h: supervisors that are attached */
struct log_buffers; /* logs.h: the last lines of each sandbox */
struct watchers;    /* watch.h: who is told of changes */
struct services;    /* service_http.h: HTTP to exposed services */
struct grpc_server;

struct gateway {
	uv_loop_t *loop;
	const struct config *config;
	struct store *store;
	struct authority *authority;
	struct nodes *nodes;
	struct log_buffers *logs;
	struct watchers *watchers;
	struct services *services; /* NULL = none */
	struct grpc_server *server;
	int64_t started_ms;
	bool ready; /* for /readyz */
};
