/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of proxy.h's implementation, for each other. */
#pragma once

#include "common/worker_record.h"
#include "proxy/generation.h"
#include "proxy/inference_limiter.h"
#include "proxy/proxy.h"
#include "proxy/stream.h"
#include "proxy/tls.h"
#include "proxy/upstream.h"
#include "proxy/wire.h"

#define PROXY_WIRES_MAX	   32768 /* connections of both kinds */
#define PROXY_AGENTS_MAX   24576 /* of them: what agents leave is for their servers */
#define PROXY_SCRATCH	   STREAM_CHUNK_MAX
#define PROXY_BUFFERS_KEPT 64
#define PROXY_LENT	   (512 << 10)
#define PROXY_SECOND	   UINT64_C(1000000000)

#define PROXY_ORIGIN_TIMEOUT   (10 * PROXY_SECOND)
#define PROXY_HEAD_TIMEOUT     (30 * PROXY_SECOND)  /* from a head's first byte to its last */
#define PROXY_IDLE_TIMEOUT     (900 * PROXY_SECOND) /* of an agent's connection between requests */
#define PROXY_STALL_TIMEOUT    (300 * PROXY_SECOND) /* of a body or a response that does not move */
#define PROXY_TUNNEL_TIMEOUT   (3600 * PROXY_SECOND)
#define PROXY_LINGER_TIMEOUT   (5 * PROXY_SECOND)
#define PROXY_CONNECT_TIMEOUT  (15 * PROXY_SECOND)
#define PROXY_UPSTREAM_TIMEOUT (60 * PROXY_SECOND) /* of an idle connection to a server */

struct proxy_slot {
	struct wire *wire;
	uint32_t generation;
	uint32_t next_free;
};

struct proxy {
	struct proxy_options options;
	int listener;
	bool paused;	      /* no descriptor to accept with */
	uint64_t now;	      /* CLOCK_BOOTTIME ns, of this turn */
	uint32_t connections; /* of agents */
	uint32_t wires;	      /* of both kinds */

	struct proxy_slot *slot; /* PROXY_WIRES_MAX; pages come as they are used */
	uint32_t slots, free_slot;
	struct wire *scheduled, **scheduled_last, *closed;

	uint8_t *buffers[PROXY_BUFFERS_KEPT];
	size_t buffers_len;
	uint8_t *scratch; /* PROXY_SCRATCH bytes, for what passes through at once */
	uint8_t *lent;	  /* PROXY_LENT bytes */

	struct generation *generation; /* in force; NULL = none yet */
	struct tls_ca *ca;
	struct tls *tls;
	struct upstream_pool *pool;
	struct question_queue *questions;
	struct inference_limiter limiter; /* of all routes there were */
	struct worker_records *records;
	uint64_t records_since; /* something waits in it; 0 = nothing */
	struct http_head head;	/* of whatever is being read */
	struct exchange *free_exchanges;
	size_t free_exchanges_len;
};

/*
 * @size bytes for as long as one body is judged; NULL without memory. Most are short, and to ask
 * for memory and give it back would take longer than to judge them.
 */
void *proxy_lend(struct proxy *proxy, size_t size);
void proxy_unlend(struct proxy *proxy, void *memory);

uint8_t *proxy_buffer_new(struct proxy *proxy);
void proxy_buffer_free(struct proxy *proxy, uint8_t *data, size_t size);

int proxy_watch(struct proxy *proxy, struct wire *wire);
void proxy_unwatch(struct proxy *proxy, struct wire *wire);
void proxy_schedule(struct proxy *proxy, struct wire *wire);

/* CLOCK_BOOTTIME, ns. */
uint64_t proxy_clock(void);
