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
	uint64_t left_out;
	unsigned int told;
	bool others;
	/* Of those left out, while left_out > 0, with their sums; its texts are in `text`. */
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

/*
 * What requests have in common that are summed up with others. Tokens are somebody's money: they
 * are never added to those of another route or model.
 */
static bool is_common(const struct worker_record *record, enum worker_record_text which)
{
	static const uint32_t all = 1u << WORKER_RECORD_HOST | 1u << WORKER_RECORD_BINARY;
	static const uint32_t inference = 1u << WORKER_RECORD_PROTOCOL | 1u << WORKER_RECORD_ERROR |
					  1u << WORKER_RECORD_ROUTE | 1u << WORKER_RECORD_PROVIDER |
					  1u << WORKER_RECORD_MODEL;

	return (record->kind == WORKER_RECORD_INFERENCE ? all | inference : all) & 1u << which;
}

static uint64_t hash_of(const struct request_fold *fold, const struct worker_record *record,
			bool others)
{
	uint64_t hash = others ? ~fold->seed : fold->seed;

	hash = mix_word(hash, (uint64_t)record->kind | (uint64_t)record->verdict << 8 |
				      (uint64_t)record->scheme << 16 |
				      (uint64_t)record->port << 24);
	hash = mix_word(hash, record->endpoint);
	if (record->kind == WORKER_RECORD_INFERENCE)
		hash = mix_word(hash, (uint64_t)record->flags | (record->first_byte ? 256 : 0));
	if (!others || record->kind == WORKER_RECORD_INFERENCE)
		hash = mix_word(hash, record->status);
	if (!others)
		hash = mix_word(hash, record->generation);
	for (size_t i = 0; i < WORKER_RECORD_TEXT_COUNT; i++)
		if (!others || is_common(record, (enum worker_record_text)i))
			hash = mix(hash, &record->text[i]);
	return hash ? hash : 1;
}

static void tell_sum(struct request_fold *fold, struct kind *kind)
{
	if (!kind->left_out)
		return;
	fold->sink.tell(fold->sink.arg, &kind->last, kind->left_out, kind->others);
	free(kind->text);
	kind->text = NULL;
	kind->left_out = 0;
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
	struct worker_record *sum = &kind->last;

	if (!kind->left_out && !keep(kind, record))
		return false;
	kind->left_out++;
	sum->time = record->time;
	if (kind->left_out == 1)
		return true;
	sum->up += record->up;
	sum->down += record->down;
	sum->microseconds += record->microseconds;
	sum->first_byte += record->first_byte;
	sum->tokens_in += record->tokens_in;
	sum->tokens_out += record->tokens_out;
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
	unsigned int each =
		record->kind == WORKER_RECORD_INFERENCE && record->verdict == WORKER_RECORD_ALLOWED
			? REQUEST_FOLD_EACH_INFERENCE
			: REQUEST_FOLD_EACH;

	/* A sum is for a kind of which something was told: else nobody knows what is meant. */
	if (kind->told >= each && leave_out(kind, record))
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
