/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker tells of requests: read, counted, and handed on as far as somebody can read it. */
#include "supervisor/worker_internal.h"

#include "common/cleanup.h"
#include "supervisor/request_fold.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define BATCHES	   16	/* read in one turn, before others' */
#define BATCH_COST 1024 /* of the budget, besides its bytes */
#define LOST_EVERY (10 * WORKER_SECOND)

struct worker_fold {
	struct request_fold *fold;
	uint8_t batch[WORKER_RECORDS_BYTES + 1];
};

static void tell(void *arg, const struct worker_record *record, uint64_t repeated, bool others)
{
	const struct worker *worker = arg;
	const struct worker_request request = {
		.record = record,
		.repeated = repeated,
		.others = others,
	};

	if (worker->options.request)
		worker->options.request(worker->options.arg, &request);
}

static bool make_fold(struct worker *worker)
{
	struct worker_fold *fold;

	if (worker->fold)
		return true;
	fold = malloc(sizeof(*fold));
	if (!fold)
		return false;
	fold->fold = request_fold_new((struct request_fold_sink){.tell = tell, .arg = worker});
	if (!fold->fold) {
		free(fold);
		return false;
	}
	worker->fold = fold;
	return true;
}

static int take(struct worker *worker, const uint8_t *data, size_t size, uint64_t now)
{
	struct worker_records_reader reader;
	struct worker_record record;
	int r = worker_records_read(data, size, &reader);

	if (r)
		return r;
	/* Nothing that it says may come round to nothing. */
	if (__builtin_add_overflow(worker->lost, reader.lost, &worker->lost))
		worker->lost = UINT64_MAX;
	while ((r = worker_records_next(&reader, &record)) == 1)
		request_fold_add(worker->fold->fold, &record, now);
	return r;
}

/* False, and not listened to for a moment, if a worker tells more than any agent does. */
static bool may_tell(struct worker *worker, uint64_t now)
{
	if (worker_budget_left(&worker->reads, now) > sizeof(worker->fold->batch) + BATCH_COST)
		return true;
	worker->deaf = true;
	worker_watch(worker, worker->sockets.records, WORKER_TAG_RECORDS, 0);
	return false;
}

bool worker_requests_read(struct worker *worker)
{
	uint64_t now = worker_now();

	/* Without memory it stays in the socket, and at last the worker counts what is lost. */
	if (!make_fold(worker))
		return false;
	for (int i = 0; i < BATCHES; i++) {
		ssize_t n;

		if (!may_tell(worker, now))
			return false;
		n = recv(worker->sockets.records, worker->fold->batch, sizeof(worker->fold->batch),
			 MSG_DONTWAIT);
		if (n < 0)
			return false;
		worker->reads.left -= (uint32_t)n + BATCH_COST;
		if (take(worker, worker->fold->batch, (size_t)n, now))
			worker_child_lost(worker, &worker->worker,
					  "told what it must not of requests, and was ended");
	}
	return true;
}

static void tell_lost(struct worker *worker, uint64_t now)
{
	if (!worker->lost || now - worker->told_lost < LOST_EVERY)
		return;
	worker_problem(worker,
		       "%llu requests went through the proxy that nobody is told of: there were "
		       "more at once than are read",
		       (unsigned long long)worker->lost);
	worker->lost = 0;
	worker->told_lost = now;
}

void worker_requests_tick(struct worker *worker, uint64_t now, bool all)
{
	if (!worker->fold)
		return;
	request_fold_flush(worker->fold->fold, now, all);
	tell_lost(worker, all ? now + LOST_EVERY : now);
}

void worker_requests_free(struct worker *worker)
{
	if (worker->fold)
		request_fold_free(worker->fold->fold);
	free(worker->fold);
	worker->fold = NULL;
}
