/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker test stands on: a host of its own (network and mount namespaces, resolv.conf,
 * hosts, a DNS server), maps in place of the kernel side's, the worker under test with what its
 * callbacks heard, and the agent's socket, over which the hostile worker is told what to do.
 */
#pragma once

#include "supervisor/worker_internal.h"

#include <limits.h>
#include <stdbool.h>

#define SLOT	  5
#define PROCESSES 3

extern struct kernel kernel;
extern struct worker *worker;
extern char real[PATH_MAX], hostile[PATH_MAX], liar[PATH_MAX]; /* programs */
extern int client;

extern unsigned int problems, refusals; /* heard since the start */
extern char problem[512], refused_name[WORKER_NAME_MAX + 1];
extern struct worker_refusal refusal;
extern struct os_flow flow_asked;
extern bool proxied;	  /* workers are started for a policy whose endpoints are inspected */
extern bool flow_allowed; /* what the callbacks for flows and origins answer */
extern unsigned int requests, requests_denied, ca_changes;
extern uint64_t requests_stand_for, request_bytes;
extern bool request_query;
extern int listener; /* the proxy's, as the kernel side gets it */

void set_up(void);
_Noreturn void die(const char *what);
double now_ms(void);

/* A worker of @program; fresh() ends the one before, and the test if it does not start. */
int start(const char *program, struct error *err);
void fresh(const char *program);

/* What the kernel side writes when an agent of @slot speaks: from port @local to @remote. */
void put_flow(uint16_t protocol, uint16_t local, uint16_t remote, uint32_t slot);
uint16_t port_of(int fd);

/* The same of a connection that was sent to the proxy. */
void put_proxied(int fd, const struct os_flow *flow);

/* Run the supervisor's loop for at most @ms, or until the agent's socket has something. */
bool pump(int ms);
void pump_until_problem(unsigned int more_than, int ms);

/* Tell the hostile worker; what it answers within five seconds, or @ms, or "". */
void tell(const char *command);
const char *say(const char *command);
const char *say_for(const char *command, int ms);
bool said(const char *command, const char *wanted);

/* The zygote, then its children; how many. */
pid_t zygote_pid(void);
size_t processes(pid_t pids[PROCESSES]);

/* Whether none of them is there, not even dead and not reaped, within @ms. */
bool all_gone(const pid_t *pids, size_t n, int ms);
size_t open_descriptors(void);
