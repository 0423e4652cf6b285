/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of worker.h's implementation: worker.c starts processes and listens to them,
 * worker_child.c has one process behind its channel, worker_answers.c what is asked and answered,
 * worker_proxied.c of that what concerns the proxy, worker_route.c what concerns routes of
 * inference.local, worker_requests.c what it tells.
 */
#pragma once

#include "supervisor/route_table.h"
#include "supervisor/worker.h"
#include "supervisor/worker_questions.h"
#include "supervisor/worker_sockets.h"
#include "supervisor/zygote.h"

#include <stdbool.h>

#define WORKER_SECOND UINT64_C(1000000000) /* all times: CLOCK_BOOTTIME, ns */

/* Which descriptor an epoll event is about. */
enum worker_tag {
	WORKER_TAG_TIMER,
	WORKER_TAG_ZYGOTE,
	WORKER_TAG_WORKER,
	WORKER_TAG_RESOLVER,
	WORKER_TAG_RECORDS,
};

/* So many at once, and then so many a second. */
struct worker_budget {
	uint32_t left, burst, rate;
	uint64_t filled;
};

/* When what has died may start again, and how often its death is told. */
struct worker_backoff {
	unsigned int deaths; /* without having lived long between them */
	uint64_t started;    /* 0 = not running */
	uint64_t next;	     /* not before */
	uint64_t told;
	unsigned int untold;
};

/* A worker or resolver. */
struct worker_child {
	enum worker_role role;
	enum worker_receiver receiver;
	enum worker_tag tag;
	const char *what; /* in sentences */
	int channel;	  /* -1 = there is none */
	int pidfd;	  /* -1 = the zygote has not told yet */
	pid_t pid;	  /* 0 = not known */
	uint32_t id;	  /* of the request to the zygote */
	bool ready, writable;
	bool ca; /* it has told the CA */
	struct worker_backoff backoff;
};

struct worker_fold;

struct worker {
	struct worker_options options;
	struct worker_sockets sockets;
	struct zygote zygote;
	struct worker_backoff zygote_backoff;
	struct worker_child worker, resolver;
	struct questions questions;
	struct route_table routes;
	int epoll, timer;
	uint64_t alarm;	    /* what the timer is set to */
	uint64_t next_tick; /* for what is looked at once a second */
	uint64_t stuck;	    /* since when the worker takes no answer; 0 = it does */
	uint32_t next_fork;
	struct worker_budget asks;  /* of the worker's questions */
	struct worker_budget reads; /* of bytes that it tells of requests */
	struct worker_budget tells; /* of refusals that are told */
	uint32_t untold;	    /* refusals beyond that */
	uint64_t told_untold;	    /* when that was said last */
	struct worker_ca ca;	    /* length 0 = none was told */
	uint32_t generation, size;  /* of the policy for the worker */
	int policy;		    /* its sealed memfd, -1 = there is none yet */
	bool policy_due;	    /* the worker does not have it */
	struct worker_fold *fold;   /* of what it tells; NULL before the first */
	uint64_t lost, told_lost;   /* requests that nobody told of, and when that was said last */
	bool paused;		    /* the worker is not heard until it has a budget again */
	bool deaf;		    /* nor what it tells of requests */
	bool flush;		    /* WORKER_FLUSH is to be sent after what is queued */
	bool published;		    /* os_worker has the sockets */
	bool proxied;		    /* it was given a connection to read */
	bool finished;		    /* worker_finish() was called: nobody is started any more */
	bool starting;		    /* worker_start() has not returned: an end is its failure */
	struct error *error;	    /* its, while starting; may be NULL */
	int failed;		    /* what it returns */
};

uint64_t worker_now(void);

/* Let epoll tell of @fd as @tag, for these EPOLL* events; -errno. */
int worker_watch(struct worker *worker, int fd, enum worker_tag tag, uint32_t events);

/* What is left of it now. */
uint32_t worker_budget_left(struct worker_budget *budget, uint64_t now);

void worker_problem(struct worker *worker, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* It lives since now, or died now; true if its death should be told. */
void worker_backoff_started(struct worker_backoff *backoff, uint64_t now);
bool worker_backoff_died(struct worker_backoff *backoff, uint64_t now);

/* worker_child.c */

#define WORKER_CHILD_EMPTY(r, name, from, number)                                                  \
	(struct worker_child)                                                                      \
	{                                                                                          \
		.role = (r), .receiver = (from), .tag = (number), .what = (name), .channel = -1,   \
		.pidfd = -1                                                                        \
	}

/* Ask the zygote for it. -EAGAIN: later; another error: the zygote is of no use any more. */
int worker_child_start(struct worker *worker, struct worker_child *child, uint64_t now);

/* The zygote's answer, for whichever child it is. @pidfd is taken. */
void worker_child_forked(struct worker *worker, const struct worker_forked *forked, int pidfd);

/* It is gone, or ended now if it is not; @why: a sentence's end, NULL if the zygote's end says it.
 */
void worker_child_lost(struct worker *worker, struct worker_child *child, const char *why);

/* Watch its channel for what is wanted of it: READ unless it is paused, WRITE if that waits. */
int worker_child_watch(struct worker *worker, struct worker_child *child);

/* Send; false if it has to wait until the channel is writable, of which epoll then tells. */
bool worker_child_send(struct worker *worker, struct worker_child *child,
		       const union worker_message *message, int fd);

/* worker_answers.c */

/* One message of the worker or resolver, READY aside. -EBADMSG: it must not say that. */
int worker_answers_hear(struct worker *worker, struct worker_child *child,
			const union worker_message *message);

/* Send what waits for its channel. */
void worker_answers_send(struct worker *worker);
void worker_answers_look_up(struct worker *worker);

/* @question waits until @name was looked up, and is answered then, or now if that cannot be. */
void worker_answers_wait(struct worker *worker, struct question *question, const char *name,
			 size_t length, uint64_t now);

/* @child has gone: what it was asked is asked of the next, what it asked is forgotten. */
void worker_answers_lost(struct worker *worker, struct worker_child *child);

/* Once a second: names whose addresses expire, look-ups that take too long. */
void worker_answers_tick(struct worker *worker, uint64_t now);

/* worker_proxied.c */

/* -EBADMSG: it must not ask that. */
int worker_origin_ask(struct worker *worker, const struct worker_ask_origin *ask);
int worker_upstream_ask(struct worker *worker, const struct worker_ask_upstream *ask, uint64_t now);

void worker_upstream_answer(struct worker *worker, struct question *question,
			    enum worker_upstream_status status, int error, const uint8_t *real);

/* To the first of @addresses to which a connection is under way, but those that are @never. */
void worker_upstream_connect(struct worker *worker, struct question *question,
			     const struct names_addresses *addresses,
			     bool (*never)(const uint8_t *address));

/* What it waited for was looked up, or could not be. */
void worker_upstream_finish(struct worker *worker, struct question *question, uint64_t now);
void worker_upstream_failed(struct worker *worker, struct question *question);

/* Send the policy if the worker does not have it; false: it has to wait, and so has the rest. */
bool worker_policy_send(struct worker *worker);

/* worker_route.c */

/* -EBADMSG: it must not ask that. */
int worker_route_ask(struct worker *worker, const struct worker_ask_route *ask, uint64_t now);

/* What it waited for was looked up; worker_upstream_failed() if it could not be. */
void worker_route_finish(struct worker *worker, struct question *question, uint64_t now);

/* worker_requests.c */

/* Read what the worker told, some of it; true if there is more. */
bool worker_requests_read(struct worker *worker);

/* Once a second: tell the sums of what was left out. @all: of seconds that are not over as well. */
void worker_requests_tick(struct worker *worker, uint64_t now, bool all);
void worker_requests_free(struct worker *worker);
