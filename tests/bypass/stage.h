/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bypass suite stands on: sandboxes by the real `openshell run`, and programs that do acts
 * inside them, in their cgroup alone, and outside. One stage, one thread; anything that goes wrong
 * in here ends the program, because a test on a broken stage proves nothing.
 */
#pragma once

#include "supervisor/event_reader.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STAGE_UID 1500

/* A running `act serve`. */
struct actor {
	pid_t pid;
	int to, from;
	char name[32]; /* of a sandbox: its log is logs/NAME */
	struct timespec asked;
};

/* What an act answered. */
struct answer {
	int error; /* errno, 0: it worked; EPIPE: the actor is gone */
	unsigned int ms;
	char text[1200];
};

/* @tools: where openshell is; @agents: where act is. */
void stage_open(const char *tools, const char *agents);
void stage_close(void);

/* The stage's directory. In it: bin, agents, work (the sandboxes' own), logs. */
const char *stage_directory(void);
/* A path in it, in one of sixteen static buffers. */
const char *stage_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Start a sandbox under a policy: text with `@` for the directory. @options: words for the command
 * line, or NULL. @ret_actor is at its other end.
 */
void stage_run(const char *name, const char *policy, const char *options, struct actor *ret_actor);

/* A directory like bin/ with @program of the agents' directory for openshell-proxy; NULL: none. */
void stage_replace(const char *bin, const char *program);

/* The same with other programs in place of bin/: false, and what it said in logs/NAME.err. */
bool stage_try(const char *name, const char *bin, const char *policy, struct actor *ret_actor);

/* End it, by the end of its input; the status of `openshell run`. */
int stage_stop(struct actor *actor);

enum stage_where { STAGE_INSIDE, STAGE_HOST, STAGE_OUTSIDE };

/*
 * A program that does acts: STAGE_INSIDE in the cgroup of @sandbox, without anything else that a
 * sandbox is; STAGE_HOST beside it; STAGE_OUTSIDE in the network outside. With an internet socket
 * from outside as descriptor 9.
 */
void stage_spawn(enum stage_where where, const struct actor *sandbox, uid_t uid,
		 struct actor *ret_actor);

/* Have an act done. `{name}` in @words is what stage_set() said. */
struct answer stage_ask(struct actor *actor, const char *words);
/* The word after @key in what it said, into @ret; false: there is none. */
bool answer_word(const struct answer *answer, const char *key, char *ret, size_t size);
/* The two halves of asking. */
void stage_begin(struct actor *actor, const char *words);
struct answer stage_end(struct actor *actor);

void stage_set(const char *name, const char *value);
const char *stage_get(const char *name);
/* @words with the names replaced. */
void stage_expand(const char *words, char *ret, size_t size);

/* The kernel side's counters, of all sandboxes. */
void stage_counters(struct event_counters *ret_counters);

/* True if the log of a sandbox has a line with @text, now or within two seconds. */
bool stage_logged(const struct actor *sandbox, const char *text);
/* Lines with @text in it, now. */
unsigned int stage_count_logged(const struct actor *sandbox, const char *text);
/* The same of what `openshell run` wrote to standard error. */
bool stage_said(const char *name, const char *text);

/* BPF-LSM decides about files as well. */
bool stage_has_lsm(void);

/* Start the next ones with an internet socket from outside as descriptor 9. */
void stage_keep_socket(bool keep);

/* Wait for a file that an actor makes, and remove it. */
bool stage_wait_file(const char *name);

/* TAP */
void point(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int points_end(void);
