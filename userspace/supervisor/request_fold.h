/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps what a worker tells of requests to what somebody can read and this process can write: the
 * first few of a kind each second as they are, the rest of that second as one sum. Requests are of
 * one kind if they differ in time, process and size alone. Whoever asks for ever new paths runs out
 * of a budget for all kinds; then requests are summed up that have only verdict, endpoint and
 * binary in common.
 *
 * Of inference every request counts, in tokens and time, so many more are told as they are; sums
 * are always those of one route, provider, model, API, status and error.
 *
 * Owned by struct worker; its thread. Bounded: FOLD_KINDS kinds at a time, the one unseen longest
 * is told early. Costs a fraction of a microsecond for one that is summed up. Fails towards telling
 * more.
 */
#pragma once

#include "common/worker_record.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_FOLD_KINDS	    256
#define REQUEST_FOLD_EACH	    5 /* of a kind told each second, before the rest is summed up */
#define REQUEST_FOLD_EACH_INFERENCE 64	 /* of those that were allowed */
#define REQUEST_FOLD_BURST	    2048 /* told at once, whatever their kinds, and then a second */
#define REQUEST_FOLD_RATE	    512

struct request_fold;

/*
 * @record stands for @repeated requests (0: for itself), whose bytes, times and tokens it has the
 * sums of;
 * @others: see above.
 */
struct request_fold_sink {
	void (*tell)(void *arg, const struct worker_record *record, uint64_t repeated, bool others);
	void *arg;
};

/* NULL: out of memory. */
struct request_fold *request_fold_new(struct request_fold_sink sink);
void request_fold_free(struct request_fold *fold);

/* Tell @record or sum it up. @now: CLOCK_BOOTTIME ns. */
void request_fold_add(struct request_fold *fold, const struct worker_record *record, uint64_t now);

/* Tell the sums whose second is over, or all. */
void request_fold_flush(struct request_fold *fold, uint64_t now, bool all);
