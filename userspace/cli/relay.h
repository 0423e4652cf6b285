/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes and signals between the caller and an agent, through a pseudo-terminal or three
 * pipes, never by handing over the caller's own descriptors: an agent with the caller's terminal
 * could type into it, one with its files could reopen them. Binary safe; a reader that is slow
 * slows its writer down; each stream ends on its own. The caller's descriptors keep their flags.
 * One thread, one uv loop, one relay for a process.
 *
 *	relay_open() -> start the agent on relay_agent_fd() -> relay_start() -> uv_run() -> ended()
 *
 * Signals: SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 go to the agent (unless this
 * process was started with them ignored); a second SIGTERM goes as SIGKILL. SIGWINCH resizes the
 * agent's terminal, SIGTSTP stops this process with its terminal in order.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <uv.h>

struct relay;

struct relay_target {
	int ended_fd; /* becomes readable when the agent has ended, such as a pidfd; not owned */
	/* Send a signal to the agent. 0 or a negative errno, which is ignored. */
	int (*signal)(void *arg, int signal_number);
	/*
	 * The relay is about to let go of the signals, which from then on do what they do without
	 * it. May be NULL.
	 */
	void (*ending)(void *arg);
	/*
	 * The agent has ended and what it wrote was delivered, or nobody wants it. Called from the
	 * loop, once, when the relay has no handle on it any more: the place to leave the loop.
	 */
	void (*ended)(void *arg);
	void *arg;
};

/* Make a pseudo-terminal (@tty) or three pipes. */
int relay_open(bool tty, struct relay **ret_relay, struct error *err);

/* What is to become the agent's descriptor @i, 0 to 2; the relay's own, until relay_start(). */
int relay_agent_fd(const struct relay *relay, int i);

/* The device node of the agent's terminal, NULL where it has pipes. */
const char *relay_terminal(const struct relay *relay);

/*
 * The agent runs: let go of its ends, set the caller's terminal raw if both have one, and relay on
 * @loop until the end. After a failure nothing is on the loop.
 */
int relay_start(struct relay *relay, uv_loop_t *loop, const struct relay_target *target,
		struct error *err);

/*
 * After ended(): 0, or why output of the agent's could not be delivered, such as -ENOSPC. A reader
 * that went away is not an error.
 */
int relay_result(const struct relay *relay, struct error *err);

/* Not between relay_start() and ended(). NULL is valid. */
void relay_free(struct relay *relay);
