/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where one sandbox's worker listens: sockets on the loopback addresses, made by the supervisor,
 * lent to each worker, and kept when one dies; and who is at the other end of what arrives there.
 * They are made in a cgroup with a program that lets nothing out but answers (bpf/worker.bpf.c);
 * the cgroup is removed at once, since a socket keeps the programs of where it was made.
 *
 * Owned by struct worker; its thread. Fails closed: without its entry in os_worker the kernel
 * redirects nothing to them.
 */
#pragma once

#include "common/error.h"
#include "common/worker_protocol.h"
#include "supervisor/kernel.h"

#include <stdbool.h>
#include <stdint.h>

struct worker_sockets {
	uint32_t have;		  /* WORKER_SOCKET_* */
	int fd[WORKER_SOCKETS];	  /* by bit; -1 where not there */
	int records;		  /* our end of the worker's records; -1 */
	struct os_worker address; /* as os_worker has them */
};

#define WORKER_SOCKETS_EMPTY                                                                       \
	(struct worker_sockets)                                                                    \
	{                                                                                          \
		.fd = {-1, -1, -1, -1, -1, -1, -1, -1}, .records = -1                              \
	}

/* Make and bind them all; those of IPv6 only where the host has it. What clone3(), bind() and so on
 * say. */
int worker_sockets_open(const struct kernel *kernel, struct worker_sockets *ret_sockets,
			struct error *err);
void worker_sockets_close(struct worker_sockets *sockets);

/* The listener for connections whose content decides: it goes into os_listener. */
int worker_sockets_proxy(const struct worker_sockets *sockets);

/* Those of @wanted there are, in the order of the bits; returns how many. */
size_t worker_sockets_list(const struct worker_sockets *sockets, uint32_t wanted,
			   int ret_fds[WORKER_SOCKETS]);

/* True if @local, an end that a worker told, is one of the listeners for connections. */
bool worker_sockets_is_ask(const struct worker_sockets *sockets, const struct worker_peer *local);

/*
 * Who of @slot sent what reached the responder from @peer, or, with @local, opened the connection
 * from @peer to it: what os_flow says. -ENOENT: nobody of that sandbox.
 */
int worker_sockets_flow(const struct worker_sockets *sockets, const struct kernel *kernel,
			uint32_t slot, const struct worker_peer *peer,
			const struct worker_peer *local, struct os_flow *ret_flow);
