/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What epoll says of whom: the worker's loop gives an event to the module that registered the
 * descriptor. The generation is for slots that are used again: an event of the connection before
 * is nobody's. Any thread.
 */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

enum worker_event_owner {
	WORKER_EVENT_CHANNEL,
	WORKER_EVENT_DNS_UDP,	     /* index: which socket */
	WORKER_EVENT_DNS_LISTENER,   /* index: which socket */
	WORKER_EVENT_DNS_CONNECTION, /* index: which connection */
	WORKER_EVENT_ASK_LISTENER,   /* index: which socket */
	WORKER_EVENT_ASK_CONNECTION, /* index: twice the connection, + 1 if it is the far end */
	WORKER_EVENT_PROXY_LISTENER,
	WORKER_EVENT_PROXY_CONNECTION, /* index: which connection */
};

struct worker_event {
	uint8_t owner; /* enum worker_event_owner */
	uint16_t index;
	uint32_t generation;
};

/* epoll_ctl() with an event that says so. 0 or -1 and errno. */
static inline int worker_event_watch(int epoll_fd, int op, int fd, uint32_t events,
				     struct worker_event event)
{
	struct epoll_event e = {
		.events = events,
		.data.u64 =
			(uint64_t)event.generation << 32 | (uint32_t)event.index << 8 | event.owner,
	};

	return epoll_ctl(epoll_fd, op, fd, &e);
}

static inline struct worker_event worker_event_of(const struct epoll_event *e)
{
	return (struct worker_event){
		.owner = (uint8_t)e->data.u64,
		.index = (uint16_t)(e->data.u64 >> 8),
		.generation = (uint32_t)(e->data.u64 >> 32),
	};
}
