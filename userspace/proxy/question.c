/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/question.h"

#include "common/cleanup.h"

#include <string.h>

struct proxy_question {
	struct proxy_question *next, **previous; /* in the queue */
	void *owner;				 /* NULL: given up */
	uint32_t place;				 /* of what is asked; QUESTION_MAX = not yet */
	union {
		struct worker_header header;
		struct worker_ask_origin origin;
		struct worker_ask_upstream upstream;
		struct worker_ask_route route;
	} ask;
};

struct question_queue {
	int channel;
	bool blocked; /* the channel is full */
	struct proxy_question *first, **last;
	struct proxy_question *asked[QUESTION_MAX];
	uint32_t outstanding;
};

int question_queue_new(int channel, struct question_queue **ret_queue)
{
	struct question_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return -ENOMEM;
	queue->channel = channel;
	queue->last = &queue->first;
	*ret_queue = queue;
	return 0;
}

void question_queue_free(struct question_queue *queue)
{
	struct proxy_question *next;

	if (!queue)
		return;
	for (struct proxy_question *q = queue->first; q; q = next) {
		next = q->next;
		free(q);
	}
	for (size_t i = 0; i < QUESTION_MAX; i++)
		free(queue->asked[i]);
	free(queue);
}

static struct proxy_question *add(struct question_queue *queue, void *owner,
				  enum worker_message_kind kind)
{
	struct proxy_question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->owner = owner;
	q->place = QUESTION_MAX;
	q->ask.header.kind = (uint16_t)kind;
	q->previous = queue->last;
	*queue->last = q;
	queue->last = &q->next;
	return q;
}

static void unlink_question(struct question_queue *queue, struct proxy_question *q)
{
	*q->previous = q->next;
	if (q->next)
		q->next->previous = q->previous;
	else
		queue->last = q->previous;
	q->next = NULL;
}

int question_ask_origin(struct question_queue *queue, void *owner, const struct worker_peer *peer,
			const struct worker_peer *local, struct proxy_question **ret_question)
{
	struct proxy_question *q = add(queue, owner, WORKER_ASK_ORIGIN);

	if (!q)
		return -ENOMEM;
	q->ask.origin.peer = *peer;
	q->ask.origin.local = *local;
	*ret_question = q;
	question_send(queue);
	return 0;
}

int question_ask_upstream(struct question_queue *queue, void *owner, const uint8_t asked[16],
			  uint16_t port, uint32_t generation, struct proxy_question **ret_question)
{
	struct proxy_question *q = add(queue, owner, WORKER_ASK_UPSTREAM);

	if (!q)
		return -ENOMEM;
	memcpy(q->ask.upstream.asked, asked, sizeof(q->ask.upstream.asked));
	q->ask.upstream.port = port;
	q->ask.upstream.generation = generation;
	*ret_question = q;
	question_send(queue);
	return 0;
}

int question_ask_route(struct question_queue *queue, void *owner, const char *host, uint16_t port,
		       struct proxy_question **ret_question)
{
	size_t length = strlen(host);
	struct proxy_question *q = add(queue, owner, WORKER_ASK_ROUTE);

	if (!q)
		return -ENOMEM;
	if (length > WORKER_NAME_MAX)
		length = WORKER_NAME_MAX;
	q->ask.route.port = port;
	q->ask.route.length = (uint16_t)length;
	memcpy(q->ask.route.host, host, length);
	*ret_question = q;
	question_send(queue);
	return 0;
}

void question_give_up(struct question_queue *queue, struct proxy_question *question)
{
	if (!question)
		return;
	question->owner = NULL;
	if (question->place < QUESTION_MAX)
		return; /* the supervisor still counts it */
	unlink_question(queue, question);
	free(question);
}

int question_take(struct question_queue *queue, const struct worker_header *header,
		  void **ret_owner)
{
	uint32_t place = header->id - QUESTION_ID;
	struct proxy_question *q;

	if (place >= QUESTION_MAX || !queue->asked[place])
		return -EBADMSG;
	q = queue->asked[place];
	if ((header->kind == WORKER_ORIGIN) != (q->ask.header.kind == WORKER_ASK_ORIGIN))
		return -EBADMSG;
	queue->asked[place] = NULL;
	queue->outstanding--;
	*ret_owner = q->owner;
	free(q);
	return 0;
}

static uint32_t free_place(const struct question_queue *queue)
{
	for (uint32_t i = 0; i < QUESTION_MAX; i++)
		if (!queue->asked[i])
			return i;
	return QUESTION_MAX;
}

void question_send(struct question_queue *queue)
{
	queue->blocked = false;
	while (queue->first && queue->outstanding < QUESTION_MAX) {
		struct proxy_question *q = queue->first;
		uint32_t place = free_place(queue);
		union worker_message message;
		size_t size;

		size = worker_message_init(&message, (enum worker_message_kind)q->ask.header.kind,
					   QUESTION_ID + place);
		memcpy((uint8_t *)&message + sizeof(message.header),
		       (uint8_t *)&q->ask + sizeof(q->ask.header), size - sizeof(message.header));
		/* If nobody is at the other end, the channel's end of file says so next. */
		if (worker_message_send(queue->channel, &message, NULL, 0)) {
			queue->blocked = true;
			return;
		}
		unlink_question(queue, q);
		q->place = place;
		queue->asked[place] = q;
		queue->outstanding++;
	}
}

bool question_blocked(const struct question_queue *queue)
{
	return queue->blocked;
}
