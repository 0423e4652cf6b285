/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a sandbox's events out of its ring buffer, and the kernel side's counters out of theirs.
 * One reader per ring, used from one thread; its descriptor goes into the caller's loop. Only
 * tells: what is lost here is counted by the kernel and changes no verdict.
 */
#pragma once

#include "abi.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct event_reader;

/*
 * Gets one record; @data is valid during the call only. Returns nothing: an event that cannot be
 * decoded is the callee's to count.
 */
struct event_sink {
	void (*event)(void *arg, const void *data, size_t size);
	void *arg;
};

/*
 * A ring buffer for one sandbox, to be put into os_event[slot]. @bytes: a power of two, at least a
 * page. Errors: those of bpf(BPF_MAP_CREATE).
 */
int event_ring_create(const char *name, uint32_t bytes, int *ret_fd, struct error *err);

/* @ring_fd: a BPF_MAP_TYPE_RINGBUF; borrowed, may be closed afterwards. */
int event_reader_open(int ring_fd, const struct event_sink *sink, struct event_reader **ret_reader,
		      struct error *err);

/*
 * Readable while events wait; level-triggered, good for uv_poll. Stays the reader's. Admitted
 * connections that follow others may be told 20 ms late, so it is readable once more after events
 * were consumed, if only to find that there is nothing.
 */
int event_reader_fd(const struct event_reader *reader);

/*
 * Hand out the events that wait, at most EVENT_READER_BATCH, so that a noisy agent cannot keep the
 * loop. Returns how many, or a negative errno.
 */
#define EVENT_READER_BATCH 512
int event_reader_consume(struct event_reader *reader);

/* Hand out everything that waits: the last thing to do after the sandbox's processes have ended. */
int event_reader_drain(struct event_reader *reader);

void event_reader_free(struct event_reader *reader);

/* os_count summed over CPUs. The counters are the host's, not one sandbox's. */
struct event_counters {
	uint64_t value[OS_COUNT_MAX]; /* index: enum os_count */
};

/* @count_fd: the per-CPU array os_count. Errors: those of bpf(BPF_MAP_LOOKUP_ELEM), -ENOMEM. */
int event_counters_read(int count_fd, struct event_counters *ret_counters);

/* What was counted since @before. */
void event_counters_since(const struct event_counters *before, const struct event_counters *now,
			  struct event_counters *ret_counters);
