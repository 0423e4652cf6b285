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
#include "common/worker_record.h"
#include "supervisor/kernel.h"
#include "supervisor/names.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
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

/* What a worker told of a request. */
struct worker_request {
	const struct worker_record *record;
	/*
	 * The record stands for so many, and its bytes and time are those of all; 0 = for itself
	 * alone. @others: they have only kind, verdict, host, port and binary in common.
	 */
	uint64_t repeated;
	bool others;
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
	/* Who is behind a connection to the proxy: 0 and all but header and host, or -EPERM. */
	int (*origin)(void *arg, const struct os_flow *flow, struct worker_origin *ret_origin);
	/* May be NULL, as the next. */
	void (*request)(void *arg, const struct worker_request *request);
	/* Another CA than before: the processes were started anew. */
	void (*ca_changed)(void *arg);
	void *arg;
	bool proxies; /* the policy has endpoints whose content decides; worker_proxy() later */
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

/*
 * Give it another policy: a WorkerBundle of @size bytes, in a sealed memfd (worker_bundle_seal()),
 * which is taken. Sent before any answer that rests on @generation, and to each worker that is
 * started later.
 */
void worker_set_policy(struct worker *worker, uint32_t generation, int memfd, uint32_t size);

/*
 * Where the routes of inference.local lead, which the worker may ask to be connected to; NULL:
 * nowhere. Before the policy that has them, so that none of its requests fails.
 */
void worker_set_routes(struct worker *worker, const Openshell__Worker__V1__Inference *inference);

/*
 * Let the worker try a route of the policy that it was given last: *ret_fd is a stream socket for
 * one request to inference.local, without TLS. -EAGAIN: it cannot be told now, so worker_poll() and
 * try again.
 */
int worker_probe(struct worker *worker, uint32_t route, int *ret_fd);

/* The CA by which the proxy answers for servers, DER; NULL = the worker has none. */
const struct worker_ca *worker_ca(const struct worker *worker);

/*
 * The sandbox has ended: end the worker, wait a moment for what it still has to tell, and tell it.
 * Nothing is served any more; only worker_free() comes after this.
 */
void worker_finish(struct worker *worker);

/* The policy changed: every answer that the worker keeps is forgotten. */
void worker_flush(struct worker *worker);

/* The policy has endpoints whose content decides: the worker is one that proxies, from now on. */
void worker_proxy(struct worker *worker);

/* Of the worker process now, for limits and tests; 0 = none. */
pid_t worker_pid(const struct worker *worker);

/* End the processes, close the sockets, take the slot out of os_worker. NULL is valid. */
void worker_free(struct worker *worker);
