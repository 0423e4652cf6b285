/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the identity test stands on: a private instance of everything (cgroups, bpffs, /run, a
 * network), echo servers, one sandbox whose agent takes orders, and the supervisor's modules that
 * are tried. Ends the process with a message where something cannot be had.
 */
#pragma once

#include "supervisor/binaries.h"
#include "supervisor/revoke.h"
#include "supervisor/sandbox.h"

#include <stdbool.h>
#include <sys/types.h>

#define STAGE_ADDRESS  "10.99.0.1"
#define STAGE_ADDRESS6 "fd99::1"
#define STAGE_PORTS                                                                                \
	{                                                                                          \
		8000, 8001, 8002, 8003                                                             \
	}

struct stage {
	char dir[64];	 /* the agent's working directory; files are put there from outside */
	const char *act; /* the program */
	struct kernel *kernel;
	struct sandbox *sandbox;
	struct binaries *binaries;
	struct revoke *revoke;
	struct binaries_revocation revoked; /* the last one, and how many */
	unsigned int revocations;
	struct revoke_result ended; /* of the last revoke_start() */
	unsigned int ends;
	struct os_event decided; /* the last record about a connection that waited */
	unsigned int decisions;
	struct os_event denied; /* the last denial that the ring told */
};

extern struct stage stage;

/* For struct revoke_options.done: fills stage.ended. */
void stage_ended(void *arg, const struct revoke_result *result);

_Noreturn void die(const char *what);

/*
 * Everything but the sandbox. @act: the program to copy. @below: what the agent's directory is on,
 * "overlay" or "tmpfs"; NULL: what /var/tmp is on.
 */
void stage_open(const char *act, const char *below);
/* Load a policy, format as printf; the first one starts the sandbox. */
void stage_policy(const char *text);
void stage_close(void);

/* Let the supervisor's side work for so long, or until nothing happened for 50 ms. */
void stage_settle(void);

/*
 * Give the agent a command, format as printf, and return its answer. Meanwhile the supervisor
 * listens to the worker, and reads no event.
 */
int stage_order(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, and stage_settle() after it. */
int stage_order_settled(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Files in the agent's directory. */
void stage_copy(const char *name);		       /* a copy of the program */
void stage_append(const char *name, const char *data); /* in place */
void stage_truncate(const char *name, off_t less);     /* in place */
const char *stage_path(const char *name);	       /* until the fourth call after it */
