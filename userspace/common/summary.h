/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox was denied, counted while it runs and told at its end: how often, what, by which
 * program, and the policy lines that would allow it; besides what was not seen (events dropped,
 * helpers that failed), and what its requests to inference.local came to.
 *
 * Owned by the caller; one thread. Bounded: SUMMARY_KINDS_MAX different denials are listed, the
 * rest only counted. Only tells.
 */
#pragma once

#include "common/event.h"

#include <stdint.h>
#include <stdio.h>

#define SUMMARY_KINDS_MAX 1024
#define SUMMARY_LINES_MAX 40 /* denials printed; the rest is a number */

/* What the events cannot tell about themselves; all 0 where everything went well. */
struct summary_losses {
	uint64_t dropped;	/* events that did not fit in the ring buffer, or had no scratch */
	uint64_t undecoded;	/* events that event_decode() refused */
	uint64_t lost;		/* events that could not be written to the log */
	uint64_t helper_failed; /* BPF helpers that failed where they should not */
	uint64_t proc_full;	/* processes without identity: they match no network rule */
};

struct summary;

/* NULL: out of memory. */
struct summary *summary_new(void);
void summary_free(struct summary *summary);

/* Count an event. Of those that were allowed only inference counts. */
void summary_add(struct summary *summary, const struct event *event);

/* Events that were denied, and that audit mode let pass. */
uint64_t summary_denied(const struct summary *summary);
uint64_t summary_audited(const struct summary *summary);

/*
 * Print it. Nothing at all if nothing was denied, nothing lost, and inference.local not asked.
 * @losses may be NULL.
 */
void summary_print(struct summary *summary, const struct summary_losses *losses, FILE *out);
