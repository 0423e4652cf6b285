/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a daemon's connection to a keeper, on a uv loop: messages as they come, and a queue
 * for those that the socket does not take. Owned by whoever made it; the loop's thread.
 */
#pragma once

#include "supervisor/keeper_wire.h"

#include <uv.h>

struct keeper_link;

struct keeper_link_events {
	/* Cleared when it returns; take what is to be kept. */
	void (*message)(void *arg, struct keeper_message *message);
	/* The other end is gone, or speaks another version. Free the link. */
	void (*closed)(void *arg);
};

/* @fd is taken. */
int keeper_link_new(uv_loop_t *loop, int fd, const struct keeper_link_events *events, void *arg,
		    struct keeper_link **ret_link);

/* Sent now or later, in order; descriptors stay the caller's. -ENOMEM, -EPIPE; -ENOBUFS: the queue
 * has KEEPER_QUEUE_MAX messages. */
#define KEEPER_QUEUE_MAX 4096
int keeper_link_send(struct keeper_link *link, enum keeper_kind kind, uint64_t id, int32_t value,
		     const ProtobufCMessage *body, const int *fds, size_t fds_len);

/* How many wait. */
size_t keeper_link_queued(const struct keeper_link *link);

/* No callback follows. NULL is valid. */
void keeper_link_free(struct keeper_link *link);
