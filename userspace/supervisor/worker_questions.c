/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_questions.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

void questions_init(struct questions *questions)
{
	memset(questions, 0, sizeof(*questions));
	questions->out.last = &questions->out.first;
}

int questions_add(struct questions *questions, uint32_t id, struct question **ret_question)
{
	struct question *question;

	for (size_t i = 0; i < questions->asked_len; i++)
		if (questions->asked[i]->id == id)
			return -EBADMSG;
	if (questions->asked_len == WORKER_OUTSTANDING_MAX)
		return -E2BIG;
	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;
	question->id = id;
	question->fd = -1;
	question->index = questions->asked_len;
	questions->asked[questions->asked_len++] = question;
	*ret_question = question;
	return 0;
}

void questions_remove(struct questions *questions, struct question *question)
{
	struct question *last = questions->asked[--questions->asked_len];

	questions->asked[question->index] = last;
	last->index = question->index;
	safe_close(question->fd);
	free(question);
}

void questions_forget(struct questions *questions)
{
	for (size_t i = 0; i < questions->lookups_len; i++) {
		questions->lookup[i]->waiting = NULL;
		questions->lookup[i]->last = &questions->lookup[i]->waiting;
	}
	questions->out.first = NULL;
	questions->out.last = &questions->out.first;
	while (questions->asked_len)
		questions_remove(questions, questions->asked[questions->asked_len - 1]);
}

void questions_free(struct questions *questions)
{
	questions_forget(questions);
	while (questions->lookups_len)
		questions_finish(questions, questions->lookup[questions->lookups_len - 1]);
}

void questions_push(struct question_queue *queue, struct question *question)
{
	question->next = NULL;
	*queue->last = question;
	queue->last = &question->next;
}

struct question *questions_pop(struct question_queue *queue)
{
	struct question *question = queue->first;

	if (!question)
		return NULL;
	queue->first = question->next;
	if (!queue->first)
		queue->last = &queue->first;
	question->next = NULL;
	return question;
}

int questions_look_up(struct questions *questions, const char *name, size_t length, uint64_t now,
		      struct lookup **ret_lookup)
{
	struct lookup *lookup;

	for (size_t i = 0; i < questions->lookups_len; i++) {
		lookup = questions->lookup[i];
		if (lookup->length == length && !memcmp(lookup->name, name, length)) {
			*ret_lookup = lookup;
			return 0;
		}
	}
	if (questions->lookups_len == QUESTIONS_LOOKUPS_MAX)
		return -ENOSPC;
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return -ENOMEM;
	/* Of those under way none has this number: it takes far more of them to come round. */
	lookup->id = questions->next_id++;
	lookup->length = (uint8_t)length;
	lookup->since = now;
	memcpy(lookup->name, name, length);
	lookup->last = &lookup->waiting;
	questions->lookup[questions->lookups_len++] = lookup;
	*ret_lookup = lookup;
	return 0;
}

struct lookup *questions_find(const struct questions *questions, uint32_t id)
{
	for (size_t i = 0; i < questions->lookups_len; i++)
		if (questions->lookup[i]->id == id)
			return questions->lookup[i];
	return NULL;
}

void questions_wait(struct lookup *lookup, struct question *question)
{
	question->next = NULL;
	*lookup->last = question;
	lookup->last = &question->next;
}

struct question *questions_finish(struct questions *questions, struct lookup *lookup)
{
	struct question *waiting = lookup->waiting;

	for (size_t i = 0; i < questions->lookups_len; i++) {
		if (questions->lookup[i] != lookup)
			continue;
		questions->lookup[i] = questions->lookup[--questions->lookups_len];
		break;
	}
	free(lookup);
	return waiting;
}
