/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for Prometheus, counted from events: inference (requests, tokens, times), what was
 * denied, what was lost. In the text exposition format, version 0.0.4.
 *
 * Owned by the caller; one thread. Bounded: METRICS_SERIES_MAX series, past which what would need a
 * new one is counted as openshell_metrics_unlisted_total and nothing else. Only tells. Labels are
 * what is configured and what we say, never an agent's words: those would be ever new series.
 */
#pragma once

#include "common/event.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_SERIES_MAX 2048

struct metrics;

/* NULL: out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/*
 * Count an event. Of one that stands for several, each is taken to have lasted as long as they did
 * on average.
 */
void metrics_add(struct metrics *metrics, const struct event *event);

/* How many events of @sandbox were lost in all: no decision, but the log lacks them. */
void metrics_set_dropped(struct metrics *metrics, const char *sandbox, uint64_t dropped);

/* True if something has changed since metrics_set_written(). */
bool metrics_changed(const struct metrics *metrics);
void metrics_set_written(struct metrics *metrics);

void metrics_print(const struct metrics *metrics, FILE *out);
