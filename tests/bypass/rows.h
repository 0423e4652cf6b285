/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the bypass suite. A row is an act that must not reach anything, or must reach
 * exactly what is said, in four legs: the exact errno inside, and that the kernel side counted the
 * denial and nothing left the host; the same means where the policy admits them; the same act
 * outside of any sandbox.
 */
#pragma once

#include "abi.h"
#include "stage.h"

#define HOOKS_MAX  64 /* hooks after these are not looked at */
#define HOOK(name) (1ULL << OS_HOOK_##name)
_Static_assert((int)OS_HOOK_INGRESS < HOOKS_MAX, "a set of hooks is 64 bits");

#define HOOKS_CONNECT (HOOK(CONNECT4) | HOOK(CONNECT6))
#define HOOKS_SENDMSG (HOOK(SENDMSG4) | HOOK(SENDMSG6))

enum who {
	WHO_AGENT,    /* in the sandbox under the main policy */
	WHO_SECOND,   /* in another one, which admits other things */
	WHO_STRICT,   /* in one whose exec_policy allows no libraries of its own */
	WHO_BARE,     /* root in the main sandbox's cgroup: no filter, no namespaces */
	WHO_USER,     /* beside the sandboxes, with the agents' uid */
	WHO_ROOT,     /* the same, root */
	WHO_STRANGER, /* in the network outside */
	WHO_MAX,
};

extern struct actor actors[WHO_MAX];

/* A kernel that has no such thing outside either: the row is skipped. */
#define ROW_OPTIONAL (1u << 0)
/* The act sends one thing that is admitted first. */
#define ROW_SENDS (1u << 1)
/* The same act means nothing outside. */
#define ROW_NOT_OUTSIDE (1u << 2)
/* Root does it outside. */
#define ROW_ROOT (1u << 3)
/* Nothing of it reaches the host's resolvers, nor anybody else. */
#define ROW_UNASKED (1u << 5)
/* BPF-LSM denies it before anything else, with EACCES. */
#define ROW_LSM_EACCES (1u << 4)

/* The act looks into the host's /proc, which BPF-LSM denies to who is in a sandbox's cgroup. */
#define ROW_NOT_LSM (1u << 6)

/* Or EACCES, where something else denies it before: what executes a memfd depends on the kernel. */
#define ROW_OR_EACCES (1u << 7)

struct row {
	const char *name;
	enum who who;
	const char *act;
	int wanted;	  /* errno; 0: it succeeds */
	const char *says; /* in what it answers; NULL: anything */
	uint64_t hooks;	  /* one of them counted a denial; 0: something before them denies */
	const char *control, *control_says; /* by the same, succeeds; NULL: nothing does */
	const char *outside;		    /* NULL: the same words */
	int outside_wanted;
	const char *outside_says;
	unsigned int flags;
};

void rows_run(const struct row *table, size_t len);

/* One row by its legs, from whatever table. */
void row_run(const struct row *row);

extern const struct row rows_socket[], rows_connect[], rows_identity[], rows_datagram[],
	rows_name[];
extern const size_t rows_socket_len, rows_connect_len, rows_identity_len, rows_datagram_len,
	rows_name_len;

/*
 * Every way to reach an address, to every kind of address. @cross: every way to some, and some to
 * every one, which is what another kernel may do differently, and much less.
 */
void matrix_run(bool cross);

/*
 * Ask the responder for the names of the policy, so that `{NAME4}` and `{NAME6}` are their
 * synthetic addresses: allowed, second, parent and others (names.c). False: names are not served.
 */
void names_learn(void);
bool names_known(void);
/* Every kind of resolver, over UDP and TCP. */
void resolvers_run(void);
void special_tunnel(void);
void special_rebind(void);
void special_stale(void);
void special_flood(void);
void special_glob(void);
void special_worker(void);
void special_hostile(void);

/* What takes two, or a sandbox of its own. */
void special_sockets(void);
void special_ingress(void);
void special_recycled(void);
void special_inherited(void);
