/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends the connections of a sandbox that its policy no longer admits. The kernel stops their
 * packets from the moment of the switch; this finds the sockets (sock_diag(7), with what the
 * programs wrote on them), judges each by the maps as a program would, and destroys those that are
 * not admitted, so that both ends know at once instead of waiting. All others are left alone, and
 * so is every socket that does not say that it is this sandbox's. TCP only: a UDP socket is told by
 * its next datagram, with EPERM.
 *
 * One for each sandbox, in the loop by its descriptor, a batch of sockets at a time. The sockets
 * are those of the network namespace that revoke_new() was called in. What goes wrong leaves a
 * connection that hangs, never one that works.
 */
#pragma once

#include "common/error.h"
#include "supervisor/kernel.h"

#include <stdbool.h>
#include <stdint.h>

struct revoke;

struct revoke_result {
	uint32_t sockets;   /* of the sandbox, to somewhere */
	uint32_t destroyed; /* not admitted any more */
	uint32_t failed;    /* could not be destroyed: their packets are stopped, nobody is told */
	bool unsupported;   /* the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY) */
	int error;	    /* the sockets could not be listed: negative errno; 0 = they were */
};

struct revoke_options {
	const struct kernel *kernel;
	uint32_t slot;
	void (*done)(void *arg, const struct revoke_result *result); /* may be NULL */
	void *arg;
};

/* Errors of socket(2), bpf(2). */
int revoke_new(const struct revoke_options *options, struct revoke **ret_revoke, struct error *err);
void revoke_free(struct revoke *revoke);

/*
 * The policy in force has changed, or a binary was revoked: look at every socket from the loop,
 * from the start if it is under way. In modes other than OS_MODE_ENFORCE nothing is ended.
 */
void revoke_start(struct revoke *revoke);

/* Readable when revoke_poll() has something to do; the latter never waits. */
int revoke_fd(const struct revoke *revoke);
void revoke_poll(struct revoke *revoke);
