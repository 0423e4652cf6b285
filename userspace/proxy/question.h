/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the supervisor: who is behind a connection, and a socket to a server. Asked in the
 * order they came, a bounded number at once; whoever asked may stop waiting at any time. The
 * worker's loop. Fails closed: no answer is no connection.
 */
#pragma once

#include "common/worker_protocol.h"

#include <stdbool.h>
#include <stdint.h>

#define QUESTION_ID  0x1000000u /* their ids are this and above */
#define QUESTION_MAX 256	/* without an answer */

struct question_queue;

/* One that waits; valid until its answer is taken or it is given up. */
struct proxy_question;

int question_queue_new(int channel, struct question_queue **ret_queue);
void question_queue_free(struct question_queue *queue);

/* Ask; @owner gets the answer. -ENOMEM. */
int question_ask_origin(struct question_queue *queue, void *owner, const struct worker_peer *peer,
			const struct worker_peer *local, struct proxy_question **ret_question);
int question_ask_upstream(struct question_queue *queue, void *owner, const uint8_t asked[16],
			  uint16_t port, uint32_t generation, struct proxy_question **ret_question);
/* @host: that of a route of inference.local. */
int question_ask_route(struct question_queue *queue, void *owner, const char *host, uint16_t port,
		       struct proxy_question **ret_question);

/* Nobody waits for it any more. NULL is valid. */
void question_give_up(struct question_queue *queue, struct proxy_question *question);

/*
 * The owner of the question that @header answers, or NULL in *ret_owner if it was given up.
 * -EBADMSG: nobody asked that.
 */
int question_take(struct question_queue *queue, const struct worker_header *header,
		  void **ret_owner);

void question_send(struct question_queue *queue);
bool question_blocked(const struct question_queue *queue);
