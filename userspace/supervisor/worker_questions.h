/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker has asked and was not told yet, and the look-ups that questions wait for: equal
 * names wait for one look-up. Plain tables without I/O, bounded, owned by struct worker. Fails
 * closed: a full table takes no more, and whoever asked is told that it failed.
 */
#pragma once

#include "common/worker_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With those that nobody waits for. */
#define QUESTIONS_LOOKUPS_MAX (WORKER_OUTSTANDING_MAX + 256)

struct question {
	struct question *next; /* in its look-up, or among what is to be sent */
	size_t index;	       /* in questions.asked */
	uint32_t id;	       /* as the worker chose it */
	uint16_t type;	       /* DNS QTYPE */
	struct worker_peer peer;
	/* WORKER_ASK_UPSTREAM and _ROUTE; port 0: it is another question */
	uint8_t asked[16];
	uint16_t port;
	/* WORKER_ASK_ROUTE; length 0: it is another question */
	uint16_t host_length;
	char host[WORKER_NAME_MAX + 3];
	union worker_message answer; /* once it is known */
	int fd;			     /* goes with the answer; -1 = none */
};

struct lookup {
	uint32_t id;
	uint8_t length;
	bool sent; /* the resolver has it */
	uint8_t tries;
	uint64_t since; /* CLOCK_BOOTTIME ns, of the first question or of being sent */
	char name[WORKER_NAME_MAX + 1];
	struct question *waiting, **last;
};

/* Questions whose answers are known, in the order in which they are to be sent. */
struct question_queue {
	struct question *first, **last;
};

struct questions {
	struct question *asked[WORKER_OUTSTANDING_MAX]; /* every question without an answer sent */
	size_t asked_len;
	struct lookup *lookup[QUESTIONS_LOOKUPS_MAX];
	size_t lookups_len;
	uint32_t next_id;
	struct question_queue out;
};

void questions_init(struct questions *questions);
void questions_free(struct questions *questions);

/* A question with @id. -EBADMSG: that id has no answer yet; -E2BIG: too many have none; -ENOMEM. */
int questions_add(struct questions *questions, uint32_t id, struct question **ret_question);

/* It was answered, or nobody waits any more; it must be in no list. Closes its descriptor. */
void questions_remove(struct questions *questions, struct question *question);

/* All of them, with what was to be sent: the worker is gone. Look-ups stay. */
void questions_forget(struct questions *questions);

/* To the end of what is to be sent. */
void questions_push(struct question_queue *queue, struct question *question);
struct question *questions_pop(struct question_queue *queue);

/* The look-up of that name, made if there is none. -ENOSPC, -ENOMEM. */
int questions_look_up(struct questions *questions, const char *name, size_t length, uint64_t now,
		      struct lookup **ret_lookup);
struct lookup *questions_find(const struct questions *questions, uint32_t id);
void questions_wait(struct lookup *lookup, struct question *question);

/* Take the look-up out; who waited for it is the caller's, as a list. */
struct question *questions_finish(struct questions *questions, struct lookup *lookup);
