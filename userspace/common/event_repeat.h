/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the first few of many identical denials and sums up the rest, second by second, so that a
 * program that tries the same forbidden thing in a loop cannot flood a log. Bounded memory: past
 * EVENT_REPEAT_KINDS different denials at a time the one unseen longest is summed up early. Used by
 * the writer, on its thread. Fails towards telling more.
 *
 * Names that are refused differ as the agent likes, and one call of a program asks several times:
 * each name is told once a second, and EVENT_REPEAT_NAMES a second of one program.
 */
#pragma once

#include "common/event.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_REPEAT_KINDS 256
#define EVENT_REPEAT_KEPT  32 /* of these, how many may be sums in the making (30 KiB each) */

#define EVENT_REPEAT_NAMES 20

struct event_repeat;

/* Called with a denial that stands for event->repeated more that were left out. */
struct event_repeat_sink {
	void (*tell)(void *arg, const struct event *event);
	void *arg;
};

/* @per_second: told of one kind before the rest is summed up. NULL: out of memory. */
struct event_repeat *event_repeat_new(unsigned int per_second, struct event_repeat_sink sink);
void event_repeat_free(struct event_repeat *repeat);

/* True: tell this one. False: it is counted and will be told in a sum. @now: monotonic ns. */
bool event_repeat_take(struct event_repeat *repeat, const struct event *event, uint64_t now);

/* Tell the sums whose second is over, or all. */
void event_repeat_flush(struct event_repeat *repeat, uint64_t now, bool all);

/* True if there are sums to tell. */
bool event_repeat_pending(const struct event_repeat *repeat);
