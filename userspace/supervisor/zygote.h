/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's end of openshell-proxy: the process from which workers and resolvers are forked
 * (proxy/zygote.h is its other end). Owned by who started it; its end ends all its children. It
 * also ends with the *thread* that started it, so that thread must be one that stays. Fails closed:
 * without it there are no new workers.
 */
#pragma once

#include "common/error.h"
#include "common/worker_protocol.h"

#include <sys/types.h>

#define ZYGOTE_PROGRAM "openshell-proxy"

/* Beside every user and service of a host; a slot's worker has ZYGOTE_UID + slot. */
#define ZYGOTE_UID	    1879048192u
#define ZYGOTE_UID_RESOLVER (ZYGOTE_UID + 4096)

struct zygote {
	int channel; /* non-blocking; readable when zygote_receive() has something */
	int pidfd;
};

#define ZYGOTE_EMPTY                                                                               \
	(struct zygote)                                                                            \
	{                                                                                          \
		.channel = -1, .pidfd = -1                                                         \
	}

/*
 * Start @program; NULL: openshell-proxy beside the program that runs. It is ready at once, in that
 * messages wait for it. -ENOENT: it is not there, and @err says where; what posix_spawn() says.
 */
int zygote_start(const char *program, struct zygote *ret_zygote, struct error *err);

/*
 * Ask for a child of @role that runs as @uid; @fds: its end of a channel, then one descriptor for
 * each bit of @sockets. They may be closed on return. The answer comes with @id. -EAGAIN, -EPIPE.
 */
int zygote_fork(const struct zygote *zygote, uint32_t id, enum worker_role role, uid_t uid,
		uint32_t sockets, const int *fds);

/*
 * The next answer: 1, *ret_forked and, if a child lives, a descriptor of that process; 0 at the
 * zygote's end, -EAGAIN, -EBADMSG.
 */
int zygote_receive(const struct zygote *zygote, struct worker_forked *ret_forked, int *ret_pidfd);

/*
 * End it and its children and wait until it is gone (at most two seconds before it is killed).
 * Returns the errno that it ended with by itself, negative, or 0. Idempotent.
 */
int zygote_end(struct zygote *zygote);
