/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network side of one sandbox as a whole: addresses, names and binaries of the policy in force
 * in the kernel's maps, the worker that answers for names, and the end of connections that a new
 * policy does not admit. Owned by the sandbox; its loop's thread. Fails closed: what is not written
 * is denied by the kernel, with or without this process.
 */
#pragma once

#include "common/event.h"
#include "common/sentences.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"
#include "supervisor/mount_table.h"
#include "supervisor/slot.h"
#include "supervisor/trust.h"
#include "supervisor/worker.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>

/* Who is told what happens beside the kernel's events. Called from network_poll() only. */
struct network_sink {
	void (*refused)(void *arg, const struct worker_refusal *refusal);
	void (*problem)(void *arg, const char *sentence);
	void (*record)(void *arg, const void *data, size_t size); /* as the ring would have it */
	void (*request)(void *arg,
			const struct worker_request *request); /* that the proxy judged */
	void *arg;
};

struct network_options {
	const struct kernel *kernel;
	struct slot *slot;		  /* borrowed; told when it has entries */
	const struct mount_table *mounts; /* of the sandbox, borrowed */
	const struct network_sink *sink;  /* borrowed; NULL = nobody listens */
	bool audit;
	/* For the proxy; borrowed. */
	const char *name; /* of the sandbox */
	const struct trust *trust;
	const Openshell__Worker__V1__Credential *const *credentials;
	size_t credentials_len;
	const Openshell__Worker__V1__Inference *inference; /* NULL; network_set_inference() later */
	/* The proxy has another CA than network_ca() said. May be NULL. */
	void (*ca_changed)(void *arg);
	void *arg;
};

struct network;

int network_new(const struct network_options *options, struct network **ret_network,
		struct error *err);

/*
 * Start the worker already, if @policy has endpoints that it reads: network_ca() is known then.
 * Errors of worker_start().
 */
int network_prepare(struct network *network, const Openshell__Compiled__V1__CompiledPolicy *policy,
		    struct error *err);

/* The CA by which the proxy answers for servers; NULL = there is none. */
const struct worker_ca *network_ca(const struct network *network);

/*
 * Write one generation; nothing of it is in force yet. Starts the worker if it is the first policy
 * with names. What the policy says and the sandbox cannot have is added to @findings. @root_fd: the
 * sandbox's root (O_PATH), borrowed for the network's life.
 * -ENOSPC, -E2BIG: a map is full. On any failure the caller calls network_undo().
 */
int network_write(struct network *network, uint32_t generation,
		  const Openshell__Compiled__V1__CompiledPolicy *policy, int root_fd,
		  struct sentences *findings, struct error *err);

/* What was written of @generation is not wanted: take it out, what is in force stays. */
void network_undo(struct network *network, uint32_t generation);

/* The written generation is in force since a moment: look for connections that it revokes. */
void network_switched(struct network *network, uint32_t generation);

/*
 * inference.local does this from now on, under the policy that is in force; NULL: nothing. Borrowed
 * until the next call or network_free(). On failure what was in force stays. Errors of
 * worker_bundle_seal().
 */
int network_set_inference(struct network *network,
			  const Openshell__Worker__V1__Inference *inference, struct error *err);

/* Other credentials from now on; as network_set_inference(). */
int network_set_credentials(struct network *network,
			    const Openshell__Worker__V1__Credential *const *credentials,
			    size_t count, struct error *err);

/* See worker_probe(). -ENOENT: there is no worker. */
int network_probe(struct network *network, uint32_t route, int *ret_fd);

/*
 * While @quiet, the sink is told of nothing but problems: before the sandbox runs, requests are our
 * own trials, and whoever listens has no sandbox yet.
 */
void network_set_quiet(struct network *network, bool quiet);

/* No program looks at generation @old any more (slot_settle()): forget it. */
void network_settled(struct network *network, uint32_t old);

/* A descriptor (epoll) that is readable when network_poll() has something to do. */
int network_fd(const struct network *network);
void network_poll(struct network *network);

/* Every event of the sandbox's ring, decoded, in order. */
void network_event(struct network *network, const struct event *event);

/* The name behind a synthetic address (16 bytes), or NULL. @network: struct network. */
const char *network_name(const void *network, const uint8_t *address);

/* The sandbox has ended: tell what the worker still has to tell. Only network_free() may follow. */
void network_finish(struct network *network);

/* End the worker and take out what is in force. NULL is valid. */
void network_free(struct network *network);
