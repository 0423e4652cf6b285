/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that parse what an agent or the internet sent, seen from the supervisor of one
 * sandbox: openshell-proxy as a zygote, and forked from it a resolver and a worker. Started,
 * listened to, and started again when they die; their sockets are made and kept here, so that a
 * worker's death loses no query that comes after it.
 *
 * One thread: the loop that calls worker_poll(), with whose end the processes end. Fails closed:
 * without a worker names are not answered, and what was not published stays denied.
 */
#pragma once

#include "common/error.h"
#include "common/worker_protocol.h"
#include "supervisor/kernel.h"
#include "supervisor/names.h"

#include <stdint.h>
#include <sys/types.h>

struct worker;

/* Somebody's question that was refused, for the log. */
struct worker_refusal {
	const char *name;    /* NUL-terminated */
	uint16_t type;	     /* DNS QTYPE */
	bool limited;	     /* it was the rate of new names, not the policy */
	struct os_flow flow; /* who asked; slot 0 = not known */
};

struct worker_options {
	const struct kernel *kernel;
	struct names *names; /* borrowed */
	uint32_t slot;
	void (*refused)(void *arg, const struct worker_refusal *refusal);
	void (*problem)(void *arg, const char *sentence); /* it died, or it misbehaved */
	/* A connection waits for a verdict about its binary: 0 and a socket to go on with, or
	 * -EPERM. */
	int (*flow)(void *arg, const struct os_flow *flow, int *ret_fd);
	void *arg;
	const char *program; /* NULL: openshell-proxy beside this program */
};

/*
 * Start zygote, resolver and worker, bind the sockets and enter them in os_worker; returns when
 * both are ready. -ENOENT: openshell-proxy is not beside this program; -ETIMEDOUT; what the kernel
 * says.
 */
int worker_start(const struct worker_options *options, struct worker **ret_worker,
		 struct error *err);

/* A descriptor (epoll) that is readable when worker_poll() has something to do, timers included. */
int worker_fd(const struct worker *worker);
void worker_poll(struct worker *worker);

/* The policy changed: every answer that the worker keeps is forgotten. */
void worker_flush(struct worker *worker);

/* Of the worker process now, for limits and tests; 0 = none. */
pid_t worker_pid(const struct worker *worker);

/* End the processes, close the sockets, take the slot out of os_worker. NULL is valid. */
void worker_free(struct worker *worker);
