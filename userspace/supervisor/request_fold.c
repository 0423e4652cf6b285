/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/request_fold.h"

#include "common/cleanup.h"

#include <string.h>
#include <sys/random.h>

#define SECOND UINT64_C(1000000000)
#define WAYS   4
#define SETS   (REQUEST_FOLD_KINDS / WAYS)
#define COARSE 16 /* sets of kinds that have little in common */

struct kind {
	uint64_t hash; /* 0 = free */
	uint64_t start, used;
	uint64_t left_out, up, down, microseconds;
	unsigned int told;
	bool others;
	/* The last one left out, while left_out > 0; its texts are in `text`. */
	struct worker_record last;
	char *text;
};

struct request_fold {
	struct kind kind[SETS + COARSE][WAYS]; /* the latter last */
	struct request_fold_sink sink;
	uint64_t seed, filled;
	uint32_t left; /* of the budget */
};

struct request_fold *request_fold_new(struct request_fold_sink sink)
{
	struct request_fold *fold = calloc(1, sizeof(*fold));

	if (!fold)
		return NULL;
	fold->sink = sink;
	fold->left = REQUEST_FOLD_BURST;
	/* So that an agent cannot pick paths that collide and hide behind each other. */
	if (getrandom(&fold->seed, sizeof(fold->seed), GRND_NONBLOCK) != sizeof(fold->seed))
		fold->seed = (uint64_t)(uintptr_t)fold;
	return fold;
}

void request_fold_free(struct request_fold *fold)
{
	if (!fold)
		return;
	for (size_t i = 0; i < (SETS + COARSE) * WAYS; i++)
		free((&fold->kind[0][0])[i].text);
	free(fold);
}

static uint64_t mix_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t mix(uint64_t hash, const struct worker_record_string *text)
{
	const char *p = text->data;
	size_t len = text->size;
	uint64_t word;

	/* Its size first, so that what is in one text cannot move into the next. */
	hash = mix_word(hash, len);
	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = mix_word(hash, word);
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	return mix_word(hash, word);
}

static uint64_t hash_of(const struct request_fold *fold, const struct worker_record *record,
			bool others)
{
	uint64_t hash = others ? ~fold->seed : fold->seed;

	hash = mix_word(hash, (uint64_t)record->kind | (uint64_t)record->verdict << 8 |
				      (uint64_t)record->scheme << 16 |
				      (uint64_t)record->port << 24);
	hash = mix_word(hash, record->endpoint);
	if (others) {
		hash = mix(hash, &record->text[WORKER_RECORD_HOST]);
		hash = mix(hash, &record->text[WORKER_RECORD_BINARY]);
	} else {
		hash = mix_word(hash, (uint64_t)record->status << 32 | record->generation);
		for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
			hash = mix(hash, &record->text[i]);
	}
	return hash ? hash : 1;
}

static void tell_sum(struct request_fold *fold, struct kind *kind)
{
	struct worker_record *last = &kind->last;

	if (!kind->left_out)
		return;
	last->up = kind->up;
	last->down = kind->down;
	last->microseconds =
		kind->microseconds < UINT32_MAX ? (uint32_t)kind->microseconds : UINT32_MAX;
	fold->sink.tell(fold->sink.arg, last, kind->left_out, kind->others);
	free(kind->text);
	kind->text = NULL;
	kind->left_out = kind->up = kind->down = kind->microseconds = 0;
}

/* Ever new kinds shall not push those out that they are summed up in: these have sets of their own.
 */
static struct kind *find(struct request_fold *fold, uint64_t hash, bool others, uint64_t now)
{
	struct kind *set = fold->kind[others ? SETS + hash % COARSE : hash % SETS];
	struct kind *oldest = &set[0], *found = NULL;

	for (size_t i = 0; i < WAYS && !found; i++) {
		if (set[i].hash == hash)
			found = &set[i];
		else if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (!found) {
		tell_sum(fold, oldest);
		*oldest = (struct kind){.hash = hash, .start = now, .others = others};
		found = oldest;
	}
	found->used = now;
	if (now - found->start >= SECOND) {
		tell_sum(fold, found);
		found->start = now;
		found->told = 0;
	}
	return found;
}

/* Keep a copy of the first that is left out: the others of its kind are like it. */
static bool keep(struct kind *kind, const struct worker_record *record)
{
	size_t size = 0;
	char *to;

	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		size += record->text[i].size;
	to = malloc(size + 1);
	if (!to)
		return false;
	kind->text = to;
	kind->last = *record;
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++) {
		kind->last.text[i].data = to;
		if (record->text[i].size)
			memcpy(to, record->text[i].data, record->text[i].size);
		to += record->text[i].size;
	}
	return true;
}

static bool leave_out(struct kind *kind, const struct worker_record *record)
{
	if (!kind->left_out && !keep(kind, record))
		return false;
	kind->last.time = record->time;
	kind->left_out++;
	kind->up += record->up;
	kind->down += record->down;
	kind->microseconds += record->microseconds;
	return true;
}

static bool has_budget(struct request_fold *fold, uint64_t now)
{
	uint64_t more;

	if (now - fold->filled > 60 * SECOND)
		fold->filled = now - 60 * SECOND;
	more = (now - fold->filled) * REQUEST_FOLD_RATE / SECOND;
	if (more) {
		fold->filled = now;
		fold->left = more < REQUEST_FOLD_BURST - fold->left ? fold->left + (uint32_t)more
								    : REQUEST_FOLD_BURST;
	}
	if (!fold->left)
		return false;
	fold->left--;
	return true;
}

void request_fold_add(struct request_fold *fold, const struct worker_record *record, uint64_t now)
{
	struct kind *kind = find(fold, hash_of(fold, record, false), false, now);

	/* A sum is for a kind of which something was told: else nobody knows what is meant. */
	if (kind->told >= REQUEST_FOLD_EACH && leave_out(kind, record))
		return;
	if (!has_budget(fold, now)) {
		kind = find(fold, hash_of(fold, record, true), true, now);
		if (leave_out(kind, record))
			return;
	}
	kind->told++;
	fold->sink.tell(fold->sink.arg, record, 0, false);
}

void request_fold_flush(struct request_fold *fold, uint64_t now, bool all)
{
	struct kind *kind = &fold->kind[0][0];

	for (size_t i = 0; i < (SETS + COARSE) * WAYS; i++) {
		if (!kind[i].left_out || (!all && now - kind[i].start < SECOND))
			continue;
		tell_sum(fold, &kind[i]);
		kind[i].start = now;
		kind[i].told = 0;
	}
}
