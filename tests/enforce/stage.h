/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the enforcement suite stands on: directories of every kind that a policy can make of them,
 * sandboxes under such a policy, and servers that do acts inside, in the cgroup alone, and outside.
 * One struct stage, one thread; anything that goes wrong in here ends the program, because a test
 * on a broken stage proves nothing.
 */
#pragma once

#include "supervisor/event_reader.h"
#include "supervisor/kernel.h"
#include "supervisor/sandbox.h"

#include <stdbool.h>

#define STAGE_UID 1500

/* Who does an act. */
enum who {
	WHO_AGENT,     /* in the sandbox with the main policy */
	WHO_EXEC,      /* in the one with exec_policy.allow */
	WHO_STILL,     /* in the one with exec_policy.allow_writable: false */
	WHO_AUDIT,     /* main policy, only audited (bpf-lsm) */
	WHO_BARE,      /* root in the main sandbox's cgroup: no filter, no namespaces (bpf-lsm) */
	WHO_BARE_USER, /* the same, as the agent's uid */
	WHO_USER,      /* outside, the agent's uid */
	WHO_ROOT,      /* outside, root */
	WHO_MAX,
};

/* A running `act serve`. */
struct server {
	pid_t pid;
	int to, from;
};

/* The last event of a hook since the last stage_drain(). */
struct heard {
	unsigned int count;
	bool audited; /* it said AUDIT, not DENIED */
	int error;
};

struct stage {
	bool lsm;
	int landlock_abi;
	char top[64]; /* the arena; `%s/bin/act` is the program that does the acts */
	char abstract[64], datagram[80]; /* names of abstract sockets outside */
	char cgroup[4200];		 /* directory of the main sandbox's cgroup */
	struct kernel *kernel;
	struct sandbox *sandbox[WHO_AUDIT + 1]; /* of those that are agents */
	struct event_reader *reader[WHO_AUDIT + 1];
	struct server server[WHO_MAX];
	struct heard heard[OS_HOOK_COUNT];
	pid_t victim; /* outside, of the agent's uid; its environment and memory are somebody's */
	pid_t neighbour; /* an agent of another sandbox, as the host numbers it */
	pid_t passer;	 /* passes descriptors on rw/pass.sock */
	int foreign;	 /* an internet socket from outside, this number in the bare servers */
	int kept[128];	 /* descriptors of sockets that acts connect to */
	size_t kept_len;
};

/* Mounts, kernel side and arena; then, for the suite, the sandboxes and everybody outside. */
void stage_open(struct stage *stage);
void stage_set_up(struct stage *stage);
void stage_tear_down(struct stage *stage);

/*
 * Start an agent under a policy: text with `@` for the arena. The server is in its process. @id
 * names the cgroup; @workdir is in the arena.
 */
struct sandbox *stage_start(struct stage *stage, const char *id, const char *policy,
			    const char *workdir, bool audit, struct server *ret_server);

/* A server in the cgroup of @sandbox (NULL: nowhere special), as @uid. */
void stage_spawn(struct stage *stage, const struct sandbox *sandbox, uid_t uid,
		 struct server *ret_server);
void server_stop(struct server *server);

/* Have an act done; 0 or its negative errno. -EPIPE: the server has gone. */
int server_ask(struct server *server, const char *words);
/* The two halves of it. */
void server_send(struct server *server, const char *words);
int server_answer(struct server *server);

/*
 * Make what an act's words name and put real words into @ret: `F:path` is a file, made anew,
 * owned by the agent's uid; K: the same, kept if it is there; D: an empty directory; M: one with a
 * tmpfs on it; L: a symbolic link; P: a program, U: a setuid root one, C: one with file
 * capabilities; H: a script that bin/act interprets, I: one whose interpreter is ro/program; S: a
 * listening socket, G: a datagram one; N: nothing; X: whatever is there. Paths are in the arena
 * unless they begin with
 * `/`, where `@` stands for it. `$victim`, `$neighbour`, `$abstract`, `$datagram`, and `$cgroup` at
 * the start of a word are replaced.
 */
void stage_prepare(struct stage *stage, const char *words, char ret[static 1024]);

/* Forget events; then collect those that come. */
void stage_drain(struct stage *stage, enum who who);
void stage_listen(struct stage *stage, enum who who);

/* A counter, summed over CPUs. */
uint64_t stage_count(const struct stage *stage, unsigned int index);

/* The path in the arena, in one of four static buffers. */
const char *stage_path(const struct stage *stage, const char *path);

/* A compiled policy of the text, with its digest; `@` is the arena. */
Openshell__Compiled__V1__CompiledPolicy *stage_compile(const struct stage *stage, const char *text,
						       uint8_t digest[static 32]);

void stage_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
